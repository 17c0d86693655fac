"""Task: what is predicted, and by which metric it is judged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kaggle_cnn.competition.metrics import Array, Metric, find_metric

KINDS = {
    "multiclass": "one class an image",
    "multilabel": "any number of labels an image",
    "multioutput": "one class of each of several targets an image",
    "ordinal": "one of several grades in order",
    "regression": "one or more numbers an image",
}
SEVERAL_LABELS = ("multilabel", "multioutput")
STANDARD = {
    "multiclass": ("accuracy", "macro_f1", "log_loss"),
    "multilabel": ("samples_f1", "macro_f1", "log_loss", "accuracy"),
    "multioutput": ("accuracy", "macro_recall", "macro_f1", "log_loss"),
    "ordinal": ("quadratic_weighted_kappa", "accuracy", "macro_f1", "log_loss"),
    "regression": ("rmse", "mae", "r2"),
}

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
FEWEST_CHARACTERS = 10  # ten digits, or letters from A to J; two letters may be grades, or f and m


def are_characters(classes: Sequence[str]) -> bool:
    """Return whether classes are digits or letters, whose mirror images are wrong: ten names or more are one character,
    or a digit's word, and so are four of five of them (some alphabets have a class "space")."""
    single = [name for name in classes if (len(name) == 1 and name.isalnum()) or name.lower() in DIGITS]
    return len(single) >= FEWEST_CHARACTERS and 5 * len(single) >= 4 * len(classes)


@dataclass(frozen=True)
class Task:
    """`kind` is one of KINDS; `classes` are the classes, labels or grades in order, or the names of the values.

    `heads` are the targets of a multioutput task, each with how many of `classes` are its own, in their order. `new` is
    the place of the class that stands for all that were not trained, as new_whale; None where there is no such.
    """

    kind: str
    classes: tuple[str, ...]
    metric: Metric
    heads: tuple[tuple[str, int], ...] = ()
    new: int | None = None

    @property
    def outputs(self) -> int:
        """How many numbers the predictions have for an image."""
        return len(self.classes)

    @property
    def several(self) -> bool:
        """Whether an image has several labels, so that targets and decisions are uint8 (N, classes) of 0 and 1."""
        return self.kind in SEVERAL_LABELS

    @property
    def form(self) -> Literal["classes", "labels", "values"]:
        """What its outputs are: classes that exclude each other, of each target where there are several; labels; or
        values."""
        return "values" if self.kind == "regression" else "labels" if self.kind == "multilabel" else "classes"

    @property
    def metrics(self) -> list[Metric]:
        """The metrics to show, the task's own first."""
        names = list(STANDARD[self.kind])
        if self.kind == "multiclass":
            names += ["top_5_accuracy"] if self.outputs > 5 else ["auc"] if self.outputs == 2 else []
        sizes = [count for _, count in self.heads]
        return [self.metric, *(find_metric(name, sizes) for name in names if name != self.metric.name)]

    def split_heads(self) -> Iterator[tuple[str, slice]]:
        """Yield the name of each target and where its classes are."""
        start = 0
        for name, count in self.heads:
            yield name, slice(start, start + count)
            start += count

    @property
    def places(self) -> list[slice]:
        """Where the outputs are of which one is true: of each target, else all."""
        return [place for _, place in self.split_heads()] or [slice(0, self.outputs)]

    def name_labels(self, marks: Array) -> list[str]:
        """Return the names of the labels that are marked with 1 in `marks`, (classes,)."""
        return [self.classes[place] for place in np.flatnonzero(marks)]

    def describe(self, target: Array) -> str:
        """Return one image's target in words, in the form of a training set's, (outputs,): its labels or its values."""
        if self.kind == "regression":
            return ", ".join(f"{value:g}" for value in target)
        return ", ".join(self.name_labels(target))

    def targets_of(self, soft: Array) -> Array:
        """Return targets in the form that metrics take, from those of a training set, float32 (N, outputs)."""
        if self.kind == "regression":
            return soft
        return soft.astype(np.uint8) if self.several else soft.argmax(axis=1)

    def activate(self, logits: Array) -> Array:
        """Return what logits (..., outputs) mean: float32 probabilities, or the values themselves."""
        x = logits.astype(np.float64)
        if self.kind == "regression":
            return x.astype(np.float32)
        if self.kind == "multilabel":
            return np.asarray(1 / (1 + np.exp(-x))).astype(np.float32)
        if self.heads:
            parts = [soften(x[..., place]) for _, place in self.split_heads()]
            return np.concatenate(parts, axis=-1).astype(np.float32)
        return soften(x).astype(np.float32)

    def deactivate(self, scores: Array) -> Array:
        """Return logits (..., outputs) that `activate` makes `scores` of."""
        if self.kind == "regression":
            return scores.astype(np.float32)
        chances = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
        odds = chances / (1 - chances) if self.kind == "multilabel" else chances
        return np.asarray(np.log(odds)).astype(np.float32)


def soften(logits: Array) -> Array:
    """Return the softmax of the last axis."""
    x = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(x / x.sum(axis=-1, keepdims=True))
