"""Run -> probabilities, averaged over one view or several."""

import gc
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np

from kaggle_cnn.data.batches import centres
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.images import Images, load_images
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.learn.backend import find_device
from kaggle_cnn.learn.layers import at_crop, with_views
from kaggle_cnn.learn.predictions import Predictions, joined, mean
from kaggle_cnn.learn.recipe import VIEWS, describe, load_recipe
from kaggle_cnn.learn.run import Run


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


def predict_views(
    model: keras.Model, pixels: np.ndarray, rows: np.ndarray, views: int, track: Callable, crop: int | None = None
) -> dict[int, np.ndarray]:
    """Probabilities of `pixels`[`rows`] (uint8 NHWC at the recipe's size), averaged over the first of `views` views:
    VIEWS.

    The views are of the size that the model was trained on, or of `crop`; see layers.at_crop. Returns {views: float32
    (len(rows), classes)}.
    """
    size = pixels.shape[1]
    if crop and crop > size:
        raise KcnnError(f"--crop should be at most {size}, the size of the recipe's images, got {crop}", "cut less")
    model = at_crop(model, crop or model.input_shape[1])
    every = with_views(model, size, views)
    bar = partial(track, description=f"predicting {len(rows)} images, {views} views")
    given = answers(every, lambda chosen: centres(pixels, chosen, size), rows, batch_size(model), bar)
    return {count: given[:, :count].mean(axis=1, dtype=np.float32) for count in VIEWS[views]}


def answers(
    model: keras.Model, images: Callable, rows: np.ndarray, batch: int, track: Callable = lambda starts, total: starts
) -> np.ndarray:
    """What `model` says of `images(rows)`, uint8 NHWC, as float32 (len(rows), ...), `batch` at a time."""
    batch = min(batch, max(len(rows), 1))
    parts = [np.zeros((0, *model.output_shape[1:]), np.float32)]
    starts = range(0, len(rows), batch)
    for start in track(starts, total=len(starts)):
        chosen = rows[start : start + batch]
        full = np.pad(chosen, (0, batch - len(chosen)), mode="edge")  # another shape would be compiled anew
        parts.append(keras.ops.convert_to_numpy(model.predict_on_batch(images(full)))[: len(chosen)])
    return np.concatenate(parts)


def batch_size(model: keras.Model) -> int:
    """How many images to predict at a time: a power of two up to 256, such that the largest output of a layer stays
    below 40 MiB on a CPU, or a 64th of a GPU's memory.

    AlexNet at 227 pixels takes 32, which is 1.3 times as fast as 64 on two cores (LOG.md); the baseline 64.
    """
    shapes = [tensor.shape[1:] for layer in model.layers for tensor in keras.tree.flatten(layer.output)]
    largest = 4 * max(math.prod(side or 1 for side in shape) for shape in shapes)
    room = max(40 * 2**20, find_device().memory // 64)
    return 2 ** min(8, max(0, (room // largest).bit_length() - 1))


def predict_validation(
    run: Run,
    model: keras.Model,
    dataset: Dataset,
    images: Images,
    fold: int,
    views: int,
    track: Callable,
    crop: int | None = None,
) -> Predictions:
    """The out-of-fold predictions of one fold's model; unreadable images are left out, as they are in training."""
    rows = readable(np.flatnonzero(dataset.folds == fold), images)
    probabilities = predict_views(model, images.pixels, rows, views, track, crop)
    return Predictions(dataset.ids[rows], dataset.labels[rows], probabilities)


def predict_test(
    model: keras.Model, dataset: Dataset, images: Images, views: int, track: Callable, crop: int | None = None
) -> Predictions:
    """Predictions for every test id, in the dataset's order. `images` are those of `test_paths`.

    An id whose image is missing or unreadable gets the class priors of the training set, so that no row is lost.
    """
    has_file = np.flatnonzero(dataset.test_files != "")
    rows = readable(np.arange(len(has_file)), images)
    priors = dataset.targets.mean(axis=0)
    filled = {}
    for count, values in predict_views(model, images.pixels, rows, views, track, crop).items():
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


def predict_run(
    run: Run, dataset: Dataset, views: int, track: Callable, crop: int | None = None
) -> tuple[Predictions, list[str]]:
    """Test predictions of a run, the mean over its folds' models, from the models and run.json alone; and notes."""
    models = run.models
    images, notes = test_images(dataset, run.record["knobs"]["size"], run.record["channels"], track)
    parts = []
    for path in models:
        parts.append(predict_test(load_model(run, path), dataset, images, views, track, crop))
        gc.collect()
    return mean(parts), notes


def validate_run(run: Run, dataset: Dataset, views: int, track: Callable, crop: int | None = None) -> Predictions:
    """The out-of-fold predictions of a run, from the models and run.json alone."""
    cache = dataset.competition.folder / ".cache"
    images = load_images(dataset.train_files, run.record["knobs"]["size"], None, cache, track)
    return joined(
        [
            predict_validation(run, load_model(run, path), dataset, images, fold, views, track, crop)
            for fold, path in zip(run.record["folds"], run.models, strict=True)
        ]
    )
