"""Decision rules: from probabilities to what is submitted, fitted on out-of-fold predictions."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from kaggle_cnn.competition.metrics import Array, find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.files import whole_file
from kaggle_cnn.parsing import read_json


@dataclass(frozen=True)
class Decision:
    """rule: "argmax", the most probable class; "threshold", every label from `threshold` on, and with `always` the
    most probable one whatever its probability; "rounding", the grade that is nearest to the expected one; "value", the
    numbers of a regression."""

    rule: Literal["argmax", "threshold", "rounding", "value"]
    threshold: float = 0.5
    always: bool = True

    def decide(self, scores: Array) -> Array:
        """Return decisions for `scores` (N, outputs), in the form of the targets; see metrics."""
        if self.rule == "value":
            return scores
        if self.rule == "rounding":
            expected = scores.astype(np.float64) @ np.arange(scores.shape[1])
            return np.asarray(np.floor(expected + 0.5).astype(int))
        if self.rule == "threshold":
            chosen = (scores >= self.threshold).astype(np.uint8)
            if self.always:
                chosen[np.arange(len(chosen)), scores.argmax(axis=1)] = 1
            return chosen
        return np.asarray(scores.argmax(axis=1))

    def write(self, path: Path) -> None:
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Decision":
        """Raise KcnnError where the file is missing or broken."""
        return read_json(cls, path, "remove it; kcnn evaluate makes it again")


def fit_decision(task: Task, targets: Array, scores: Array) -> Decision:
    """Return the decision rule for a task, fitted on the out-of-fold `scores` (N, outputs) and their `targets`.

    Of several labels the threshold is the one of 0.05, 0.10 ... 0.95 at which the task's metric is best, the nearest to
    0.5 among equals; where the metric reads probabilities, at which the mean F1 of an image is best. Where some images
    have no label, predicting none is tried too.
    """
    if task.kind == "regression":
        return Decision("value")
    if task.kind == "ordinal":
        return Decision("rounding")
    if task.kind == "multiclass":
        return Decision("argmax")
    metric = task.metric if task.metric.needs == "decisions" else find_metric("samples_f1")
    thresholds = sorted((np.arange(1, 20) / 20).tolist(), key=lambda threshold: abs(threshold - 0.5))
    always = [True] if (targets.sum(axis=1) > 0).all() else [True, False]
    rules = [Decision("threshold", threshold, each) for each in always for threshold in thresholds]
    merits = [metric.merit(metric.score(targets, scores, rule.decide(scores), None)) for rule in rules]
    return rules[int(np.argmax(merits))]
