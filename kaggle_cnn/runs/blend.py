"""Several runs as one: the weighted mean of their predictions, and what that gains over the best of them."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import rankdata

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.loss import finish_loss, loss_each, loss_parts
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.climb import climb
from kaggle_cnn.runs.decision import usual_decision
from kaggle_cnn.runs.describe import NO_NETWORK, describe, list_versions
from kaggle_cnn.runs.fit_decision import find_temperature, fit_decision, merit_of
from kaggle_cnn.runs.join import read_fold
from kaggle_cnn.runs.nested import Fit, judge, predict_nested
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import Run, create_whole_run, require_same_folds, write_json
from kaggle_cnn.runs.scores import score_run
from kaggle_cnn.tta import has_views, views_of
from kaggle_cnn.workspace import Workspace

NAME = "blend"
SOURCE = '"""The weighted mean of other runs: kcnn blend."""\n'

FORMS = ("probabilities", "calibrated", "logits", "ranks")
WEIGHTS = ("loss", "metric", "equal")


@dataclass(frozen=True)
class Blend:
    """How runs are averaged: `form`, one of FORMS, is what is averaged; `weights`, one of WEIGHTS, is by what their
    weights are found: by hill climbing on the loss or on the metric, or all are equal."""

    task: Task
    form: str = "probabilities"
    weights: str = "loss"

    def fit(self, targets: Array, scores: Array) -> "Fitted":
        """Return the blend with weights, and temperatures where the form is calibrated, for `scores` (K, N, outputs) of
        images with `targets`."""
        count = len(scores)
        warmth = [calibrate(self.task, targets, each) for each in scores] if self.form == "calibrated" else []
        equal = Fitted(self, np.full(count, 1 / count), np.array(warmth or [1.0] * count))
        return equal if self.weights == "equal" or count == 1 else replace(equal, weights=equal.climb(targets, scores))


@dataclass(frozen=True)
class Fitted:
    """A blend with the weight (K,) of each member, sum 1, and the temperature (K,) by which its logits are divided."""

    blend: Blend
    weights: Array
    temperatures: Array

    def prepare(self, scores: Array) -> Array:
        """Return what is averaged of scores (K, N, outputs): float64 of the same shape."""
        task, form = self.blend.task, self.blend.form
        if form == "logits":
            return task.deactivate(scores).astype(np.float64)
        if form == "ranks":
            return np.asarray((rankdata(scores, axis=-2) - 0.5) / scores.shape[-2])
        if form == "calibrated":
            pairs = zip(scores, self.temperatures, strict=True)
            return np.stack([task.activate(task.deactivate(each) / warmth) for each, warmth in pairs]).astype(
                np.float64
            )
        return scores.astype(np.float64)

    def average(self, scores: Array) -> Array:
        """Return the scores float32 (N, outputs) of those of the members (K, N, outputs)."""
        return self.finish(np.tensordot(self.weights, self.prepare(scores), axes=1))

    def finish(self, mean: Array) -> Array:
        return self.blend.task.activate(mean) if self.blend.form == "logits" else np.asarray(mean, np.float32)

    def climb(self, targets: Array, scores: Array) -> Array:
        """Return the weights, float (K,), that hill climbing finds."""
        task, prepared = self.blend.task, self.prepare(scores)
        if self.blend.weights == "metric":
            return climb(prepared, lambda mean: merit_of_usual(task, targets, self.finish(mean)))
        if self.blend.form == "logits":
            return climb(prepared, lambda mean: -float(loss_each(task, targets, self.finish(mean)).mean()))
        return climb(  # the mean of the parts of the loss is the part of the mean: a number an image, not one a class
            loss_parts(task, targets, prepared), lambda mean: -float(finish_loss(task, mean).mean())
        )


def calibrate(task: Task, targets: Array, scores: Array) -> float:
    """Return the temperature at which the loss of `scores` (N, outputs) is least, as in Guo et al. 2017
    (arXiv:1706.04599)."""
    logits = task.deactivate(scores)
    return find_temperature(lambda warmth: float(loss_each(task, targets, task.activate(logits / warmth)).mean()))


def merit_of_usual(task: Task, targets: Array, scores: Array) -> float:
    """Return the task's metric with the usual decision rule, larger for better."""
    return merit_of(task, targets, usual_decision(task, targets, scores), scores)


def score_of_usual(task: Task, targets: Array, scores: Array) -> float:
    """Return the task's metric with the usual decision rule."""
    merit = merit_of_usual(task, targets, scores)
    return merit if task.metric.higher_is_better else -merit


def require_blendable(task: Task, form: str, weights: str) -> None:
    """Raise KcnnError where the form does not fit the task, or where the loss of ranks is asked for."""
    if form == "calibrated" and task.kind == "regression":
        raise KcnnError("numbers have no probabilities to calibrate", "leave --form out")
    if form != "ranks":
        return
    if not (task.kind == "multilabel" or (task.kind == "multiclass" and task.outputs == 2)):
        raise KcnnError(
            f"ranks are for two classes or several labels, and this task is {task.kind} with {task.outputs} outputs",
            "use --form probabilities or --form logits",
        )
    if weights == "loss":
        raise KcnnError("ranks have no loss", "add --weights metric or --weights equal")


def judge_blend(blend: Blend, targets: Array, scores: Array) -> dict[str, Any]:
    """Return what a blend of `scores` (K, N, outputs) gains, as plain values.

    weights, temperatures: of each member. scores: of "best" member, "mean" and "blend" the task's metric, with the
    usual decision rule, on the "same" images as the weights were found on, and "nested": each image by weights, a best
    member and a rule that were found without it. gains: of "mean" and "blend" over the best member, and of "blend" over
    "mean", each nested, its difference, low and high; see nested.Gain. correlation: of the members' errors, (K, K).
    members: of each, its metric and its loss.
    """
    task = blend.task
    ways: dict[str, Callable[[Array], Fitted]] = {
        "best": lambda rows: take_best(blend, targets[rows], scores[:, rows]),
        "mean": lambda rows: replace(blend, weights="equal").fit(targets[rows], scores[:, rows]),
        "blend": lambda rows: blend.fit(targets[rows], scores[:, rows]),
    }

    def decide(way: Callable[[Array], Fitted]) -> Fit:
        def fit(rows: Array) -> Callable[[Array], tuple[Array, Array]]:
            fitted = way(rows)
            rule = usual_decision(task, targets[rows], fitted.average(scores[:, rows]))

            def predict(own: Array) -> tuple[Array, Array]:
                made = fitted.average(scores[:, own])
                return rule.adjust(made), rule.decide(made)

            return predict

        return fit

    every = np.arange(len(targets))
    nested = dict(zip(ways, predict_nested(targets, [decide(way) for way in ways.values()]), strict=True))
    fitted = {name: way(every) for name, way in ways.items()}
    shown = {
        name: {
            "same": score_of_usual(task, targets, fitted[name].average(scores)),
            "nested": task.metric.score(targets, *nested[name], None),
        }
        for name in ways
    }
    pairs = {"mean": ("best", "mean"), "blend": ("best", "blend"), "blend over mean": ("mean", "blend")}
    return {
        "weights": fitted["blend"].weights.tolist(),
        "temperatures": fitted["blend"].temperatures.tolist(),
        "scores": shown,
        "gains": {name: judge(task, targets, nested[one], nested[other]) for name, (one, other) in pairs.items()},
        "correlation": correlate_errors(task, targets, scores),
        "members": [
            {"score": score_of_usual(task, targets, each), "loss": float(loss_each(task, targets, each).mean())}
            for each in scores
        ],
    }


def take_best(blend: Blend, targets: Array, scores: Array) -> Fitted:
    """Return the blend of one member alone, the best by the task's metric."""
    merits = [merit_of_usual(blend.task, targets, each) for each in scores]
    plain = replace(blend, form="probabilities")
    return Fitted(plain, np.eye(len(scores))[int(np.argmax(merits))], np.ones(len(scores)))


def correlate_errors(task: Task, targets: Array, scores: Array) -> list[list[float]]:
    """Return the correlation (K, K) of the members' errors: of one class whether it is wrong, of labels how many of an
    image's are, of several targets likewise, of numbers what is left of them."""
    errors = []
    for each in scores:
        if task.kind == "regression":
            errors.append((each - targets).ravel())
            continue
        decided = usual_decision(task, targets, each).decide(each)
        wrong = decided != targets
        errors.append((wrong if wrong.ndim == 1 else wrong.mean(axis=1)).astype(float))
    with np.errstate(invalid="ignore", divide="ignore"):  # members without an error have no correlation
        return np.nan_to_num(np.atleast_2d(np.corrcoef(errors))).tolist()


def gather(runs: list[Run], parts: list[Predictions], task: Task) -> tuple[Predictions, Array]:
    """Return the predictions of the first run, for its ids and targets, and the scores of all, (K, N, outputs), in its
    order. Raises KcnnError where two predicted different images."""
    first = parts[0]
    scores = []
    for run, part in zip(runs, parts, strict=True):
        if set(part.ids) != set(first.ids):
            what = "validated" if first.targets is not None else "predicted"
            folds = [", ".join(map(str, each.folds)) for each in (runs[0], run)]
            raise KcnnError(
                f"{runs[0].id} and {run.id} {what} different images: {len(first.ids):,} (folds {folds[0]}) and "
                f"{len(part.ids):,} (folds {folds[1]})",
                "blend runs of the same folds: kcnn train RECIPE --folds all; kcnn predict RUN RUN averages any",
            )
        place = {name: number for number, name in enumerate(part.ids)}
        scores.append(part.scores(task, run.policy)[[place[name] for name in first.ids]])
    return first, np.stack(scores)


def write_blend(
    workspace: Workspace,
    competition: Competition,
    blend: Blend,
    runs: list[Run],
    oof: list[Predictions],
    test: list[Predictions],
) -> Run:
    """Make a run of the weighted mean of `runs`, each at its own TTA policy, of their predictions `oof` and `test`.

    Its blend.json is what `judge_blend` returns. Each fold has the blended predictions of the test images by that
    fold's models. Raises KcnnError where the runs are of different folds or images, or the form does not fit the task.
    """
    task = competition.task
    require_blendable(task, blend.form, blend.weights)
    require_same_folds(runs)
    known, scores = gather(runs, oof, task)
    found = judge_blend(blend, known.true, scores)
    fitted = Fitted(blend, np.array(found["weights"]), np.array(found["temperatures"]))

    def mix(each: Array) -> Array:
        return task.deactivate(fitted.average(each))

    members = [
        {"run": run.id, "tta": run.policy, "weight": weight, "temperature": warmth}
        for run, weight, warmth in zip(runs, found["weights"], found["temperatures"], strict=True)
    ]
    record = {
        **describe(NAME, NAME, competition.name, task),
        "settings": {**NO_NETWORK, "form": blend.form, "weights": blend.weights},
        "folds": {**runs[0].record["folds"]},
        "members": members,
        "versions": list_versions("numpy", "scikit-learn"),
    }
    tested, test_scores = gather(runs, test, task)

    def fill(run: Run) -> None:
        for fold, each in predict_folds(runs, tested.ids, task).items():
            run.fold_folder(fold).mkdir()
            Predictions.of_whole(tested.ids, mix(each)).write(run.fold_folder(fold) / "test.npz")
        gains = {name: asdict(gain) for name, gain in found["gains"].items()}
        write_json(run.folder / "blend.json", {**found, "gains": gains})
        whole = Predictions.of_whole(known.ids, mix(scores), known.fold, known.true)
        whole.write(run.folder / "oof.npz")
        Predictions.of_whole(tested.ids, mix(test_scores)).write(run.folder / "test.npz")
        fit_decision(task, whole.true, whole.scores(task, run.policy)).write(run.folder / "decision.json")
        score_run(run, task)

    return create_whole_run(workspace, competition.name, NAME, record, SOURCE, fill)


def predict_folds(runs: list[Run], ids: Array, task: Task) -> dict[int, Array]:
    """Return fold -> what its models, of each run, predict of the test images `ids`: scores (K, M, outputs). A fold is
    left out where a run does not have them, or has them of other views."""
    found = {}
    for fold in runs[0].folds:
        there = [run for run in runs if all((own.fold_folder(fold) / "test.npz").is_file() for own in run.by_seed)]
        parts = [(read_fold(run, fold, "test"), views_of(run.policy)) for run in there]
        whole = [part for part, views in parts if has_views(part.views, views)]
        if len(whole) == len(runs) and all(set(part.ids) == set(ids) for part in whole):
            first, scores = gather(runs, whole, task)
            place = {name: number for number, name in enumerate(first.ids)}
            found[fold] = scores[:, [place[name] for name in ids]]
    return found
