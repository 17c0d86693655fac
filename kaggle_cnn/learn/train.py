"""Recipe + dataset -> a complete run: trained folds, predictions and a decision rule."""

import gc
import subprocess
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kaggle_cnn import tta
from kaggle_cnn.data.columns import Columns, attach_metadata, find_metadata
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.image_cache import Images
from kaggle_cnn.data.training_set import readable, validation_rows
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import LockedError, one_at_a_time
from kaggle_cnn.learn.backbone import PLACE, Place, keep_recipes
from kaggle_cnn.learn.backend import Device, find_device
from kaggle_cnn.learn.callbacks import BEST, STATE
from kaggle_cnn.learn.distribution import name_devices
from kaggle_cnn.learn.fit import Compiled, FoldPlan, Training, fit_fold, plan_fold, rehearse_fold, require_consistent
from kaggle_cnn.learn.model import image_shape
from kaggle_cnn.learn.predict import load_test_images, load_train_images, predict_test, predict_validation
from kaggle_cnn.learn.processes import is_alone, is_first, leave_group, share
from kaggle_cnn.learn.rehearsal import require_room
from kaggle_cnn.learn.within import Elsewhere, Pace, Speed, fit_to_time, keep_pace, measure_speed
from kaggle_cnn.progress import CURRENT, Progress, Silent
from kaggle_cnn.recipe import Recipe, list_settings, read_recipe, takes
from kaggle_cnn.runs.describe import describe, list_versions
from kaggle_cnn.runs.join import join_parts
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import Run, create_run
from kaggle_cnn.workspace import Workspace


def train(
    workspace: Workspace,
    dataset: Dataset,
    recipe: Recipe,
    path: Path,
    folds: list[int],
    progress: Progress | None = None,
    changed: Mapping[str, Any] | None = None,
    run: Run | None = None,
    tensorboard: bool = False,
    source: str | None = None,
    edits: Mapping[str, Path] | None = None,
    more: Mapping[str, Any] | None = None,
    deadline: float | None = None,
    only: tuple[int, int] | None = None,
    elsewhere: Elsewhere | None = None,
) -> Run:
    """Train one model for each of `folds`, and return the complete run: models, predictions, decision rule, scores.

    `path` is the recipe's file, `source` its text as it was run, `changed` the settings that the user changed in it,
    `edits` the files of the user's decisions on labels, which `dataset` has; the run keeps copies. `more` is what else
    run.json says: with "seeds" there are so many models of each fold, the first with the recipe's seed, and the
    predictions of the fold are their mean. `deadline`, of time.monotonic, is when all of it should be done: the epochs
    are then those that fit.
    With `run`, go on with that run: what is on the disk is not made again. Several processes may work on one run; each
    takes folds that no other has, and the last to end completes it. `only` this seed and fold of it are trained, and
    the run is not completed; `elsewhere` trains all that is left, and says how fast it is.
    Raises KcnnError where the images or the recipe are not fit for training; no run is made then.
    """
    progress = progress or Silent()
    CURRENT.set(progress)
    PLACE.set(Place(workspace, dataset.competition.name, dataset.folds.digest))
    source = read_recipe(path) if source is None else source
    require_room(recipe, len(dataset.ids))
    images, columns = load_images(dataset, recipe, folds, progress)
    device = find_device()
    set_precision(recipe, device)
    note_mirror(recipe, progress)
    seeds = run.seeds if run else int((more or {}).get("seeds", 1))
    members = [only] if only else [(seed, fold) for seed in range(seeds) for fold in folds]
    left = list_left(run, members)
    first = left[0] if left else None
    begun = with_seed(recipe, first[0]) if first else recipe
    plan = plan_fold(begun, dataset, images, first[1]) if first else None
    require_consistent(recipe)
    compiled, pace = rehearse_fold(begun, dataset, images, device, plan, path, source) if plan else None, None
    if run is None:
        assert plan is not None  # of a new run, no fold has predictions
        if deadline is not None and compiled:
            measured = Training(unmade(folds, seeds), recipe, dataset, images, device, progress, False, columns)
            recipe, compiled, pace = fit_to_time(measured, plan, compiled, folds[0], deadline, elsewhere)
        record = describe_run(workspace, dataset, recipe, path, folds, device, plan, changed or {})
        run = begin_run(workspace, record | {**(more or {})}, path, source, columns, edits or {})
    introduce(run, len(dataset.ids), progress)
    training = Training(run, recipe, dataset, images, device, progress, tensorboard, columns)
    if elsewhere:
        elsewhere.train(run, left)
    else:
        train_members(training, members, first, plan, compiled, pace)
    leave_group()
    return complete_run(training) if is_first() and not only else run


def list_left(run: Run | None, members: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the members of a run that are not done, as the first process sees them."""
    left = [(seed, fold) for seed, fold in members if not run or not has_predictions(replace(run, seed=seed), fold)]
    return [(seed, fold) for seed, fold in share(left)]


def load_images(
    dataset: Dataset, recipe: Recipe, folds: list[int], progress: Progress
) -> tuple[Images, Columns | None]:
    """Return the training images, with the columns beside them where the recipe takes these, and what the columns are.

    Raises KcnnError where one of `folds` has nothing to train on, or to validate.
    """
    images = load_train_images(dataset, recipe.stored_size, recipe.fit, progress)
    columns = find_metadata(dataset) if takes(recipe.model, "metadata") else None
    images = attach_metadata(dataset, images, columns, "train")
    report_unreadable(dataset, images, progress)
    for fold in folds:
        require_both_parts(dataset, images, fold)
    return images, columns


def introduce(run: Run, images: int, progress: Progress) -> None:
    """Say how large a run's network and its data are."""
    size = f"{run.settings['size']}x{run.settings['size']}x{run.record['channels']}"
    progress.say(f"run {run.id}: {run.record['parameters']:,} parameters, {size}, {images:,} images")


def unmade(folds: list[int], seeds: int) -> Run:
    """Return a run that is not made yet, of which only folds and seeds are known."""
    record: Any = {"folds": {"numbers": folds}, "seeds": seeds}
    return Run(Path(), record)


def measure(workspace: Workspace, dataset: Dataset, recipe: Recipe, fold: int, seconds: float) -> Speed:
    """Return how fast a recipe is trained here, from a part of `seconds`; no run is made."""
    PLACE.set(Place(workspace, dataset.competition.name, dataset.folds.digest))
    images, columns = load_images(dataset, recipe, [fold], Silent())
    device = find_device()
    set_precision(recipe, device)
    training = Training(unmade([fold], 1), recipe, dataset, images, device, Silent(), False, columns)
    return measure_speed(training, plan_fold(recipe, dataset, images, fold), fold, seconds)


def begin_run(
    workspace: Workspace,
    record: dict[str, Any],
    path: Path,
    source: str,
    columns: Columns | None,
    edits: Mapping[str, Path],
) -> Run:
    """Make the folder of a new run, with its recipe and copies of the files of the user's decisions. Of several
    processes the first makes it, and all return it."""
    if not is_first():
        name, made = share(None)
        return Run(workspace.runs(record["competition"]) / name, made)
    record |= {"metadata": columns.names} if columns else {}
    record |= {"edits": {name: str(each) for name, each in edits.items()}} if edits else {}
    files = {f"{name}.csv": each.read_text("utf-8") for name, each in edits.items()}
    run = create_run(workspace, record["competition"], path, record, source, files)
    keep_recipes(run)
    share([run.id, run.record])
    return run


def set_precision(recipe: Recipe, device: Device) -> None:
    """Let the layers that are built from now on compute in the recipe's precision."""
    keras.config.set_dtype_policy(device.precision if recipe.precision == "auto" else recipe.precision)


def note_mirror(recipe: Recipe, progress: Progress) -> None:
    if recipe.augment and not recipe.mirror and not takes(recipe.augment, "mirror"):
        progress.say("note: this recipe's augmentation has no parameter `mirror`: mirror=false does not reach it")


def train_members(
    training: Training,
    members: list[tuple[int, int]],
    first: tuple[int, int] | None,
    plan: FoldPlan | None,
    compiled: Compiled | None,
    pace: Pace | None,
) -> None:
    """Train `members`, pairs of a seed and a fold, at a `pace` where there is a deadline; `plan` and `compiled` are of
    the `first`."""
    run, recipe = training.run, training.recipe
    for own in run.by_seed:
        folds = [fold for seed, fold in members if seed == own.seed]
        seeded = replace(training, run=own, recipe=with_seed(recipe, own.seed))
        if first and own.seed > first[0]:
            compiled = None  # it begins with the weights of another seed
        if run.seeds > 1 and folds:
            training.progress.say(f"seed {seeded.recipe.seed}, {own.seed + 1} of {run.seeds}")
        for fold in folds:
            begins = (own.seed, fold) == first
            member = seeded if begins and pace else keep_pace(seeded, fold, pace)
            compiled = train_fold(member, fold, plan if begins else None, compiled)
            pace = pace.follow(member.recipe, own.result(fold).get("seconds", 0.0)) if pace else None
            plan = None if begins else plan


def with_seed(recipe: Recipe, number: int) -> Recipe:
    """Return a recipe with the seed that is `number` after its own."""
    return replace(recipe, seed=(recipe.seed + number) % 2**31)


def train_fold(
    training: Training, fold: int, plan: FoldPlan | None = None, compiled: Compiled | None = None
) -> Compiled | None:
    """Train one fold of a run and predict with it; do nothing where that is done, or another process is at it.

    `compiled` is the network of an earlier fold. Returns the one for the next.
    """
    run, recipe, dataset, images = training.run, training.recipe, training.dataset, training.images
    try:
        with one_at_a_time(run.fold_folder(fold)) if is_first() else nullcontext():
            if share(has_predictions(run, fold)):
                return compiled
            plan = plan or plan_fold(recipe, dataset, images, fold, compiled)
            compiled = fit_fold(training, fold, plan, compiled)
            predict_fold(training, fold, compiled.network.predicting)
            if is_first():
                run.write_result(fold, **{**run.result(fold), "status": "finished"})
    except LockedError:
        if not is_alone():
            raise
        training.progress.say(f"fold {fold}: another kcnn is training it")
    return compiled


def has_predictions(run: Run, fold: int) -> bool:
    """Whether a fold is done: both kinds of predictions are on the disk."""
    return all((run.fold_folder(fold) / f"{part}.npz").is_file() for part in ("oof", "test"))


def predict_fold(training: Training, fold: int, model: keras.Model) -> None:
    """Write what the fold's best model predicts for its validation images and for the test images, in its folder."""
    run, dataset, progress = training.run, training.dataset, training.progress
    folder, recipe = run.fold_folder(fold), training.recipe
    views = tta.views_of("none", recipe.policy)
    made = predict_validation(model, dataset, training.images, fold, views, recipe.size, progress)
    require_numbers(made, run)
    if is_first():
        made.write(folder / "oof.npz")
    tested = load_test_images(dataset, recipe.stored_size, recipe.fit, run.record["channels"], progress)
    tested = attach_metadata(dataset, tested, training.columns, "test")
    made = predict_test(model, dataset, tested, views, recipe.size, progress)
    require_numbers(made, run)
    if is_first():
        made.write(folder / "test.npz")
    gc.collect()


def require_numbers(predictions: Predictions, run: Run) -> None:
    """Raise KcnnError where a prediction is not a number."""
    if not np.isfinite(predictions.logits).all():
        raise KcnnError(
            f"the network of {run.id} predicts values that are not numbers",
            "use a lower learning rate: --set learning_rate=VALUE",
        )


def complete_run(training: Training) -> Run:
    """Join the folds' predictions, fit the decision rule and compute the scores, where all folds are done."""
    run, dataset = training.run, training.dataset
    if missing := [fold for fold in run.folds if not all(has_predictions(own, fold) for own in run.by_seed)]:
        training.progress.say(f"the run is complete when these folds are done too: {', '.join(map(str, missing))}")
        return run
    with one_at_a_time(run.folder):
        join_parts(run, dataset.task)
        for folder in [own.fold_folder(fold) for own in run.by_seed for fold in run.folds]:
            for name in (STATE, BEST):
                (folder / name).unlink(missing_ok=True)
    return run


def report_unreadable(dataset: Dataset, images: Images, progress: Progress) -> None:
    problems = {row: reason for row, reason in images.problems.items() if row < len(dataset.ids)}
    for row, reason in list(problems.items())[:5]:
        progress.say(f"left out: {dataset.ids[row]} cannot be read ({reason})")
    if (more := len(problems) - 5) > 0:
        progress.say(f"left out: {more} more that cannot be read; kcnn look lists them")


def require_both_parts(dataset: Dataset, images: Images, fold: int) -> None:
    """Raise KcnnError where a fold has no image to train on, or none to validate."""
    if fold >= dataset.folds.count:
        raise KcnnError(
            f"there is no fold {fold}: {dataset.folds.file} has the folds 0 to {dataset.folds.count - 1}",
            "choose others: --folds 0, --folds 0,2 or --folds all",
        )
    validated = validation_rows(dataset, images, fold)
    trained = readable(np.flatnonzero(dataset.folds.numbers != fold), images)
    if not len(validated) or not len(trained):
        raise KcnnError(
            f"fold {fold} has {len(trained)} readable images to train on and {len(validated)} to validate",
            "both need some: more images are needed, or other --folds",
        )


def describe_run(
    workspace: Workspace,
    dataset: Dataset,
    recipe: Recipe,
    path: Path,
    folds: list[int],
    device: Device,
    plan: FoldPlan,
    changed: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the content of run.json."""
    backend, settings = keras.backend.backend(), list_settings(recipe)
    return {
        **describe("training", path.stem, dataset.competition.name, dataset.task),
        "set": {name: settings[name] for name in changed},
        "settings": settings,
        "seed": recipe.seed,
        "tta": recipe.policy,
        "folds": {"file": dataset.folds.file, "digest": dataset.folds.digest, "numbers": folds},
        "channels": int(image_shape(plan.network.raw)[3] or 0),
        "parameters": int(plan.network.raw.count_params()),
        "backend": backend,
        "device": name_devices(device),
        "precision": keras.config.dtype_policy().name,
        "versions": list_versions("keras", backend, "numpy", "albumentations", "pillow"),
        "commit": find_commit(workspace.root),
    }


def find_commit(folder: Path) -> str | None:
    """Return the commit of the user's own repository, with a + where files differ from it; None where there is none."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty=+"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
