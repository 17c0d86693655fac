"""Suspected label errors, by cleanlab on out-of-fold predictions; outliers; classes that are confused both ways."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.errors import KcnnError

# Confident learning counts errors of the network itself too. So of its count, but not less than LEAST of it, labels are
# taken whose probability is below IMPROBABLE. Of 5 % planted wrong labels of the demo's 6,000 images that finds 94 %
# (resnet, and vgg), 62 % and 66 % of them rightly; the whole count finds 95 % and 94 %, 54 % and 66 % rightly (LOG.md).
IMPROBABLE, LEAST = 0.1, 0.75
MOST_OUTLIERS = 0.01  # of the images
FENCE = 3.0  # times the range between the quartiles, below which a value is an outlier (Tukey 1977)


@dataclass(frozen=True)
class Suspect:
    """An image of which something may be wrong. `row` is its place in the predictions; `suggested` a target in the form
    that metrics take, or None where the label is not doubted; `why` in words; `trust` the probability of the given
    label, from 0 to 1."""

    row: int
    suggested: Array | int | None
    why: str
    trust: float


def require_classes(task: Task) -> None:
    """Raise KcnnError where an image has no label that could be another one."""
    if task.kind == "regression":
        raise KcnnError(
            "doctor needs classes or labels, and this task is a regression", "kcnn show mistakes shows errors"
        )


def find_label_errors(task: Task, targets: Array, scores: Array) -> list[Suspect]:
    """Return the images whose label is suspected to be wrong, the least trusted first.

    By cleanlab (Northcutt et al. 2021, arXiv:1911.00068): those with the lowest probability of their own label, at most
    as many as confident learning estimates. Of several labels each one is judged on its own, of several targets each
    target.
    """
    from cleanlab.filter import find_label_issues

    doubted: dict[int, float] = {}
    changed = targets.copy()
    for true, chances, place in list_judged(task, targets, scores):
        if len(np.unique(true)) < 2:
            continue
        found = find_label_issues(
            true, chances, filter_by="low_self_confidence", return_indices_ranked_by="self_confidence", n_jobs=1
        )
        improbable = int((chances[found, true[found]] < IMPROBABLE).sum())
        for row in found[: max(improbable, math.ceil(LEAST * len(found)))].tolist():
            doubted[row] = min(doubted.get(row, 1.0), float(chances[row, true[row]]))
            change(changed, row, place, chances[row], task)
    return [
        Suspect(row, changed[row], "the label is improbable", trust)
        for row, trust in sorted(doubted.items(), key=lambda pair: pair[1])
        if np.any(changed[row] != targets[row])
    ]


def list_judged(task: Task, targets: Array, scores: Array) -> Iterator[tuple[Array, Array, slice]]:
    """Yield what can be wrong on its own: labels int (N,), their probabilities (N, classes), which sum to 1, and the
    outputs that they are about."""
    if task.kind == "multilabel":
        for label in range(task.outputs):
            both = np.stack([1 - scores[:, label], scores[:, label]], axis=1)
            yield targets[:, label].astype(int), both, slice(label, label + 1)
    elif task.heads:
        for _, place in task.split_heads():
            yield targets[:, place].argmax(axis=1), scale(scores[:, place]), place
    else:
        yield targets, scale(scores), slice(0, task.outputs)


def scale(scores: Array) -> Array:
    """Return float64 rows of sum 1, which cleanlab asks for."""
    return np.asarray(scores / scores.sum(axis=1, keepdims=True, dtype=np.float64))


def change(targets: Array, row: int, place: slice, chances: Array, task: Task) -> None:
    """Put the most probable label into `targets`, where it is doubted."""
    best = int(chances.argmax())
    if targets.ndim == 1:
        targets[row] = best
    elif task.kind == "multilabel":
        targets[row, place] = best
    else:
        targets[row, place] = np.eye(place.stop - place.start, dtype=targets.dtype)[best]


def find_outliers(task: Task, targets: Array, scores: Array) -> list[Suspect]:
    """Return the images that are like no class, the least like one first: by the entropy of their probabilities,
    adjusted by how sure the network is of each class (cleanlab's OutOfDistribution), beyond Tukey's outer fence, and at
    most MOST_OUTLIERS of all. For one class an image."""
    if targets.ndim == 2:
        return []
    from cleanlab.outlier import OutOfDistribution

    chances = scale(scores)
    typical = OutOfDistribution().fit_score(pred_probs=chances, labels=targets, verbose=False)
    low, high = np.quantile(typical, [0.25, 0.75])
    rows = np.argsort(typical)[: int(MOST_OUTLIERS * len(typical))]
    return [
        Suspect(int(row), None, f"outlier: the most probable class has {chances[row].max():.0%}",
                float(chances[row, targets[row]]))
        for row in rows if typical[row] < low - FENCE * (high - low)
    ]  # fmt: skip


@dataclass(frozen=True)
class Confused:
    """Two classes that are confused both ways: how many images of each, and how many are predicted as the other."""

    one: str
    other: str
    images: tuple[int, int]
    confused: tuple[int, int]

    @property
    def share(self) -> float:
        """The smaller of the two shares."""
        return min(count / max(images, 1) for count, images in zip(self.confused, self.images, strict=True))


def find_confused(task: Task, targets: Array, decided: Array, most: int = 5) -> list[Confused]:
    """Return the pairs of classes that are confused most both ways, by the smaller share; for one class an image."""
    if targets.ndim == 2:
        return []
    from sklearn.metrics import confusion_matrix

    table = confusion_matrix(targets, decided, labels=range(task.outputs))
    images = table.sum(axis=1)
    pairs = [
        Confused(task.classes[one], task.classes[other], (int(images[one]), int(images[other])),
                 (int(table[one, other]), int(table[other, one])))
        for one in range(task.outputs) for other in range(one) if table[one, other] and table[other, one]
    ]  # fmt: skip
    return sorted(pairs, key=lambda pair: -pair.share)[:most]
