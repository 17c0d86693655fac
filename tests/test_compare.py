"""Comparing two runs: intervals that hold what they promise, and what is said of noise."""

import json

import numpy as np
import pytest
from conftest import in_this_process
from sklearn.metrics import f1_score

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight.compare import compare, parted
from kaggle_cnn.learn.predictions import Predictions


def drawn(draw, images: int, right: tuple[float, float], classes: int = 4):
    """Labels, and two sets of probabilities that are right so often; half of the second's luck is the first's."""
    labels = draw.integers(classes, size=images)
    luck = draw.random((2, images))
    luck[1] = np.where(draw.random(images) < 0.5, luck[0], luck[1])
    given = [
        np.where(luck[n] < right[n], labels, (labels + draw.integers(1, classes, images)) % classes) for n in (0, 1)
    ]
    return labels, *(np.eye(classes)[each] * 0.7 + 0.1 for each in given)


def test_the_interval_covers_the_true_difference_in_about_95_of_100():
    draw = np.random.default_rng(7)
    covered = 0
    for seed in range(200):
        low, high = compare(*drawn(draw, 400, (0.70, 0.75)), seed)["accuracy"]["interval"]
        covered += low <= 0.05 <= high
    assert 180 <= covered <= 198, covered  # 190 expected, deviation 3.1


def test_numbers_are_those_of_the_whole():
    labels, one, other = drawn(np.random.default_rng(0), 300, (0.6, 0.8))
    found = compare(labels, one, other)
    for name, each in (("one", one), ("other", other)):
        given = each.argmax(axis=1)
        assert found["accuracy"][name] == pytest.approx((given == labels).mean())
        assert found["macro_f1"][name] == pytest.approx(f1_score(labels, given, average="macro"))
    assert found["beyond_noise"]
    assert found["p"] < 0.001
    low, high = found["macro_f1"]["interval"]
    assert low < found["macro_f1"]["difference"] < high
    rows = parted(labels, one, other)
    assert len(rows) == found["only_one"] + found["only_other"]


def test_a_run_beside_itself_is_within_noise():
    labels, one, _ = drawn(np.random.default_rng(0), 50, (0.6, 0.8))
    found = compare(labels, one, one)
    assert (found["p"], found["accuracy"]["interval"], found["beyond_noise"]) == (1, [0, 0], False)


def test_on_the_command_line(train_tiny, tiny_workspace, monkeypatch):
    first, second = train_tiny(epochs=1, learning_rate=1e-6), train_tiny(epochs=3)
    monkeypatch.chdir(tiny_workspace.root)
    printed = in_this_process("compare", first.id, second.id)
    assert "within noise" in printed or "beyond noise" in printed
    told = json.loads(in_this_process("compare", first.id, second.id, "--json"))
    assert told["images"] == 9
    assert len(told["parted"]) == told["only_one"] + told["only_other"]
    if told["parted"]:
        assert printed.strip().endswith(f"compare-{first.id}-{second.id}.png")
    predictions = Predictions.read(second.folder / "validation.npz")
    others = Predictions(np.char.add(predictions.ids, "x"), predictions.labels, predictions.probabilities)
    others.write(second.folder / "validation.npz")
    with pytest.raises(KcnnError, match="no image in common"):
        in_this_process("compare", first.id, second.id)
