"""Two runs on the same images: how far they differ, and whether that is more than noise."""

import numpy as np
from scipy.stats import binomtest

from kaggle_cnn.learn.predictions import Predictions

DRAWS, LEVEL = 2000, 0.95


def shared(one: Predictions, other: Predictions) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """ids, labels, and what each says of them, of the images that both predicted; each with the most views it has."""
    ids, first, second = np.intersect1d(one.ids, other.ids, return_indices=True)
    return ids, one.labels[first], one.best()[1][first], other.best()[1][second]


def compare(labels: np.ndarray, one: np.ndarray, other: np.ndarray, seed: int = 0) -> dict:
    """`other` less `one` on the same images: `labels` (N,) int, both float (N, classes); N at least 1.

    Plain values: images; accuracy and macro_f1, each with one, other, difference and interval, that of 95 % by a paired
    bootstrap (Efron 1979) over the images, its percentiles; only_one and only_other, how many images just that one has
    right; p, of McNemar's exact test (1947) that such images are as likely one way as the other; and `beyond_noise`,
    whether the interval of the accuracy leaves out 0 and p is below 0.05.
    """
    given = [each.argmax(axis=1) for each in (one, other)]
    right = [each == labels for each in given]
    only_one, only_other = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    p = float(binomtest(only_one, only_one + only_other).pvalue) if only_one + only_other else 1.0
    sides = [indicators(labels, each, one.shape[1]) for each in given]
    draw = np.random.default_rng(seed)
    differences = {"accuracy": [], "macro_f1": []}
    for weights in resampled(len(labels), DRAWS, draw):
        scores = [scores_of(weights @ each, weights.sum(axis=1)) for each in sides]
        for place, name in enumerate(differences):
            differences[name].append(scores[1][place] - scores[0][place])
    whole = [scores_of(each.sum(axis=0, keepdims=True), np.array([len(labels)])) for each in sides]
    found = {"images": len(labels), "only_one": only_one, "only_other": only_other, "p": p}
    for place, name in enumerate(differences):
        values = [float(each[place][0]) for each in whole]
        edges = np.quantile(np.concatenate(differences[name]), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        found[name] = {
            "one": values[0],
            "other": values[1],
            "difference": values[1] - values[0],
            "interval": [float(edge) for edge in edges],
        }
    low, high = found["accuracy"]["interval"]
    return {**found, "beyond_noise": bool((low > 0 or high < 0) and p < 0.05)}


def indicators(labels: np.ndarray, given: np.ndarray, classes: int) -> np.ndarray:
    """float32 (N, 3 * classes): whether an image is a hit of each class, is given it, has it."""
    true, said = np.eye(classes, dtype=np.float32)[labels], np.eye(classes, dtype=np.float32)[given]
    return np.concatenate([true * said, said, true], axis=1)


def resampled(images: int, draws: int, draw: np.random.Generator):
    """How often each image is drawn, float32 (some draws, images), until there are `draws`."""
    block = max(1, min(draws, 2**22 // images))
    for start in range(0, draws, block):
        count = min(block, draws - start)
        chosen = draw.integers(images, size=(count, images)) + images * np.arange(count)[:, None]
        yield np.bincount(chosen.ravel(), minlength=count * images).reshape(count, images).astype(np.float32)


def scores_of(sums: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and macro F1, over the classes that are there, of each row of summed indicators."""
    hits, given, true = np.split(sums.astype(np.float64), 3, axis=1)
    f1 = 2 * hits / np.maximum(given + true, 1e-12)
    return hits.sum(axis=1) / images, (f1 * (true > 0)).sum(axis=1) / (true > 0).sum(axis=1)


def parted(labels: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The rows that just one of the two has right, those first on which they part most, by the true class's
    probability."""
    rows = np.flatnonzero((one.argmax(axis=1) == labels) != (other.argmax(axis=1) == labels))
    apart = np.abs(one[rows, labels[rows]] - other[rows, labels[rows]])
    return rows[np.argsort(-apart, kind="stable")]
