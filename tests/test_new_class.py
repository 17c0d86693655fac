"""A class for what is not trained, as new_whale: found in the sample, validated by rare classes, given a level."""

import colorsys
import json

import numpy as np
import pandas as pd
import pytest
from conftest import dataset_in, in_this_process, save_noise
from test_kinds import RECIPE

from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.folds import Folds
from kaggle_cnn.runs.decision import Decision
from kaggle_cnn.runs.fit_decision import fit_decision
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.workspace import Workspace

COMMON = {"w_red": (200, 30, 30), "w_green": (30, 200, 30), "w_blue": (30, 30, 200)}


def of_hue(hue):
    return tuple(int(255 * value) for value in colorsys.hsv_to_rgb(hue, 0.35, 0.8))


@pytest.fixture
def whales(tmp_path):
    """Three whales of many photographs, thirty of one each; among the tests are some of whales that are not there."""
    folder, draw = tmp_path / "whales", np.random.default_rng(0)
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True)
    rows = [(name, colour) for name, colour in COMMON.items() for _ in range(20)]
    rows += [(f"w_rare{number}", of_hue(number / 30)) for number in range(30)]
    for number, (_, colour) in enumerate(rows):
        save_noise(folder / "train" / f"{number}.jpg", colour, draw)
    tests = [(name, colour) for name, colour in COMMON.items() for _ in range(4)]
    tests += [("new_whale", of_hue((number + 0.5) / 12)) for number in range(12)]
    for number, (_, colour) in enumerate(tests):
        save_noise(folder / "test" / f"t{number}.jpg", colour, draw)
    lines = "".join(f"{number}.jpg,{name}\n" for number, (name, _) in enumerate(rows))
    (folder / "train.csv").write_text(f"Image,Id\n{lines}")
    sample = "".join(f"t{number}.jpg,new_whale w_red w_blue\n" for number in range(len(tests)))
    (folder / "sample_submission.csv").write_text(f"Image,Id\n{sample}")
    truth = "".join(f"t{number}.jpg,{name}\n" for number, (name, _) in enumerate(tests))
    (folder / "solution.csv").write_text(f"Image,Id\n{truth}")
    return folder


@pytest.mark.usefixtures("keras", "eager")
def test_whales_that_are_not_there_are_new(whales, work, begin):
    begin(whales, colour=RECIPE)
    text = (work / "data" / "whales" / "competition.toml").read_text()
    assert 'new_class = "new_whale"' in text
    assert '"new_whale",' in text
    in_this_process("train", "recipes/colour.py", "--set", "epochs=25")
    run = work / "runs" / "whales" / "colour-001"
    rule = Decision.read(run / "decision.json")
    dataset = dataset_in(Workspace(work))
    new = dataset.task.new
    assert rule.new == new == len(dataset.task.classes) - 1
    assert 0 < rule.level < 1
    oof = Predictions.read(run / "oof.npz")
    rows = [dataset.ids.tolist().index(name) for name in oof.ids]
    rare = np.char.startswith(np.array(dataset.label_names), "w_rare")[rows]
    assert (oof.true[rare] == new).all()  # no other image of them was trained on
    assert not (oof.true[~rare] == new).any()
    scores = json.loads(in_this_process("evaluate", "--json"))["scores"]
    assert scores["map_at_3"] > 0.75
    written = pd.read_csv(work / "submissions" / "whales" / "colour-001.csv")
    first = written["Id"].str.split().str[0]
    assert (first[12:] == "new_whale").mean() > 0.7
    assert (first[:12] != "new_whale").mean() > 0.7
    assert written["Id"].str.split().map(len).eq(3).all()
    assert float(in_this_process("submit", "--yes").split("public score")[1]) > 0.75


def test_an_image_whose_class_is_in_no_other_fold_counts_as_new():
    task = Task("multiclass", ("a", "b", "new"), find_metric("accuracy"), new=2)
    competition = type("C", (), {"task": task})
    targets = np.eye(3, dtype=np.float32)[[0, 0, 1, 0, 1]]
    empty = np.array([], dtype=str)
    made = Dataset(competition, empty, targets, Folds(np.array([0, 1, 0, 1, 0]), "", "", 2), empty, empty, None)
    assert made.validated_targets(np.array([0, 2, 4]), 0).tolist() == [0, 2, 2]  # b is validated in fold 0 alone
    assert made.validated_targets(np.array([1, 3]), 1).tolist() == [0, 0]


def test_the_level_is_the_best_one_and_reaches_scores_too():
    """Images of a class are sure, new ones are not; the metric is one of ranks."""
    draw = np.random.default_rng(0)
    task = Task("multiclass", (*"abcd", "new"), find_metric("map_at_2"), new=4)
    true = draw.integers(0, 5, 400)
    best = np.where(true == 4, draw.uniform(0.3, 0.55, 400), draw.uniform(0.5, 0.9, 400))
    scores = np.full((400, 5), 0.01)
    scores[np.arange(400), np.where(true == 4, draw.integers(0, 4, 400), true)] = best
    rule = fit_decision(task, true, scores)
    assert 0.48 < rule.level < 0.57
    assert (rule.decide(scores) == true).mean() > 0.9
    adjusted = rule.adjust(scores)
    assert (adjusted[:, 4] == rule.level).all()
    assert (adjusted[:, :4] == scores[:, :4]).all()
    assert task.metric.score(true, adjusted, None, None) > task.metric.score(true, scores, None, None) + 0.1
