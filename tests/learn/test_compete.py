"""A whole competition in a given time, which may be stopped at any step and goes on."""

import json
import os
import time

import numpy as np
import pytest
from conftest import Recorder, dataset_in, in_this_process
from PIL import Image
from synthetic import make_run

from kaggle_cnn import competing
from kaggle_cnn.competition.opening import open_competition
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.export import last_submission
from kaggle_cnn.runs.run import list_runs
from kaggle_cnn.workspace import Workspace

pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture
def here(tiny_workspace, monkeypatch, keras):
    """The recipes are two small ones, and a step is measured quickly, so that half a minute is enough for all."""
    from kaggle_cnn.learn import within

    text = (tiny_workspace.root / "recipes" / "tiny.py").read_text()
    (tiny_workspace.root / "recipes" / "other.py").write_text(text.replace("width=4", "width=6"))
    monkeypatch.chdir(tiny_workspace.root)
    monkeypatch.setattr(competing, "RECIPES", ("tiny", "other"))
    monkeypatch.setattr(competing, "TRIAL", 0.25)
    monkeypatch.setattr(within, "LEAST", 0.5)
    return tiny_workspace


def test_the_backend_is_started_before_a_recipe_is_loaded(here, refused):
    """A recipe imports Keras: it would start TensorFlow, also with --backend jax, and print what `refused` refuses."""
    recipes = here.root / "recipes"
    for name in ("resnet", "vgg", "emotion"):
        (recipes / f"{name}.py").write_text((recipes / "tiny.py").read_text())
    said = refused("compete", "--within", "1s", cwd=here.root, afresh=True)
    assert said.startswith("--within is too short: ")


def test_all_of_it_in_a_time_and_on_where_it_was_stopped(here):
    """Stopped in the second trial: the first is not made again, its submission is there. The same command ends it."""

    class Stop(Recorder):
        def epoch(self, row, better, seconds):
            if len(list_runs(here, "colours")) == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        competing.compete(30, workspace=here, progress=Stop())
    first, second = list_runs(here, "colours")
    assert (first.status, second.status) == ("finished", "training")
    assert last_submission(here, "colours").name == f"{first.id}.csv"
    printed = in_this_process("compete", "--within", "30s")
    state = json.loads((here.root / "runs" / "colours" / "compete.json").read_text())
    assert [step["run"] for step in state["steps"][:2]] == [first.id, second.id]
    runs = {run.id: run for run in list_runs(here, "colours")}
    assert set(runs) == {step["run"] for step in state["steps"]}
    assert all(run.status == "finished" for run in runs.values())
    assert [step["what"] for step in state["steps"][:3]] == ["trial", "trial", "folds"]
    assert len(runs[state["steps"][2]["run"]].folds) > 1
    most = max(len(run.folds) for run in runs.values())
    whole = {step["run"]: step["score"] for step in state["steps"] if len(runs[step["run"]].folds) == most}
    assert whole[state["best"]] == max(whole.values())
    assert last_submission(here, "colours").name == f"{state['best']}.csv"
    assert "compete.md" in printed
    report = (here.root / "runs" / "colours" / "compete.md").read_text()
    assert report.count("\n| ") == 2 + len(state["steps"])


def test_larger_images_are_tried_where_there_are_such(work, tmp_path, begin, monkeypatch):
    """The recipe keeps images of 20 pixels: of 24 there is one size, of 64 there are two, of 12 a smaller one."""
    monkeypatch.setattr(competing, "RECIPES", ("tiny", "tiny"))
    sizes = {}
    for side in (24, 64, 12):
        folder = tmp_path / f"side{side}"
        for name in ("a", "b"):
            (folder / "train" / name).mkdir(parents=True)
            for number in range(6):
                noise = np.random.default_rng(number).integers(0, 255, (side, side, 3), dtype=np.uint8)
                Image.fromarray(noise).save(folder / "train" / name / f"{number}.png")
        begin(folder)
        found = open_competition(Workspace.find(), None)
        contest = competing.Contest(Workspace.find(), found, None, folder, 0.0, Recorder())
        sizes[side] = [settings for name, settings in competing.list_trials(contest, dataset_in(Workspace.find()))]
    assert sizes[24] == [{}, {}]
    assert sizes[64] == [{}, {"size": 20, "margin": 4}] * 2  # both are the first recipe here
    assert sizes[12] == [{"size": 13, "margin": 3}] * 2


def test_only_a_better_run_of_as_many_folds_replaces_the_submission(here):
    """A trial of one fold may have a better score by chance; all folds go before it."""
    runs = [make_run(here, "one", 9, 0, folds=[0]), make_run(here, "all", 1.5, 1), make_run(here, "less", 0.2, 2)]
    steps = [competing.Step(what="folds", recipe="tiny", settings={}, folds="all", seconds=1.0, run=run.id, score=0.5,
                            after=0)
             for run in runs]  # fmt: skip
    state = competing.State(within=60.0, spent=0.0, steps=steps, best="", ended=False)
    contest = competing.Contest(here, open_competition(here, None), state, here.root / "x.json", 0.0, Recorder())
    assert competing.choose_best(contest).id == "all-001"


def test_a_killed_step_counts_and_a_run_that_it_ended_is_taken(here):
    """compete.json is 20 s older than the run's last file: these 20 s are spent; nothing is trained again."""
    run = make_run(here, "tiny")
    path = here.runs("colours") / competing.FILE
    step = competing.Step(what="trial", recipe="tiny", settings={}, folds="0", seconds=0.0, run="", score=None,
                          after=0)  # fmt: skip
    state = competing.State(within=60.0, spent=5.0, steps=[step], best="", ended=False)
    path.write_text(json.dumps(state))
    last = max(file.stat().st_mtime for file in run.folder.rglob("*"))
    os.utime(path, (last - 20, last - 20))
    read = competing.read_state(here, "colours", path, 60.0)
    assert read["spent"] == pytest.approx(25, abs=0.1)
    contest = competing.Contest(here, open_competition(here, None), read, path, time.monotonic() + 30, Recorder())
    competing.take_step(contest, "trial", "tiny", {}, "0", 10.0)
    assert [each["run"] for each in read["steps"]] == [run.id]
    assert [each.id for each in list_runs(here, "colours")] == [run.id]
    assert competing.read_state(here, "colours", path, 60.0)["spent"] == pytest.approx(30, abs=1)


def test_a_time_that_is_too_short(here):
    with pytest.raises(KcnnError, match="--within is too short"):
        in_this_process("compete", "--within", "4s")
    assert not list_runs(here, "colours")
