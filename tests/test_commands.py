"""The commands as their user types them, each in a process of its own."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from conftest import environment, in_this_process, make_images_in

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.learn.predictions import Predictions


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_a_folder_of_ones_own(kcnn, refused, work, tmp_path, monkeypatch):
    source = make_images_in(tmp_path / "colours")
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    fetched = kcnn("fetch", source, cwd=work)
    assert "colours: 45 training images of 3 classes, 6 test images" in fetched.stdout
    assert "nothing was downloaded" in kcnn("fetch", source, cwd=work).stderr

    looked = json.loads(kcnn("look", "--json", cwd=work).stdout)
    assert looked["classes"]["grün"]["train"] == 15
    assert (looked["train"]["images"], looked["train"]["colour"], looked["train"]["corrupt"]) == (45, 45, 0)
    assert "grün" in kcnn("look", cwd=work).stdout

    trained = kcnn("train", "recipes/tiny.py", "--set", "epochs=3", cwd=work)
    assert "confusion of 9 validation images, 10 views" in trained.stdout
    assert "macro average" in trained.stdout
    assert trained.stdout.rstrip().endswith("runs/colours/tiny-001")
    lines = trained.stderr.splitlines()
    assert lines[0].startswith("training tiny on 'colours': CPU")
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert [line.split()[1] for line in epochs] == ["1/3", "2/3", "3/3"]
    known = ("training", "decoding", "run ", "fold ", "epoch ", "predicting", "next: ")
    assert not [line for line in lines if line and not line.startswith(known)]  # no library's noise

    sheet = work / "submissions" / "colours" / "tiny-001.csv"
    assert [row[0] for row in rows_of(sheet)] == ["id", "6", "5", "4", "3", "2", "1"]
    assert {row[1] for row in rows_of(sheet)[1:]} <= {"red one", "grün", "blue"}

    numbers = json.loads(kcnn("evaluate", "--json", cwd=work).stdout)
    assert sorted(numbers["views"]) == ["1", "10", "2"]
    for part in (numbers, *numbers["views"].values()):
        assert set(part) >= {"accuracy", "macro_f1", "log_loss", "top5_accuracy", "confusion", "per_class"}
        assert np.array(part["confusion"]).sum() == 9
    assert numbers["classes"] == ["blue", "grün", "red one"]
    assert list(json.loads(kcnn("evaluate", "tiny-001", "--views", "2", "--json", cwd=work).stdout)["views"]) == ["2"]

    # predict needs the models and run.json alone, and says the same as train did
    before_predict = Predictions.read(work / "runs" / "colours" / "tiny-001" / "test.npz").probabilities
    text = sheet.read_text()
    for path in [sheet, *(work / "runs").rglob("*.npz")]:
        path.unlink()
    monkeypatch.chdir(work)
    assert in_this_process("predict").strip() == str(sheet)
    assert sheet.read_text() == text
    after = Predictions.read(work / "runs" / "colours" / "tiny-001" / "test.npz").probabilities
    for views, values in before_predict.items():
        assert np.allclose(values, after[views], atol=1e-6)
    assert "views" in in_this_process("evaluate", "--views", "2")  # so is evaluate able to start from the models

    # nobody here has the answers; told where they are, submit scores
    assert "no answers here to score against" in refused("submit", "--yes", cwd=work)
    settings = work / "data" / "colours" / "competition.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace('answers = ""', 'answers = "truth.csv"'), encoding="utf-8"
    )
    assert "not submitted, since the answer was not yes" in refused("submit", cwd=work)
    submitted = kcnn("submit", "--yes", "-m", "first try", cwd=work)
    truth = dict(rows_of(source / "truth.csv")[1:])
    right = np.mean([truth[name] == label for name, label in rows_of(sheet)[1:]])
    assert f"public score {right:.4f}" in submitted.stdout
    ledger = json.loads(kcnn("scores", "--json", cwd=work).stdout)
    assert [(line["run"], line["message"]) for line in ledger] == [("tiny-001", "first try")]
    assert float(ledger[0]["public"]) == pytest.approx(right, abs=1e-5)
    assert "tiny-001" in kcnn("scores", cwd=work).stdout
    assert "tiny-001" in kcnn("runs", cwd=work).stdout
    assert json.loads(kcnn("runs", "--json", cwd=work).stdout)[0]["status"] == "finished"
    assert {path: path.read_bytes() for path in before} == before  # the originals are as they were

    (work / "runs" / "colours" / "tiny-001" / "fold-0" / "model.keras").unlink()
    assert "has no fold-0/model.keras" in refused("predict", cwd=work)


def test_a_folder_called_demo_goes_before_the_demo(kcnn, work):
    """What is on the disk goes first, as for every other name."""
    make_images_in(work / "demo", per_class=5)
    assert "demo: 15 training images of 3 classes" in kcnn("fetch", "demo", cwd=work).stdout


def test_the_three_commands_in_a_new_directory(kcnn, tmp_path):
    work = tmp_path / "new"
    work.mkdir()
    fetched = kcnn("fetch", cwd=work)
    assert "fetching the demo" in fetched.stderr
    assert "demo: 6,000 training images of 10 classes, 1,000 test images" in fetched.stdout
    assert not list(work.rglob("*answers*"))
    kcnn("init", cwd=work)
    assert 'competition = "demo"' in (work / "kcnn.toml").read_text()
    assert "vgg" in kcnn("recipes", cwd=work).stdout
    kcnn("init", cwd=work)  # changes nothing
    small = ["size=14", "crop=14", "epochs=1", "width=8", "views=2"]
    kcnn("train", "recipes/vgg.py", *(part for knob in small for part in ("--set", knob)), cwd=work)
    submitted = kcnn("submit", "--yes", cwd=work)
    assert "1,000 rows, checked" in submitted.stdout
    score = float(submitted.stdout.split("public score")[1])
    assert 0.15 < score < 1  # a network of four filters, after one epoch on 14x14 pixels; chance is 0.1


BREAKDOWN = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
sys.meta_path.insert(0, Blocked())
from kaggle_cnn.cli import main
main()
"""


def without_tensorflow(work, *arguments, **extra):
    return subprocess.run(
        [sys.executable, "-c", BREAKDOWN, *arguments],
        cwd=work,
        env=environment(HOME=str(work), **extra),
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_jax_without_tensorflow(kcnn, work, tmp_path):
    kcnn("fetch", make_images_in(tmp_path / "colours"), cwd=work)
    missing = without_tensorflow(work, "train", "recipes/tiny.py")
    assert missing.returncode == 1
    assert missing.stderr.splitlines()[-2].startswith("error: the backend tensorflow cannot be imported")
    knobs = ("--set", "ema=0.9", "--set", "precision=mixed_bfloat16")
    trained = without_tensorflow(work, "train", "recipes/tiny.py", *knobs, KERAS_BACKEND="jax")
    assert trained.returncode == 0, trained.stderr
    sheet = work / "submissions" / "colours" / "tiny-001.csv"
    text = sheet.read_text()
    sheet.unlink()
    predicted = without_tensorflow(work, "predict", "--backend", "jax")
    assert predicted.returncode == 0, predicted.stderr
    assert sheet.read_text() == text
    assert json.loads((work / "runs" / "colours" / "tiny-001" / "run.json").read_text())["backend"] == "jax"


def start_training(work, *arguments, until):
    """Starts a training and returns its process when it has printed a line that begins with `until`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kaggle_cnn", "train", "recipes/tiny.py", *arguments],
        cwd=work,
        env=environment(HOME=str(work)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that was started in the background of a shell would hand on that Ctrl-C is ignored.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    for line in process.stderr:
        if line.startswith(until):
            return process
    raise AssertionError(f"it ended before '{until}'")


@pytest.mark.usefixtures("keras")
def test_killed_and_resumed_is_as_never_killed(kcnn, work, tmp_path, monkeypatch):
    """SIGKILL in epoch 3; the same weights, history and submission as a run that was left alone."""
    kcnn("fetch", make_images_in(tmp_path / "colours", per_class=60), cwd=work)
    knobs = ["--set", "epochs=5", "--set", "batch=2"]  # 70 steps an epoch: time to be killed in the middle of one
    monkeypatch.chdir(work)
    in_this_process("train", "recipes/tiny.py", *knobs)
    process = start_training(work, *knobs, until="epoch 2/5")
    time.sleep(0.1)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    killed = work / "runs" / "colours" / "tiny-002"
    assert json.loads((killed / "run.json").read_text())["status"] == "training"
    assert len((killed / "fold-0" / "history.csv").read_text().splitlines()) < 6
    assert "training" in kcnn("runs", cwd=work).stdout

    resumed = kcnn("train", "recipes/tiny.py", *knobs, "--resume", cwd=work)
    assert "going on after epoch" in resumed.stderr
    whole = work / "runs" / "colours" / "tiny-001"
    assert (whole / "fold-0" / "history.csv").read_text() == (killed / "fold-0" / "history.csv").read_text()
    for part in ("validation.npz", "test.npz"):
        one, two = Predictions.read(whole / part), Predictions.read(killed / part)
        for views, values in one.probabilities.items():
            assert (values == two.probabilities[views]).all()
    done = kcnn("train", "recipes/tiny.py", "--resume", cwd=work, code=1)
    assert "has no unfinished run of tiny" in done.stderr


@pytest.mark.usefixtures("keras")
def test_control_c_keeps_the_best_and_says_how_to_go_on(kcnn, work, tmp_path, monkeypatch):
    kcnn("fetch", make_images_in(tmp_path / "colours"), cwd=work)
    process = start_training(work, "--set", "epochs=400", until="epoch   2/400")
    os.kill(process.pid, signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait() == 130
    assert "Traceback" not in rest
    assert (
        rest.splitlines()[-1]
        == "stopped; epochs that were done are kept. To go on: kcnn train recipes/tiny.py --resume"
    )
    monkeypatch.chdir(work)
    with pytest.raises(KcnnError, match="400, not 3"):
        in_this_process("train", "recipes/tiny.py", "--set", "epochs=3", "--resume")
    assert in_this_process("predict").strip().endswith("tiny-001.csv")


def test_mistakes_are_told_in_a_line(refused, kcnn, work, tmp_path):
    assert "there is no competition here yet" in refused("train", "recipes/tiny.py", cwd=work)
    assert "there is no" in refused("fetch", "no/such/place", cwd=work)
    (tmp_path / "empty").mkdir()
    assert "no images found" in refused("fetch", tmp_path / "empty", cwd=work)
    assert "holds this workspace itself" in refused("fetch", tmp_path, cwd=work)
    assert not (work / "kcnn.toml").exists()
    kcnn("fetch", make_images_in(tmp_path / "colours"), cwd=work)
    assert "no competition 'colour'" in refused("look", "-c", "colour", cwd=work)
    assert "no run of 'colours' yet" in refused("evaluate", cwd=work)
    assert "no such file" in refused("train", "recipes/none.py", cwd=work)
    (work / "recipes" / "syntax.py").write_text("def f(:\n")
    assert "line 1: not valid Python" in refused("train", "recipes/syntax.py", cwd=work)
    assert "no knob 'epoch'" in refused("train", "recipes/tiny.py", "--set", "epoch=3", cwd=work, KERAS_BACKEND="jax")
    assert "no backend 'theano'" in refused("train", "recipes/tiny.py", "--backend", "theano", cwd=work)
    assert not (work / "runs").exists()
    (work / "data" / "colours" / "competition.toml").write_text("name = ")
    assert "not valid TOML" in refused("look", cwd=work)
    assert kcnn("train", code=2, cwd=work).stderr


def test_a_bad_submission_is_not_sent(kcnn, refused, tmp_path):
    kcnn("fetch", "demo")
    whole = "".join(f"{number},Bag\n" for number in [*range(1, 1001), 7])
    for text, error in [
        ("id,label\n1,Bag\n", "999 of the submission's ids are missing"),
        ("id,label\n" + "".join(f"{number},bag\n" for number in range(1, 1001)), "1000 rows name a class"),
        (f"id,label\n{whole}", "stand more than once, the first is '7'"),
        ("id,class\n1,Bag\n", "expected the columns id, label"),
    ]:
        (tmp_path / "mine.csv").write_text(text)
        assert error in refused("submit", "mine.csv", "--yes")
    assert not (tmp_path / "submissions").exists()


def test_a_submission_made_elsewhere_is_scored(kcnn, tmp_path):
    kcnn("fetch", "demo")
    (tmp_path / "mine.csv").write_text("id,label\n" + "".join(f"{number},Bag\n" for number in range(1000, 0, -1)))
    assert "public score 0.1000" in kcnn("submit", "mine.csv", "--yes").stdout
