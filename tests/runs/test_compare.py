"""Comparing two runs: intervals that hold what they promise, and what is said of noise."""

import json

import numpy as np
import pytest
from conftest import edit_competition, in_this_process
from scipy.stats import binomtest
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.bootstrap import bootstrap, resample
from kaggle_cnn.runs.compare import compare, disagreements
from kaggle_cnn.runs.predictions import Predictions


def task_of(metric, classes=4, kind="multiclass"):
    return Task(kind, tuple(map(str, range(classes))), find_metric(metric))


def draw_two(draw, images: int, right: tuple[float, float], classes: int = 4):
    """Labels, and two sets of scores and decisions, right so often; half of the second's luck is the first's."""
    labels = draw.integers(classes, size=images)
    luck = draw.random((2, images))
    luck[1] = np.where(draw.random(images) < 0.5, luck[0], luck[1])
    given = [
        np.where(luck[n] < right[n], labels, (labels + draw.integers(1, classes, images)) % classes) for n in (0, 1)
    ]
    return labels, [np.eye(classes)[each] * 0.7 + 0.075 for each in given], given


def interval(metric, classes, labels, scores, decisions, seed):
    task = task_of(metric, classes)
    drawn = bootstrap(task.metric, labels, scores, decisions, np.random.default_rng(seed))
    return np.quantile(drawn, [0.025, 0.975])


def test_the_interval_covers_the_true_difference_in_about_95_of_100():
    draw = np.random.default_rng(7)
    covered = 0
    for seed in range(200):
        low, high = interval("accuracy", 4, *draw_two(draw, 200, (0.70, 0.75)), seed)
        covered += low <= 0.05 <= high
    assert 180 <= covered <= 198, covered  # 190 expected, deviation 3.1


def test_metrics_that_are_no_means_have_the_same_interval():
    """Of equal classes, balanced accuracy (by weighted draws) is the accuracy (by means); macro F1 with the weights of
    a draw is scikit-learn's on the drawn images."""
    labels, scores, decisions = draw_two(np.random.default_rng(3), 200, (0.70, 0.80), 2)
    near = interval("accuracy", 2, labels, scores, decisions, 0)
    assert np.allclose(interval("balanced_accuracy", 2, labels, scores, decisions, 0), near, atol=0.02)
    [weights] = resample(200, 3, np.random.default_rng(0))
    for row in weights:
        value = find_metric("macro_f1").score(labels, None, decisions[0], row)
        chosen = np.repeat(np.arange(200), row.astype(int))
        assert len(chosen) == 200
        assert value == pytest.approx(f1_score(labels[chosen], decisions[0][chosen], average="macro"))


def test_numbers_are_those_of_the_whole():
    labels, scores, decisions = draw_two(np.random.default_rng(0), 300, (0.6, 0.8))
    found = compare(task_of("accuracy"), labels, scores, decisions)
    for name, given, chances in zip(("one", "other"), decisions, scores, strict=True):
        assert found["scores"]["accuracy"][name] == pytest.approx((given == labels).mean())
        assert found["scores"]["macro_f1"][name] == pytest.approx(f1_score(labels, given, average="macro"))
        assert found["scores"]["log_loss"][name] == pytest.approx(log_loss(labels, chances), rel=1e-6)
    assert found["beyond_noise"]
    assert found["better"] == 1
    assert found["p"] < 0.001
    low, high = found["scores"]["macro_f1"]["interval"]
    assert low < found["scores"]["macro_f1"]["difference"] < high
    rows = disagreements(labels, scores, decisions)
    assert len(rows) == found["only_one"] + found["only_other"]


def test_the_better_run_is_that_of_the_metric():
    """The second is right more often, and far too sure where it is wrong."""
    labels = np.arange(200) % 2
    one, other = np.full((200, 2), 0.4), np.full((200, 2), 1e-9)
    one[np.arange(200), np.where(np.arange(200) < 150, labels, 1 - labels)] = 0.6
    other[np.arange(200), np.where(np.arange(200) < 160, labels, 1 - labels)] = 1
    decisions = [each.argmax(axis=1) for each in (one, other)]
    assert compare(task_of("accuracy", 2), labels, [one, other], decisions)["better"] == 1
    found = compare(task_of("log_loss", 2), labels, [one, other], decisions)
    assert (found["better"], found["beyond_noise"], found["metric"]) == (0, True, "log_loss")
    area = compare(task_of("auc", 2), labels, [one, other], decisions)["scores"]["auc"]
    assert area["other"] == pytest.approx(roc_auc_score(labels, other[:, 1]))


def test_several_labels_and_numbers_compare_too():
    draw = np.random.default_rng(0)
    marks = (draw.random((100, 3)) < 0.4).astype(np.uint8)
    near, far = (np.clip(marks + draw.normal(0, width, marks.shape), 0, 1) for width in (0.3, 0.9))
    decisions = [(each >= 0.5).astype(np.uint8) for each in (far, near)]
    found = compare(task_of("samples_f1", 3, "multilabel"), marks, [far, near], decisions)
    assert (found["better"], found["beyond_noise"]) == (1, True)
    rated = [
        [f1_score(true, row, zero_division=1) for true, row in zip(marks, each, strict=True)] for each in decisions
    ]
    one, other = np.array(rated)
    assert (found["only_one"], found["only_other"]) == ((one > other).sum(), (other > one).sum())
    assert found["p"] == pytest.approx(binomtest(found["only_one"], int((one != other).sum())).pvalue)
    rows = disagreements(marks, [far, near], decisions)
    assert sorted(rows) == np.flatnonzero(one != other).tolist()
    assert (np.diff(np.abs(one - other)[rows]) <= 1e-9).all()
    values = draw.normal(size=(100, 1))
    close, wide = values + draw.normal(0, 0.1, values.shape), values + draw.normal(0, 1, values.shape)
    found = compare(task_of("rmse", 1, "regression"), values, [close, wide], [close, wide])
    assert (found["better"], found["beyond_noise"]) == (0, True)
    assert "p" not in found


def test_a_run_beside_itself_is_within_noise():
    labels, [one, _], [given, _] = draw_two(np.random.default_rng(0), 50, (0.6, 0.8))
    found = compare(task_of("accuracy"), labels, [one, one], [given, given])
    assert (found["p"], found["scores"]["accuracy"]["interval"], found["beyond_noise"]) == (1, [0, 0], False)
    assert found["better"] is None


@pytest.mark.usefixtures("eager")
def test_on_the_command_line(train_tiny, tiny_workspace, monkeypatch):
    first, second = train_tiny(epochs=1, learning_rate=1e-6), train_tiny(epochs=12, width=8)
    monkeypatch.chdir(tiny_workspace.root)
    for metric in ("accuracy", "log_loss"):
        edit_competition(tiny_workspace, metric=metric)
        found = json.loads(in_this_process("compare", first.id, second.id, "--json"))
        printed = in_this_process("compare", first.id, second.id)
        verdict = "better" if found["beyond_noise"] else "within noise"
        assert verdict in printed
        assert found["images"] == 9
        assert next(iter(found["scores"])) == metric
        assert len(found["disagreements"]) == found["only_one"] + found["only_other"] > 0
        assert printed.strip().endswith(f"compare-{first.id}-{second.id}.png")


@pytest.mark.usefixtures("eager")
def test_without_an_image_in_common(train_tiny, tiny_workspace, monkeypatch):
    first, second = train_tiny(epochs=1), train_tiny(epochs=1, folds=(1,))
    monkeypatch.chdir(tiny_workspace.root)
    with pytest.raises(KcnnError, match="have no validation image in common"):
        in_this_process("compare", first.id, second.id)
    part = Predictions.read(second.predictions_path("oof"))
    assert not set(part.ids) & set(Predictions.read(first.predictions_path("oof")).ids)
