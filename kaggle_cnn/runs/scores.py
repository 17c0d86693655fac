"""Scores of a run: every metric that fits its task, for every TTA policy that its views allow. Derived, and cached."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from kaggle_cnn.competition.metrics import Array, Metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file
from kaggle_cnn.parsing import read_json
from kaggle_cnn.runs.decision import Decision
from kaggle_cnn.runs.fit_decision import fit_decision
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import Run
from kaggle_cnn.tta import has_views, views_of

Scores = dict[str, float]


class Kept(TypedDict):
    """scores.json: the scores of each TTA policy, and what they were made from."""

    key: list[Any]
    tta: dict[str, Scores]


def score(task: Task, targets: Array, scores: Array, decision: Decision, metrics: list[Metric]) -> Scores:
    """Return the metrics' names and values for out-of-fold `scores` (N, outputs)."""
    decided, adjusted = decision.decide(scores), decision.adjust(scores)
    return {metric.name: metric.score(targets, adjusted, decided, None) for metric in metrics}


def decision_of(run: Run, task: Task, predictions: Predictions, policy: str) -> Decision:
    """Return the decision rule of a run for a policy: decision.json for the recipe's own, else fitted on `predictions`,
    which are its out-of-fold predictions."""
    path = run.folder / "decision.json"
    if policy == run.record["tta"] and path.is_file() and predictions.crop == run.size:
        return Decision.read(path)
    return fit_decision(task, predictions.true, predictions.scores(task, policy))


def list_policies(run: Run, predictions: Predictions) -> list[str]:
    """Return the TTA policies that a run's predictions allow, its own among them."""
    own = [run.policy] if run.policy not in predictions.policies else []
    return predictions.policies + [policy for policy in own if has_views(predictions.views, views_of(policy))]


def score_run(run: Run, task: Task) -> dict[str, Scores]:
    """Return TTA policy -> scores of a finished run, {} where there are no out-of-fold predictions.

    They are kept in scores.json, and computed again where the metric or the predictions have changed.
    """
    made_from = run.folder / "oof.npz"
    if not made_from.is_file():
        return {}
    path = run.folder / "scores.json"
    key = [
        task.metric.name,
        task.kind,
        run.policy,
        *(file_key(run.folder / name) for name in ("oof.npz", "decision.json")),
    ]
    if kept := read_kept(path, key):
        return kept
    try:
        predictions = Predictions.read(made_from)
    except KcnnError:  # named where it is needed; a list of runs goes on without it
        return {}
    found = {}
    metrics = task.metrics
    for policy in list_policies(run, predictions):
        decision = decision_of(run, task, predictions, policy)
        found[policy] = score(task, predictions.true, predictions.scores(task, policy), decision, metrics)
    with suppress(OSError), whole_file(path) as temporary:  # a cache; the folder may be for reading alone
        temporary.write_text(json.dumps({"key": key, "tta": found}, indent=1) + "\n", encoding="utf-8")
    return found


def file_key(path: Path) -> list[int]:
    """Return what changes when a file does."""
    if not path.is_file():
        return []
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def read_kept(path: Path, key: list[Any]) -> dict[str, Scores]:
    """Return the scores that are kept under `key`, or {}."""
    try:
        kept = read_json(Kept, path, "")
    except KcnnError:  # a cache is made again
        return {}
    return kept["tta"] if kept["key"] == key else {}


def best_scores(run: Run, task: Task) -> tuple[str, Scores]:
    """Return the run's own TTA policy and its scores; "" and {} before the run is finished."""
    found = score_run(run, task)
    return (run.policy, found[run.policy]) if run.policy in found else ("", {})


def merit(run: Run, task: Task) -> float:
    """Return a number that is larger for a better run by the task's metric, for sorting."""
    value = best_scores(run, task)[1].get(task.metric.name, float("nan"))
    return task.metric.merit(value)
