"""Fetch and submit through the real `kaggle` package, over HTTP, against the server in kaggle_server.py."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from conftest import environment, in_this_process, make_images_in
from kaggle_server import Kaggle, Task
from PIL import Image

from kaggle_cnn.files import one_at_a_time

SECRETS = (Kaggle.key, Kaggle.token)


def zipped(folder, prefix=""):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                target.writestr(prefix + path.relative_to(folder).as_posix(), path.read_bytes())
    return buffer.getvalue()


def class_competition(folder) -> Task:
    """Class folders and tests in zips within the zip, as competitions ship them; the sample is zipped too."""
    make_images_in(folder)
    sample = io.BytesIO()
    with zipfile.ZipFile(sample, "w") as target:
        target.writestr("sample_submission.csv", (folder / "sample_submission.csv").read_bytes())
    files = {
        "train.zip": zipped(folder / "train", "train/"),
        "test.zip": zipped(folder / "test"),
        "sample_submission.csv.zip": sample.getvalue(),
    }
    solution = dict(csv.reader(io.StringIO((folder / "truth.csv").read_text(encoding="utf-8"))))
    return Task(files, title="Colours in class", solution=solution, board=[("a", "0.99"), ("b", "0.5"), ("c", "0.1")])


def many_files(count=450) -> Task:
    """Class folders with images of noise in `count` files; PNGs do not shrink, so that there is something to cut."""
    draw, files = np.random.default_rng(0), {}
    for number in range(count):
        buffer = io.BytesIO()
        Image.fromarray(draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(buffer, "png")
        files[f"train/{'cat' if number % 2 else 'dog'}/{number}.png"] = buffer.getvalue()
    return Task(files)


@pytest.fixture
def kaggle(tmp_path):
    server = Kaggle(
        colours=class_competition(tmp_path / "source"),
        noise=many_files(),
        closed_to_you=Task({"a.csv": b"x"}, accepted=False),
    )
    yield server
    server.close()


@pytest.fixture
def online(kaggle, kcnn, work):
    """Runs kcnn as a user of that Kaggle; no secret may ever be printed or stay in a file of the workspace."""

    def run(*arguments, **options):
        done = kcnn(*arguments, cwd=work, **kaggle.environment(**options.pop("env", {})), **options)
        for secret in SECRETS:
            assert secret not in done.stdout + done.stderr
        return done

    yield run
    for path in work.rglob("*"):
        if path.is_file():
            assert not any(secret.encode() in path.read_bytes() for secret in SECRETS), path


def error_of(done) -> tuple[str, str]:
    lines = done.stderr.strip().splitlines()
    assert lines[-2].startswith("error: "), done.stderr
    assert lines[-1].startswith("hint: "), done.stderr
    return lines[-2].removeprefix("error: "), lines[-1].removeprefix("hint: ")


def assert_whole(work, task, slug="noise"):
    """Every file is there byte for byte. Nothing else is left in data/ but the lock, see files.one_at_a_time."""
    for name, content in task.files.items():
        assert (work / "data" / slug / name).read_bytes() == content
    assert sorted(os.listdir(work / "data")) == [f".{slug}.lock", slug]


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
    assert sorted(os.listdir(work / "data")) == [".colours.lock", "colours"]
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


def test_all_pages_and_a_broken_connection(kaggle, online, work):
    """450 files on three pages; cut twice, the storage responds once with 503; the download continues by Range."""
    task = kaggle.tasks["noise"]
    kaggle.faults["ListDataFiles"] = [500, 500]
    kaggle.faults["GET"] = [("cut", 400_000), 503, None, ("cut", 300_000)]
    done = online("fetch", "noise")
    assert "noise: 450 training images" in done.stdout
    assert kaggle.seen["ListDataFiles"] == 5
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in kaggle.ranges if asked]
    assert len(starts) == 2
    assert 300_000 < starts[0] <= 400_000 < starts[1] <= 700_000
    assert_whole(work, task)


def test_killed_and_run_again(kaggle, online, work):
    kaggle.seconds_a_chunk = 0.05
    partial = work / "data" / "noise.zip.partial"
    process = subprocess.Popen(
        [sys.executable, "-m", "kaggle_cnn", "fetch", "noise"],
        cwd=work,
        env=environment(HOME=str(work), **kaggle.environment()),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    begun = time.monotonic()
    while not (partial.is_file() and partial.stat().st_size > 300_000):
        assert process.poll() is None
        assert time.monotonic() - begun < 60
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    have = partial.stat().st_size
    assert not (work / "data" / "noise").exists()
    kaggle.seconds_a_chunk = 0
    online("fetch", "noise")
    assert kaggle.ranges[-1] == f"bytes={have}-"
    assert_whole(work, kaggle.tasks["noise"])


def test_a_file_that_changed_is_downloaded_again(kaggle, online, work):
    task = kaggle.tasks["noise"]
    kaggle.faults["GET"] = [("cut", 400_000), *[404] * 9]
    error_of(online("fetch", "noise", code=1))
    assert (work / "data" / "noise.zip.partial").stat().st_size > 300_000
    kaggle.faults["GET"] = []
    task.files["train/cat/1.png"] = task.files["train/cat/3.png"]
    online("fetch", "noise")
    assert_whole(work, task)


def test_a_pause_that_kaggle_asks_for(kaggle, online):
    kaggle.faults["ListDataFiles"] = [(429, {"Retry-After": "3"})]
    assert "trying again in 3 s" in online("fetch", "colours").stderr
    first, second = [at for method, at in kaggle.times if method == "ListDataFiles"][:2]
    assert 3 <= second - first < 5


@pytest.mark.parametrize("method", ["ListDataFiles", "GET", "IntrospectToken"])
def test_a_server_that_never_responds(kaggle, online, method):
    kaggle.faults[method] = ["hang"] * 9
    env = {"KCNN_TIMEOUT": "1"}
    if method == "IntrospectToken":
        env["KAGGLE_API_TOKEN"] = Kaggle.token
    begun = time.monotonic()
    error, _ = error_of(online("fetch", "noise", code=1, env=env))
    assert time.monotonic() - begun < 20
    assert "did not respond within 1 s" in error


def test_storage_that_stays_broken(kaggle, online, work):
    kaggle.faults["GET"] = [(503, {"Retry-After": "0"})] * 9
    error, _ = error_of(online("fetch", "noise", code=1))
    assert "503" in error
    assert kaggle.seen["GET"] == 6


def test_rules_and_names(kaggle, online):
    error, hint = error_of(online("fetch", "closed-to-you", code=1))
    assert "not accepted the rules of 'closed-to-you'" in error
    assert "https://www.kaggle.com/competitions/closed-to-you/rules" in hint
    error, hint = error_of(online("fetch", "colour", code=1))
    assert "no competition 'colour'" in error
    assert "did you mean colours?" in hint
    kaggle.faults["ListDataFiles"] = [404]
    error, hint = error_of(online("fetch", "https://www.kaggle.com/c/nothing-of-the-kind", code=1))
    assert "no competition 'nothing-of-the-kind'" in error
    assert "/competitions/nothing-of-the-kind/rules" in hint


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("https://www.kaggle.com/t/0123abcdef", "an invitation link"),
        ("https://www.kaggle.com/datasets/a/b", "not the address of a competition"),
        ("no_such_folder", "there is no"),
    ],
)
def test_names_that_are_not_valid(kaggle, online, given, error):
    assert error in error_of(online("fetch", given, code=1))[0]
    assert not kaggle.seen


def test_credentials(kaggle, online, kcnn, work, tmp_path):
    """Which one was used and where it lies is said when Kaggle refuses it; one that works, works."""
    home = tmp_path / "home"
    legacy = kaggle.environment()
    anonymous = {name: text for name, text in legacy.items() if name not in ("KAGGLE_USERNAME", "KAGGLE_KEY")}

    def refused(**extra):
        done = kcnn("fetch", "colours", cwd=work, code=1, **anonymous, **extra)
        assert "wrong" not in done.stderr.replace("wrong-user", "")
        return error_of(done)[0]

    assert "no Kaggle credential was found" in refused()
    both = {"KAGGLE_USERNAME": "wrong-user", "KAGGLE_KEY": "wrong"}
    assert "KAGGLE_USERNAME and KAGGLE_KEY, user wrong-user (401" in refused(**both)
    assert "the token in KAGGLE_API_TOKEN: it is expired" in refused(KAGGLE_API_TOKEN="wrong")
    assert "in place of KAGGLE_USERNAME and KAGGLE_KEY" in refused(KAGGLE_API_TOKEN="wrong", **both)
    (home / ".kaggle").mkdir()
    (home / ".kaggle" / "kaggle.json").write_text('{"username": "wrong-user", "key": "wrong"}')
    assert f"{home}/.kaggle/kaggle.json, user wrong-user (401" in refused()
    assert "KAGGLE_KEY with the user name of" in refused(KAGGLE_KEY="wrong")
    (home / ".kaggle" / "kaggle.json").write_text("[]")
    assert "expected a user name and a key in" in (error := refused())
    assert f"{home}/.kaggle/kaggle.json" in error
    (home / ".kaggle" / "kaggle.json").unlink()
    (home / ".kaggle" / "access_token").write_text("wrong")
    assert "the token in ~/.kaggle/access_token: it is expired" in refused()
    (home / ".kaggle" / "access_token").write_text(Kaggle.token)
    kcnn("fetch", "colours", cwd=work, **anonymous)


def test_only_a_part(kaggle, online, work):
    kaggle.tasks["noise"].files["notes/read me.txt"] = b"hello"
    online("fetch", "noise", "--include", "train/*/1[0-4].png")
    assert sorted(path.name for path in (work / "data" / "noise").rglob("*.png")) == [f"1{n}.png" for n in range(5)]
    assert "none of the 3 files" in error_of(online("fetch", "colours", "--include", "*.jpeg", code=1))[0]
    error, _ = error_of(online("fetch", "noise", code=1))
    assert "there is already a competition 'noise'" in error
    assert "--include" in error


def test_the_archive_may_stay(kaggle, online, work):
    online("fetch", "noise", "--keep-archive")
    assert (work / "data" / "noise.zip").read_bytes() == kaggle.tasks["noise"].archive()


def test_files_without_images_stay_for_the_next_fetch(kaggle, online, work):
    kaggle.tasks["colours"].files = {"readme.txt": b"nothing to see"}
    assert "no images" in error_of(online("fetch", "colours", code=1))[0]
    assert (work / "data" / "colours" / "readme.txt").is_file()
    downloads = kaggle.seen["DownloadDataFiles"]
    error_of(online("fetch", "colours", code=1))
    assert kaggle.seen["DownloadDataFiles"] == downloads


@pytest.fixture
def submission(online, work):
    """A fetched `colours` and a good submission of it, made by hand."""
    online("fetch", "colours")
    path = work / "mine.csv"
    path.write_text("id,character\n" + "".join(f"{number},blue\n" for number in range(6, 0, -1)))
    return path


def test_a_malformed_file_never_leaves(kaggle, online, submission):
    submission.write_text("id,character\n1,blue\n")
    before = dict(kaggle.seen)
    assert "are missing" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert dict(kaggle.seen) == before


def test_the_upload_is_tried_again_the_submission_is_not(kaggle, online, submission):
    kaggle.faults["PUT"] = [503, 503]
    kaggle.faults["StartSubmissionUpload"] = [500]
    online("submit", submission, "--yes")
    assert (kaggle.seen["PUT"], kaggle.seen["CreateSubmission"]) == (3, 1)
    kaggle.faults["PUT"] = [403]
    assert "uploading mine.csv" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert kaggle.seen["CreateSubmission"] == 1
    kaggle.faults["CreateSubmission"] = [500]
    assert "500" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert kaggle.seen["CreateSubmission"] == 2
    kaggle.faults["CreateSubmission"] = ["hang"]
    error, hint = error_of(online("submit", submission, "--yes", code=1, env={"KCNN_TIMEOUT": "1"}))
    assert "the response to the submission was lost" in error
    assert "kcnn submissions" in hint
    assert kaggle.seen["CreateSubmission"] == 3


def test_a_verdict_of_error(kaggle, online, submission, work):
    kaggle.tasks["colours"].error = "ERROR: Unable to find '4' in the solution, see row 2"
    done = online("submit", submission, "--yes", code=1)
    assert "Unable to find '4'" in error_of(done)[0]
    assert "line 3 of mine.csv: 5,blue" in done.stderr
    assert "line 4 of mine.csv: 4,blue" in done.stderr
    assert ",error," in (work / "submissions" / "colours" / "scores.csv").read_text()
    assert kaggle.seen["CreateSubmission"] == 1


def test_no_submission_left(kaggle, online, submission):
    kaggle.tasks["colours"].daily_limit = 0
    assert "no submission is left today" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert kaggle.seen["StartSubmissionUpload"] == kaggle.seen["PUT"] == kaggle.seen["CreateSubmission"] == 0


@pytest.mark.parametrize("described_before", [True, False])
def test_a_code_competition(kaggle, online, submission, described_before):
    kaggle.tasks["colours"].code_only = True
    if not described_before:  # an older server, or one that does not say
        kaggle.faults["GetCompetition"] = kaggle.faults["ListCompetitions"] = [404, 404]
    assert "is a code competition" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert kaggle.seen["CreateSubmission"] == (0 if described_before else 1)


def test_nobody_says_yes(kaggle, online, submission):
    assert "not submitted" in error_of(online("submit", submission, code=1))[0]
    assert kaggle.seen["StartSubmissionUpload"] == 0


def test_submissions_without_a_network(kaggle, online, submission):
    online("submit", submission, "--yes")
    kaggle.faults["ListSubmissions"] = [401]
    done = online("submissions")
    assert "the scores that were seen last" in done.stderr
    assert "complete" in done.stdout


@pytest.mark.parametrize("method", ["ListDataFiles", "IntrospectToken"])
def test_a_web_page_in_place_of_json(kaggle, online, method):
    kaggle.faults[method] = ["page"] * 4
    env = {"KAGGLE_API_TOKEN": Kaggle.token} if method == "IntrospectToken" else {}
    assert "expected a response from Kaggle" in error_of(online("fetch", "colours", code=1, env=env))[0]


def test_what_is_optional_may_fail(kaggle, online, submission):
    kaggle.faults["GetCompetition"] = ["page", 500]
    kaggle.faults["ListCompetitions"] = [404, 404]
    kaggle.faults["GetSubmissionLimits"] = [500]
    kaggle.faults["GetSubmission"] = [404] * 9
    assert "public score" in online("submit", submission, "--yes").stdout


@pytest.mark.parametrize("fault", ["page", 500, "hang"])
def test_after_sending_no_hint_says_to_send_it_again(kaggle, online, submission, work, fault):
    kaggle.faults["GetSubmission"] = [(fault, {"Retry-After": "0"}) if fault == 500 else fault] * 9
    error, hint = error_of(online("submit", submission, "--yes", code=1, env={"KCNN_TIMEOUT": "1"}))
    assert "submitted as 4000, but the request for its score failed" in error
    assert "do not submit it again" in hint
    assert ",4000,mine.csv," in (work / "submissions" / "colours" / "scores.csv").read_text()
    kaggle.faults = type(kaggle.faults)(list, CreateSubmission=[fault])
    error, hint = error_of(online("submit", submission, "--yes", code=1, env={"KCNN_TIMEOUT": "1"}))
    assert "the response to the submission was lost" in error
    assert "submit again only if not" in hint
    assert kaggle.seen["CreateSubmission"] == 2


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (400, "Submission file exceeds the maximum allowed size of 100MB", "Kaggle responded with 400"),
        (400, "Your team has used its daily Submission allowance (5) today", "no more submissions today"),
        (403, "You must accept this competition's rules", "you have not accepted the rules"),
        (400, "This competition only accepts Submissions from Notebooks", "is a code competition"),
    ],
)
def test_why_a_submission_was_not_taken(kaggle, online, submission, status, text, error):
    kaggle.faults["CreateSubmission"] = [(status, {"text": text})]
    found = error_of(online("submit", submission, "--yes", code=1))[0]
    assert error in found
    assert text in found


def test_a_refusal_in_plain_text_and_one_with_a_secret_in_it(kaggle, online):
    rules = "You must accept this competition's rules before"
    kaggle.faults["ListDataFiles"] = [
        (403, {"text": f"{rules} {Kaggle.key}", "plain": True}),
        (403, {"text": Kaggle.key}),
    ]
    error, hint = error_of(online("fetch", "colours", code=1))
    assert "you have not accepted the rules of 'colours'" in error
    assert "***" in error
    assert "colours/rules" in hint
    online("fetch", "colours", code=1)


def test_what_was_checked_is_what_is_sent(kaggle, online, submission):
    text = submission.read_text()
    submission.write_bytes(
        b"\xef\xbb\xbf" + text.replace(",", " , ").replace("id , ", "id,").replace("\n", "\r\n").encode()
    )
    online("submit", submission, "--yes")
    assert kaggle.uploads["blob1"].decode() == text


def test_a_damaged_ledger_is_said_before_anything_is_sent(kaggle, online, submission, work):
    (work / "submissions" / "colours").mkdir(parents=True)
    (work / "submissions" / "colours" / "scores.csv").write_bytes(b"")
    assert "scores.csv is not a CSV" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert kaggle.seen["CreateSubmission"] == 0


def test_files_that_are_not_a_competition_can_be_removed(kaggle, online, work):
    kaggle.tasks["noise"].files["notes.csv"] = b"a,b\n1,2\n"
    error, hint = error_of(online("fetch", "noise", "--include", "*.csv", code=1))
    assert "no images" in error
    assert "remove it to download them again" in hint
    assert (work / "data" / "noise" / "notes.csv").is_file()
    error, hint = error_of(online("fetch", "noise", code=1))
    assert "has only some of these files" in error
    assert "remove it" in hint


def test_a_broken_archive_within_the_archive(kaggle, online, work):
    files = kaggle.tasks["colours"].files
    whole = files["test.zip"]
    files["test.zip"] = whole[: len(whole) // 2]
    error, hint = error_of(online("fetch", "colours", code=1))
    assert "test.zip is not a complete zip file" in error
    assert "the broken archive is kept as" in hint
    files["test.zip"] = whole
    online("fetch", "colours")
    assert sorted(os.listdir(work / "data")) == [".colours.lock", "colours"]


def test_two_fetches_at_once(kaggle, online, work):
    with one_at_a_time(work / "data" / "colours"):
        assert "another kcnn is at work" in error_of(online("fetch", "colours", code=1))[0]
    online("fetch", "colours")


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
@pytest.mark.usefixtures("keras")
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
