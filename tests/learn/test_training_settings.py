"""Settings of the training itself: class weights, the average of the weights, the plateau, images for the model."""

import numpy as np
import pandas as pd
import pytest
from conftest import Recorder, Stop, edit_competition

from kaggle_cnn import KcnnError, Recipe
from kaggle_cnn.runs.run import list_runs


def test_balanced_weights_need_one_class_an_image(train_tiny, tiny_workspace):
    edit_competition(tiny_workspace, kind="multilabel", metric="samples_f1", submission_format="multi_label")
    with pytest.raises(KcnnError, match="class_weight=balanced needs images of one class each"):
        train_tiny(class_weight="balanced")
    assert not list(tiny_workspace.runs("colours").glob("tiny-*"))


@pytest.mark.usefixtures("eager")
def test_class_weights_reach_the_training(train_tiny, tiny_workspace):
    """Of one class a third is left. The same batches, the same first weights, and another loss for them."""
    folder = tiny_workspace.data("colours") / "train" / "colours-3" / "blue"
    for path in sorted(folder.iterdir())[6:]:
        path.unlink()
    losses = {}
    for weight in ("none", "balanced"):
        progress = Recorder()
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
def test_what_is_validated_is_the_running_average(keras, decay, steps, used):
    from kaggle_cnn.learn.callbacks import averaged_weights
    from kaggle_cnn.learn.phases import build_optimizer

    model = small(keras)
    optimizer = build_optimizer(Recipe(model=lambda shape, outputs: None, ema=decay, learning_rate=0.1), steps)
    assert optimizer.ema_momentum == pytest.approx(used)
    model.compile(optimizer, "categorical_crossentropy")
    draw = np.random.default_rng(0)
    averages = None
    for _ in range(6):
        model.train_on_batch(draw.normal(size=(8, 3)), np.eye(2, dtype=np.float32)[draw.integers(0, 2, 8)])
        now = [np.array(each) for each in model.trainable_variables]
        averages = now if averages is None else [used * a + (1 - used) * b for a, b in zip(averages, now, strict=True)]
    others = [np.array(each) for each in model.non_trainable_variables]
    with averaged_weights(model):
        for variable, expected in zip(model.trainable_variables, averages, strict=True):
            assert np.allclose(variable, expected, atol=1e-5)
        for variable, own in zip(model.non_trainable_variables, others, strict=True):
            assert (np.array(variable) == own).all()
    for current, own in zip(model.trainable_variables, now, strict=True):
        assert (np.array(current) == own).all()


def test_when_validation_has_stalled():
    from kaggle_cnn.learn.callbacks import has_stalled

    def ends(merits, patience):
        return [number for number in range(1, len(merits) + 1) if has_stalled(merits[:number], patience)]

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


@pytest.mark.usefixtures("constant", "eager")
def test_the_rate_falls_when_validation_stands_still(train_tiny):
    progress = Recorder()
    train_tiny(recipe="constant.py", epochs=5, learning_rate=1e-9, plateau=2, progress=progress)
    rates = [row["learning_rate"] for row in progress.rows]
    assert rates == pytest.approx([1e-9, 1e-9, 1e-9, 1e-10, 1e-10], rel=1e-5)


def test_a_schedule_has_no_plateau(train_tiny, tiny_workspace):
    with pytest.raises(KcnnError, match="plateau=2 needs a constant learning rate, and this recipe uses a schedule"):
        train_tiny(plateau=2)
    assert not list(tiny_workspace.runs("colours").glob("tiny-*"))


@pytest.mark.usefixtures("constant")
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])  # the latter scales the loss
def test_resumed_with_every_setting_is_as_never_stopped(train_tiny, tiny_workspace, precision):
    from kaggle_cnn.runs.run import open_unfinished

    settings = {
        "recipe": "constant.py", "epochs": 6, "plateau": 1, "learning_rate": 1e-3, "ema": 0.9, "mixup": 0.2,
        "cutmix": 1.0, "class_weight": "balanced", "label_smoothing": 0.1, "precision": precision,
    }  # fmt: skip
    whole = train_tiny(**settings)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(**settings, progress=Stop(3))
    resumed = train_tiny(**settings, run=open_unfinished(tiny_workspace, "colours", "constant"))
    histories = [pd.read_csv(run.fold_folder(0) / "history.csv") for run in (whole, resumed)]
    assert histories[0].equals(histories[1])
    assert histories[0]["learning_rate"].nunique() > 1  # it did stand still at least once


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_precision_reaches_the_layers_and_logits_are_float32(train_tiny, precision):
    from kaggle_cnn.learn.predict import load_model

    run = train_tiny(precision=precision, epochs=1)
    assert run.record["precision"] == precision
    model = load_model(run, run.fold_folder(0) / "model.keras")
    convolution = next(layer for layer in model.layers if "Conv" in type(layer).__name__)
    assert convolution.compute_dtype == precision.removeprefix("mixed_")
    assert convolution.kernel.dtype == model.output.dtype == model.layers[-1].input.dtype == "float32"


@pytest.mark.usefixtures("eager")
def test_functions_that_ask_get_training_images(train_tiny, tiny_workspace):
    text = (tiny_workspace.root / "recipes" / "tiny.py").read_text()
    text = text.replace("def tiny(shape, outputs, width=4):", "def tiny(shape, outputs, images=None, width=4):")
    text = text.replace("    x = layers.Rescaling(1 / 255)(inputs)", NOTE + "    x = layers.Rescaling(1 / 255)(inputs)")
    assert "given.txt" in text
    (tiny_workspace.root / "recipes" / "asks.py").write_text(text)
    run = train_tiny(recipe="asks.py", epochs=1)
    given = (tiny_workspace.root / "given.txt").read_text().splitlines()
    assert given == ["(36, 16, 16, 3) uint8"] * 2  # four folds of five of 45; built twice, see learn/rehearsal.py
    assert run.finished


NOTE = """    from pathlib import Path
    given = None if images is None else f"{images.shape} {images.dtype}"
    with open(Path(__file__).parents[1] / "given.txt", "a") as file:
        print(given, file=file)
"""


def test_mixing_on_the_device_is_refused(train_tiny, tiny_workspace):
    text = (tiny_workspace.root / "recipes" / "tiny.py").read_text()
    text = text.replace("kaggle_cnn.augment import shift_rotate_flip", "kaggle_cnn.layers import AugmentOnDevice")
    text = text.replace("augment=shift_rotate_flip", "augment=AugmentOnDevice")
    (tiny_workspace.root / "recipes" / "device.py").write_text(text)
    with pytest.raises(KcnnError, match="mixup and cutmix mix what Albumentations gives"):
        train_tiny(recipe="device.py", mixup=0.2)


@pytest.mark.usefixtures("eager")
def test_the_state_is_kept_by_the_path_of_each_variable(train_tiny, tiny_workspace):
    """So that a layer that a recipe adds, or an order that Keras changes, is not filled with another one's weights."""
    with pytest.raises(KeyboardInterrupt):
        train_tiny(epochs=2, progress=Stop(1))
    [state] = tiny_workspace.runs("colours").glob("tiny-*/fold-0/state.npz")
    with np.load(state) as arrays:
        names = set(arrays.files)
    assert {"conv2d/kernel", "dense/bias", "batch_normalization/moving_mean", "optimizer/iteration"} <= names
    assert any("seed_generator" in name for name in names)
    with np.load(state) as arrays:
        kept = {name: arrays[name] for name in arrays.files if name != "dense/bias"}
    with state.open("wb") as stream:
        np.savez(stream, **kept)
    with pytest.raises(KcnnError, match=r"state\.npz does not fit this recipe"):
        train_tiny(epochs=2, run=dataset_run(tiny_workspace))


def dataset_run(workspace):
    from kaggle_cnn.runs.run import open_unfinished

    return open_unfinished(workspace, "colours", "tiny")


def test_the_mean_of_the_last_weights_is_tried(train_tiny, tiny_workspace, keras):
    """The model has the mean of the weights after the last two epochs where that is the best, else the best epoch's;
    stopped and resumed between the two it is the same."""
    settings = {"epochs": 4, "learning_rate": 0.05, "width": 2}
    plain = train_tiny(**settings)
    run = train_tiny(swa=2, **settings)
    stop = Stop(3)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(swa=2, progress=stop, **settings)
    [stopped] = [each for each in list_runs(tiny_workspace, "colours") if each.status == "training"]
    with np.load(stopped.fold_folder(0) / "state.npz") as state:
        third = {name.removeprefix("sum/"): state[name] for name in state.files if name.startswith("sum/")}
    assert third
    train_tiny(swa=2, run=stopped, **settings)
    resumed, whole = (keras.models.load_model(each.fold_folder(0) / "model.keras", compile=False).get_weights()
                      for each in (stopped, run))  # fmt: skip
    assert all((one == other).all() for one, other in zip(resumed, whole, strict=True))
    tables = [each.histories()[0] for each in (plain, run)]
    column = "val_accuracy"
    assert tables[0][column][:3].tolist() == tables[1][column][:3].tolist()
    better = tables[1][column].iloc[3] > tables[0][column].max()
    assert better or tables[1][column].tolist() == tables[0][column].tolist()
