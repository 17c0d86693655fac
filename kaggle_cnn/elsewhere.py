"""Models of a run that are trained elsewhere, each as a task of Ray: what a task is sent, and what it does."""

import os
import socket
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from kaggle_cnn.api import open_dataset
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.opening import open_competition
from kaggle_cnn.engine import require_ray, run_asked, run_on_ray
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.labels import Labels, prepare_labels
from kaggle_cnn.progress import Progress
from kaggle_cnn.recipe import Recipe, apply_settings, list_settings, load_recipe, read_recipe
from kaggle_cnn.runs.run import Run, open_runs
from kaggle_cnn.workspace import Workspace


def train_elsewhere(
    workspace: Workspace, on: str, progress: Progress, competition: Competition, path: Path, source: str
) -> Any:
    """Return how the models of a recipe are trained as tasks of Ray."""
    from kaggle_cnn.learn.backend import running_backend
    from kaggle_cnn.learn.within import Elsewhere

    pilot = Pilot(str(workspace.root), competition.name, str(path), source, {}, running_backend(), 0, 0.0)
    return Elsewhere(
        partial(train_on_ray, workspace, on, progress), partial(measure_on_ray, workspace, on, progress, pilot)
    )


@dataclass(frozen=True)
class Member:
    """One model of a run, in values that any process can be sent."""

    root: str
    competition: str
    run: str
    seed: int
    fold: int
    backend: str


@dataclass(frozen=True)
class Pilot:
    """A training that is measured and makes no run, in values that any process can be sent; see Member."""

    root: str
    competition: str
    path: str
    source: str
    settings: dict[str, Any]
    backend: str
    fold: int
    seconds: float


def measure_on_ray(
    workspace: Workspace, on: str, progress: Progress, pilot: Pilot, recipe: Recipe, fold: int, members: int,
    seconds: float,
) -> tuple[Any, int, float]:  # fmt: skip
    """Return the speed at which a recipe is trained as one of so many `members`, tasks of Ray, from a part of
    `seconds`, how many of these are trained at once, and the seconds to start. See learn.within.Elsewhere."""
    begun, found = time.monotonic(), dict[str, Any]()
    waiting = [("pilot", replace(pilot, settings=list_settings(recipe), fold=fold, seconds=seconds))]
    ask = partial(next, iter(waiting), None)
    at_once = run_asked(measure_pilot, members, ask, found.__setitem__, on, progress)
    if isinstance(found["pilot"], Exception):
        raise found["pilot"]
    speed, spent, anew = found["pilot"]
    start = time.monotonic() - begun - spent
    return replace(speed, compiled=speed.compiled + anew * start), at_once, start


def measure_pilot(pilot: Pilot, progress: Progress) -> tuple[Any, float, bool]:
    """Measure a training in a worker; return its speed, the seconds that this took without the start, and whether each
    model is started anew, as the engine does it where there is a graphics card."""
    from kaggle_cnn.learn.backend import find_device, start_backend

    workspace = Workspace(Path(pilot.root))
    dataset = open_dataset(workspace, open_competition(workspace, pilot.competition), None, progress)
    start_backend(pilot.backend)
    from kaggle_cnn.learn.distribution import use_devices
    from kaggle_cnn.learn.train import measure

    use_devices(None)
    recipe = apply_settings(load_recipe(Path(pilot.path), pilot.source), pilot.settings)
    begun = time.monotonic()
    speed = measure(workspace, dataset, recipe, pilot.fold, pilot.seconds)
    return speed, time.monotonic() - begun, find_device().memory > 0


def train_on_ray(workspace: Workspace, on: str, progress: Progress, run: Run, members: list[tuple[int, int]]) -> None:
    """Train models of a run, pairs of a seed and a fold, each as a task of Ray."""
    parts = {}
    for seed, fold in members:
        name = f"fold {fold}" if run.seeds == 1 else f"seed {seed}, fold {fold}"
        competition, backend = run.record["competition"], run.record["backend"]
        parts[name] = Member(str(workspace.root), competition, run.id, seed, fold, backend)
    run_on_ray(train_member, parts, on, progress)


def train_member(member: Member, progress: Progress) -> None:
    """Train one model of a run that is there, from where it was stopped; the run's folder is where it was made."""
    from kaggle_cnn.learn.backend import start_backend
    from kaggle_cnn.learn.distribution import use_devices
    from kaggle_cnn.learn.train import train as train_run

    workspace = Workspace(Path(member.root))
    folder = workspace.runs(member.competition) / member.run
    if not (folder / "run.json").is_file():
        raise KcnnError(
            f"{socket.gethostname()} does not see {folder}", "share the workspace's folder among the machines, by NFS"
        )
    found = open_competition(workspace, member.competition)
    [run] = open_runs(workspace, found, [member.run])
    dataset = open_dataset(workspace, found, run, progress)
    dataset, edits, more = prepare_labels(workspace, dataset, run, Labels(), run.folds, progress)
    start_backend(member.backend)
    use_devices(None)
    source = folder / "recipe.py"
    text = read_recipe(source)
    recipe = apply_settings(load_recipe(source, text), run.settings)
    only = (member.seed, member.fold)
    train_run(workspace, dataset, recipe, source, run.folds, progress, {}, run, False, text, edits, more, only=only)


def require_cluster(on: str) -> None:
    """Raise KcnnError where `on` is neither "" nor "ray" nor an address at which there is Ray."""
    if on and on != "ray" and ":" not in on:
        raise KcnnError(
            f"--on should be ray, or the address of a cluster of Ray, got '{on}'",
            "for example: --on ray, --on HOST:6379",
        )
    if on:
        require_ray(on)


def find_cluster(workspace: Workspace, on: str) -> str:
    """Return where tasks are done: for "ray" the `address` in kcnn.toml, unless RAY_ADDRESS names another cluster."""
    address = "" if os.environ.get("RAY_ADDRESS") else workspace.settings.get("address", "")
    return address if on == "ray" and address else on
