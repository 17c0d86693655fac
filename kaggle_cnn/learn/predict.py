"""Run -> probabilities of 1, 2 and 10 views."""

import gc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np

from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.images import Images, load_images
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.learn.layers import VIEWS, with_views
from kaggle_cnn.learn.predictions import Predictions, joined, mean
from kaggle_cnn.learn.recipe import describe, load_recipe
from kaggle_cnn.learn.run import Run

PREDICTION_BATCH = 64


def load_model(run: Run, path: Path) -> keras.Model:
    """A saved model, ready to predict; the run's own recipe is run first, for layers that it may define.

    Raises KcnnError where the file cannot be read.
    """
    load_recipe(run.folder / "recipe.py")
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # zipfile, h5py and Keras each raise their own
        raise KcnnError(
            f"{path} cannot be loaded: {describe(error)}", "train again, on the versions in run.json"
        ) from error


def predict_views(model: keras.Model, pixels: np.ndarray, rows: np.ndarray, views: int, track: Callable) -> dict:
    """Probabilities of `pixels`[`rows`] (uint8 NHWC at the recipe's size), averaged over 1, 2, 10 views up to `views`.

    Returns {views: float32 (len(rows), classes)}.
    """
    every = with_views(model, pixels.shape[1], views)
    track_it = partial(track, description=f"predicting {len(rows)} images, {views} views")
    given = answers(every, lambda chosen: pixels[chosen], rows, track_it)
    return {count: given[:, :count].mean(axis=1, dtype=np.float32) for count in VIEWS if count <= views}


def answers(model: keras.Model, images: Callable, rows: np.ndarray, track: Callable | None = None) -> np.ndarray:
    """What `model` says of `images(rows)`, uint8 NHWC, as float32 (len(rows), ...), a batch at a time."""
    batch = min(PREDICTION_BATCH, len(rows))
    parts = [np.zeros((0, *model.output_shape[1:]), np.float32)]
    starts = range(0, len(rows), max(batch, 1))
    for start in track(starts, total=len(starts)) if track else starts:
        chosen = rows[start : start + batch]
        full = np.pad(chosen, (0, batch - len(chosen)), mode="edge")  # another shape would be compiled anew
        parts.append(keras.ops.convert_to_numpy(model.predict_on_batch(images(full)))[: len(chosen)])
    return np.concatenate(parts)


def predict_validation(
    run: Run, model: keras.Model, dataset: Dataset, images: Images, fold: int, views: int, track: Callable
) -> Predictions:
    """The out-of-fold predictions of one fold's model; unreadable images are left out, as they are in training."""
    rows = readable(np.flatnonzero(dataset.folds == fold), images)
    probabilities = predict_views(model, images.pixels, rows, views, track)
    return Predictions(dataset.ids[rows], dataset.labels[rows], probabilities)


def predict_test(model: keras.Model, dataset: Dataset, images: Images, views: int, track: Callable) -> Predictions:
    """Predictions for every test id, in the dataset's order. `images` are those of `test_paths`.

    An id whose image is missing or unreadable gets the class priors of the training set, so that no row is lost.
    """
    has_file = np.flatnonzero(dataset.test_files != "")
    rows = readable(np.arange(len(has_file)), images)
    priors = dataset.targets.mean(axis=0)
    filled = {}
    for count, values in predict_views(model, images.pixels, rows, views, track).items():
        filled[count] = np.tile(priors.astype(np.float32), (len(dataset.test_ids), 1))
        filled[count][has_file[rows]] = values
    return Predictions(dataset.test_ids, None, filled)


def test_images(dataset: Dataset, size: int, channels: int, track: Callable) -> tuple[Images, list[str]]:
    """The test images that have a file, and what is to be said of the others."""
    files = [dataset.competition.folder / name for name in dataset.test_files if name]
    images = load_images(files, size, channels, dataset.competition.folder / ".cache", track)
    notes = [
        f"{files[row]} cannot be read ({reason}): it gets the class priors" for row, reason in images.problems.items()
    ]
    return images, notes


def readable(rows: np.ndarray, images: Images) -> np.ndarray:
    return rows[~np.isin(rows, list(images.problems))]


def predict_run(run: Run, dataset: Dataset, views: int, track: Callable) -> tuple[Predictions, list[str]]:
    """Test predictions of a run, the mean over its folds' models, from the models and run.json alone; and notes."""
    models = run.models
    images, notes = test_images(dataset, run.record["knobs"]["size"], run.record["channels"], track)
    parts = []
    for path in models:
        parts.append(predict_test(load_model(run, path), dataset, images, views, track))
        gc.collect()
    return mean(parts), notes


def validate_run(run: Run, dataset: Dataset, views: int, track: Callable) -> Predictions:
    """The out-of-fold predictions of a run, from the models and run.json alone."""
    cache = dataset.competition.folder / ".cache"
    images = load_images(dataset.train_files, run.record["knobs"]["size"], None, cache, track)
    models = zip(run.record["folds"], run.models, strict=True)
    return joined(
        [predict_validation(run, load_model(run, path), dataset, images, fold, views, track) for fold, path in models]
    )
