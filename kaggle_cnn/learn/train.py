"""Recipe + dataset -> run."""

import gc
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version

import keras
import numpy as np

from kaggle_cnn import __version__
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.images import Images, load_images
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.learn.backend import Device
from kaggle_cnn.learn.callbacks import STATE
from kaggle_cnn.learn.fit import build, fit_fold, require_consistent
from kaggle_cnn.learn.predict import load_model, predict_test, predict_validation, readable, test_images
from kaggle_cnn.learn.predictions import Predictions, joined, mean
from kaggle_cnn.learn.recipe import Recipe, knobs
from kaggle_cnn.learn.run import Run, create_run
from kaggle_cnn.workspace import Workspace


def train(
    workspace: Workspace,
    dataset: Dataset,
    recipe: Recipe,
    path: Path,
    folds: list[int],
    device: Device,
    progress,
    track: Callable,
    run: Run | None = None,
    tensorboard: bool = False,
) -> Run:
    """Trains one model for each of `folds` and writes what they predict; goes on with `run` where one is given.

    `path` is the recipe's file. `progress` has fold(fold, images, steps, epochs, done), step(...) and epoch(...) (see
    Watch), and say(text); `track(iterable, description, total)` shows what else takes time. `tensorboard` writes each
    epoch's numbers for it, in the folds' folders.
    Raises KcnnError where the images or the recipe are not fit for training; no run is made then.
    """
    cache = dataset.competition.folder / ".cache"
    images = load_images(dataset.train_files, recipe.size, None, cache, track)
    say_problems(dataset, images, progress)
    for fold in folds:
        require_both_parts(dataset, images, fold)
    keras.config.set_dtype_policy(device.precision if recipe.precision == "auto" else recipe.precision)
    shape = (recipe.crop, recipe.crop, images.pixels.shape[3])
    parameters = build(recipe, shape[2], dataset).count_params()
    require_consistent(recipe, dataset.competition.multi_label)
    if run is None:
        record = describe_run(dataset, recipe, path, folds, device, shape[2], parameters, workspace)
        run = create_run(workspace, dataset.competition.name, path, record)
    progress.say(
        f"run {run.id}: {parameters:,} parameters, {shape[0]}x{shape[1]}x{shape[2]}, {len(dataset.ids):,} images"
    )
    for fold in folds:
        if not (run.fold_folder(fold) / "test.npz").is_file():
            begun = time.monotonic()
            fit_fold(run.fold_folder(fold), recipe, dataset, images, fold, device, progress, tensorboard)
            run = run.updated(seconds=round(run.record["seconds"] + time.monotonic() - begun, 1))
            predict_fold(run, recipe, dataset, images, fold, progress, track)
    parts = {
        name: [Predictions.read(run.fold_folder(fold) / f"{name}.npz") for fold in folds]
        for name in ("validation", "test")
    }
    joined(parts["validation"]).write(run.folder / "validation.npz")
    mean(parts["test"]).write(run.folder / "test.npz")
    for fold in folds:
        (run.fold_folder(fold) / STATE).unlink(missing_ok=True)
    return run.updated(status="finished")


def say_problems(dataset: Dataset, images: Images, progress) -> None:
    for row, reason in list(images.problems.items())[:5]:
        progress.say(f"left out: {dataset.ids[row]} cannot be read ({reason})")
    if (more := len(images.problems) - 5) > 0:
        progress.say(f"left out: {more} more that cannot be read; kcnn look lists them")


def require_both_parts(dataset: Dataset, images: Images, fold: int) -> None:
    validated = readable(np.flatnonzero(dataset.folds == fold), images)
    trained = readable(np.flatnonzero(dataset.folds != fold), images)
    if not len(validated) or not len(trained):
        raise KcnnError(
            f"fold {fold} has {len(trained)} readable images to train on and {len(validated)} to validate",
            "both need some: more images are needed, or another --fold",
        )


def describe_run(
    dataset: Dataset,
    recipe: Recipe,
    path: Path,
    folds: list[int],
    device: Device,
    channels: int,
    parameters: int,
    workspace: Workspace,
) -> dict:
    backend = keras.backend.backend()
    return {
        "recipe": path.stem,
        "competition": dataset.competition.name,
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
        "knobs": knobs(recipe),
        "folds": folds,
        "classes": dataset.competition.classes,
        "channels": channels,
        "parameters": parameters,
        "backend": backend,
        "device": device.name,
        "precision": keras.config.dtype_policy().name,
        "versions": {
            "kcnn": __version__,
            "python": python_version(),
            **{name: version(name) for name in ("keras", backend, "numpy", "albumentations", "pillow")},
        },
        "commit": commit(workspace.root),
        "seconds": 0.0,
    }


def commit(folder: Path) -> str | None:
    """The commit of the user's own repository, with a + where files differ from it; None where there is none."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def predict_fold(
    run: Run, recipe: Recipe, dataset: Dataset, images: Images, fold: int, progress, track: Callable
) -> None:
    """What the fold's best model says of its validation images and of the test images, in its folder."""
    folder = run.fold_folder(fold)
    model = load_model(run, folder / "model.keras")
    predict_validation(run, model, dataset, images, fold, recipe.views, track).write(folder / "validation.npz")
    tested, notes = test_images(dataset, recipe.size, run.record["channels"], track)
    for note in notes:
        progress.say(note)
    predict_test(model, dataset, tested, recipe.views, track).write(folder / "test.npz")
    gc.collect()
