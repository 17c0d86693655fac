"""The verbs that train: a recipe, a probe, the columns beside the images. See api for the other verbs."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kaggle_cnn.api import open_dataset
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.opening import open_competition
from kaggle_cnn.competition.task import are_characters
from kaggle_cnn.data.advice import MIRRORLESS
from kaggle_cnn.elsewhere import find_cluster, require_cluster, train_elsewhere
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.group import Group, find_group
from kaggle_cnn.labels import ABOVE, Labels, prepare_labels
from kaggle_cnn.progress import Progress, Silent
from kaggle_cnn.recipe import (
    Recipe,
    apply_settings,
    compile_recipe,
    find_recipe,
    list_settings,
    load_recipe,
    read_recipe,
    require_same,
)
from kaggle_cnn.runs.export import lacks_submission
from kaggle_cnn.runs.run import Run, list_runs, open_unfinished
from kaggle_cnn.runs.study import read_best
from kaggle_cnn.workspace import Workspace

MOST_SEEDS = 100


def train(
    recipe: str | Path,
    settings: Mapping[str, Any] | None = None,
    folds: str = "0",
    resume: bool = False,
    tensorboard: bool = False,
    backend: str | None = None,
    competition: str | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
    exclude: str | Path | None = None,
    relabel: str | Path | None = None,
    seeds: int = 1,
    pseudo: str = "",
    above: float = ABOVE,
    soft: bool = False,
    best_of: str = "",
    within: float | None = None,
    devices: str | None = None,
    on: str = "",
) -> Run:
    """Train the network of a recipe file; return the complete run, with its predictions, decision rule and scores.

    `recipe` is a file, or the name of one in recipes/ or of one that comes with kcnn, such as "resnet". `settings`
    changes settings of the recipe; where the classes are digits or letters, `mirror` is False unless it is among them.
    `folds` are those to validate on, a model each, "0", "0,2,4" or "all"; with `seeds` so many, whose predictions are
    averaged. `resume` goes on with the recipe's newest unfinished run; `settings` must then be those of the run.
    `exclude`, `relabel`, `pseudo`, `above` and `soft` change the labels of the training, see Labels. `best_of` is a
    study, see tuning, whose best settings are taken. `within` so many seconds all is done: the epochs follow from it.
    `devices`, "2" or "all", share each batch; None is all GPUs. `on` "ray", or its address, each model is a task of it.
    Several processes may call this at the same time to train one network, see group; the first returns the run.
    """
    from kaggle_cnn.learn.backend import find_device, start_backend

    deadline, group = time.monotonic() + within if within else None, find_group()
    workspace, progress = workspace or Workspace.find(), (None if group.rank else progress) or Silent()
    path = find_recipe(Path(recipe), workspace.root)
    found, on = open_competition(workspace, competition), find_cluster(workspace, on)
    with join_others(group, devices, backend or ("jax" if resume else None), within, on):
        run = open_to_resume(workspace, found, path.stem) if resume else None
        source, text = read_source(path, run)
        dataset = open_dataset(workspace, found, run, progress)
    numbers = run.folds if run else parse_folds(folds, dataset.folds.count)
    require_fitting(run, seeds, within, settings or {}, tensorboard, on)
    labels = Labels(exclude, relabel, pseudo, above, soft)
    dataset, edits, more = prepare_labels(workspace, dataset, run, labels, numbers, progress)
    more |= {**({"seeds": seeds} if seeds > 1 else {}), **({"within": within} if within else {})}
    start_backend(backend or (run.record["backend"] if run else None))
    from kaggle_cnn.learn.distribution import name_devices, use_devices
    from kaggle_cnn.learn.train import train as train_run

    use_devices(devices)
    best, study = take_best(workspace, found, path.stem, best_of, run) if best_of else ({}, {})
    loaded, given = load_recipe(source, text), {**best, **(settings or {})}
    chosen, given, notes = resume_settings(loaded, given, run) if run else choose_settings(loaded, given, found)
    say_all(progress, f"training {path.stem} on '{found.name}': {name_devices(find_device())}", dataset.notes + notes)
    elsewhere = train_elsewhere(workspace, on, progress, found, source, text) if on else None
    return train_run(
        workspace, dataset, chosen, source, numbers, progress, given, run, tensorboard, text, edits, more | study,
        deadline, elsewhere=elsewhere,
    )  # fmt: skip


@contextmanager
def join_others(
    group: Group, devices: str | None, backend: str | None, within: float | None, on: str
) -> Iterator[None]:
    """Where several processes train one network, join them, and let the first do the block before the others."""
    if group.processes == 1:
        yield
        return
    require_shared(group, within, on, backend)
    from kaggle_cnn.learn.backend import start_backend

    start_backend("jax")
    from kaggle_cnn.learn.processes import first_alone, join_group

    join_group(group, devices)
    with first_alone():
        yield


def require_shared(group: Group, within: float | None, on: str, backend: str | None) -> None:
    """Raise KcnnError where several processes cannot train one network with these options, or on this backend."""
    from kaggle_cnn.learn.backend import choose_backend

    if within or on:
        raise KcnnError(
            f"{'--within' if within else '--on'} is for one process, and {group.processes} train this network",
            "leave it out, or start one process",
        )
    if choose_backend(backend) != "jax":
        raise KcnnError(
            f"{group.processes} processes can train one network on JAX only, not on {choose_backend(backend)}",
            "--backend jax",
        )


def require_fitting(
    run: Run | None, seeds: int, within: float | None, settings: Mapping[str, Any], tensorboard: bool, on: str
) -> None:
    """Raise KcnnError where options exclude each other, where a package is missing, or where Ray is not to be had."""
    require_seeds(run, seeds)
    require_free_epochs(run, within, settings)
    if tensorboard and find_spec("tensorboard") is None:
        raise KcnnError("--tensorboard needs the package tensorboard", "pip install 'kcnn[tensorboard]'")
    if on and tensorboard:
        raise KcnnError("--tensorboard writes here, and --on trains elsewhere", "leave one of them out")
    require_cluster(on)


def probe(
    backbone: str = "",
    settings: Mapping[str, Any] | None = None,
    backend: str | None = None,
    competition: str | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> Run:
    """Fit a linear layer on the features of a frozen backbone, for every fold; return the complete run.

    `backbone` is a name as in kaggle_cnn.backbone, else that of the recipe `pretrained`, whose other `settings` count
    too: size, margin, fit, weights, tta.
    """
    from kaggle_cnn.learn.backend import find_device, start_backend

    workspace, progress = workspace or Workspace.find(), progress or Silent()
    path = find_recipe(Path("pretrained"), workspace.root)
    found, text = open_competition(workspace, competition), read_recipe(path)
    compile_recipe(path, text)
    dataset = open_dataset(workspace, found, None, progress)
    start_backend(backend)
    given = {**(settings or {}), **({"backbone": backbone} if backbone else {})}
    recipe, given, notes = choose_settings(load_recipe(path, text), given, found)
    what = f"probing {list_settings(recipe)['backbone']} on '{found.name}': {find_device().name}"
    say_all(progress, what, dataset.notes + notes)
    from kaggle_cnn.learn.probe import probe as probe_run

    return probe_run(workspace, dataset, recipe, path, text, given, progress)


def say_all(progress: Progress, text: str, notes: list[str]) -> None:
    """Say what begins, and what is to be noted."""
    for line in (text, *(f"note: {note}" for note in notes)):
        progress.say(line)


def train_tabular(
    competition: str | None = None, workspace: Workspace | None = None, progress: Progress | None = None
) -> Run:
    """Fit a model on the columns beside the images, for every fold, without a network; return the complete run."""
    from kaggle_cnn.learn.tabular import train_tabular as train_run

    workspace, progress = workspace or Workspace.find(), progress or Silent()
    found = open_competition(workspace, competition)
    return train_run(workspace, open_dataset(workspace, found, None, progress), progress)


def resume_settings(recipe: Recipe, given: dict[str, Any], run: Run) -> tuple[Recipe, dict[str, Any], list[str]]:
    """Return what `choose_settings` does for a run to resume. Raises KcnnError where `given` differs from its own."""
    kept = apply_settings(recipe, run.settings)
    require_same(kept, apply_settings(kept, given))
    return kept, given, []


def choose_settings(
    recipe: Recipe, given: dict[str, Any], competition: Competition
) -> tuple[Recipe, dict[str, Any], list[str]]:
    """Return a recipe with the settings that are given for a new run, these, and what is to be said: where the classes
    are digits or letters, nothing is mirrored unless `mirror` is given."""
    mirrorless = recipe.mirror and "mirror" not in given and are_characters(competition.classes)
    given = {**given, "mirror": False} if mirrorless else given
    return apply_settings(recipe, given), given, [MIRRORLESS] if mirrorless else []


def open_to_resume(workspace: Workspace, competition: Competition, recipe: str) -> Run:
    """Return the newest run of `recipe` that is not finished, or is, but was stopped before its submission was written.

    Raises KcnnError where there is none.
    """
    runs = [run for run in list_runs(workspace, competition.name) if run.record["recipe"] == recipe]
    if runs and lacks_submission(workspace, competition.name, runs[-1]):
        return runs[-1]
    return open_unfinished(workspace, competition.name, recipe)


def parse_folds(text: str, count: int) -> list[int]:
    """Return the fold numbers that "0", "0,2,4" or "all" means, of `count` folds."""
    if text == "all":
        return list(range(count))
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts) or len(set(parts)) < len(parts):
        raise KcnnError(f"--folds should be numbers or all, got '{text}'", "for example: --folds 0, --folds 0,2,4")
    return sorted(map(int, parts))


def take_best(
    workspace: Workspace, competition: Competition, recipe: str, study: str, run: Run | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of the best trial of a study of a recipe, and what run.json says of it.

    Raises KcnnError where it is of another recipe.
    """
    best = read_best(workspace, competition.name, study)
    if best["recipe"] != recipe:
        raise KcnnError(
            f"the study '{study}' tunes {best['recipe']}, not {recipe}",
            f"kcnn train {best['recipe']} --best-of {study}",
        )
    if run:
        raise KcnnError("a run that is resumed keeps its settings", "leave --best-of out to resume it")
    return best["settings"], {"study": {"name": study, "trial": best["trial"]}}


def read_source(path: Path, run: Run | None) -> tuple[Path, str]:
    """Return the file of a recipe, of a run to resume its own copy, and its text, which is compiled: mistakes are shown
    before Keras takes its seconds to start. It is read once: what is edited meanwhile is not in the run."""
    source = run.folder / "recipe.py" if run else path
    text = read_recipe(source)
    compile_recipe(source, text)
    return source, text


def require_free_epochs(run: Run | None, within: float | None, settings: Mapping[str, Any]) -> None:
    """Raise KcnnError where a time is given and the epochs too, or a run to resume, which has its epochs."""
    if within and run:
        raise KcnnError("a run that is resumed keeps its epochs", "leave --within out to resume it")
    if within and (given := {"epochs", "epoch_steps"} & set(settings)):
        raise KcnnError(f"--within chooses {min(given)}, and --set gives it", "leave one of them out")


def require_seeds(run: Run | None, seeds: int) -> None:
    """Raise KcnnError where fewer than one seed is asked for, or other seeds than a run to resume has."""
    if not 1 <= seeds <= MOST_SEEDS:
        raise KcnnError(f"--seeds should be from 1 to {MOST_SEEDS}, got {seeds}", "for example: --seeds 3")
    if run and seeds not in (1, run.seeds):
        raise KcnnError(
            f"the run to resume has {run.seeds} seeds, not {seeds}",
            "leave --seeds out to resume it, or leave --resume out to start a new run",
        )
