"""The trials of a study: asked for, trained here or as tasks of Ray, and ended."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaggle_cnn.api import open_dataset
from kaggle_cnn.competition.opening import open_competition
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.engine import run_asked
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Progress
from kaggle_cnn.recipe import Recipe, apply_settings, load_recipe
from kaggle_cnn.runs.study import Study, ask_again, fail, folder_of, ignore_experimental, next_trial, write_best
from kaggle_cnn.workspace import Workspace


@dataclass(frozen=True)
class Tuned:
    """What all trials of a tuning share."""

    workspace: Workspace
    dataset: Dataset
    recipe: Recipe
    path: Path
    source: str
    fixed: dict[str, Any]
    fold: int
    progress: Progress


def run_trials(study: Study, tuned: Tuned, count: int, timeout: float | None) -> None:
    """Train trials until the study has `count`, or the time is over."""
    begun, rehearsed = time.monotonic(), False
    while timeout is None or time.monotonic() - begun < timeout:
        with next_trial(study, count) as trial:
            if trial is None:
                under_way = len(study.trials) - len(study.done)
                if under_way:
                    tuned.progress.say(f"another kcnn trains {under_way} of the {count} trials")
                return
            try:
                run_trial(study, tuned, trial, rehearsed)
            except BaseException:  # interrupted, or the recipe's own mistake: its settings are asked again
                ask_again(study, trial)
                raise
        rehearsed = True


def run_trial(study: Study, tuned: Tuned, trial: Any, rehearsed: bool) -> None:
    """Train one trial, and end it. Raises KcnnError where the very first cannot be trained."""
    import optuna

    from kaggle_cnn.learn.trial import train_trial

    params = dict(trial.params)
    begun = time.monotonic()
    tuned.progress.say(f"trial {trial.number}: {write_settings(params)}")
    changed = {**tuned.fixed, **params}
    result: float | KcnnError | None
    try:
        result = train_trial(
            tuned.workspace, tuned.dataset, apply_settings(tuned.recipe, params), tuned.path, tuned.source, changed,
            tuned.fold, folder_of(study, trial.number), trial, tuned.progress, rehearsed,
        )  # fmt: skip
    except optuna.TrialPruned:
        result = None
    except KcnnError as error:
        result = error
    end_trial(study, tuned, trial, result, begun)


def run_trials_on_ray(
    study: Study, tuned: Tuned, count: int, timeout: float | None, cluster: str, at_once: int
) -> None:
    """As run_trials, `at_once` trials as tasks of Ray; what they report comes here, where the study is written."""
    from kaggle_cnn.learn.backend import running_backend

    begun, asked = time.monotonic(), dict[str, tuple[Any, Any, float]]()
    backend, competition = running_backend(), tuned.dataset.competition.name

    def ask() -> tuple[str, TrialPart] | None:
        if timeout is not None and time.monotonic() - begun >= timeout:
            return None
        context = next_trial(study, count)
        if (trial := context.__enter__()) is None:
            context.__exit__(None, None, None)
            return None
        name, params = f"trial {trial.number}", dict(trial.params)
        asked[name] = (context, trial, time.monotonic())
        changed = {**tuned.fixed, **params}
        tuned.progress.say(f"{name}: {write_settings(params)}")
        return name, TrialPart(
            str(tuned.workspace.root), competition, str(tuned.path), tuned.source, changed, tuned.fold,
            str(folder_of(study, trial.number)), backend,
        )  # fmt: skip

    def judge(name: str, values: dict[str, Any]) -> bool:
        if name not in asked:
            return False
        with ignore_experimental():  # and that an epoch is there already, of a worker that was lost
            asked[name][1].report(values["value"], step=values["step"])
        return bool(asked[name][1].should_prune())

    def end(name: str, result: Any) -> None:
        context, trial, started = asked[name]
        end_trial(study, tuned, trial, result, started)
        del asked[name]
        context.__exit__(None, None, None)

    try:
        run_asked(try_part, at_once, ask, end, cluster, tuned.progress, judge)
    finally:
        for context, trial, _ in asked.values():  # stopped, or the recipe's own mistake: they are asked again
            ask_again(study, trial)
            context.__exit__(None, None, None)


def end_trial(study: Study, tuned: Tuned, trial: Any, result: Any, started: float) -> None:
    """Tell the study what came of a trial: its metric, None where it was pruned, or its error, which is raised where it
    is not one of the settings, or no trial has ended well before."""
    from optuna.trial import TrialState

    if isinstance(result, Exception) and (not isinstance(result, KcnnError) or not study.done):
        raise result
    if isinstance(result, KcnnError):
        trial.set_user_attr("error", result.message[:300])
        fail(study, trial.number)
        outcome = f"failed: {result.message}"
    else:
        trial.set_user_attr("seconds", round(time.monotonic() - started, 1))
        study.optuna.tell(trial, result, state=TrialState.PRUNED if result is None else None)
        outcome = "pruned" if result is None else f"{study.metric.title} {result:.4f}"
    best = write_best(study, tuned.path.stem, tuned.fixed)
    so_far = f"; best {best['value']:.4f}, trial {best['trial']}" if best else ""
    tuned.progress.say(f"trial {trial.number}: {outcome}{so_far}")


@dataclass(frozen=True)
class TrialPart:
    """A trial in values that any process can be sent; `changed` are its settings, and those of all trials."""

    root: str
    competition: str
    recipe: str
    source: str
    changed: dict[str, Any]
    fold: int
    folder: str
    backend: str


class FarTrial:
    """What a training needs of Optuna's trial, which is in the process that asked for it."""

    def __init__(self, progress: Any):
        self.progress = progress

    def report(self, value: float, step: int) -> None:
        self.progress.report(value=value, step=step)

    def should_prune(self) -> bool:
        return bool(self.progress.is_stopped())


def try_part(part: TrialPart, progress: Progress) -> float | None:
    """Train a trial in a worker; return its metric, None where it was pruned."""
    import optuna

    from kaggle_cnn.learn.backend import start_backend
    from kaggle_cnn.learn.trial import train_trial

    workspace, path = Workspace(Path(part.root)), Path(part.recipe)
    dataset = open_dataset(workspace, open_competition(workspace, part.competition), None, progress)
    start_backend(part.backend)
    recipe = apply_settings(load_recipe(path, part.source), part.changed)
    try:
        return train_trial(
            workspace, dataset, recipe, path, part.source, part.changed, part.fold, Path(part.folder),
            FarTrial(progress), progress, False,
        )  # fmt: skip
    except optuna.TrialPruned:
        return None


def write_settings(settings: Mapping[str, Any]) -> str:
    """Return settings as a text, numbers with four digits."""
    cells = [
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in settings.items()
    ]
    return ", ".join(cells)
