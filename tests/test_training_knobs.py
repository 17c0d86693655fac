"""Knobs of the training itself: class weights, the average of the weights, the plateau, images for the model."""

import numpy as np
import pandas as pd
import pytest
from conftest import Quiet
from sklearn.utils.class_weight import compute_class_weight

from kaggle_cnn import KcnnError, Recipe


def test_balanced_weights_are_those_of_scikit_learn(keras):
    from kaggle_cnn.learn.fit import balanced

    labels = np.array([0] * 6 + [1] * 3 + [2])
    targets = np.eye(3, dtype=np.float32)[labels]
    given = np.random.default_rng(0).dirichlet([1, 1, 1], 10).astype(np.float32)
    weights = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    loss = balanced(keras.losses.CategoricalCrossentropy(), targets)
    expected = -np.log(given[np.arange(10), labels]) * weights[labels]
    assert np.allclose(loss(targets, given), expected, rtol=1e-5)
    mixture = np.array([[0.25, 0.75, 0]], np.float32)
    both = -(np.log(given[0, :2]) * [0.25, 0.75]).sum() * (weights[:2] * [0.25, 0.75]).sum()
    assert np.allclose(loss(mixture, given[:1]), both, rtol=1e-5)


def test_balanced_is_for_one_class_an_image(keras):
    from kaggle_cnn.learn.fit import require_consistent

    recipe = Recipe(model=lambda shape, classes: None, class_weight="balanced")
    require_consistent(recipe, multi_label=False)
    with pytest.raises(KcnnError, match="one class each"):
        require_consistent(recipe, multi_label=True)


def test_class_weights_reach_the_training(train_tiny, tiny_workspace):
    """Of one class a third is left. The same batches, the same first weights, and another loss for them."""
    folder = tiny_workspace.data("colours") / "train" / "colours-3" / "blue"
    for path in sorted(folder.iterdir())[6:]:
        path.unlink()
    losses = {}
    for weight in ("none", "balanced"):
        progress = Quiet()
        train_tiny(epochs=1, learning_rate=1e-9, class_weight=weight, progress=progress)
        losses[weight] = progress.rows[0]["loss"]
    # 12, 12 and 5 images: weights 0.81, 0.81 and 1.93, of mean 1 over the images. Untrained, all lose about the same.
    assert losses["none"] != losses["balanced"]
    assert losses["none"] == pytest.approx(losses["balanced"], rel=0.3)


def small(keras):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    x = keras.layers.BatchNormalization()(keras.layers.Dense(4)(inputs))
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))


@pytest.mark.parametrize(("decay", "steps", "used"), [(0.5, 1000, 0.5), (0.999, 90, 0.9)])
def test_what_is_validated_is_the_running_average(keras, tmp_path, decay, steps, used):
    from kaggle_cnn.learn.callbacks import Checkpoint
    from kaggle_cnn.learn.fit import build_optimizer

    model, twin = small(keras), small(keras)
    optimizer = build_optimizer(Recipe(model=lambda shape, classes: None, ema=decay, learning_rate=0.1), steps)
    assert optimizer.ema_momentum == pytest.approx(used)
    model.compile(optimizer, "categorical_crossentropy")
    draw = np.random.default_rng(0)
    averages = None
    for _ in range(6):
        model.train_on_batch(draw.normal(size=(8, 3)), np.eye(2, dtype=np.float32)[draw.integers(0, 2, 8)])
        now = [np.array(each) for each in model.trainable_variables]
        averages = now if averages is None else [used * a + (1 - used) * b for a, b in zip(averages, now, strict=True)]
    with Checkpoint(tmp_path, model, twin, dict, lambda row: 0, 0, Quiet()) as checkpoint:
        checkpoint.set_model(model)
        checkpoint.give_twin_weights()
    for kept, expected in zip(twin.trainable_variables, averages, strict=True):
        assert np.allclose(kept, expected, atol=1e-5)
    for kept, own in zip(twin.non_trainable_variables, model.non_trainable_variables, strict=True):
        assert (np.array(kept) == np.array(own)).all()
    for current, own in zip(model.trainable_variables, now, strict=True):
        assert (np.array(current) == own).all()


def test_stalled():
    from kaggle_cnn.learn.callbacks import stalled

    def ends(worths, patience):
        return [number for number in range(1, len(worths) + 1) if stalled(worths[:number], patience)]

    assert ends([1, 2, 3, 4], 1) == []
    assert ends([1, 1, 1, 1], 1) == [2, 3, 4]
    assert ends([3, 2, 1, 1, 1, 1], 2) == [3, 5]
    assert ends([3, 2, 4, 1, 5, 5, 5], 2) == [7]


RATE = "def falling(learning_rate, steps):\n    return optimizers."
SCHEDULE = "Adam(optimizers.schedules.CosineDecay(learning_rate, steps))"


@pytest.fixture
def constant(tiny_workspace):
    """recipes/constant.py: tiny, at a constant rate."""
    text = (tiny_workspace.root / "recipes" / "tiny.py").read_text()
    assert RATE + SCHEDULE in text
    text = text.replace(SCHEDULE, "SGD(learning_rate, momentum=0.9)")
    (tiny_workspace.root / "recipes" / "constant.py").write_text(text)


@pytest.mark.usefixtures("constant")
def test_the_rate_falls_when_validation_stands_still(train_tiny):
    progress = Quiet()
    train_tiny(recipe="constant.py", epochs=5, learning_rate=1e-9, plateau=2, progress=progress)
    rates = [row["learning_rate"] for row in progress.rows]
    assert rates == pytest.approx([1e-9, 1e-9, 1e-9, 1e-10, 1e-10], rel=1e-5)


def test_a_schedule_has_no_plateau(train_tiny, tiny_workspace):
    with pytest.raises(KcnnError, match="plateau=2 lowers a constant rate, and this recipe's follows a schedule"):
        train_tiny(plateau=2)
    assert not (tiny_workspace.root / "runs").exists()


@pytest.mark.usefixtures("constant")
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])  # the latter scales the loss
def test_resumed_with_every_knob_is_as_never_stopped(train_tiny, tiny_workspace, precision):
    from kaggle_cnn.learn.run import open_unfinished

    class Stopped(Quiet):
        def epoch(self, row, better, seconds):
            if row["epoch"] == 3:
                raise KeyboardInterrupt

    knobs = {
        "recipe": "constant.py", "epochs": 6, "plateau": 1, "learning_rate": 1e-3, "ema": 0.9, "mixup": 0.2,
        "cutmix": 1.0, "class_weight": "balanced", "label_smoothing": 0.1, "precision": precision,
    }  # fmt: skip
    whole = train_tiny(**knobs)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(**knobs, progress=Stopped())
    resumed = train_tiny(**knobs, run=open_unfinished(tiny_workspace, "colours", "constant"))
    histories = [pd.read_csv(run.fold_folder(0) / "history.csv") for run in (whole, resumed)]
    assert histories[0].equals(histories[1])
    assert histories[0]["learning_rate"].nunique() > 1  # it did stand still at least once


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_precision_reaches_the_layers(train_tiny, precision):
    from kaggle_cnn.learn.predict import load_model

    run = train_tiny(precision=precision, epochs=1)
    assert run.record["precision"] == precision
    model = load_model(run, run.fold_folder(0) / "model.keras")
    convolution = next(layer for layer in model.layers if "Conv" in type(layer).__name__)
    assert convolution.compute_dtype == precision.removeprefix("mixed_")
    assert convolution.kernel.dtype == model.output.dtype == "float32"


def test_probabilities_of_half_the_digits_are_refused(train_tiny, tiny_workspace):
    text = (tiny_workspace.root / "recipes" / "tiny.py").read_text().replace(', dtype="float32")', ")")
    (tiny_workspace.root / "recipes" / "half.py").write_text(text)
    assert train_tiny(recipe="half.py", epochs=1).finished
    with pytest.raises(KcnnError, match="should give float32, got bfloat16"):
        train_tiny(recipe="half.py", epochs=1, precision="mixed_bfloat16")


def test_functions_that_ask_get_training_images(train_tiny, tiny_workspace):
    text = (tiny_workspace.root / "recipes" / "tiny.py").read_text()
    text = text.replace("def tiny(shape, classes, width=4):", "def tiny(shape, classes, images=None, width=4):")
    text = text.replace("    x = layers.Rescaling(1 / 255)(inputs)", TELL + "    x = layers.Rescaling(1 / 255)(inputs)")
    assert "told.txt" in text
    (tiny_workspace.root / "recipes" / "asks.py").write_text(text)
    run = train_tiny(recipe="asks.py", epochs=1)
    told = (tiny_workspace.root / "told.txt").read_text().splitlines()
    assert set(told) == {"None", "(36, 16, 16, 3) uint8"}  # four folds of five of 45
    assert run.finished


TELL = """    from pathlib import Path
    told = None if images is None else f"{images.shape} {images.dtype}"
    with open(Path(__file__).parents[1] / "told.txt", "a") as file:
        print(told, file=file)
"""


def test_mixing_on_the_device_is_refused(train_tiny, tiny_workspace):
    text = (tiny_workspace.root / "recipes" / "tiny.py").read_text()
    text = text.replace(
        "kaggle_cnn.data.augment import shift_rotate_flip", "kaggle_cnn.learn.on_device import AugmentOnDevice"
    )
    text = text.replace("augment=shift_rotate_flip", "augment=lambda crop: AugmentOnDevice(crop)")
    (tiny_workspace.root / "recipes" / "device.py").write_text(text)
    with pytest.raises(KcnnError, match="mixup and cutmix mix what Albumentations gives"):
        train_tiny(recipe="device.py", mixup=0.2)
