"""A run's models at work on single images: for pictures, not for scores."""

from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import numpy as np
from keras import Model

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.data.batches import Augmenter, Mixing, centres, training_batch
from kaggle_cnn.data.dataset import Dataset, FoundImage
from kaggle_cnn.data.decode import decode_square
from kaggle_cnn.data.image_cache import fingerprint
from kaggle_cnn.data.order import epoch_order
from kaggle_cnn.data.training_set import TrainingSet, readable
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file
from kaggle_cnn.learn.distribution import predict_batch
from kaggle_cnn.learn.fit import make_pipeline, sample_images
from kaggle_cnn.learn.network import last_features, require_one_input
from kaggle_cnn.learn.predict import apply, load_model, load_train_images
from kaggle_cnn.progress import Progress
from kaggle_cnn.recipe import Recipe
from kaggle_cnn.runs.run import Run


def read_centre(run: Run, dataset: Dataset, path: Path) -> Array:
    """Return a file as the network of `run` gets it, uint8 (1, size, size, channels): its centre.

    Raises KcnnError where it cannot be read.
    """
    try:
        square = decode_square(path, run.stored_size, run.record["channels"], run.fit, dataset.bits)
    except Exception as error:  # Pillow's decoders raise nearly anything on a broken file
        raise KcnnError(f"{path} cannot be read: {error}", "expected an image file") from None
    return centres(square[None], np.array([0]), run.size)


def open_model_for(run: Run, dataset: Dataset, found: FoundImage) -> tuple[Model, int]:
    """Return the model that did not see the image in training, where the run has it, else the first fold's; and its
    fold."""
    fold = int(dataset.folds.numbers[found.row]) if found.row is not None else run.folds[0]
    fold = fold if fold in run.folds else run.folds[0]
    model = load_model(run, dict(zip(run.folds, run.models, strict=True))[fold])
    require_one_input(model)
    return model, fold


def training_features(run: Run, model: Model, fold: int, dataset: Dataset, progress: Progress) -> tuple[Array, Array]:
    """Return the rows of all readable training images, and what the last layer gets of each, float32 (n, features).

    They are kept as features.npz in the fold's folder, and computed again where the model or an image has changed.
    """
    path = run.fold_folder(fold) / "features.npz"
    key = features_key(run, fold, dataset)
    if path.is_file():
        with suppress(Exception), np.load(path) as kept:  # damaged: it is made again
            if str(kept["key"]) == key:
                return kept["rows"], kept["features"]
    images = load_train_images(dataset, run.stored_size, run.fit, progress)
    rows = readable(np.arange(len(dataset.ids)), images)
    inner = last_features(model)
    description = f"features of {len(rows):,} training images"
    features = apply(inner, lambda some: centres(images.pixels, some, run.size), rows, progress, description)
    features = features.reshape(len(rows), -1)
    with whole_file(path) as temporary:
        np.savez(temporary, key=key, rows=rows, features=features)
    return rows, features


def features_key(run: Run, fold: int, dataset: Dataset) -> str:
    """Return what changes when the model of a fold, an image or the list of images does."""
    status = (run.fold_folder(fold) / "model.keras").stat()
    images = fingerprint(dataset.competition.folder, dataset.ids.tolist(), run.stored_size, None, run.fit)
    return blake2b(f"{status.st_size} {status.st_mtime_ns} {images}".encode(), digest_size=16).hexdigest()


def features_of(model: Model, image: Array) -> Array:
    """Return what the last layer of `model` gets of one image (1, size, size, channels), float32 (features,)."""
    return predict_batch(last_features(model), image).reshape(-1)


def find_nearest(features: Array, own: Array, metric: str, most: int, itself: int = -1) -> tuple[Array, Array]:
    """Return which `most` of `features` (n, d) are nearest to `own` (d,), and their distances.

    `metric` is "euclidean" or "cosine", which is 1 less the cosine. The row `itself`, of the image that neighbours are
    asked for, is not one of them.
    """
    features, own = features.astype(np.float64), own.astype(np.float64)
    if metric == "cosine":
        features = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        own = own / max(float(np.linalg.norm(own)), 1e-12)
    squares = ((features - own) ** 2).sum(axis=1)
    distances = squares / 2 if metric == "cosine" else np.sqrt(squares)
    order = np.argsort(distances, kind="stable")
    order = order[order != itself][:most]
    return order, distances[order]


def augment_images(recipe: Recipe, pixels: Array, rows: Array, versions: int) -> Array:
    """Return what training makes of `pixels`[`rows`] in its first epochs, by the function that makes its batches: uint8
    (len(rows), versions, size, size, channels)."""
    pipeline = make_pipeline(recipe, sample_images(recipe, pixels, np.arange(len(pixels))))
    if not hasattr(pipeline, "set_random_state"):  # AugmentOnDevice
        return np.stack([np.asarray(pipeline(pixels[rows])) for _ in range(versions)], axis=1)
    count = len(rows)
    chosen = TrainingSet(rows, np.eye(count, dtype=np.float32))
    augmenter, mixing = Augmenter(pipeline, recipe.seed), Mixing(recipe.mixup, recipe.cutmix)
    made = np.empty((count, versions, recipe.size, recipe.size, pixels.shape[3]), np.uint8)
    for epoch in range(versions):
        order = epoch_order(count, recipe.seed, epoch)
        made[order, epoch] = training_batch(pixels, chosen, augmenter, count, epoch, mixing)[0]
    return made
