"""Predictions -> the numbers of an evaluation. Returns, never prints."""

from typing import Any

import numpy as np

from kaggle_cnn.competition.metrics import Array, metrics_of
from kaggle_cnn.competition.task import Task
from kaggle_cnn.runs.decision import Decision
from kaggle_cnn.runs.scores import score


def measure(task: Task, targets: Array, scores: Array, decision: Decision) -> dict[str, Any]:
    """Return every number of one set of predictions, as plain Python values. At least one image.

    `targets` and `scores` as in competition/metrics.py. images: how many; scores: metric -> value, the task's first.
    Of one class an image: confusion (rows: true class, columns: predicted), per_class (class -> precision, recall, f1,
    support) and the averages macro and weighted of the same four. Of several labels: threshold and always, of the
    decision rule, per_class and averages, and what `count_labels` returns. Of a regression: per_value (name -> rmse,
    mae, r2, support). A ratio whose denominator is 0 counts as 0, and a class without images is in no average over
    classes.
    """
    metrics = metrics_of(task.kind, task.metric.name, task.outputs)
    found: dict[str, Any] = {"images": len(targets), "scores": score(task, targets, scores, decision, metrics)}
    if task.kind == "regression":
        return {**found, "per_value": measure_values(task, targets, scores)}
    from sklearn.metrics import confusion_matrix

    decided = decision.decide(scores)
    found |= measure_classes(task, targets, decided)
    if task.kind == "multilabel":
        return {
            **found,
            "threshold": decision.threshold,
            "always": decision.always,
            **count_labels(task, targets, decided),
        }
    return {**found, "confusion": confusion_matrix(targets, decided, labels=range(task.outputs)).tolist()}


def measure_classes(task: Task, targets: Array, decided: Array) -> dict[str, Any]:
    """Return per_class and averages; see `measure`."""
    from sklearn.metrics import precision_recall_fscore_support

    labels = np.arange(task.outputs)
    counts = targets.sum(axis=0) if targets.ndim == 2 else np.bincount(targets, minlength=task.outputs)
    present = np.flatnonzero(counts)
    averages = {}
    for name in ("macro", "weighted"):
        values = precision_recall_fscore_support(targets, decided, labels=present, average=name, zero_division=0)
        averages[name] = name_scores(values, int(counts.sum()))
    each = precision_recall_fscore_support(targets, decided, labels=labels, zero_division=0)
    per_class = {
        name: name_scores([column[number] for column in each], each[3][number])
        for number, name in enumerate(task.classes)
    }
    return {"per_class": per_class, "averages": averages}


def count_labels(task: Task, targets: Array, decided: Array) -> dict[str, Any]:
    """Return outcomes and exchanged, for images of several labels.

    outcomes: label -> of how many images it is right (there and predicted), missed (there, not predicted), false
    (predicted, not there) and absent. exchanged: in how many images one label is missed, the row, and another one is
    false, the column.
    """
    true, given = targets.astype(bool), decided.astype(bool)
    missed, false = true & ~given, given & ~true
    columns = {"right": true & given, "missed": missed, "false": false, "absent": ~true & ~given}
    counts = {name: column.sum(axis=0) for name, column in columns.items()}
    outcomes = {
        label: {name: int(count[place]) for name, count in counts.items()} for place, label in enumerate(task.classes)
    }
    return {"outcomes": outcomes, "exchanged": (missed.T.astype(int) @ false.astype(int)).tolist()}


def name_scores(values: Any, support: int) -> dict[str, float]:
    named = zip(("precision", "recall", "f1"), values, strict=False)
    return {**{name: float(value) for name, value in named}, "support": int(support)}


def measure_values(task: Task, targets: Array, scores: Array) -> dict[str, dict[str, float]]:
    """Return rmse, mae, r2 and support of each value of a regression."""
    metrics = metrics_of(task.kind, "rmse", task.outputs)
    return {
        name: {
            **{each.name: each.score(targets[:, [n]], scores[:, [n]], None, None) for each in metrics},
            "support": len(targets),
        }
        for n, name in enumerate(task.classes)
    }


def find_mistakes(targets: Array, scores: Array, true: int | None = None, predicted: int | None = None) -> Array:
    """Return the rows that are predicted wrongly, those first of which the prediction is surest; only images of class
    `true`, or predicted as `predicted`, where these are given. For images of one class each."""
    given = scores.argmax(axis=1)
    wrong = given != targets
    if true is not None:
        wrong &= targets == true
    if predicted is not None:
        wrong &= given == predicted
    rows = np.flatnonzero(wrong)
    return np.asarray(rows[np.argsort(-scores[rows].max(axis=1), kind="stable")])


def find_label_mistakes(
    targets: Array, scores: Array, decided: Array, missed: int | None = None, false: int | None = None
) -> Array:
    """Return the rows with a wrong label, those first of which the prediction of such a label is surest; only images
    that miss the label `missed`, or have the label `false` wrongly, where these are given. For several labels."""
    wrong = decided != targets
    chosen = wrong.any(axis=1)
    for label, wanted in ((missed, 0), (false, 1)):
        if label is not None:
            chosen &= wrong[:, label] & (decided[:, label] == wanted)
    sure = np.where(wrong, np.where(decided == 1, scores, 1 - scores), 0).max(axis=1)
    rows = np.flatnonzero(chosen)
    return np.asarray(rows[np.argsort(-sure[rows], kind="stable")])


def points_gained(targets: Array, one: Array, other: Array) -> tuple[float, float]:
    """Return by how many points of accuracy the scores `other` are better than `one`, and the standard error of that:
    of the mean of the images' differences, each -1, 0 or 1. At least two images of one class each."""
    right = [each.argmax(axis=1) == targets for each in (one, other)]
    gain = 100 * (right[1].astype(float) - right[0])
    return float(gain.mean()), float(gain.std(ddof=1) / len(gain) ** 0.5)
