"""A paired bootstrap (Efron 1979): how far a difference of two predictions of the same images is chance."""

from collections.abc import Iterator, Sequence

import numpy as np

from kaggle_cnn.competition.metrics import Array, Metric
from kaggle_cnn.competition.task import Task

DRAWS, FEW_DRAWS, LEVEL = 2000, 400, 0.95


def interval(drawn: Array) -> tuple[float, float]:
    """Return the percentiles between which LEVEL of the drawn differences are."""
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def bootstrap(
    metric: Metric,
    task: Task,
    targets: Array,
    scores: Sequence[Array | None],
    decisions: list[Array],
    draw: np.random.Generator,
) -> Array:
    """Return the difference of the metric in each of many draws of the images with replacement, the same images for
    both; for a metric that is not a mean over images, fewer draws."""
    if metric.each is not None:
        values = [metric.each(targets, scores[n], decisions[n]) for n in (0, 1)]
        parts = [
            metric.finish(weights @ values[1] / len(targets)) - metric.finish(weights @ values[0] / len(targets))
            for weights in resample(len(targets), DRAWS, draw)
        ]
        return np.concatenate(parts)
    if metric.name == "macro_f1" and targets.ndim == 1:
        sums = [indicators(targets, each, task.outputs) for each in decisions]
        draws = resample(len(targets), DRAWS, draw)
        parts = [macro_f1(weights @ sums[1]) - macro_f1(weights @ sums[0]) for weights in draws]
        return np.concatenate(parts)
    found = []
    for weights in resample(len(targets), FEW_DRAWS, draw):
        for row in weights:
            one, other = (metric.score(targets, scores[n], decisions[n], row) for n in (0, 1))
            found.append(other - one)
    return np.array(found)


def resample(images: int, draws: int, draw: np.random.Generator) -> Iterator[Array]:
    """Yield how often each image is drawn, float32 (some draws, images), until there are `draws`."""
    block = max(1, min(draws, 2**22 // images))
    for start in range(0, draws, block):
        count = min(block, draws - start)
        chosen = draw.integers(images, size=(count, images)) + images * np.arange(count)[:, None]
        yield np.bincount(chosen.ravel(), minlength=count * images).reshape(count, images).astype(np.float32)


def indicators(targets: Array, decisions: Array, classes: int) -> Array:
    """Return float32 (N, 3 * classes): whether an image is a hit of each class, is predicted as it, has it."""
    true, given = np.eye(classes, dtype=np.float32)[targets], np.eye(classes, dtype=np.float32)[decisions]
    return np.concatenate([true * given, given, true], axis=1)


def macro_f1(sums: Array) -> Array:
    """Return macro F1, over the classes that occur, of each row of summed indicators."""
    hits, given, true = np.split(sums.astype(np.float64), 3, axis=1)
    f1 = 2 * hits / np.maximum(given + true, 1e-12)
    occurs = given + true > 0
    return np.asarray((f1 * occurs).sum(axis=1) / occurs.sum(axis=1))
