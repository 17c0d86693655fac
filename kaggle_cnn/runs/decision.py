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
from kaggle_cnn.runs.bootstrap import bootstrap, interval

PARTS = 5  # into which images are split to judge cut points by images that they were not fitted on
CANDIDATES = 40  # places that are tried for a cut point, at even ranks between its neighbours
PASSES = 3  # over all cut points: a fourth changed none in 20 fits
LEVELS = 40
FEWEST = 50  # images to fit cut points on


@dataclass(frozen=True)
class Gain:
    """What a fitted rule gains over the usual one by the task's metric, each image decided by a rule that was fitted
    without it: the difference, and its interval of 95 % by a paired bootstrap over the images."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Decision:
    """rule: "argmax", the most probable class, of each of `heads` where there are several targets (how many classes
    each has); "threshold", every label from `threshold` on, and with `always` the most probable one whatever its
    probability; "rounding", the grade that is nearest to the expected one; "cuts", the grade between whose `cuts` the
    expected one is; "value", the numbers of a regression.

    new, level: with "argmax" the place of the class for what was not trained, and the probability that it has at least;
    None where there is no such class.

    gain: that of cut points over rounding, also where rounding was kept since it is not beyond noise.
    """

    rule: Literal["argmax", "threshold", "rounding", "cuts", "value"]
    threshold: float = 0.5
    always: bool = True
    heads: list[int] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)
    gain: Gain | None = None
    new: int | None = None
    level: float = 0.0

    def adjust(self, scores: Array) -> Array:
        """Return `scores` (N, outputs) in which the class for what was not trained has at least its level."""
        if self.new is None:
            return scores
        adjusted = scores.copy()
        adjusted[:, self.new] = np.maximum(scores[:, self.new], self.level)
        return adjusted

    def decide(self, scores: Array) -> Array:
        """Return decisions for `scores` (N, outputs), in the form of the targets; see metrics."""
        if self.rule == "value":
            return scores
        if self.rule == "rounding":
            return np.asarray(np.floor(expect(scores) + 0.5).astype(int))
        if self.rule == "cuts":
            return np.searchsorted(self.cuts, expect(scores), side="right")
        if self.rule == "threshold":
            chosen = (scores >= self.threshold).astype(np.uint8)
            if self.always:
                chosen[np.arange(len(chosen)), scores.argmax(axis=1)] = 1
            return chosen
        if self.heads:
            return mark_largest(scores, self.heads)
        return np.asarray(self.adjust(scores).argmax(axis=1))

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


def fit_decision(task: Task, targets: Array, scores: Array) -> Decision:
    """Return the decision rule for a task, fitted on the out-of-fold `scores` (N, outputs) and their `targets`.

    That of `usual_decision`; of grades cut points in place of rounding, where their gain is beyond noise. Where there
    is a class for what was not trained, its level is the one at which the task's metric is best, of 0 and LEVELS even
    ranks of the largest probabilities of the others.
    """
    if task.new is not None and (targets == task.new).any():
        return fit_level(task, task.new, targets, scores)
    usual = usual_decision(task, targets, scores)
    if task.kind != "ordinal" or len(targets) < FEWEST or task.metric.needs != "decisions":
        return usual
    decided, expected = np.empty(len(targets), int), expect(scores)
    parts = np.random.default_rng(0).permutation(len(targets)) % PARTS
    for part in range(PARTS):
        others, own = parts != part, parts == part
        cuts = fit_cuts(task, targets[others], expected[others])
        decided[own] = np.searchsorted(cuts, expected[own], side="right")
    gain = judge(task, targets, usual.decide(scores), decided)
    if gain.low > 0:
        return Decision("cuts", cuts=fit_cuts(task, targets, expected), gain=gain)
    return Decision("rounding", gain=gain)


def fit_level(task: Task, new: int, targets: Array, scores: Array) -> Decision:
    """Return the rule whose level for the class `new` is the best one."""
    others = np.delete(scores, new, axis=1).max(axis=1)
    levels = [0.0, *np.quantile(others, np.linspace(0, 1, LEVELS)).tolist()]
    rules = [Decision("argmax", new=new, level=level) for level in levels]
    merits = []
    for rule in rules:
        merits.append(task.metric.merit(task.metric.score(targets, rule.adjust(scores), rule.decide(scores), None)))
    return rules[int(np.argmax(merits))]


def fit_cuts(task: Task, targets: Array, expected: Array) -> list[float]:
    """Return the cut points between the grades, ascending, at which the task's metric is best, found one at a time from
    the halves on."""
    cuts = [grade + 0.5 for grade in range(task.outputs - 1)]
    ranked = np.sort(expected)

    def merit(tried: list[float]) -> float:
        decided = np.searchsorted(tried, expected, side="right")
        return task.metric.merit(task.metric.score(targets, None, decided, None))

    best = merit(cuts)
    for _ in range(PASSES):
        for place in range(len(cuts)):
            low = cuts[place - 1] if place else -np.inf
            high = cuts[place + 1] if place + 1 < len(cuts) else np.inf
            between = ranked[(ranked > low) & (ranked < high)]
            chosen = between[np.linspace(0, len(between) - 1, min(CANDIDATES, len(between))).astype(int)]
            for value in chosen.tolist():
                tried = [*cuts[:place], value, *cuts[place + 1 :]]
                if (found := merit(tried)) > best:
                    best, cuts = found, tried
    return cuts


def judge(task: Task, targets: Array, usual: Array, fitted: Array) -> Gain:
    """Return by how much the decisions `fitted` are better than the `usual` ones."""
    metric, pair = task.metric, [usual, fitted]
    one, other = (metric.score(targets, None, each, None) for each in pair)
    low, high = interval(bootstrap(metric, task, targets, [None, None], pair, np.random.default_rng(0)))
    if not metric.higher_is_better:
        one, other, low, high = -one, -other, -high, -low
    return Gain(other - one, low, high)
