"""A linear probe: the features of a frozen backbone, computed once, and a last layer fitted on them by scikit-learn.

It leaves a run like any other: a model for each fold, whose last layer has the fitted weights, and the predictions.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kaggle_cnn import tta
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.image_cache import Images, fingerprint
from kaggle_cnn.data.training_set import readable, training_set, validation_rows
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file
from kaggle_cnn.learn.backbone import PLACE, Place, find_run, keep_recipes, unseen_folds
from kaggle_cnn.learn.backend import find_device
from kaggle_cnn.learn.callbacks import MODEL
from kaggle_cnn.learn.fit import FoldPlan, Training
from kaggle_cnn.learn.linear import CHOOSING, STRENGTHS, Linear, fit_linear, loss_of
from kaggle_cnn.learn.model import Network, build_network, encode_targets, form_of
from kaggle_cnn.learn.phases import HEAD
from kaggle_cnn.learn.predict import fill_test, load_test_images, load_train_images, predict_views
from kaggle_cnn.learn.train import complete_run, describe_run, report_unreadable, require_both_parts
from kaggle_cnn.progress import CURRENT, Progress
from kaggle_cnn.recipe import Recipe, list_settings
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import Run, create_run
from kaggle_cnn.workspace import Workspace

NAME = "probe"  # of its runs


@dataclass(frozen=True)
class Features:
    """What a backbone gives, float32 (N, views, k), of the training images and of the test images that have a file;
    `test_images` are the latter."""

    train: Array
    test: Array
    test_images: Images


@dataclass(frozen=True)
class Prepared:
    """The network of a fold, its last layer, and what that gets of every image."""

    network: Network
    head: keras.layers.Layer
    features: Features


def probe(
    workspace: Workspace, dataset: Dataset, recipe: Recipe, path: Path, source: str, changed: dict[str, Any],
    progress: Progress,
) -> Run:  # fmt: skip
    """Fit the last layer of a recipe's network on the features before it, for every fold, and return the complete run.

    `path` and `source` are the recipe's, `changed` the settings that the user changed in it. The strength of the
    penalty is chosen by the loss of the images that are validated in the first CHOOSING folds. Raises KcnnError where
    the network has no last layer called HEAD, or the images do not allow all folds.
    """
    CURRENT.set(progress)
    PLACE.set(Place(workspace, dataset.competition.name, dataset.folds.digest))
    begun = time.monotonic()
    images = load_train_images(dataset, recipe.stored_size, recipe.fit, progress)
    report_unreadable(dataset, images, progress)
    views = tta.views_of("none", recipe.policy)
    prepared = prepare_folds(recipe, dataset, images, views, progress)
    folds = list(prepared)
    for fold in folds:
        require_both_parts(dataset, images, fold)
    fit = partial(fit_fold, recipe, dataset, images)
    strength = choose_strength(fit, dataset, images, {fold: prepared[fold] for fold in folds[:CHOOSING]}, progress)
    fitted = [
        fit(prepared[fold].features.train, fold, strength)
        for fold in progress.track(folds, f"fitting {len(folds)} folds, strength {strength:g}", len(folds))
    ]
    plan = FoldPlan(prepared[folds[0]].network, training_set(dataset, images, folds[0]), None)
    record = describe_run(workspace, dataset, recipe, path, folds, find_device(), plan, changed)
    record |= {"kind": NAME, "recipe": NAME, "strength": strength}
    run = create_run(workspace, dataset.competition.name, Path(f"{NAME}.py"), record, source)
    keep_recipes(run)
    seconds = round((time.monotonic() - begun) / len(folds), 1)
    for fold, linear in zip(folds, fitted, strict=True):
        run.fold_folder(fold).mkdir()
        write_fold(run, dataset, images, fold, prepared[fold], linear, views)
        run.write_result(fold, status="finished", seconds=seconds, epochs=0, best_epoch=0)
    return complete_run(Training(run, recipe, dataset, images, find_device(), progress))


def prepare_folds(
    recipe: Recipe, dataset: Dataset, images: Images, views: tuple[str, ...], progress: Progress
) -> dict[int, Prepared]:
    """Return the network and the features of each fold. All folds share one network, unless the backbone is a run of
    the same competition: then each has the model that did not see its images, and folds without one are left out."""
    run = find_run(str(list_settings(recipe).get("backbone", "")))
    unseen = unseen_folds(run, dataset.competition.name, dataset.folds.digest) if run else None
    if run and unseen == []:
        raise KcnnError(
            f"{run.id} was trained on other folds: it has seen the images that are validated", "train it on these folds"
        )
    if unseen is not None and len(unseen) < dataset.folds.count:
        left = ", ".join(map(str, unseen))
        progress.say(f"note: only for fold {left}: the images of the other folds have been seen by the backbone")
    prepared: dict[int, Prepared] = {}
    for fold in unseen or range(dataset.folds.count):
        if unseen is None and prepared:
            prepared[fold] = next(iter(prepared.values()))
            continue
        PLACE.set(replace(PLACE.get(), fold=fold))
        network = build_network(recipe, images.pixels.shape[3], dataset.task, None, dataset.targets)
        body, head = cut_at_head(network)
        prepared[fold] = Prepared(network, head, read_features(body, recipe, dataset, images, views, progress))
    return prepared


def write_fold(
    run: Run, dataset: Dataset, images: Images, fold: int, prepared: Prepared, linear: Linear, views: tuple[str, ...]
) -> None:
    """Write the model of a fold, with the fitted weights in its last layer, and its predictions."""
    folder, network, features = run.fold_folder(fold), prepared.network, prepared.features
    prepared.head.set_weights([linear.kernel, linear.bias])
    with whole_file(folder / MODEL) as temporary:
        network.whole.save(temporary)
    rows = validation_rows(dataset, images, fold)
    rows, logits = dataset.average_images(rows, network_output(network, features.train[rows], linear))
    known = (np.full(len(rows), fold), dataset.validated_targets(rows, fold))
    Predictions(dataset.ids[rows], logits, views, run.size, *known).write(folder / "oof.npz")
    tested = fill_test(dataset, features.test_images, views, network_output(network, features.test, linear))
    Predictions(dataset.test_ids, tested, views, run.size).write(folder / "test.npz")


def cut_at_head(network: Network) -> tuple[keras.Model, keras.layers.Layer]:
    """Return the model up to what the last layer gets, and that layer. Raises KcnnError where it is not called HEAD."""
    try:
        head = network.raw.get_layer(HEAD)
    except ValueError:
        head = None
    if not isinstance(head, keras.layers.Dense) or not head.use_bias or len(head.input.shape) != 2:
        raise KcnnError(f'the recipe has no last layer Dense(outputs, name="{HEAD}")', "recipes/pretrained.py has one")
    return keras.Model(network.raw.input, head.input), head


def network_output(network: Network, features: Array, linear: Linear) -> Array:
    """Return what predictions keep, float32 (n, views, outputs), for features (n, views, k)."""
    raw = features.reshape(-1, features.shape[2]) @ linear.kernel + linear.bias
    return network.finish(np.asarray(raw, np.float32)).reshape(*features.shape[:2], -1)


def fit_fold(recipe: Recipe, dataset: Dataset, images: Images, features: Array, fold: int, strength: float) -> Linear:
    """Fit the last layer on the images that are not validated in `fold`, all views of each."""
    task, chosen = dataset.task, training_set(dataset, images, fold)
    given = features[chosen.rows].reshape(-1, features.shape[2])
    targets = encode_targets(recipe, task, chosen.targets, dataset.targets)  # scaled as the network's last layer is
    sizes = [count for _, count in task.heads]
    return fit_linear(form_of(recipe, task), given, np.repeat(targets, features.shape[1], axis=0), strength, sizes)


def choose_strength(
    fit: Callable[[Array, int, float], Linear],
    dataset: Dataset,
    images: Images,
    prepared: dict[int, Prepared],
    progress: Progress,
) -> float:
    """Return the strength whose loss is the lowest on the images that are validated in the folds of `prepared`, by the
    mean of their views."""
    losses = []
    for strength in progress.track(STRENGTHS, f"choosing among {len(STRENGTHS)} strengths", len(STRENGTHS)):
        found = []
        for fold, each in prepared.items():
            rows, features = validation_rows(dataset, images, fold), each.features.train
            logits = network_output(each.network, features[rows], fit(features, fold, strength)).mean(axis=1)
            found.append(loss_of(dataset.task, logits, dataset.targets[rows]))
        losses.append(float(np.mean(found)))
    return STRENGTHS[int(np.argmin(losses))]


def read_features(
    body: keras.Model, recipe: Recipe, dataset: Dataset, images: Images, views: tuple[str, ...], progress: Progress
) -> Features:
    """Return the features of all images, from the cache or computed now; an unreadable image's are 0."""
    tested = load_test_images(dataset, recipe.stored_size, recipe.fit, images.pixels.shape[3], progress)
    names = [*dataset.ids.tolist(), *dataset.test_images[0]]
    path = dataset.cache / f"features-{features_key(body, recipe, dataset, names, views)}.npz"
    if kept := read_kept(path, [len(images.pixels), len(tested.pixels)], (len(views), body.output_shape[-1])):
        return Features(*kept, tested)
    found = []
    for part in (images, tested):
        rows = readable(np.arange(len(part.pixels)), part)
        values = np.zeros((len(part.pixels), len(views), body.output_shape[-1]), np.float32)
        if len(rows):
            values[rows] = predict_views(body, part.pixels, rows, views, recipe.size, progress)
        found.append(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, train=found[0], test=found[1])
    return Features(found[0], found[1], tested)


def read_kept(path: Path, counts: list[int], shape: tuple[int, ...]) -> tuple[Array, Array] | None:
    """Return the features that are kept, or None where they are not there or damaged: they are computed again."""
    try:
        with np.load(path) as kept:
            train, test = kept["train"], kept["test"]
    except Exception:  # NumPy and zipfile raise many kinds
        return None
    sound = all(
        each.shape == (count, *shape) and each.dtype == np.float32 and bool(np.isfinite(each).all())
        for each, count in zip((train, test), counts, strict=True)
    )
    return (train, test) if sound else None


def features_key(body: keras.Model, recipe: Recipe, dataset: Dataset, names: list[str], views: tuple[str, ...]) -> str:
    """Return what changes when an image, the backbone's weights or the views do."""
    digest = blake2b(digest_size=12)
    for value in body.get_weights():
        digest.update(np.ascontiguousarray(value).tobytes())
    digest.update(fingerprint(dataset.competition.folder, names, recipe.stored_size, None, recipe.fit).encode())
    digest.update(f"{body.input_shape} {views} {recipe.size} {keras.config.dtype_policy().name}".encode())
    digest.update(str([layer.name.rstrip("_0123456789") for layer in body.layers]).encode())
    return digest.hexdigest()
