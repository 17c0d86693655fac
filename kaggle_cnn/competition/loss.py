"""The loss of predictions, which is less noisy than most metrics: by it strengths are compared and weights found."""

import numpy as np

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task


def loss_parts(task: Task, targets: Array, scores: Array) -> Array:
    """Return what the loss is made of, float64 (..., N, parts), linear in `scores` (..., N, outputs).

    The probability of the true class, of each of several targets; of several labels the probability that each is as it
    is; of numbers what is left of them, in deviations of the true ones.
    """
    if task.kind == "regression":
        deviation = targets.std(axis=0)
        return np.asarray((scores.astype(np.float64) - targets) / np.where(deviation > 0, deviation, 1))
    if task.kind == "multilabel":
        return np.where(targets == 1, scores, 1 - scores.astype(np.float64))
    rows = np.arange(len(targets))
    if task.heads:
        true = [place.start + targets[:, place].argmax(axis=1) for _, place in task.split_heads()]
        return np.stack([scores[..., rows, each] for each in true], axis=-1).astype(np.float64)
    return np.asarray(scores[..., rows, targets][..., None].astype(np.float64))


def finish_loss(task: Task, parts: Array) -> Array:
    """Return the loss of each image, float (..., N), of what `loss_parts` returns: minus the logarithm of the
    probabilities, or the square, averaged."""
    values = parts**2 if task.kind == "regression" else -np.log(np.clip(parts, 1e-15, None))
    return np.asarray(values.mean(axis=-1))


def loss_each(task: Task, targets: Array, scores: Array) -> Array:
    """Return the loss of each image: the log loss, of several labels or targets its mean; of numbers the mean squared
    error, each in deviations of the true ones."""
    return finish_loss(task, loss_parts(task, targets, scores))
