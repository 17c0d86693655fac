"""One recipe tried on one shape: built, trained two steps on its own batches, saved, loaded, its views predicted.

python tests/recipe_trial.py BACKEND PRECISION NAME...        # of one class an image
python tests/recipe_trial.py BACKEND PRECISION kinds NAME...  # every other kind of task, not compiled
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from kaggle_cnn import tta
from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.competition.task import KINDS, Task
from kaggle_cnn.data.image_cache import Images
from kaggle_cnn.data.training_set import TrainingSet
from kaggle_cnn.recipe import Recipe, apply_settings, load_recipe

# What makes a recipe quick to try. pretrained's default network wants a download.
QUICK = {"pretrained": {"backbone": "VGG16", "weights": "none"}, "alexnet": {"dense": "64"}}
METRICS = {
    "multiclass": "accuracy",
    "ordinal": "quadratic_weighted_kappa",
    "multilabel": "samples_f1",
    "multioutput": "macro_recall",
    "regression": "rmse",
}
ORDINAL = ("cumulative", "regression")  # ways to learn grades: kind "ordinal by cumulative", beside classification
MARGIN, IMAGES, BATCH, PREDICTED = 4, 12, 4, 3


def load(name: str) -> Recipe:
    return apply_settings(load_recipe(Path(__file__).parents[1] / "recipes" / f"{name}.py"), QUICK.get(name, {}))


def task_of(kind: str, outputs: int) -> Task:
    kind = kind.partition(" ")[0]
    heads = (("shape", outputs // 2), ("colour", outputs - outputs // 2)) if kind == "multioutput" else ()
    metric = find_metric(METRICS[kind], [count for _, count in heads])
    return Task(kind, tuple(f"class {number}" for number in range(outputs)), metric, heads)


def form_of(kind: str) -> dict[str, str]:
    """The settings that a kind such as "ordinal by regression" has."""
    return {"ordinal": kind.rpartition(" ")[2]} if " " in kind else {}


def build(recipe: Recipe, shape: tuple[int, int, int], outputs: int, kind: str = "multiclass"):
    """The network for images of that shape, given images where the recipe asks for them."""
    from kaggle_cnn.learn.model import build_network

    images = np.random.default_rng(1).integers(0, 256, (40, *shape), dtype=np.uint8)
    targets = np.random.default_rng(2).normal(50, 20, (40, outputs)).astype(np.float32)
    recipe = replace(recipe, size=shape[0], **form_of(kind))
    return build_network(recipe, shape[2], task_of(kind, outputs), images, targets)


def targets_of(kind: str, outputs: int, draw: np.random.Generator) -> np.ndarray:
    """Targets of a training set, float32 (IMAGES, outputs)."""
    if kind == "regression":
        return draw.normal(50, 20, (IMAGES, outputs)).astype(np.float32)
    if kind == "multilabel":
        return draw.integers(0, 2, (IMAGES, outputs)).astype(np.float32)
    if kind == "multioutput":
        parts = [np.eye(count)[draw.integers(0, count, IMAGES)] for _, count in task_of(kind, outputs).heads]
        return np.concatenate(parts, axis=1).astype(np.float32)
    return np.eye(outputs, dtype=np.float32)[draw.integers(0, outputs, IMAGES)]


def trial(name: str, shape: tuple[int, int, int], outputs: int, kind: str = "multiclass", eager: bool = False) -> None:
    """Raises AssertionError where anything is not as it should be. `eager` compiles nothing, which takes TensorFlow a
    third of the time, and JAX five times as long."""
    import keras

    from kaggle_cnn.learn.backend import find_device
    from kaggle_cnn.learn.distribution import predict_batch
    from kaggle_cnn.learn.fit import FoldPlan, prepare_batches, prepare_model
    from kaggle_cnn.learn.model import cut_head, encode_targets, make_loss, make_metrics
    from kaggle_cnn.learn.phases import build_optimizer
    from kaggle_cnn.learn.predict import predict_views

    margin = MARGIN if load(name).margin else 0
    recipe = replace(load(name), size=shape[0], margin=margin, batch=BATCH, **form_of(kind))
    task, network, draw = task_of(kind, outputs), build(recipe, shape, outputs, kind), np.random.default_rng(0)
    side = recipe.stored_size
    pixels = draw.integers(0, 256, (IMAGES + PREDICTED, side, side, shape[2]), dtype=np.uint8)
    targets = targets_of(kind, outputs, draw)
    chosen = TrainingSet(np.arange(IMAGES), encode_targets(recipe, task, targets, targets))
    sample = pixels[:IMAGES, : shape[0], : shape[0]]
    plan, device = FoldPlan(network, chosen, sample), find_device()
    trained = prepare_model(recipe, network.raw, sample, pixels, device)
    makers = prepare_batches(recipe, plan, chosen, Images(pixels, {}), device)
    loss = make_loss(recipe, task)
    trained.compile(build_optimizer(recipe, 10), loss, metrics=make_metrics(recipe, task), run_eagerly=eager)
    for model in (network.raw, network.predicting, network.whole):
        model.run_eagerly = eager
    check_loss(loss, kind, predict_batch(network.raw, sample[:PREDICTED]), chosen.targets[:PREDICTED])
    before = [np.array(each) for each in trained.get_weights()]
    precision = keras.config.dtype_policy().name
    steps = 8 if precision == "mixed_float16" else 2  # the first may be skipped, until the loss's scale fits
    losses = [float(np.ravel(trained.train_on_batch(*makers[0](step)))[0]) for step in range(steps)]
    assert np.isfinite(losses).all(), losses
    assert any((one != two).any() for one, two in zip(before, trained.get_weights(), strict=True))

    with tempfile.TemporaryDirectory() as folder:
        network.whole.save(f"{folder}/model.keras")
        whole = keras.models.load_model(f"{folder}/model.keras", compile=False)
    model, views = cut_head(whole, task), tta.views_of("none", recipe.policy)
    whole.run_eagerly = model.run_eagerly = eager
    rows = np.arange(IMAGES, IMAGES + PREDICTED)
    logits = predict_views(model, pixels, rows, views, recipe.size)
    assert logits.shape == (PREDICTED, len(views), outputs)
    assert np.isfinite(logits).all()
    near = {"mixed_bfloat16": 3e-2, "mixed_float16": 3e-3}.get(precision, 1e-4) * (1 + np.abs(logits).max())
    cut = np.concatenate([tta.cut_view(pixels[rows], view, recipe.size) for view in views])
    for number, own in enumerate(np.split(predict_batch(network.predicting, cut), len(views))):
        assert np.allclose(logits[:, number], own, atol=near), views[number]
    if eager:
        probable = predict_batch(whole, tta.cut_view(pixels[rows], "centre", recipe.size))
        assert np.allclose(probable, task.activate(logits[:, 0]), atol=near)


def check_loss(loss, kind: str, logits: np.ndarray, targets: np.ndarray) -> None:
    """That the loss of logits is what it is by definition, worked out with NumPy."""
    given = logits.astype(np.float64)
    smooth = getattr(getattr(loss, "loss", loss), "label_smoothing", 0)
    if kind in ("regression", "ordinal by regression"):
        expected = ((given - targets) ** 2).mean()
    elif kind == "multioutput":
        pairs = zip(*(np.split(each, [targets.shape[1] // 2], axis=1) for each in (given, targets)), strict=True)
        expected = np.mean([cross_entropy(*pair, smooth) for pair in pairs])
    elif kind in ("multilabel", "ordinal by cumulative"):
        wanted = targets * (1 - smooth) + smooth / 2
        expected = (np.logaddexp(0, given) - wanted * given).mean()
    else:
        expected = cross_entropy(given, targets, smooth)
    assert np.isclose(float(loss(targets, logits)), expected, rtol=1e-3), (kind, expected)


def cross_entropy(logits: np.ndarray, targets: np.ndarray, smooth: float) -> float:
    wanted = targets * (1 - smooth) + smooth / targets.shape[1]
    highest = logits.max(axis=1, keepdims=True)
    logarithm = logits - highest - np.log(np.exp(logits - highest).sum(axis=1, keepdims=True))
    return -(wanted * logarithm).sum(axis=1).mean()


if __name__ == "__main__":
    from kaggle_cnn.learn.backend import start_backend

    backend, precision, *names = sys.argv[1:]
    start_backend(backend)
    import keras

    if names[0] == "kinds":
        pairs = [
            (name, kind)
            for name in names[1:]
            for kind in (*list(KINDS)[1:], *(f"ordinal by {form}" for form in ORDINAL))
        ]
    else:
        pairs = [(name, "multiclass") for name in names]
    for name, kind in pairs:
        keras.config.set_dtype_policy(precision)
        trial(name, (64, 64, 3) if name == "pretrained" else (32, 32, 3), 10, kind, eager=kind != "multiclass")
        print(f"{name} is fine" if kind == "multiclass" else f"{name} is fine, {kind}", flush=True)
