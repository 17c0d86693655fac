"""A paired bootstrap (Efron 1979): how far a difference of two predictions of the same images is chance."""

from collections.abc import Iterator, Sequence

import numpy as np

from kaggle_cnn.competition.metrics import Array, Metric

DRAWS, FEW_DRAWS, LEVEL = 2000, 400, 0.95


def interval(drawn: Array) -> tuple[float, float]:
    """Return the percentiles between which LEVEL of the drawn differences are."""
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def bootstrap(
    metric: Metric,
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
