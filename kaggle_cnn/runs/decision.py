"""Decision rules: from probabilities to what is submitted, fitted on out-of-fold predictions."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from kaggle_cnn.competition.metrics import Array, find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.files import whole_file
from kaggle_cnn.parsing import read_json
from kaggle_cnn.runs.nested import Gain

FITTED = {
    "cuts": "cut points",
    "biases": "class biases",
    "thresholds": "a threshold of each label",
    "temperature": "the temperature",
}
TINY, FLOAT = 1e-30, 1e-7  # the least probability, and how near to 1 one may be: a float32 knows no nearer one


@dataclass(frozen=True)
class Decision:
    """rule: "argmax", the most probable class, of each of `heads` where there are several targets (how many classes
    each has); "biases", the same after `biases` are added to the logarithms of the probabilities; "threshold", every
    label from `threshold` on, "thresholds", each from its own of `thresholds` on, with `always` the most probable one
    whatever its probability; "rounding", the grade that is nearest to the expected one; "cuts", the grade between whose
    `cuts` the expected one is; "value", the numbers of a regression.

    temperature: by which logits are divided before their probabilities are submitted, as in Guo et al. 2017
    (arXiv:1706.04599); 1 changes nothing. new, level: with "argmax" the place of the class for what was not trained,
    and the probability that it has at least; None where there is no such class.

    tried: what was fitted to the metric, one of FITTED, "" for nothing; gain: what that gains over the usual rule.
    Where the gain is not beyond noise, the usual rule is kept.
    """

    rule: Literal["argmax", "biases", "threshold", "thresholds", "rounding", "cuts", "value"]
    threshold: float = 0.5
    always: bool = True
    heads: list[int] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    biases: list[float] = field(default_factory=list)
    temperature: float = 1.0
    tried: str = ""
    gain: Gain | None = None
    new: int | None = None
    level: float = 0.0

    def adjust(self, scores: Array) -> Array:
        """Return the `scores` (N, outputs) that are submitted: probabilities after the temperature, in which the class
        for what was not trained has at least its level."""
        adjusted = self.soften(scores) if self.temperature != 1 else scores
        if self.new is None:
            return adjusted
        adjusted = adjusted.copy()
        adjusted[:, self.new] = np.maximum(adjusted[:, self.new], self.level)
        return adjusted

    def soften(self, scores: Array) -> Array:
        """Return what the probabilities are of logits that are divided by the temperature."""
        chances = np.clip(scores.astype(np.float64), TINY, 1 - FLOAT)
        if self.rule in ("threshold", "thresholds"):
            powers = (1 / chances - 1) ** (1 / self.temperature)
            return np.asarray(1 / (1 + powers), np.float32)
        powers = chances ** (1 / self.temperature)
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)

    def decide(self, scores: Array) -> Array:
        """Return decisions for `scores` (N, outputs), in the form of the targets; see metrics."""
        if self.rule == "value":
            return scores
        if self.rule == "rounding":
            return np.asarray(np.floor(expect(scores) + 0.5).astype(int))
        if self.rule == "cuts":
            return np.searchsorted(self.cuts, expect(scores), side="right")
        if self.rule in ("threshold", "thresholds"):
            chosen = (scores >= (self.thresholds or self.threshold)).astype(np.uint8)
            if self.always:
                chosen[np.arange(len(chosen)), scores.argmax(axis=1)] = 1
            return chosen
        weighed = scores * np.exp(self.biases) if self.biases else self.adjust(scores)
        return mark_largest(weighed, self.heads) if self.heads else np.asarray(weighed.argmax(axis=1))

    def write(self, path: Path) -> None:
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Decision":
        """Raise KcnnError where the file is missing or broken."""
        return read_json(cls, path, "remove it; kcnn evaluate makes it again")


def expect(scores: Array) -> Array:
    """Return the expected grade, float (N,), of probabilities (N, grades)."""
    return np.asarray(scores.astype(np.float64) @ np.arange(scores.shape[1]))


def mark_largest(scores: Array, heads: list[int]) -> Array:
    """Return uint8 (N, classes), 1 at the most probable class of each target."""
    marks = np.zeros(scores.shape, np.uint8)
    rows, start = np.arange(len(scores)), 0
    for count in heads:
        marks[rows, start + scores[:, start : start + count].argmax(axis=1)] = 1
        start += count
    return marks


def usual_decision(task: Task, targets: Array, scores: Array) -> Decision:
    """Return the decision rule for a task where nothing but a threshold is fitted: after each epoch.

    Of several labels the threshold is the one of 0.05, 0.10 ... 0.95 at which the task's metric is best, the nearest to
    0.5 among equals; where the metric reads probabilities, at which the mean F1 of an image is best. Where some images
    have no label, predicting none is tried too.
    """
    if task.kind == "regression":
        return Decision("value")
    if task.kind == "ordinal":
        return Decision("rounding")
    if task.kind != "multilabel":
        return Decision("argmax", heads=[count for _, count in task.heads])
    metric = task.metric if task.metric.needs == "decisions" else find_metric("samples_f1")
    thresholds = sorted((np.arange(1, 20) / 20).tolist(), key=lambda threshold: abs(threshold - 0.5))
    always = [True] if (targets.sum(axis=1) > 0).all() else [True, False]
    rules = [Decision("threshold", threshold, each) for each in always for threshold in thresholds]
    merits = [metric.merit(metric.score(targets, scores, rule.decide(scores), None)) for rule in rules]
    return rules[int(np.argmax(merits))]
