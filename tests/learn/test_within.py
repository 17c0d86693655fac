"""A training in a given time: as many epochs as fit, and no more."""

import json
import time
from dataclasses import replace

import pytest
from conftest import Recorder, dataset_in, in_this_process

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.recipe import load_recipe
from kaggle_cnn.runs.run import list_runs, read_run


@pytest.fixture
def here(tiny_workspace, monkeypatch):
    monkeypatch.chdir(tiny_workspace.root)
    return tiny_workspace


def plan_for(here, speed, seconds, folds=(0,), seeds=1, **settings):
    """What a recipe's epochs and steps would be."""
    from types import SimpleNamespace

    from kaggle_cnn.learn.fit import Training, is_same_for_all_folds
    from kaggle_cnn.learn.train import unmade
    from kaggle_cnn.learn.within import choose_epochs

    recipe = replace(load_recipe(here.root / "recipes" / "tiny.py"), **settings)
    training = Training(unmade(list(folds), seeds), recipe, dataset_in(here), None, None, Recorder())
    plan = SimpleNamespace(chosen=SimpleNamespace(rows=range(800)))
    compiling = seeds if is_same_for_all_folds(recipe, training.dataset) else seeds * len(folds)
    deadline = time.monotonic() + seconds
    return choose_epochs(training, plan, speed, seeds * len(folds), compiling, deadline)


@pytest.mark.parametrize(("folds", "seeds"), [((0,), 1), ((0, 1, 2, 3, 4), 1), ((0, 1), 3)])
def test_the_time_is_filled_and_not_exceeded(here, keras, folds, seeds):
    """By the measured times, what is planned takes 94 to 98 % of the time, whatever that is."""
    from kaggle_cnn.learn.within import Speed

    speed = Speed(compiled=8.0, step=0.02, between=0.4, prediction=4.0)
    for seconds in (300, 431, 600, 3600):
        recipe = plan_for(here, speed, seconds, folds, seeds)
        members, compiling = len(folds) * seeds, seeds
        spent = members * (recipe.epochs * (recipe.epoch_steps * 0.02 + 0.4) + 4) + compiling * 8
        assert 0.94 * seconds < spent + 3 <= 0.99 * seconds
        assert 50 < recipe.epoch_steps < 200  # about one pass of 100 steps
    with pytest.raises(KcnnError, match="--within is too short: 10 s are left, and one step of"):
        plan_for(here, speed, 10, folds, seeds)


def test_a_slower_machine_leaves_fewer_steps(here, keras):
    """A model takes 1.3 times as long as planned: the others get the steps that fit; within 3 % nothing changes."""
    from kaggle_cnn.learn.within import LAST, Pace, Speed

    speed, now = Speed(compiled=1.0, step=0.01, between=0.5, prediction=2.0), time.monotonic()
    recipe = replace(load_recipe(here.root / "recipes" / "tiny.py"), epochs=10, epoch_steps=100)  # 15 s a model
    pace = Pace(speed, now + 4 * 17 + LAST, 5).follow(recipe, 15 * 1.3)
    assert (pace.left, pace.speed.step) == (4, pytest.approx(0.013))
    adjusted = pace.adjust(recipe, compiles=True)
    spent = 10 * (adjusted.epoch_steps * 0.013 + 0.65) + 2.6 + 1.3
    assert spent == pytest.approx(17, abs=0.3)
    assert Pace(speed, now + 4 * 17.2 + LAST, 4).adjust(recipe, compiles=False) is recipe
    faster = Pace(speed, now + 4 * 30 + LAST, 4).adjust(recipe, compiles=False)
    assert faster.epoch_steps == pytest.approx(100 + (30 - 17 - 1) / 0.1, abs=2)


def test_a_fold_keeps_the_steps_that_were_planned_for_it(here, keras):
    from kaggle_cnn.learn.fit import Training
    from kaggle_cnn.learn.train import unmade
    from kaggle_cnn.learn.within import Pace, Speed, keep_pace

    recipe = replace(load_recipe(here.root / "recipes" / "tiny.py"), epochs=10, epoch_steps=100)
    run = replace(unmade([0, 1], 1), folder=here.root)
    training = Training(run, recipe, dataset_in(here), None, None, Recorder())
    slow = Pace(Speed(1.0, 0.02, 0.5, 2.0), time.monotonic() + 20, 1)
    planned = keep_pace(training, 1, slow).recipe.epoch_steps
    assert planned < 100
    assert keep_pace(training, 1, None).recipe.epoch_steps == planned  # resumed, without a deadline
    assert keep_pace(training, 0, None).recipe.epoch_steps == 100


def test_a_training_ends_in_its_time(here, keras):
    """Really: two folds in 20 s, from the first line to the submission. Two fifths are left to a loaded machine; how
    near ten minutes are kept stands in RESULTS.md."""
    in_this_process("train", "tiny", "--set", "epochs=1")  # what a process imports and decodes once
    begun = time.monotonic()
    in_this_process("train", "tiny", "--within", "20s", "--folds", "0,1")
    spent = time.monotonic() - begun
    assert 11 < spent < 28, spent
    run = read_run(here.root / "runs" / "colours" / "tiny-002")
    assert run.record["within"] == 20
    assert run.settings["epochs"] * run.settings["epoch_steps"] > 20
    # Measured as the difference of two noisy times, what comes between epochs once was 0: 760 epochs, and 33 to 51 s.
    assert run.settings["epochs"] < 300
    history = run.histories()
    assert [len(each) for each in history] == [run.settings["epochs"]] * 2
    assert history[0]["learning_rate"].iloc[-1] < 0.01 * history[0]["learning_rate"].iloc[0]  # the whole schedule
    assert json.loads((run.fold_folder(1) / "result.json").read_text())["epochs"] == run.settings["epochs"]
    assert (here.submissions("colours") / "tiny-002.csv").is_file()


@pytest.mark.usefixtures("eager")
def test_an_epoch_may_have_any_number_of_steps(train_tiny):
    """Validation comes after so many steps; the batches are those of whole passes, one after the other."""
    run = train_tiny(epochs=3, epoch_steps=2)
    assert len(run.histories()[0]) == 3
    whole = train_tiny(epochs=1, epoch_steps=6)
    assert len(whole.histories()[0]) == 1
    rates = [each.histories()[0]["learning_rate"].iloc[-1] for each in (run, whole)]
    assert rates[0] == pytest.approx(rates[1])


@pytest.mark.parametrize(("options", "message"), [
    (["--within", "5m", "--set", "epochs=3"], "--within chooses epochs, and --set gives it"),
    (["--within", "later"], "--within should be a time such as 90s, 30m or 2h, got 'later'"),
    (["--within", "1s"], "--within is too short"),
])  # fmt: skip
def test_a_time_that_is_refused(here, keras, options, message):
    with pytest.raises(KcnnError, match=message):
        in_this_process("train", "tiny", *options)
    assert not list_runs(here, "colours")
