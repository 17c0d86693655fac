"""Probabilities -> numbers. Returns, never prints."""

import numpy as np
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

from kaggle_cnn.learn.predictions import Predictions


def measure(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> dict:
    """Every number of one set of predictions, as plain Python values.

    `labels` (N,) int, `probabilities` (N, len(classes)); N at least 1. Returns images (N), accuracy, macro_f1, log_loss
    (natural logarithm, rows brought to sum 1), top5_accuracy, confusion (rows: true class, columns: predicted),
    per_class (class -> precision, recall, f1, support) and the averages macro and weighted of the same four. A ratio
    whose denominator is 0 counts as 0, and a class without images counts in no average over classes.
    """
    count = len(classes)
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, labels=range(count))
    present = np.flatnonzero(confusion.sum(axis=1))
    rows = probabilities.astype(np.float64) + 1e-15
    averages = {
        name: scores(
            precision_recall_fscore_support(labels, predicted, labels=present, average=name, zero_division=0),
            len(labels),
        )
        for name in ("macro", "weighted")
    }
    each = precision_recall_fscore_support(labels, predicted, labels=range(count), zero_division=0)
    return {
        "images": len(labels),
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": averages["macro"]["f1"],
        "log_loss": float(log_loss(labels, rows / rows.sum(axis=1, keepdims=True), labels=range(count))),
        "top5_accuracy": float(
            (np.argsort(-probabilities, axis=1, kind="stable")[:, :5] == labels[:, None]).any(axis=1).mean()
        ),
        "confusion": confusion.tolist(),
        "per_class": {
            name: scores([column[number] for column in each], each[3][number]) for number, name in enumerate(classes)
        },
        "averages": averages,
    }


def measure_views(predictions: Predictions, classes: list[str]) -> dict[int, dict]:
    """`measure` for each number of views that there is."""
    return {n: measure(predictions.labels, values, classes) for n, values in predictions.probabilities.items()}


def summary(by_views: dict[int, dict]) -> dict[int, dict[str, float]]:
    """The four numbers of each that a run keeps in its run.json."""
    kept = ("accuracy", "macro_f1", "log_loss", "top5_accuracy")
    return {views: {name: numbers[name] for name in kept} for views, numbers in by_views.items()}


def scores(values, support: int) -> dict[str, float]:
    return {
        **{name: float(value) for name, value in zip(("precision", "recall", "f1"), values, strict=False)},
        "support": int(support),
    }


def confused_pairs(confusion: list[list[int]], most: int = 5) -> list[tuple[int, int, int]]:
    """(true class, predicted class, count) of the most frequent errors, most first."""
    wrong = np.array(confusion)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [np.unravel_index(place, wrong.shape) for place in order]
    return [(int(true), int(given), int(wrong[true, given])) for true, given in pairs if wrong[true, given]]
