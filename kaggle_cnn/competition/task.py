"""Task: what is predicted, and by which metric it is judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kaggle_cnn.competition.metrics import Array, Metric

KINDS = {
    "multiclass": "one class an image",
    "multilabel": "any number of labels an image",
    "ordinal": "one of several grades in order",
    "regression": "one or more numbers an image",
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
    """`kind` is one of KINDS; `classes` are the classes, labels or grades in order, or the names of the values."""

    kind: str
    classes: tuple[str, ...]
    metric: Metric

    @property
    def outputs(self) -> int:
        """How many numbers the network gives for an image."""
        return len(self.classes)

    def targets_of(self, soft: Array) -> Array:
        """Return targets in the form that metrics take, from those of a training set, float32 (N, outputs)."""
        if self.kind == "regression":
            return soft
        return soft.astype(np.uint8) if self.kind == "multilabel" else soft.argmax(axis=1)

    def activate(self, logits: Array) -> Array:
        """Return what logits (..., outputs) mean: float32 probabilities, or the values themselves."""
        x = logits.astype(np.float64)
        if self.kind == "regression":
            return x.astype(np.float32)
        if self.kind == "multilabel":
            return np.asarray(1 / (1 + np.exp(-x))).astype(np.float32)
        x = np.exp(x - x.max(axis=-1, keepdims=True))
        return np.asarray(x / x.sum(axis=-1, keepdims=True)).astype(np.float32)

    def deactivate(self, scores: Array) -> Array:
        """Return logits (..., outputs) that `activate` makes `scores` of."""
        if self.kind == "regression":
            return scores.astype(np.float32)
        chances = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
        odds = chances / (1 - chances) if self.kind == "multilabel" else chances
        return np.asarray(np.log(odds)).astype(np.float32)
