"""Fit a decision rule to out-of-fold predictions; keep it where its nested gain is beyond noise."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.runs.decision import Decision, expect, usual_decision
from kaggle_cnn.runs.nested import Fit, judge, predict_nested

FEWEST = 50  # images to fit a rule on
CANDIDATES = 40  # places that are tried for a cut point, at even ranks between its neighbours
PASSES = 3  # over all cut points: a fourth changed none in 20 fits
LEVELS = 40
BIASED = ("macro_f1", "weighted_f1", "balanced_accuracy", "macro_recall", "matthews_correlation")
STEPS = (0.8, 0.4, 0.2, 0.1)  # by which a bias is raised or lowered
MOST_BIASES = 30  # classes; of more, only the exponent of their frequency is fitted
EXPONENTS = np.linspace(0, 1.5, 16)
NEAR = (0.2, 0.1, 0.05)  # by which a threshold is raised or lowered
MOST_THRESHOLDS = 5e7  # images * labels^2: beyond it a threshold of each label takes minutes
COOLEST, WARMEST = 0.1, 10.0  # temperatures
Rule = Callable[[Task, Array, Array], Decision]


def fit_decision(task: Task, targets: Array, scores: Array) -> Decision:
    """Return the decision rule for a task, fitted on the out-of-fold `scores` (N, outputs) and their `targets`.

    That of `usual_decision`, unless what fits the metric (see `choose_fit`) gains more than noise on images that it was
    not fitted on. Where there is a class for what was not trained, its level is the one at which the task's metric is
    best, of 0 and LEVELS even ranks of the largest probabilities of the others.
    """
    if task.new is not None and (targets == task.new).any():
        return fit_level(task, task.new, targets, scores)
    usual, tried = usual_decision(task, targets, scores), choose_fit(task, len(targets))
    if tried is None:
        return usual
    name, fit = tried
    fits = [use(rule, task, targets, scores) for rule in (usual_decision, fit)]
    before, after = predict_nested(targets, fits)
    gain = judge(task, targets, before, after)
    return replace(fit(task, targets, scores) if gain.beyond_noise else usual, tried=name, gain=gain)


def use(fit: Rule, task: Task, targets: Array, scores: Array) -> Fit:
    """Return what fits a rule on some rows, for `predict_nested`."""

    def fitted(rows: Array) -> Callable[[Array], tuple[Array, Array]]:
        rule = fit(task, targets[rows], scores[rows])
        return lambda own: (rule.adjust(scores[own]), rule.decide(scores[own]))

    return fitted


def choose_fit(task: Task, images: int) -> tuple[str, Rule] | None:
    """Return what can be fitted for the task's metric, one of decision.FITTED, and its function; None for nothing.

    Cut points between grades; biases of classes for a metric that counts every class the same; a threshold of each
    label; a temperature for log loss. Nothing for accuracy, AUC and other metrics of order alone.
    """
    metric = task.metric
    if images < FEWEST or task.kind == "regression":
        return None
    if metric.needs == "scores":
        fits = metric.name in ("log_loss", "mean_column_log_loss") and not task.heads
        return ("temperature", fit_temperature) if fits else None
    if task.kind == "ordinal":
        return "cuts", fit_cuts
    if task.kind == "multilabel":
        return ("thresholds", fit_thresholds) if images * task.outputs**2 <= MOST_THRESHOLDS else None
    return ("biases", fit_biases) if any(name in metric.name for name in BIASED) else None


def merit_of(task: Task, targets: Array, rule: Decision, scores: Array) -> float:
    """Return the task's metric of what a rule makes of `scores`, larger for better."""
    metric = task.metric
    adjusted = rule.adjust(scores) if metric.needs == "scores" else None
    return metric.merit(metric.score(targets, adjusted, rule.decide(scores), None))


def choose(task: Task, targets: Array, scores: Array, rules: list[Decision]) -> Decision:
    """Return the best of `rules`, the first among equals."""
    return rules[int(np.argmax([merit_of(task, targets, rule, scores) for rule in rules]))]


def fit_level(task: Task, new: int, targets: Array, scores: Array) -> Decision:
    """Return the rule whose level for the class `new` is the best one."""
    others = np.delete(scores, new, axis=1).max(axis=1)
    levels = [0.0, *np.quantile(others, np.linspace(0, 1, LEVELS)).tolist()]
    return choose(task, targets, scores, [Decision("argmax", new=new, level=level) for level in levels])


def fit_cuts(task: Task, targets: Array, scores: Array) -> Decision:
    """Return the cut points between the grades, ascending, at which the task's metric is best, found one at a time from
    the halves on."""
    cuts, expected = [grade + 0.5 for grade in range(task.outputs - 1)], expect(scores)
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
    return Decision("cuts", cuts=cuts)


def fit_biases(task: Task, targets: Array, scores: Array) -> Decision:
    """Return the biases of the classes at which the task's metric is best.

    First, of each target, minus the logarithm of the classes' frequencies times the best exponent (Menon et al. 2021,
    arXiv:2007.07314); then, of few classes, one at a time by STEPS.
    """
    counts = targets.sum(axis=0) if targets.ndim == 2 else np.bincount(targets, minlength=task.outputs)
    rarity = -np.log(np.maximum(counts, 1) / len(targets))
    sizes = [count for _, count in task.heads]
    best = Decision("biases", biases=[0.0] * task.outputs, heads=sizes)
    for place in task.places:
        tried = []
        for exponent in EXPONENTS:
            biases = np.array(best.biases)
            biases[place] = exponent * rarity[place]
            tried.append(replace(best, biases=biases.tolist()))
        best = choose(task, targets, scores, tried)
    if task.outputs > MOST_BIASES:
        return best
    return climb(task, targets, scores, best.biases, lambda biases: replace(best, biases=biases), STEPS)


def fit_thresholds(task: Task, targets: Array, scores: Array) -> Decision:
    """Return the thresholds of the labels at which the task's metric is best, found one at a time from the one of all
    on."""
    usual = usual_decision(task, targets, scores)
    same = [usual.threshold] * task.outputs
    return climb(task, targets, scores, same, lambda each: replace(usual, rule="thresholds", thresholds=each), NEAR)


def climb(
    task: Task,
    targets: Array,
    scores: Array,
    values: list[float],
    make: Callable[[list[float]], Decision],
    steps: tuple[float, ...],
) -> Decision:
    """Return the rule that `make` makes of `values` of which each was raised or lowered while that is better: first by
    the largest of `steps`, at last by the smallest."""
    for step in steps:
        for place in range(len(values)):
            changed = [[*values[:place], round(values[place] + change, 6), *values[place + 1 :]]
                       for change in (0, step, -step)]  # fmt: skip
            merits = [merit_of(task, targets, make(each), scores) for each in changed]
            values = changed[int(np.argmax(merits))]
    return make(values)


def fit_temperature(task: Task, targets: Array, scores: Array) -> Decision:
    """Return the usual rule with the temperature at which the task's metric is best."""
    usual = usual_decision(task, targets, scores)
    best = find_temperature(lambda warmth: -merit_of(task, targets, replace(usual, temperature=warmth), scores))
    return replace(usual, temperature=best)


def find_temperature(loss: Callable[[float], float]) -> float:
    """Return the temperature, from COOLEST to WARMEST, at which `loss` of it is least."""
    from scipy.optimize import minimize_scalar

    def at(logarithm: float) -> float:
        return loss(float(np.exp(logarithm)))

    found = minimize_scalar(at, bounds=(np.log(COOLEST), np.log(WARMEST)), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))
