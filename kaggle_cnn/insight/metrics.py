"""Probabilities -> numbers. Returns, never prints."""

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score, log_loss, precision_recall_fscore_support, roc_auc_score

from kaggle_cnn.competition.submission import chosen_at
from kaggle_cnn.learn.predictions import Predictions


def measure(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> dict:
    """Every number of one set of predictions, as plain Python values.

    `labels` (N,) int, `probabilities` (N, len(classes)); N at least 1. Returns images (N), accuracy, macro_f1, log_loss
    (natural logarithm, rows brought to sum 1), top5_accuracy, confusion (rows: true class, columns: predicted),
    auc (area under the ROC curve, of two classes), per_class (class -> precision, recall, f1, support) and the
    averages macro and weighted of the same four. A ratio
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
        **({"auc": float(roc_auc_score(labels, probabilities[:, 1]))} if count == len(present) == 2 else {}),
        "confusion": confusion.tolist(),
        "per_class": {
            name: scores([column[number] for column in each], each[3][number]) for number, name in enumerate(classes)
        },
        "averages": averages,
    }


def mistakes(
    labels: np.ndarray, probabilities: np.ndarray, true: int | None = None, predicted: int | None = None
) -> np.ndarray:
    """The rows that are predicted wrongly, those first of which the prediction is surest; only images of class `true`,
    or taken for `predicted`, where these are given. Arguments as in `measure`."""
    given = probabilities.argmax(axis=1)
    wrong = given != labels
    if true is not None:
        wrong &= labels == true
    if predicted is not None:
        wrong &= given == predicted
    rows = np.flatnonzero(wrong)
    return rows[np.argsort(-probabilities[rows].max(axis=1), kind="stable")]


def measure_labels(marks: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> dict:
    """The same where an image may have several classes. `marks` (N, classes) of 0 and 1, `probabilities` alike.

    The threshold is the one of 0.05, 0.10 ... 0.95 with the best mean F1 of an image, 0.5 among equals; a class counts
    as predicted at or above it, and the most probable one always. accuracy: the images whose set of classes is exactly
    right; samples_f1: the mean F1 of an image; macro_f1: of a class; log_loss: the mean of all binary ones.
    """
    by_threshold = {
        threshold: f1_score(marks, chosen_at(probabilities, threshold), average="samples", zero_division=1)
        for threshold in sorted(np.arange(1, 20) / 20, key=lambda each: abs(each - 0.5))
    }
    threshold = max(by_threshold, key=by_threshold.get)
    chosen = chosen_at(probabilities, threshold)
    present = np.flatnonzero(marks.sum(axis=0))
    averages = {
        name: scores(
            precision_recall_fscore_support(marks, chosen, labels=present, average=name, zero_division=0),
            int(marks.sum()),
        )
        for name in ("macro", "weighted")
    }
    each = precision_recall_fscore_support(marks, chosen, zero_division=0)
    certain = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    return {
        "images": len(marks),
        "accuracy": float((chosen == marks).all(axis=1).mean()),
        "macro_f1": averages["macro"]["f1"],
        "log_loss": float(-np.where(marks, np.log(certain), np.log1p(-certain)).mean()),
        "samples_f1": float(by_threshold[threshold]),
        "threshold": float(threshold),
        "per_class": {
            name: scores([column[number] for column in each], each[3][number]) for number, name in enumerate(classes)
        },
        "averages": averages,
    }


def points_gained(predictions: Predictions, one: int, more: int) -> tuple[float, float]:
    """By how many points of accuracy `more` views are better than `one`, and the standard error of that: of the mean of
    the images' differences, each -1, 0 or 1. Of images with one class each, two at least."""
    right = [predictions.probabilities[views].argmax(axis=1) == predictions.labels for views in (one, more)]
    gain = 100 * (right[1].astype(float) - right[0])
    return float(gain.mean()), float(gain.std(ddof=1) / len(gain) ** 0.5)


def measure_views(predictions: Predictions, classes: list[str]) -> dict[int, dict]:
    """`measure` for each number of views that there is, or `measure_labels`."""
    one = measure if predictions.labels.ndim == 1 else measure_labels
    return {n: one(predictions.labels, values, classes) for n, values in predictions.probabilities.items()}


def summary(by_views: dict[int, dict]) -> dict[int, dict[str, float]]:
    """The numbers of each that a run keeps in its run.json."""
    kept = ("accuracy", "macro_f1", "log_loss", "top5_accuracy", "auc", "samples_f1", "threshold")
    return {views: {name: numbers[name] for name in kept if name in numbers} for views, numbers in by_views.items()}


def scores(values, support: int) -> dict[str, float]:
    return {
        **{name: float(value) for name, value in zip(("precision", "recall", "f1"), values, strict=False)},
        "support": int(support),
    }
