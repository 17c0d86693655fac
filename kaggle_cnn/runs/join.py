"""The folds of a run as one; and several runs as one: the mean of their scores, with a decision rule fitted on it."""

from dataclasses import dataclass

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.runs.decision import Decision
from kaggle_cnn.runs.fit_decision import fit_decision
from kaggle_cnn.runs.predictions import Predictions, average_folds, average_scores, join_folds
from kaggle_cnn.runs.run import Run, require_same_folds
from kaggle_cnn.runs.scores import decision_of, score_run


@dataclass(frozen=True)
class Validated:
    """Out-of-fold scores (N, outputs) of one run or of the mean of several, their targets and decision rule."""

    ids: Array
    targets: Array
    scores: Array
    decision: Decision


def join_parts(run: Run, task: Task) -> None:
    """Join the predictions of all folds of a run, fit its decision rule and compute its scores: it is finished then.

    Those of several seeds are averaged.
    """
    oof, test = ([read_fold(run, fold, part) for fold in run.folds] for part in ("oof", "test"))
    whole = join_folds(oof)
    whole.write(run.folder / "oof.npz")
    average_folds(test).write(run.folder / "test.npz")
    fit_decision(task, whole.true, whole.scores(task, run.policy)).write(run.folder / "decision.json")
    score_run(run, task)


def read_fold(run: Run, fold: int, part: str) -> Predictions:
    """Return what the models of a fold, the mean of its seeds, predict of "oof" or "test" images."""
    return average_folds([Predictions.read(own.fold_folder(fold) / f"{part}.npz") for own in run.by_seed])


def shared_policies(parts: list[Predictions]) -> list[str]:
    """Return the TTA policies that all predictions allow."""
    return [policy for policy in parts[0].policies if all(policy in part.policies for part in parts)]


def validate_runs(task: Task, runs: list[Run], parts: list[Predictions], policies: list[str]) -> Validated:
    """Return the mean of the out-of-fold predictions `parts` of `runs`, each at its own of `policies`.

    Raises KcnnError where the runs were trained on different folds, or have no image in common.
    """
    require_same_folds(runs)
    scored = [(part.ids, part.scores(task, policy)) for part, policy in zip(parts, policies, strict=True)]
    ids, scores = average_scores(scored)
    place = {name: number for number, name in enumerate(parts[0].ids)}
    targets = parts[0].true[[place[name] for name in ids]]
    if len(runs) == 1:
        decision = decision_of(runs[0], task, parts[0], policies[0])
    else:
        decision = fit_decision(task, targets, scores)
    return Validated(ids, targets, scores, decision)
