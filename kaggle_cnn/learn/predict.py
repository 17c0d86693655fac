"""Run -> predictions: the logits of each view, by the saved models."""

import gc
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import Model

from kaggle_cnn import tta
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.data.batches import read_in_order, unmapped
from kaggle_cnn.data.columns import attach_metadata, find_metadata
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.image_cache import Images, join_images, load_images
from kaggle_cnn.data.training_set import readable, validation_rows
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.learn.backend import find_device
from kaggle_cnn.learn.distribution import fill_shares, predict_batch
from kaggle_cnn.learn.model import cut_head, image_shape
from kaggle_cnn.learn.processes import first_alone, gather, split_rows
from kaggle_cnn.progress import Progress, Silent
from kaggle_cnn.recipe import describe_error, load_recipe
from kaggle_cnn.runs.predictions import Predictions, average_folds, join_folds
from kaggle_cnn.runs.run import Run


def load_model(run: Run, path: Path) -> Model:
    """Return a saved model; the run's own recipe is run first, and its backbone's, for layers that they may define.

    Raises KcnnError where the file cannot be read.
    """
    for recipe in (*sorted(run.folder.glob("backbone-*.py")), run.folder / "recipe.py"):
        load_recipe(recipe)
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # zipfile, h5py and Keras each raise their own
        raise KcnnError(
            f"{path} cannot be loaded: {describe_error(error)}", "train again, with the versions in run.json"
        ) from error


def predict_views(
    model: Model,
    pixels: Array,
    rows: Array,
    views: tuple[str, ...],
    size: int,
    progress: Progress | None = None,
    metadata: Array | None = None,
) -> Array:
    """Return what `model` gives for each view of `pixels`[`rows`], float32 (len(rows), views, outputs).

    `pixels` uint8 (N, side, side, channels), of which the views are `size` x `size`; see tta.cut_view. `metadata`
    (N, features) is the second input, where the model has one. One view after
    the other, each a call of the same compiled function: the memory is that of one view. Of several processes that
    train together, each predicts its part.
    """
    progress, count, rows = progress or Silent(), len(rows), split_rows(rows)
    batch = fill_shares(min(batch_size(model), max(len(rows), 1)))
    starts = range(0, len(rows), batch)
    read_in_order(pixels)
    found = np.zeros((len(rows), len(views), model.output_shape[-1]), np.float32)
    description = f"predicting {len(rows)} images, {len(views)} view{'s' if len(views) > 1 else ''}"
    for start in progress.track(starts, description, len(starts)):
        chosen = rows[start : start + batch]
        images = unmapped(pixels)[pad(chosen, batch)]
        for number, view in enumerate(views):
            cut: Any = tta.cut_view(images, view, size)
            given = cut if metadata is None else [cut, metadata[pad(chosen, batch)]]
            found[start : start + batch, number] = predict_batch(model, given)[: len(chosen)]
    return gather(found, count)


def apply(model: Model, images: Callable[[Array], Array], rows: Array, progress: Progress, description: str) -> Array:
    """Return what `model` gives for `images(rows)`, uint8 NHWC, as float32 (len(rows), ...)."""
    batch = fill_shares(min(batch_size(model), max(len(rows), 1)))
    parts = [np.zeros((0, *model.output_shape[1:]), np.float32)]
    starts = range(0, len(rows), batch)
    for start in progress.track(starts, description, len(starts)):
        chosen = rows[start : start + batch]
        parts.append(predict_batch(model, images(pad(chosen, batch)))[: len(chosen)])
    return np.concatenate(parts)


def pad(rows: Array, batch: int) -> Array:
    """Return `rows` filled up to `batch` with the last one: another shape would be compiled again."""
    return np.pad(rows, (0, batch - len(rows)), mode="edge")


def batch_size(model: Model) -> int:
    """Return how many images to predict at a time: a power of two up to 256, such that the largest output of a layer
    stays below 40 MiB on a CPU, or a 64th of a GPU's memory.

    AlexNet at 227 pixels takes 32, which is 1.3 times as fast as 64 on two cores (LOG.md); the baseline 64.
    """
    shapes = [tensor.shape[1:] for layer in model.layers for tensor in keras.tree.flatten(layer.output)]
    largest = 4 * max(math.prod(side or 1 for side in shape) for shape in shapes)
    room = max(40 * 2**20, find_device().memory // 64)
    return int(2 ** min(8, max(0, (room // largest).bit_length() - 1)))


def resize_input(model: Model, size: int) -> Model:
    """Return `model` with its weights for `size` x `size` images: more of the image than it was trained to see, up to
    the whole, which is dense evaluation. Networks that end in global pooling can do it.

    Raises KcnnError for one that cannot.
    """
    trained, channels = image_shape(model)[1], image_shape(model)[3]
    if size == trained:
        return model
    inputs = [keras.Input((size, size, channels), dtype="uint8"), *map(copy_input, model.inputs[1:])]
    try:
        other = keras.models.clone_model(model, input_tensors=inputs if len(inputs) > 1 else inputs[0])
        other.set_weights(model.get_weights())
    except ValueError:
        raise KcnnError(
            f"this network takes {trained}x{trained} pixels only, not {size}x{size}",
            "a network that ends in global pooling takes any size; leave --crop out for this one",
        ) from None
    return other


def copy_input(tensor: Any) -> Any:
    return keras.Input(tensor.shape[1:], dtype=tensor.dtype)


def ready_model(run: Run, path: Path, task: Task, crop: int) -> Model:
    """Return the saved model of a fold as one that gives what predictions keep, for views of `crop` pixels."""
    return resize_input(cut_head(load_model(run, path), task), crop)


def predict_validation(
    model: Model, dataset: Dataset, images: Images, fold: int, views: tuple[str, ...], crop: int, progress: Progress
) -> Predictions:
    """Return the predictions of the images that are validated in `fold`; unreadable ones are left out, as in
    training."""
    rows = validation_rows(dataset, images, fold)
    logits = predict_views(model, images.pixels, rows, views, crop, progress, images.metadata)
    rows, logits = dataset.average_images(rows, logits)
    targets = dataset.validated_targets(rows, fold)
    return Predictions(dataset.ids[rows], logits, views, crop, np.full(len(rows), fold), targets)


def predict_test(
    model: Model, dataset: Dataset, images: Images, views: tuple[str, ...], crop: int, progress: Progress
) -> Predictions:
    """Return predictions for every test id, in the dataset's order. `images` are those of `load_test_images`.

    An id whose image is missing or unreadable gets the class priors of the training set, or the mean of the values, so
    that no row is lost.
    """
    rows = readable(np.arange(len(images.pixels)), images)
    made = np.zeros((len(images.pixels), len(views), dataset.task.outputs), np.float32)
    made[rows] = predict_views(model, images.pixels, rows, views, crop, progress, images.metadata)
    return Predictions(dataset.test_ids, fill_test(dataset, images, views, made), views, crop)


def fill_test(dataset: Dataset, images: Images, views: tuple[str, ...], made: Array) -> Array:
    """Return the logits of every test id, float32 (M, views, outputs), the mean of those `made` for its images; an id
    whose images are missing or unreadable has the priors."""
    rows, owners = readable(np.arange(len(images.pixels)), images), dataset.test_images[1]
    priors = dataset.task.deactivate(dataset.priors)
    logits = np.tile(priors, (len(dataset.test_ids), len(views), 1)).astype(np.float32)
    total, count = np.zeros(logits.shape), np.bincount(owners[rows], minlength=len(logits))
    np.add.at(total, owners[rows], made[rows])
    logits[count > 0] = total[count > 0] / count[count > 0, None, None]
    return logits


def load_train_images(dataset: Dataset, stored_size: int, fit: str, progress: Progress) -> Images:
    """Return all training images as squares of `stored_size` pixels; `fit` is one of recipe.FITS. Where test images
    have pseudo-labels, these follow."""
    folder, names = dataset.competition.folder, dataset.ids.tolist()
    with first_alone():
        images = load_images(folder, names, stored_size, None, dataset.cache, progress, fit, dataset.bits)
    if not dataset.pseudo:
        return images
    tested = load_test_images(dataset, stored_size, fit, images.pixels.shape[3], progress)
    with first_alone():
        return join_images(images, tested, dataset.cache)


def load_test_images(dataset: Dataset, stored_size: int, fit: str, channels: int, progress: Progress) -> Images:
    """Return the test images that have a file, and say which of them cannot be read."""
    folder, files = dataset.competition.folder, dataset.test_images[0]
    with first_alone():
        images = load_images(folder, files, stored_size, channels, dataset.cache, progress, fit, dataset.bits)
    for row, reason in images.problems.items():
        progress.say(f"note: {files[row]} cannot be read ({reason}): it gets the class priors")
    return images


def complete_predictions(
    run: Run, dataset: Dataset, part: str, views: tuple[str, ...], crop: int, progress: Progress
) -> Predictions:
    """Return a run's predictions of `part`, "oof" or "test", with at least `views` of `crop` pixels.

    They are read from the run's folder; what is missing there is predicted by its models, and kept.
    """
    path = run.predictions_path(part, crop)
    kept = Predictions.read(path) if path.is_file() and run.finished else None
    if kept and part == "test" and not np.array_equal(kept.ids, dataset.test_ids):
        kept = None  # the test images have changed
    missing = tuple(view for view in views if not kept or view not in kept.views)
    if kept and not missing:
        return kept
    if crop > run.stored_size:
        most = f"{run.stored_size}, the size of the kept images"
        raise KcnnError(f"--crop should be at most {most}, got {crop}", "choose a smaller one")
    images = (
        load_train_images(dataset, run.stored_size, run.fit, progress)
        if part == "oof"
        else load_test_images(dataset, run.stored_size, run.fit, run.record["channels"], progress)
    )
    if "metadata" in run.record:
        columns = find_metadata(dataset, run.record["metadata"])
        images = attach_metadata(dataset, images, columns, "train" if part == "oof" else "test")
    by_seed = []
    for own in run.by_seed:
        parts = []
        for fold, model_path in zip(own.folds, own.models, strict=True):
            model = ready_model(run, model_path, dataset.task, crop)
            if part == "oof":
                parts.append(predict_validation(model, dataset, images, fold, missing, crop, progress))
            else:
                parts.append(predict_test(model, dataset, images, missing, crop, progress))
            gc.collect()
        by_seed.append(join_folds(parts) if part == "oof" else average_folds(parts))
    made = average_folds(by_seed)
    made = kept.with_views(made) if kept else made
    if run.finished:  # else its models may still change
        made.write(path)
    return made
