"""Predictions -> the numbers of an evaluation. Returns, never prints."""

from dataclasses import asdict
from typing import Any

import numpy as np

from kaggle_cnn.competition.metrics import Array, find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.runs.decision import Decision, expect
from kaggle_cnn.runs.scores import score

RANGES = 5  # parts of the images of a regression, by their true value


def measure(task: Task, targets: Array, scores: Array, decision: Decision) -> dict[str, Any]:
    """Return every number of one set of predictions, as plain Python values. At least one image.

    `targets` and `scores` as in competition/metrics.py. images: how many; scores: metric -> value, the task's first.
    Of one class an image: confusion (rows: true class, columns: predicted), per_class (class -> precision, recall, f1,
    support) and the averages macro and weighted of the same four. Of grades also per_grade. Of several labels:
    threshold and always, of the decision rule, per_class and averages, and what `count_labels` returns; of several
    targets also per_target. Of a regression: per_value (name -> rmse, mae, r2, support) and per_range. Else also rule,
    the decision rule. A ratio whose denominator is 0 counts as 0, and a class without images is in no average over
    classes.
    """
    metrics = task.metrics
    found: dict[str, Any] = {"images": len(targets), "scores": score(task, targets, scores, decision, metrics)}
    if task.kind == "regression":
        ranges = {name: measure_ranges(targets[:, n], scores[:, n]) for n, name in enumerate(task.classes)}
        return {**found, "per_value": measure_values(task, targets, scores), "per_range": ranges}
    from sklearn.metrics import confusion_matrix

    decided = decision.decide(scores)
    found |= {"rule": asdict(decision), **measure_classes(task, targets, decided)}
    if task.heads:
        found["per_target"] = measure_targets(task, targets, scores, decided)
    if task.several:
        return {
            **found,
            "threshold": decision.threshold,
            "always": decision.always,
            **count_labels(task, targets, decided),
        }
    if task.kind == "ordinal":
        found["per_grade"] = measure_grades(task, targets, scores, decided)
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
    exchanged = missed.T.astype(int) @ false.astype(int)
    for _, place in task.split_heads():  # a class of one target does not stand for one of another
        exchanged[place, : place.start] = exchanged[place, place.stop :] = 0
    return {"outcomes": outcomes, "exchanged": exchanged.tolist()}


def measure_targets(task: Task, targets: Array, scores: Array, decided: Array) -> dict[str, dict[str, float]]:
    """Return target -> classes, accuracy, macro recall, macro F1 and log loss."""
    metrics = [find_metric(name) for name in ("accuracy", "macro_recall", "macro_f1", "log_loss")]
    found = {}
    for name, place in task.split_heads():
        true, given = (each[:, place].argmax(axis=1) for each in (targets, decided))
        values = {each.name: each.score(true, scores[:, place], given, None) for each in metrics}
        found[name] = {"classes": place.stop - place.start, **values}
    return found


def measure_grades(task: Task, targets: Array, scores: Array, decided: Array) -> dict[str, dict[str, float]]:
    """Return grade -> support, the mean of the predicted grades, the mean error (predicted less true), the mean
    absolute error, and the share within one grade; of those that occur."""
    found, apart, expected = {}, decided - targets, expect(scores)
    for number, name in enumerate(task.classes):
        own = targets == number
        if own.any():
            found[name] = {
                "support": int(own.sum()),
                "expected": float(expected[own].mean()),
                "error": float(apart[own].mean()),
                "absolute_error": float(np.abs(apart[own]).mean()),
                "within_one": float((np.abs(apart[own]) <= 1).mean()),
            }
    return found


def measure_ranges(targets: Array, values: Array) -> list[dict[str, float]]:
    """Return for each fifth of the images, by their true value: low and high, its ends; support; the mean error
    (predicted less true), which shows whether the network keeps to the mean; the mean absolute error."""
    order = np.argsort(targets, kind="stable")
    parts = [part for part in np.array_split(order, RANGES) if len(part)]
    return [
        {
            "low": float(targets[part].min()),
            "high": float(targets[part].max()),
            "support": len(part),
            "error": float((values[part] - targets[part]).mean()),
            "absolute_error": float(np.abs(values[part] - targets[part]).mean()),
        }
        for part in parts
    ]


def name_scores(values: Any, support: int) -> dict[str, float]:
    named = zip(("precision", "recall", "f1"), values, strict=False)
    return {**{name: float(value) for name, value in named}, "support": int(support)}


def measure_values(task: Task, targets: Array, scores: Array) -> dict[str, dict[str, float]]:
    """Return rmse, mae, r2 and support of each value of a regression."""
    metrics = [find_metric(name) for name in ("rmse", "mae", "r2")]
    return {
        name: {
            **{each.name: each.score(targets[:, [n]], scores[:, [n]], None, None) for each in metrics},
            "support": len(targets),
        }
        for n, name in enumerate(task.classes)
    }


def find_mistakes(
    task: Task, targets: Array, scores: Array, decided: Array, true: int | None = None, predicted: int | None = None
) -> Array:
    """Return the rows that are predicted wrongly, those first of which the prediction is surest, of grades those that
    are the most grades off; only images of class `true`, or predicted as `predicted`, where these are given. For
    images of one class each."""
    wrong = decided != targets
    if true is not None:
        wrong &= targets == true
    if predicted is not None:
        wrong &= decided == predicted
    rows = np.flatnonzero(wrong)
    sure = scores[rows, decided[rows]]
    off = np.abs(decided - targets)[rows] if task.kind == "ordinal" else np.zeros(len(rows))
    return np.asarray(rows[np.lexsort((-sure, -off))])


def find_largest_errors(targets: Array, scores: Array) -> Array:
    """Return all rows of a regression, those first whose values are furthest off: by the largest error of an image's
    values, each in deviations of its true values."""
    deviation = targets.std(axis=0)
    apart = np.abs(scores - targets) / np.where(deviation > 0, deviation, 1)
    return np.asarray(np.argsort(-apart.max(axis=1), kind="stable"))


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
