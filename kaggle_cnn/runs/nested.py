"""Nested cross-validation: what is gained by what was fitted, on images that it was not fitted on; with an interval."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.runs.bootstrap import bootstrap, interval

PARTS = 5  # into which images are split
# The bootstrap knows nothing of what another draw of images to fit on would give. By so much its interval is widened
# (Nadeau & Bengio 2003, for PARTS parts): without it, of 100 draws 85 to 97 held the gain on 100,000 fresh images, with
# it 95 to 100 (benchmarks/nested.py, LOG.md).
WIDENED = (1 + PARTS / (PARTS - 1)) ** 0.5
Predicted = tuple[Array, Array]  # scores (n, outputs) and decisions (n,) or (n, outputs), of some images
Fit = Callable[[Array], Callable[[Array], Predicted]]  # rows to fit on -> a function of the rows to predict


@dataclass(frozen=True)
class Gain:
    """By how much one prediction is better than another by the task's metric, above 0 where it is better; and the
    interval of 95 % of that, by a paired bootstrap over the images. Each image is predicted by what was fitted without
    it."""

    difference: float
    low: float
    high: float

    @property
    def beyond_noise(self) -> bool:
        """Whether it is a gain: the interval is above 0."""
        return self.low > 0


def predict_nested(targets: Array, fits: list[Fit]) -> list[Predicted]:
    """Return what each of `fits` predicts of all images, each image by what was fitted on the other PARTS - 1 parts."""
    parts = np.random.default_rng(0).permutation(len(targets)) % PARTS
    found: list[list[Predicted]] = []
    order = np.concatenate([np.flatnonzero(parts == part) for part in range(PARTS)])
    for part in range(PARTS):
        others, own = np.flatnonzero(parts != part), np.flatnonzero(parts == part)
        found.append([fit(others)(own) for fit in fits])
    back = np.argsort(order)
    return [
        (np.concatenate([each[n][0] for each in found])[back], np.concatenate([each[n][1] for each in found])[back])
        for n in range(len(fits))
    ]


def judge(task: Task, targets: Array, one: Predicted, other: Predicted, fitted: bool = True) -> Gain:
    """Return by how much `other` is better than `one`; where neither is `fitted`, the interval is not widened."""
    metric = task.metric
    (first, second), decisions = (one[0], other[0]), [one[1], other[1]]
    before, after = (metric.score(targets, *each, None) for each in (one, other))
    low, high = interval(bootstrap(metric, targets, [first, second], decisions, np.random.default_rng(0)))
    if not metric.higher_is_better:
        before, after, low, high = -before, -after, -high, -low
    gain, widened = after - before, WIDENED if fitted else 1.0
    return Gain(gain, gain - widened * (gain - low), gain + widened * (high - gain))
