import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, top_k_accuracy_score

from kaggle_cnn.insight.evaluation import confused_pairs
from kaggle_cnn.insight.metrics import measure


def test_numbers_by_hand():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.3, 0.7, 0], [0.1, 0.4, 0.5]], np.float32)
    numbers = measure(labels, probabilities, ["a", "b", "c"])
    assert numbers["accuracy"] == 0.5
    assert numbers["confusion"] == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert numbers["per_class"]["a"] == pytest.approx({"precision": 1, "recall": 0.5, "f1": 2 / 3, "support": 2})
    assert numbers["per_class"]["b"] == pytest.approx({"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2})
    assert numbers["per_class"]["c"]["support"] == 0
    assert numbers["macro_f1"] == pytest.approx((2 / 3 + 0.5) / 2)  # c has no images: it is in no average
    assert numbers["log_loss"] == pytest.approx(-np.log([0.9, 0.2, 0.7, 0.4]).mean(), rel=1e-6)
    assert numbers["top5_accuracy"] == 1
    assert confused_pairs(numbers["confusion"]) == [(0, 1, 1), (1, 2, 1)]


def test_numbers_are_those_of_scikit_learn():
    draw = np.random.default_rng(0)
    labels, probabilities = np.arange(400) % 20, draw.dirichlet(np.ones(20), 400).astype(np.float32)
    numbers = measure(labels, probabilities, [str(k) for k in range(20)])
    assert numbers["macro_f1"] == pytest.approx(f1_score(labels, probabilities.argmax(1), average="macro"))
    assert numbers["log_loss"] == pytest.approx(log_loss(labels, probabilities.astype(float)), rel=1e-5)
    assert numbers["top5_accuracy"] == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5))
