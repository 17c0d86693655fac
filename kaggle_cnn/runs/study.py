"""A study: trials of settings, suggested by Optuna, in one storage that several processes share."""

import logging
import os
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from kaggle_cnn.competition.metrics import Metric
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import LockedError, one_at_a_time
from kaggle_cnn.parsing import read_json
from kaggle_cnn.recipe import Scalar
from kaggle_cnn.runs.run import write_json
from kaggle_cnn.search_space import Span
from kaggle_cnn.workspace import Workspace

FOLDER, BEST = "studies", "best.json"
LONGEST_WAIT = 600  # seconds, for another process that asks for a trial
GUIDED, TRIES = 5, 200  # suggestions that may repeat a trial before they are drawn at random, and in all


class Best(TypedDict):
    """best.json: what `kcnn train --best-of` takes."""

    study: str
    recipe: str
    trial: int
    value: float
    metric: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Study:
    """`optuna` is Optuna's study; `folder` has the trials' own folders."""

    folder: Path
    optuna: Any
    space: dict[str, Span]
    metric: Metric

    @property
    def trials(self) -> list[Any]:
        """All trials of Optuna that were begun, but for those that repeated another one or were asked again."""
        return [each for each in self.optuna.get_trials(deepcopy=False) if is_counted(each)]

    @property
    def done(self) -> list[Any]:
        """The trials that have ended, with a value, pruned, or with an error."""
        return [each for each in self.trials if each.state.is_finished()]


def is_counted(trial: Any) -> bool:
    return trial.state.name not in ("WAITING", "FAIL") or "error" in trial.user_attrs


def open_study(
    workspace: Workspace,
    competition: str,
    name: str,
    metric: Metric,
    space: Mapping[str, Span],
    fixed: Mapping[str, Scalar],
    url: str = "",
    warm_up: int = 1,
) -> Study:
    """Return the study `name`, new or gone on with, in a journal file of its folder or in the database at `url`.

    `fixed` are settings that all trials share. Trials that are worse than the median at the same epoch, from `warm_up`
    on, are pruned. Raises KcnnError where the study that is there has another space, or other fixed settings.
    """
    import optuna

    optuna.logging.set_verbosity(logging.WARNING)
    folder = workspace.runs(competition) / FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    said = {"space": {key: str(span) for key, span in space.items()}, "fixed": dict(fixed), "metric": metric.name}
    with one_at_a_time(folder / "ask", wait=LONGEST_WAIT), ignore_experimental():
        try:
            study = optuna.create_study(
                storage=open_storage(folder, url),
                study_name=name_in_storage(competition, name, url),
                direction="maximize" if metric.higher_is_better else "minimize",
                sampler=optuna.samplers.TPESampler(constant_liar=True),
                pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=warm_up),
                load_if_exists=True,
            )
        except KcnnError:
            raise
        except Exception as error:  # of a database: SQLAlchemy and its drivers raise many kinds
            raise KcnnError(
                f"the storage cannot be opened: {error}"[:300], "for example: --storage sqlite:///study.db"
            ) from None
        there = study.user_attrs
        for key, value in said.items():
            if key not in there:
                study.set_user_attr(key, value)
            elif there[key] != value:
                raise KcnnError(
                    f"the study '{name}' has another {key}: {there[key]}, not {value}",
                    "repeat it as it was, or begin another study: --study NAME",
                )
    return Study(folder, study, dict(space), metric)


def read_space(workspace: Workspace, competition: str, name: str, url: str = "") -> dict[str, str]:
    """Return the space of a study that is there, in texts; {} where there is none, or its storage cannot be opened."""
    import optuna

    folder = workspace.runs(competition) / FOLDER / name
    if not url and not (folder / "journal.log").is_file():
        return {}
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        with ignore_experimental():
            stored = name_in_storage(competition, name, url)
            found = optuna.load_study(study_name=stored, storage=open_storage(folder, url))
    except Exception:  # no such study; of a database open_study says what is wrong
        return {}
    return dict(found.user_attrs.get("space", {}))


def name_in_storage(competition: str, name: str, url: str) -> str:
    """Return the name of a study in its storage: a database may have those of several competitions."""
    return f"{competition}/{name}" if url else name


@contextmanager
def ignore_experimental() -> Iterator[None]:
    """Keep Optuna's notes of what is experimental from the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def open_storage(folder: Path, url: str) -> Any:
    """Return Optuna's storage: a journal file that several processes share, or a database."""
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    if url:
        return optuna.storages.RDBStorage(url)
    path = str(folder / "journal.log")
    return optuna.storages.JournalStorage(JournalFileBackend(path, lock_obj=JournalFileOpenLock(path)))


@contextmanager
def next_trial(study: Study, count: int) -> Iterator[Any | None]:
    """Give a new trial with settings that no other has, or None where `count` trials have ended or are under way.

    Trials of processes that were killed are failed first, and asked again. While the block runs, the trial is locked.
    """
    with one_at_a_time(study.folder / "ask", wait=LONGEST_WAIT), ignore_experimental():
        ask_killed_again(study)
        trial = None if len(study.trials) >= count else ask(study)
        lock = None if trial is None else one_at_a_time(folder_of(study, trial.number))
        if lock:
            lock.__enter__()
    try:
        yield trial
    finally:
        if lock:
            lock.__exit__(None, None, None)


def folder_of(study: Study, number: int) -> Path:
    return study.folder / f"trial-{number:04d}"


def ask_killed_again(study: Study) -> None:
    """Fail the trials that are under way, here, without a process, and put their settings in line again."""
    from optuna.trial import TrialState

    for trial in study.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get("host", socket.gethostname()) != socket.gethostname():
            continue
        try:
            with one_at_a_time(folder_of(study, trial.number)):
                ask_again(study, trial)
        except LockedError:  # it is alive
            continue


def ask_again(study: Study, trial: Any) -> None:
    """Fail a trial that was stopped, and put its settings in line again, where it had all of them."""
    fail(study, trial.number)
    if len(trial.params) == len(study.space):
        study.optuna.enqueue_trial(trial.params)


def fail(study: Study, number: int) -> None:
    from optuna.trial import TrialState

    study.optuna.tell(number, state=TrialState.FAIL, skip_if_finished=True)


def ask(study: Study) -> Any | None:
    """Return a trial whose settings no other has; None where none is found, as in a small space."""
    import optuna

    sampler = study.optuna.sampler
    try:
        for attempt in range(TRIES):
            if attempt == GUIDED:
                study.optuna.sampler = optuna.samplers.RandomSampler()
            trial = study.optuna.ask()
            trial.set_user_attr("host", socket.gethostname())
            trial.set_user_attr("process", os.getpid())
            params = {name: suggest(trial, name, span) for name, span in study.space.items()}
            if not any(each.number != trial.number and each.params == params for each in study.trials):
                return trial
            fail(study, trial.number)
    finally:
        study.optuna.sampler = sampler
    return None


def suggest(trial: Any, name: str, span: Span) -> Scalar:
    """Return the value of a setting in a trial."""
    if span.choices:
        chosen: Scalar = trial.suggest_categorical(name, list(span.choices))
        return chosen
    if isinstance(span.low, int):
        return int(trial.suggest_int(name, span.low, int(span.high), log=span.log))
    return float(trial.suggest_float(name, span.low, span.high, log=span.log))


def write_best(study: Study, recipe: str, fixed: Mapping[str, Scalar]) -> Best | None:
    """Write best.json; return what it says, None where no trial has a value yet."""
    try:
        best = study.optuna.best_trial
    except ValueError:
        return None
    said = Best(
        study=study.folder.name,
        recipe=recipe,
        trial=best.number,
        value=best.value,
        metric=study.metric.name,
        settings={**fixed, **best.params},
    )
    with one_at_a_time(study.folder / "best", wait=LONGEST_WAIT):
        write_json(study.folder / BEST, dict(said))
    return said


def read_best(workspace: Workspace, competition: str, name: str) -> Best:
    """Return the best trial of a study. Raises KcnnError where there is no such study, or no trial has a value."""
    folder = workspace.runs(competition) / FOLDER
    path = folder / name / BEST
    if not path.is_file():
        there = sorted(each.parent.name for each in folder.glob(f"*/{BEST}"))
        hint = f"there are: {', '.join(there)}" if there else "kcnn tune RECIPE makes one"
        raise KcnnError(f"there is no study '{name}' with a finished trial", hint)
    return read_json(Best, path, "kcnn tune makes it again")


def rate_settings(study: Study) -> dict[str, float]:
    """Return how much each setting matters, shares of 1, the most first; {} where too few trials have a value."""
    from optuna.importance import get_param_importances

    try:
        with ignore_experimental():
            return dict(get_param_importances(study.optuna))
    except (ValueError, RuntimeError):
        return {}
