"""The training set as data: which rows, with which targets and weights. What changes it changes these arrays."""

from dataclasses import dataclass

import numpy as np

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.image_cache import Images
from kaggle_cnn.errors import KcnnError


@dataclass(frozen=True)
class TrainingSet:
    """`rows` int (n,) of the images' pixels; `targets` float32 (n, outputs), which may be soft; `weights` float32 (n,),
    by which the loss of an image is multiplied, or None where each counts the same."""

    rows: Array
    targets: Array
    weights: Array | None = None


def training_set(dataset: Dataset, images: Images, fold: int, class_weight: str = "none") -> TrainingSet:
    """Return the readable images that are not validated in `fold`, with the user's decisions on labels; and the test
    images that have pseudo-labels, whose rows follow those of all training images.

    `class_weight` "balanced" weighs each by images / (classes * images of its class), so that every class counts the
    same. Raises KcnnError where it is asked of images that have not one class each.
    """
    rows = readable(np.flatnonzero(dataset.folds.numbers != fold), images)
    rows = rows[~np.isin(rows, dataset.edits.excluded)]
    targets = relabel(dataset.targets[rows], rows, dataset.edits.relabelled)
    if pseudo := dataset.pseudo.get(fold):
        there = np.isin(pseudo.rows, readable(len(dataset.ids) + pseudo.rows, images) - len(dataset.ids))
        rows = np.concatenate([rows, len(dataset.ids) + pseudo.rows[there]])
        targets = np.concatenate([targets, pseudo.targets[there]])
    if class_weight == "none":
        return TrainingSet(rows, targets)
    if dataset.task.kind not in ("multiclass", "ordinal"):
        raise KcnnError(
            f"class_weight=balanced needs images of one class each, and this task is {dataset.task.kind}",
            "leave it out: --set class_weight=none",
        )
    weights = len(targets) / (targets.shape[1] * np.maximum(targets.sum(axis=0), 1))
    return TrainingSet(rows, targets, (targets @ weights).astype(np.float32))


def relabel(targets: Array, rows: Array, relabelled: dict[int, Array]) -> Array:
    """Return the targets of `rows` with those that the user changed."""
    if not relabelled:
        return targets
    targets = targets.copy()
    for place in np.flatnonzero(np.isin(rows, list(relabelled))):
        targets[place] = relabelled[int(rows[place])]
    return targets


def validation_rows(dataset: Dataset, images: Images, fold: int) -> Array:
    """Return the readable images that are validated in `fold`, int (n,)."""
    return readable(np.flatnonzero(dataset.folds.numbers == fold), images)


def readable(rows: Array, images: Images) -> Array:
    """Return those of `rows` whose image could be read."""
    return rows[~np.isin(rows, list(images.problems))]
