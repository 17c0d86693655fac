"""A finished run's models set to work on single images: for pictures, not for scores."""

import numpy as np

from kaggle_cnn.data.batches import centres, chosen_at, training_batch
from kaggle_cnn.data.dataset import Dataset, FoundImage
from kaggle_cnn.data.decode import square
from kaggle_cnn.data.images import load_images
from kaggle_cnn.files import whole_file
from kaggle_cnn.learn.fit import pipeline_maker, training_images
from kaggle_cnn.learn.inside import hidden
from kaggle_cnn.learn.predict import answers, batch_size, load_model, readable
from kaggle_cnn.learn.recipe import Recipe
from kaggle_cnn.learn.run import Run


def as_given(run: Run, path) -> np.ndarray:
    """A file as the network of `run` is given it, uint8 (1, crop, crop, channels): its centre. Raises as `square`."""
    knobs = run.record["knobs"]
    return centres(square(path, knobs["size"], run.record["channels"])[None], np.array([0]), knobs["crop"])


def model_for(run: Run, dataset: Dataset, found: FoundImage):
    """The model that did not see the image in training, where the run has it, else the first fold's; and its fold."""
    folds = run.record["folds"]
    fold = dataset.folds[found.row] if found.row is not None else folds[0]
    fold = int(fold) if fold in folds else folds[0]
    path = dict(zip(folds, run.models, strict=True))[fold]
    return load_model(run, path), fold


def embedded(run: Run, model, fold: int, dataset: Dataset, track) -> tuple[np.ndarray, np.ndarray]:
    """The rows of all readable training images, and what the last layer is given of each, float32 (n, features); kept
    as hidden.npz in the fold's folder."""
    path = run.fold_folder(fold) / "hidden.npz"
    made_of = (run.fold_folder(fold) / "model.keras").stat().st_mtime_ns  # a run that is gone on with has another
    if path.is_file():
        with np.load(path) as kept:
            if kept["model"] == made_of and np.array_equal(kept["ids"], dataset.ids):
                return kept["rows"], kept["features"]
    knobs = run.record["knobs"]
    images = load_images(dataset.train_files, knobs["size"], None, dataset.competition.folder / ".cache", track)
    rows = readable(np.arange(len(dataset.ids)), images)
    inner = hidden(model)

    def told(starts, total):
        return track(starts, f"going through {len(rows):,} training images", total)

    features = answers(inner, lambda some: centres(images.pixels, some, knobs["crop"]), rows, batch_size(inner), told)
    features = features.reshape(len(rows), -1)
    with whole_file(path) as temporary:
        np.savez(temporary, ids=dataset.ids, model=made_of, rows=rows, features=features)
    return rows, features


def nearest(
    features: np.ndarray, own: np.ndarray, metric: str, most: int, itself: int = -1
) -> tuple[np.ndarray, np.ndarray]:
    """Which `most` of `features` (n, d) are nearest to `own` (d,), and their distances: "euclidean", or "cosine", which
    is 1 less the cosine. That of a row to itself is 0 with both; the row `itself` comes before others at 0."""
    features, own = features.astype(np.float64), own.astype(np.float64)
    if metric == "cosine":
        features = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        own = own / max(np.linalg.norm(own), 1e-12)
    squares = ((features - own) ** 2).sum(axis=1)
    distances = squares / 2 if metric == "cosine" else np.sqrt(squares)
    order = np.lexsort((np.arange(len(distances)) != itself, distances))[:most]
    return order, distances[order]


def augmented_versions(recipe: Recipe, pixels: np.ndarray, rows: np.ndarray, versions: int) -> np.ndarray:
    """What training makes of `pixels`[`rows`] in its first epochs, by the same function that makes its batches: uint8
    (len(rows), versions, crop, crop, channels)."""
    pipeline = pipeline_maker(recipe, training_images(recipe, pixels, np.arange(len(pixels))))()
    if not hasattr(pipeline, "set_random_seed"):  # AugmentOnDevice
        return np.stack([np.asarray(pipeline(pixels[rows])) for _ in range(versions)], axis=1)
    known, count = np.eye(len(rows), dtype=np.float32), len(rows)
    made = np.empty((count, versions, recipe.crop, recipe.crop, pixels.shape[3]), np.uint8)
    for epoch in range(versions):
        order = chosen_at(count, count, recipe.seed, epoch)
        made[order, epoch], _ = training_batch(
            pixels, rows, known, pipeline, count, recipe.seed, epoch, recipe.mixup, recipe.cutmix
        )
    return made
