"""Pseudo-labels (Lee 2013) from a run: for each fold by the models that have not seen what the fold validates."""

import numpy as np

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.pseudo import PseudoLabels
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.join import read_fold
from kaggle_cnn.runs.run import Run
from kaggle_cnn.tta import has_views, views_of


def label_tests(run: Run, dataset: Dataset, folds: list[int], above: float, soft: bool) -> dict[int, PseudoLabels]:
    """Return fold -> the test images that a run labels, with their labels.

    Those of a fold are predicted by the models of that fold alone: another one has been trained on the images that the
    fold validates, and where a test image is a copy of one of these, it would tell its label. Images count where each
    of their labels has a probability of at least `above`; the target is the label, or with `soft` the probabilities.

    Raises KcnnError where the run has other folds, or no predictions of the present test images.
    """
    if run.record["folds"]["digest"] != dataset.folds.digest:
        raise KcnnError(
            f"{run.id} was trained on other folds: its labels would tell of the images that are validated",
            "take a run of the same folds file",
        )
    if missing := [fold for fold in folds if fold not in run.folds]:
        raise KcnnError(
            f"{run.id} has no model of fold {', '.join(map(str, missing))}, and pseudo-labels come from the fold's own",
            "train that run with --folds all",
        )
    if dataset.task.kind == "regression" and not soft:
        raise KcnnError("numbers have no probability to be above", "add --soft, which takes the predicted numbers")
    if not len(dataset.test_images[0]):
        raise KcnnError(f"'{dataset.competition.name}' has no test images to label", "leave --pseudo out")
    return {fold: label_fold(run, dataset, fold, above, soft) for fold in folds}


def label_fold(run: Run, dataset: Dataset, fold: int, above: float, soft: bool) -> PseudoLabels:
    """Return the labels of the test images by the models of one fold."""
    try:
        made = read_fold(run, fold, "test")
    except KcnnError:
        raise KcnnError(
            f"{run.id} has no predictions of the test images by the models of fold {fold}", "train or blend again"
        ) from None
    if made.ids.tolist() != dataset.test_ids.tolist() or not has_views(made.views, views_of(run.policy)):
        raise KcnnError(
            f"{run.id} has predictions of other test images, or of other views, than there are now",
            "train or blend again",
        )
    scores, (_, owners) = made.scores(dataset.task, run.policy), dataset.test_images
    sure = find_sure(dataset.task, scores, above)
    rows = np.flatnonzero(sure[owners])
    targets = scores if soft else mark_likely(dataset.task, scores)
    return PseudoLabels(rows, targets[owners[rows]].astype(np.float32))


def find_sure(task: Task, scores: Array, above: float) -> Array:
    """Return which images, bool (N,), have labels that all have a probability of at least `above`; numbers have no
    probability, and all count."""
    if task.kind == "regression":
        return np.ones(len(scores), bool)
    if task.kind == "multilabel":
        return np.asarray((np.maximum(scores, 1 - scores) >= above).all(axis=1))
    return np.asarray(np.all([scores[:, place].max(axis=1) >= above for place in task.places], axis=0))


def mark_likely(task: Task, scores: Array) -> Array:
    """Return float32 (N, outputs), 1 for the labels that are more likely than not, or for the most likely class of each
    target."""
    if task.kind == "multilabel":
        return (scores >= 0.5).astype(np.float32)
    marks = np.zeros(scores.shape, np.float32)
    for place in task.places:
        marks[np.arange(len(scores)), place.start + scores[:, place].argmax(axis=1)] = 1
    return marks
