"""Two runs on the same images: how far their scores differ, and whether that is more than noise."""

from typing import Any

import numpy as np

from kaggle_cnn.competition.metrics import Array, right_each, samples_f_each
from kaggle_cnn.competition.task import Task
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.bootstrap import bootstrap, interval
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import Run, require_same_folds
from kaggle_cnn.runs.scores import decision_of


def shared_predictions(runs: list[Run], task: Task) -> tuple[Array, Array, list[Array], list[Array]]:
    """Return the ids, targets, scores and decisions of two runs, each at its own TTA policy, for the images that both
    validated. Raises KcnnError where the runs are of different folds, or have no image in common."""
    require_same_folds(runs)
    parts = [Predictions.read(run.folder / "oof.npz") for run in runs]
    ids, *places = np.intersect1d(parts[0].ids, parts[1].ids, return_indices=True)
    if not len(ids):
        raise KcnnError(
            f"{runs[0].id} and {runs[1].id} have no validation image in common", "train both on the same folds: --folds"
        )
    scores, decisions = [], []
    for run, part, rows in zip(runs, parts, places, strict=True):
        every = part.scores(task, run.policy)
        rule = decision_of(run, task, part, run.policy)
        scores.append(rule.adjust(every)[rows])
        decisions.append(rule.decide(every)[rows])
    return ids, parts[0].true[places[0]], scores, decisions


def compare(task: Task, targets: Array, scores: list[Array], decisions: list[Array], seed: int = 0) -> dict[str, Any]:
    """Return how the second of two predictions differs from the first, on the same images, as plain values.

    images; kind, of the task; metric, the name of the task's; scores: metric -> one, other, difference, interval, which
    is that of 95 % by a paired bootstrap (Efron 1979) over the images, its percentiles; better: 0 or 1, or None where
    they are equal; beyond_noise: whether the interval of the task's metric leaves out 0. Of classes and labels also
    only_one and only_other, how many images just that one has right, or has better labels of by their F1; and p, of
    McNemar's exact test (1947), for labels the sign test, that such images are as likely one way as the other;
    beyond_noise then needs p below 0.05 too where the metric is accuracy.
    """
    found: dict[str, Any] = {"images": len(targets), "kind": task.kind, "metric": task.metric.name, "scores": {}}
    metrics = task.metrics[:3]
    for metric in metrics:
        whole = [metric.score(targets, scores[n], decisions[n], None) for n in (0, 1)]
        edges = interval(bootstrap(metric, targets, scores, decisions, np.random.default_rng(seed)))
        found["scores"][metric.name] = {
            "one": whole[0],
            "other": whole[1],
            "difference": whole[1] - whole[0],
            "interval": list(edges),
        }
    primary = found["scores"][task.metric.name]
    merits = [task.metric.merit(primary[name]) for name in ("one", "other")]
    found["better"] = None if merits[0] == merits[1] else int(np.argmax(merits))
    low, high = primary["interval"]
    found["beyond_noise"] = bool(low > 0 or high < 0)
    if task.kind != "regression":
        found |= test_counts(targets, decisions)
        if task.metric.name == "accuracy":
            found["beyond_noise"] = found["beyond_noise"] and found["p"] < 0.05
    return found


def test_counts(targets: Array, decisions: list[Array]) -> dict[str, Any]:
    """Return only_one, only_other and p; see `compare`."""
    from scipy.stats import binomtest

    one, other = (rate_each(targets, each) for each in decisions)
    only_one, only_other = int((one > other).sum()), int((other > one).sum())
    p = float(binomtest(only_one, only_one + only_other).pvalue) if only_one + only_other else 1.0
    return {"only_one": only_one, "only_other": only_other, "p": p}


def rate_each(targets: Array, decisions: Array) -> Array:
    """Return how good each decision is, float (N,): 1 for the right class, else 0; of labels their F1."""
    if targets.ndim == 1:
        return right_each(targets, None, decisions)
    return samples_f_each(targets, None, decisions, beta=1)


def disagreements(targets: Array, scores: list[Array], decisions: list[Array]) -> Array:
    """Return the rows that just one of two has right, or has better labels of, those first on which they differ most:
    by the true class's probability, or by the F1 of the labels."""
    one, other = (rate_each(targets, each) for each in decisions)
    rows = np.flatnonzero(one != other)
    if targets.ndim == 1:
        one, other = (each[np.arange(len(targets)), targets] for each in scores)
    apart = np.abs(one - other)[rows]
    return np.asarray(rows[np.argsort(-apart, kind="stable")])
