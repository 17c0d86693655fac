"""Trainings that are killed or stopped, in processes of their own."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from conftest import environment, in_this_process, make_images_in
from launching import launch

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.predictions import Predictions


def launch_training(work, *arguments):
    """Starts a training; what it says goes to the file `said` in `work`."""
    arguments = ["train", "recipes/tiny.py", *arguments]
    return launch(arguments, work, environment(HOME=str(work)), Path(os.devnull), work / "said")


def start_training(work, *arguments, until):
    """Starts a training and returns its process when it has said a line that begins with `until`."""
    process = launch_training(work, *arguments)
    while not (work / "said").is_file() or f"\n{until}" not in (work / "said").read_text():
        assert process.is_alive(), f"it ended before '{until}'"
        time.sleep(0.01)
    return process


@pytest.mark.usefixtures("keras")
def test_killed_and_resumed_is_as_never_killed(kcnn, work, tmp_path, monkeypatch):
    """SIGKILL in epoch 3; the same weights, history and submission as a run that was left alone."""
    kcnn("fetch", make_images_in(tmp_path / "colours", per_class=60), cwd=work)
    settings = ["--set", "epochs=5", "--set", "batch=2"]  # 70 steps an epoch: time to be killed in the middle of one
    monkeypatch.chdir(work)
    in_this_process("train", "recipes/tiny.py", *settings)
    process = start_training(work, *settings, until="epoch 2/5")
    time.sleep(0.1)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    killed = work / "runs" / "colours" / "tiny-002"
    before = (killed / "run.json").read_bytes()
    assert json.loads((killed / "fold-0" / "result.json").read_text())["status"] == "training"
    assert len((killed / "fold-0" / "history.csv").read_text().splitlines()) < 6
    assert "training" in kcnn("runs", cwd=work).stdout

    in_this_process("train", "recipes/tiny.py", *settings, "--resume")
    whole = work / "runs" / "colours" / "tiny-001"
    assert (whole / "fold-0" / "history.csv").read_text() == (killed / "fold-0" / "history.csv").read_text()
    for part in ("oof.npz", "test.npz"):
        one, two = Predictions.read(whole / part), Predictions.read(killed / part)
        assert (one.logits == two.logits).all()
    assert (killed / "run.json").read_bytes() == before
    with pytest.raises(KcnnError, match="has no unfinished run of tiny"):
        in_this_process("train", "recipes/tiny.py", "--resume")


@pytest.mark.usefixtures("keras")
def test_control_c_keeps_the_best_and_says_how_to_go_on(kcnn, work, tmp_path, monkeypatch):
    kcnn("fetch", make_images_in(tmp_path / "colours"), cwd=work)
    process = start_training(work, "--set", "epochs=400", until="epoch   2/400")
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 130
    said = (work / "said").read_text()
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "stopped; finished epochs are kept. To go on: kcnn train recipes/tiny.py --resume"
    monkeypatch.chdir(work)
    with pytest.raises(KcnnError, match="400, not 3"):
        in_this_process("train", "recipes/tiny.py", "--set", "epochs=3", "--resume")
    assert in_this_process("predict").strip().endswith("tiny-001.csv")


def start_and_kill(work, *arguments, when):
    """Starts a training and kills it as soon as `when()` holds."""
    process = launch_training(work, *arguments)
    while process.is_alive() and not when():
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.usefixtures("keras")
def test_killed_between_folds_and_before_the_scores(work, tmp_path, monkeypatch):
    """SIGKILL after a fold's training, between two folds, and before the run is complete."""
    monkeypatch.chdir(work)
    in_this_process("fetch", str(make_images_in(tmp_path / "colours")))
    settings = ["--set", "epochs=2", "--folds", "0,1"]
    whole, *killed = (work / "runs" / "colours" / f"tiny-00{number}" for number in (1, 2, 3, 4))
    in_this_process("train", "recipes/tiny.py", *settings)
    for run, point in zip(killed, ["fold-0/model.keras", "fold-0/test.npz", "fold-1/test.npz"], strict=True):
        start_and_kill(work, *settings, when=(run / point).is_file)
        before = (run / "run.json").read_bytes()
        in_this_process("train", "recipes/tiny.py", "--resume")
        assert (run / "run.json").read_bytes() == before
        for part in ("oof.npz", "test.npz"):
            one, two = Predictions.read(whole / part), Predictions.read(run / part)
            assert (one.logits == two.logits).all()
        for name in ("fold-0/history.csv", "fold-1/history.csv", "decision.json"):
            assert (whole / name).read_text() == (run / name).read_text()
        scores = [json.loads((each / "scores.json").read_text())["tta"] for each in (run, whole)]
        assert scores[0] == scores[1]


@pytest.mark.usefixtures("eager")
def test_stopped_before_its_submission(refused, work, tmp_path, monkeypatch):
    """Between the end of the training and the submission; later there is nothing left to resume."""
    monkeypatch.chdir(work)
    in_this_process("fetch", str(make_images_in(tmp_path / "colours", 6)))
    in_this_process("train", "recipes/tiny.py", "--set", "epochs=1")
    path = work / "submissions" / "colours" / "tiny-001.csv"
    before = path.read_bytes()
    path.unlink()
    in_this_process("train", "recipes/tiny.py", "--resume")
    assert path.read_bytes() == before
    assert "no unfinished run" in refused("train", "recipes/tiny.py", "--resume", cwd=work)
