"""The commands as their user types them, each in a process of its own."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import QUICK_XLA, environment, in_this_process, make_images_in

from kaggle_cnn.cli import main
from kaggle_cnn.runs.predictions import Predictions


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
    assert "on 9 validation images, tta ten-crop" in trained.stdout
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
    assert sorted(numbers["tta"]) == ["five-crop", "flip", "none", "ten-crop"]
    for part in (numbers, *numbers["tta"].values()):
        assert set(part["scores"]) == {"accuracy", "macro_f1", "log_loss"}
        assert np.array(part["confusion"]).sum() == 9
        assert set(part["per_class"]) == {"blue", "grün", "red one"}
    assert numbers["classes"] == ["blue", "grün", "red one"]

    monkeypatch.chdir(work)
    assert list(json.loads(in_this_process("evaluate", "tiny-001", "--tta", "flip", "--json"))["tta"]) == ["flip"]

    # predict needs the models and run.json alone, and says the same as train did
    before_predict = Predictions.read(work / "runs" / "colours" / "tiny-001" / "test.npz")
    text = sheet.read_text()
    for path in [sheet, *(work / "runs").rglob("*.npz")]:
        path.unlink()
    assert in_this_process("predict").strip() == str(sheet)
    assert sheet.read_text() == text
    assert not (work / "runs" / "colours" / "tiny-001" / "test.npz").exists()  # an incomplete run keeps nothing
    again = in_this_process("train", "recipes/tiny.py", "--set", "epochs=3", "--resume")
    assert "on 9 validation images, tta ten-crop" in again
    after = Predictions.read(work / "runs" / "colours" / "tiny-001" / "test.npz")
    assert after.views == before_predict.views
    assert np.allclose(before_predict.logits, after.logits, atol=1e-5)
    assert "shift" in in_this_process("evaluate", "--tta", "shift")  # views that only the models can give

    # there is no solution here; with one, submit scores
    assert "no solution here to score against" in refused("submit", "--yes", cwd=work)
    settings = work / "data" / "colours" / "competition.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace('solution = ""', 'solution = "truth.csv"'), encoding="utf-8"
    )
    assert "not submitted: it was not confirmed" in refused("submit", cwd=work)
    submitted = kcnn("submit", "--yes", "-m", "first try", cwd=work)
    truth = dict(rows_of(source / "truth.csv")[1:])
    right = np.mean([truth[name] == label for name, label in rows_of(sheet)[1:]])
    assert f"public score {right:.4f}" in submitted.stdout
    ledger = json.loads(kcnn("submissions", "--json", cwd=work).stdout)
    entries = [(line["run"], line["message"], line["tta"], line["metric"]) for line in ledger]
    assert entries == [("tiny-001", "first try", "ten-crop", "accuracy")]
    assert float(ledger[0]["public"]) == pytest.approx(right, abs=1e-5)
    assert "tiny-001" in kcnn("submissions", cwd=work).stdout
    assert "tiny-001" in kcnn("runs", cwd=work).stdout
    assert json.loads(kcnn("runs", "--json", cwd=work).stdout)[0]["status"] == "finished"
    assert {path: path.read_bytes() for path in before} == before  # the originals are as they were

    (work / "runs" / "colours" / "tiny-001" / "fold-0" / "model.keras").unlink()
    assert "has no fold-0/model.keras" in refused("predict", "--tta", "shift", cwd=work)


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
    assert not list(work.rglob("*solution*"))
    kcnn("init", cwd=work)
    assert 'competition = "demo"' in (work / "kcnn.toml").read_text()
    assert "vgg" in kcnn("recipes", cwd=work).stdout
    kcnn("init", cwd=work)  # changes nothing
    small = ["size=14", "margin=0", "epochs=1", "width=8", "tta=flip"]
    kcnn("train", "recipes/vgg.py", *(part for setting in small for part in ("--set", setting)), cwd=work, afresh=True)
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
        env=environment(HOME=str(work), **QUICK_XLA, **extra),
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_jax_without_tensorflow(kcnn, work, tmp_path):
    kcnn("fetch", make_images_in(tmp_path / "colours"), cwd=work)
    missing = without_tensorflow(work, "train", "recipes/tiny.py")
    assert missing.returncode == 1
    assert missing.stderr.splitlines()[-2].startswith("error: the backend tensorflow cannot be imported")
    settings = ("--set", "ema=0.9", "--set", "precision=mixed_bfloat16")
    trained = without_tensorflow(work, "train", "recipes/tiny.py", *settings, KERAS_BACKEND="jax")
    assert trained.returncode == 0, trained.stderr
    sheet = work / "submissions" / "colours" / "tiny-001.csv"
    text = sheet.read_text()
    sheet.unlink()
    predicted = without_tensorflow(work, "predict", "--backend", "jax")
    assert predicted.returncode == 0, predicted.stderr
    assert sheet.read_text() == text
    assert json.loads((work / "runs" / "colours" / "tiny-001" / "run.json").read_text())["backend"] == "jax"


def mistake(capsys, *arguments):
    """The `error:` line that a command ends in, with one `hint:` line and exit code 1, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["kcnn", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
    assert stopped.value.code == 1
    *_, error, hint = capsys.readouterr().err.strip().splitlines()
    assert hint.startswith("hint: ")
    return error.removeprefix("error: ")


def test_mistakes_end_in_one_line(refused, kcnn, work, tmp_path, monkeypatch, capsys, keras):
    assert "there is no competition here yet" in refused("train", "recipes/tiny.py", cwd=work)
    monkeypatch.chdir(work)
    assert "there is no" in mistake(capsys, "fetch", "no/such/place")
    (tmp_path / "empty").mkdir()
    assert "no images found" in mistake(capsys, "fetch", tmp_path / "empty")
    assert "contains this workspace" in mistake(capsys, "fetch", tmp_path)
    assert not (work / "kcnn.toml").exists()
    in_this_process("fetch", str(make_images_in(tmp_path / "colours")))
    assert "no competition 'colour'" in mistake(capsys, "look", "-c", "colour")
    assert "no run of 'colours' yet" in mistake(capsys, "evaluate")
    assert "no such file" in mistake(capsys, "train", "recipes/none.py")
    (work / "recipes" / "syntax.py").write_text("def f(:\n")
    assert "line 1: not valid Python" in mistake(capsys, "train", "recipes/syntax.py")
    assert "no setting 'epoch'" in mistake(capsys, "train", "recipes/tiny.py", "--set", "epoch=3")
    assert "no backend 'theano'" in mistake(capsys, "train", "recipes/tiny.py", "--backend", "theano")
    assert "--folds should be numbers or all, got 'some'" in mistake(
        capsys, "train", "recipes/tiny.py", "--folds", "some"
    )
    assert "tta should be one of none, flip" in mistake(capsys, "train", "recipes/tiny.py", "--set", "tta=nine-crop")
    assert not list((work / "runs" / "colours").glob("*/run.json"))
    (work / "data" / "colours" / "competition.toml").write_text("name = ")
    assert "not valid TOML" in mistake(capsys, "look")
    assert kcnn("train", code=2, cwd=work).stderr


def test_a_bad_submission_is_not_sent(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    in_this_process("fetch", "demo")
    whole = "".join(f"{number},Bag\n" for number in [*range(1, 1001), 7])
    for text, error in [
        ("id,label\n1,Bag\n", "999 of the submission's ids are missing"),
        ("id,label\n" + "".join(f"{number},bag\n" for number in range(1, 1001)), "1000 rows name a class"),
        (f"id,label\n{whole}", "occur more than once, the first is '7'"),
        ("id,class\n1,Bag\n", "expected the columns id, label"),
    ]:
        (tmp_path / "mine.csv").write_text(text)
        assert error in mistake(capsys, "submit", "mine.csv", "--yes")
    assert not (tmp_path / "submissions").exists()
    (tmp_path / "mine.csv").write_text("id,label\n" + "".join(f"{number},Bag\n" for number in range(1000, 0, -1)))
    assert "public score 0.1000" in in_this_process("submit", "mine.csv", "--yes")  # one made elsewhere


def test_completion_scripts_are_printed(kcnn):
    shown = kcnn("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_KCNN_COMPLETE" in shown.stdout


def test_completion_knows_the_commands(kcnn):
    shown = kcnn(_KCNN_COMPLETE="complete_bash", COMP_WORDS="kcnn le", COMP_CWORD="1")
    assert shown.stdout.split() == ["leaderboard"]
