"""One recipe put to the test on one shape: built, trained two steps, saved, loaded, its views predicted.

python tests/recipe_trial.py BACKEND PRECISION VIEWS NAME...
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

# What makes a recipe quick to try. finetune's default network wants a download.
QUICK = {"finetune": {"backbone": "VGG16", "weights": "none"}, "alexnet": {"dense": "64"}}


def build(recipe, shape: tuple[int, int, int], classes: int):
    """The model, given images where it asks for them."""
    from kaggle_cnn.learn.fit import start_afresh
    from kaggle_cnn.learn.recipe import given_images

    start_afresh(seed=0)
    images = np.random.default_rng(1).integers(0, 256, (40, *shape), dtype=np.uint8)
    return given_images(recipe.model, images)(shape, classes)


def load(name: str):
    from kaggle_cnn.learn.recipe import load_recipe, set_knobs

    return set_knobs(load_recipe(Path(__file__).parents[1] / "recipes" / f"{name}.py"), QUICK.get(name, {}))


def trial(name: str, shape: tuple[int, int, int], classes: int, views: int, eager: bool = False) -> None:
    """Raises AssertionError where anything is not as it should be. `eager` compiles nothing, which takes TensorFlow a
    third of the time, and JAX five times as long."""
    import keras

    from kaggle_cnn.learn.fit import build_optimizer
    from kaggle_cnn.learn.layers import with_views

    recipe = load(name)
    model = build(recipe, shape, classes)
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (4, *shape), dtype=np.uint8)
    targets = np.eye(classes, dtype=np.float32)[draw.integers(0, classes, 4)]
    model.compile(build_optimizer(recipe, 10), "categorical_crossentropy", run_eagerly=eager)
    before = [np.array(each) for each in model.get_weights()]
    precision = keras.config.dtype_policy().name
    steps = 8 if precision == "mixed_float16" else 2  # the first may be skipped, until the loss's scale fits
    losses = [float(model.train_on_batch(images, targets)) for _ in range(steps)]
    assert np.isfinite(losses).all(), losses
    assert any((one != two).any() for one, two in zip(before, model.get_weights(), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        loaded = keras.models.load_model(f"{folder}/model.keras", compile=False)
    size = shape[0] + 4
    pictures = draw.integers(0, 256, (2, size, size, shape[2]), dtype=np.uint8)
    every = with_views(loaded, size, views)
    given = every(pictures, training=False) if eager else every.predict_on_batch(pictures)
    answers = keras.ops.convert_to_numpy(given)
    assert answers.shape == (2, views, classes)
    assert np.allclose(answers.sum(axis=-1), 1, atol=1e-4)
    centre = keras.ops.convert_to_numpy(model(pictures[:, 2:-2, 2:-2], training=False))
    near = {"mixed_bfloat16": 3e-2, "mixed_float16": 3e-3}.get(precision, 1e-4)
    assert np.allclose(answers[:, 0], centre, atol=near)


if __name__ == "__main__":
    from kaggle_cnn.learn.backend import start_backend

    backend, precision, views, *names = sys.argv[1:]
    start_backend(backend)
    import keras

    keras.config.set_dtype_policy(precision)
    for each in names:
        trial(each, (32, 32, 3), 10, int(views))
        print(each, "is fine", flush=True)
