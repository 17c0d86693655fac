"""From fetch to a submission through the real `kaggle` package: class folders, and competitions in other layouts."""

import csv
import io
import json
import os
import zipfile

import numpy as np
import pytest
from conftest import in_this_process
from kaggle_server import Task
from PIL import Image


def test_fetch_train_submit_scores(kaggle, online, work):
    done = online("fetch", "https://www.kaggle.com/competitions/colours/data", afresh=True)
    assert "colours: 45 training images of 3 classes, 6 test images" in done.stdout
    toml = (work / "data" / "colours" / "competition.toml").read_text(encoding="utf-8")
    for line in (
        'title = "Colours in class"',
        'metric_words = "Categorization Accuracy"',
        'metric = "accuracy"',
        "daily_limit = 5",
    ):
        assert line in toml
    assert 'deadline = "2026-12-31 23:59:00"' in toml
    assert 'source = "https://www.kaggle.com/competitions/colours"' in toml
    assert sorted(os.listdir(work / "data")) == ["colours"]
    assert not list((work / "data" / "colours").rglob("*.zip"))

    before = dict(kaggle.seen)
    assert "nothing was downloaded" in online("fetch", "colours").stderr
    assert dict(kaggle.seen) == before

    online("train", "recipes/tiny.py", "--set", "tta=none")
    shown = online("submit", "--yes", "-m", "the first", afresh=True).stdout
    assert "left today   5" in shown
    task = kaggle.tasks["colours"]
    truth = task.submissions[0]["score"]
    assert f"public score {truth}" in shown
    assert f"place        {2 if float(truth) >= 0.5 else 3} of 3" in shown
    assert kaggle.seen["CreateSubmission"] == 1
    assert task.submissions[0]["description"] == "the first"

    csv_path = work / "submissions" / "colours" / "tiny-001.csv"
    rows = csv_path.read_text(encoding="utf-8").splitlines()
    first = rows[1].split(",")
    other = next(name for name in ("blue", "red one") if name != first[1])
    csv_path.write_text("\n".join([rows[0], f"{first[0]},{other}", *rows[2:]]) + "\n", encoding="utf-8")
    assert "changed      1 of 6 rows" in online("submit", str(csv_path), "--yes", "--no-wait").stdout
    kaggle.tasks["colours"].submissions.append(
        {"ref": 77, "fileName": "by-hand.csv", "date": "2026-11-01T10:00:00Z", "status": "COMPLETE",
         "publicScore": "0.4", "privateScore": "0.3", "asked": 9, "score": "0.4"}
    )  # fmt: skip
    online("submissions")
    listed = online("submissions", "--json").stdout
    assert listed.count('"status": "complete"') == 3
    assert '"file": "by-hand.csv"' in listed
    assert '"private": "0.3"' in listed
    assert "by-hand" not in (work / "submissions" / "colours" / "scores.csv").read_text()
    board = online("leaderboard", "--top", "2").stdout
    assert "0.99" in board
    assert "0.1" not in board


def noise(number: int, size=20) -> bytes:
    """A PNG whose colour tells its number's parity."""
    draw = np.random.default_rng(number)
    pixels = draw.integers(0, 80, (size, size, 3)) + np.array([170, 0, 0] if number % 2 else [0, 0, 170])
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def table_task() -> Task:
    """As cifar-10: labels in a CSV, ids without suffix, a zip of each part."""
    files = {
        "trainLabels.csv": b"id,label\n"
        + b"".join(b"%d,%s\n" % (n, b"red one" if n % 2 else b"blue") for n in range(40))
    }
    for part, numbers in (("train", range(40)), ("test", range(40, 46))):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as target:
            for number in numbers:
                target.writestr(f"{part}/{number}.png", noise(number))
        files[f"{part}.zip"] = buffer.getvalue()
    files["sampleSubmission.csv"] = b"id,label\r\n" + b"".join(b"%d,blue\r\n" % n for n in range(45, 39, -1))
    return Task(files, solution={str(n): "red one" if n % 2 else "blue" for n in range(40, 46)})


def pixels_task() -> Task:
    """As digit-recognizer."""
    head = ",".join(f"pixel{n}" for n in range(400))
    draw = np.random.default_rng(0)
    rows = [draw.integers(0, 90, 400) + (160 if n % 2 else 0) for n in range(46)]
    train = "".join(f"{n % 2},{','.join(map(str, row))}\n" for n, row in enumerate(rows[:40]))
    test = "".join(f"{','.join(map(str, row))}\n" for row in rows[40:])
    sample = "ImageId,Label\n" + "".join(f"{n},0\n" for n in range(1, 7))
    files = {"train.csv": f"label,{head}\n{train}", "test.csv": f"{head}\n{test}", "sample_submission.csv": sample}
    return Task(
        {name: text.encode() for name, text in files.items()}, solution={str(n): str((n - 1) % 2) for n in range(1, 7)}
    )


def columns_task() -> Task:
    """As dog-breed-identification: one probability for each class, in an order of its own."""
    files = {f"train/{n}.jpg": noise(n) for n in range(40)} | {f"test/{n}.jpg": noise(n) for n in range(40, 46)}
    files["labels.csv"] = b"id,breed\n" + b"".join(
        b"%d,%s\n" % (n, b"red" if n % 2 else b"blue-ish") for n in range(40)
    )
    files["sample_submission.csv"] = b"id,red,blue-ish\n" + b"".join(b"%d,0.5,0.5\n" % n for n in range(45, 39, -1))
    return Task(files, metric="Multiclass Loss")


def labels_task() -> Task:
    """As plant-pathology-2021: several labels in one cell."""
    files = {f"train_images/{n}.jpg": noise(n) for n in range(40)} | {
        f"test_images/{n}.jpg": noise(n) for n in range(40, 46)
    }
    cells = ["blue", "red", "blue dark", "red dark"]
    files["train.csv"] = ("image,labels\n" + "".join(f"{n}.jpg,{cells[n % 4]}\n" for n in range(40))).encode()
    files["sample_submission.csv"] = b"image,labels\n" + b"".join(b"%d.jpg,blue\n" % n for n in range(40, 46))
    return Task(files)


@pytest.mark.parametrize("make", [table_task, pixels_task, columns_task, labels_task])
@pytest.mark.usefixtures("eager")
def test_every_layout_is_fetched_trained_and_submitted(kaggle, online, work, make, monkeypatch):
    task = kaggle.tasks["noise"] = make()
    said = online("fetch", "noise").stdout
    assert "noise: 40 training images of" in said
    assert "6 test images" in said
    command = ["train", "recipes/tiny.py", "--set", "epochs=1", "--set", "tta=none"]
    monkeypatch.chdir(work)
    said = in_this_process(*command)  # where TensorFlow has been imported already
    assert "submission" in said
    online("submit", "--yes")
    assert kaggle.seen["CreateSubmission"] == 1
    rows = list(csv.reader(io.StringIO(kaggle.uploads["blob1"].decode())))
    sample = next(content for name, content in task.files.items() if "ample" in name)
    wanted = list(csv.reader(io.StringIO(sample.decode())))
    assert rows[0] == wanted[0]
    assert [row[0] for row in rows] == [row[0] for row in wanted]
    if make is columns_task:
        assert all(abs(float(row[1]) + float(row[2]) - 1) < 1e-5 for row in rows[1:])
    elif make is labels_task:
        assert {word for row in rows[1:] for word in row[1].split()} <= {"blue", "red", "dark"}
        numbers = json.loads(online("evaluate", "--json").stdout)
        assert 0.05 <= numbers["threshold"] <= 0.95
        assert "confusion" not in numbers
    else:
        assert {row[1] for row in rows[1:]} <= set(task.solution.values())
