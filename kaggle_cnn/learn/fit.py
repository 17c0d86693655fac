"""Recipe + images -> the trained model of one fold."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
from keras.optimizers.schedules import LearningRateSchedule

from kaggle_cnn.data import augment
from kaggle_cnn.data.batches import (
    Ahead,
    augmenting_threads,
    centres,
    feed,
    plain_batch,
    steps_per_epoch,
    training_batch,
)
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.images import Images
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.learn.backend import Device
from kaggle_cnn.learn.callbacks import Checkpoint, Scalars, Watch
from kaggle_cnn.learn.on_device import augmented
from kaggle_cnn.learn.predict import answers, batch_size, readable
from kaggle_cnn.learn.recipe import Recipe, describe, given_images, wants_images


def fit_fold(
    folder: Path,
    recipe: Recipe,
    dataset: Dataset,
    images: Images,
    fold: int,
    device: Device,
    progress,
    tensorboard: bool = False,
) -> None:
    """Trains the model that validates on `fold`, from where an earlier attempt in `folder` was stopped; leaves the best
    epoch's model.keras and history.csv there, and tensorboard/ where that is asked for."""
    folder.mkdir(exist_ok=True)
    trained = readable(np.flatnonzero(dataset.folds != fold), images)
    validated = readable(np.flatnonzero(dataset.folds == fold), images)
    targets = dataset.targets
    steps = steps_per_epoch(len(trained), recipe.batch)

    multi_label = dataset.competition.multi_label
    sample = training_images(recipe, images.pixels, trained)
    twin, model = (build(recipe, images.pixels.shape[3], dataset, sample) for _ in range(2))
    trainer, makers = prepare(recipe, model, images.pixels, trained, targets[trained], device, sample)
    loss = (keras.losses.BinaryCrossentropy if multi_label else keras.losses.CategoricalCrossentropy)(
        label_smoothing=recipe.label_smoothing
    )
    accuracy_of = keras.metrics.binary_accuracy if multi_label else keras.metrics.categorical_accuracy
    accuracy = keras.metrics.MeanMetricWrapper(accuracy_of, name="accuracy")
    trained_by = loss if recipe.class_weight == "none" else balanced(loss, targets[trained])
    trainer.compile(build_optimizer(recipe, recipe.epochs * steps), trained_by, metrics=[accuracy])

    def validate() -> dict[str, float]:
        given = answers(twin, lambda rows: centres(images.pixels, rows, recipe.crop), validated, batch_size(twin))
        right = accuracy_of(targets[validated], given)
        return {"val_accuracy": float(keras.ops.mean(right)), "val_loss": float(loss(targets[validated], given))}

    # Of many labels nearly all are absent: always saying no is accurate, so there the loss decides.
    better = (lambda row: -row["val_loss"]) if multi_label else (lambda row: row["val_accuracy"])
    with Checkpoint(folder, model, twin, validate, better, recipe.plateau, progress) as checkpoint:
        done = checkpoint.restore(trainer)
        logging = [Scalars(folder / "tensorboard", checkpoint)] if tensorboard else []
        progress.fold(fold, len(trained), steps, recipe.epochs, done)
        if done < recipe.epochs:
            with Ahead(makers) as batch_at:
                trainer.fit(
                    feed(batch_at, first_step=done * steps),
                    steps_per_epoch=steps,
                    epochs=recipe.epochs,
                    initial_epoch=done,
                    shuffle=False,
                    verbose=0,
                    callbacks=[Watch(progress), checkpoint, *logging],
                )


def training_images(recipe: Recipe, pixels: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
    """What a recipe's functions are given as `images`: the centres of `pixels`[`rows`], of all or, beyond 256 MiB, of
    an even choice; None where no function asks for them."""
    if not any(function and wants_images(function) for function in (recipe.model, recipe.augment)):
        return None
    most = 2**28 // (recipe.crop**2 * pixels.shape[3])
    return centres(pixels, rows[:: math.ceil(len(rows) / most)], recipe.crop)


def require_consistent(recipe: Recipe, multi_label: bool) -> None:
    """Raises KcnnError where two knobs, or a knob and the task, exclude each other; before a run is made."""
    if recipe.class_weight == "balanced" and multi_label:
        raise KcnnError(
            "class_weight=balanced is for images of one class each", "leave it out: images have several labels here"
        )
    optimizer = build_optimizer(recipe, 1)
    if recipe.plateau and isinstance(getattr(optimizer, "_learning_rate", None), LearningRateSchedule):
        raise KcnnError(
            f"plateau={recipe.plateau} lowers a constant rate, and this recipe's follows a schedule",
            "leave plateau out, or give the recipe an optimizer with a constant rate",
        )
    on_device = recipe.augment and isinstance(recipe.augment(recipe.crop), keras.layers.Layer)
    if on_device and (recipe.mixup or recipe.cutmix):
        raise KcnnError(
            "mixup and cutmix mix what Albumentations gives, and this recipe augments on the device",
            "set them to 0, or let `augment` return an Albumentations pipeline",
        )


def balanced(loss: Callable, targets: np.ndarray) -> Callable:
    """`loss` times the weight of the image's class, which is images / (classes * images of that class); of a mixture,
    the mixture of their weights. `targets` are those of all training images, (n, classes) float32."""
    weights = len(targets) / (targets.shape[1] * np.maximum(targets.sum(axis=0), 1))
    each = keras.losses.CategoricalCrossentropy(label_smoothing=loss.label_smoothing, reduction="none")

    def weighted(wanted, given):
        return keras.ops.sum(wanted * weights.astype(np.float32), axis=-1) * each(wanted, given)

    return weighted


def build_optimizer(recipe: Recipe, steps: int) -> keras.Optimizer:
    """The recipe's optimizer for a training of `steps`, with the average of the weights that `ema` asks for."""
    make = recipe.optimizer or (lambda learning_rate, steps: keras.optimizers.Adam(learning_rate))
    optimizer = make(recipe.learning_rate, steps)
    if recipe.ema:
        optimizer.use_ema = True
        optimizer.ema_momentum = min(recipe.ema, 1 - 10 / (10 + steps))
    return optimizer


def prepare(
    recipe: Recipe,
    model: keras.Model,
    pixels: np.ndarray,
    rows: np.ndarray,
    targets: np.ndarray,
    device: Device,
    sample: np.ndarray | None,
) -> tuple[keras.Model, list[Callable]]:
    """What to fit, and functions of the step that make its batches, one for each thread.

    With an Albumentations pipeline that is `model` itself. Where the recipe augments on the device, it is `model` after
    the augmentation; the images live there too if they fit in a tenth of the device's memory.
    """
    make = pipeline_maker(recipe, sample)
    pipeline = make()
    if isinstance(pipeline, keras.layers.Layer):
        resident = pixels.nbytes <= device.memory // 10
        maker = partial(plain_batch, None if resident else pixels, rows, targets, recipe.batch, recipe.seed)
        return augmented(model, pipeline, pixels, resident), [maker]
    return model, [
        partial(
            training_batch, pixels, rows, targets, each, recipe.batch, recipe.seed,
            mixup=recipe.mixup, cutmix=recipe.cutmix,
        )
        for each in (pipeline, *(make() for _ in range(augmenting_threads() - 1)))
    ]  # fmt: skip


def pipeline_maker(recipe: Recipe, sample: np.ndarray | None) -> Callable:
    """Makes the recipe's augmentation; that of none is the centre."""
    return partial(given_images(recipe.augment or augment.centre, sample), recipe.crop)


def start_afresh(seed: int) -> None:
    """Names of layers count from the beginning, every draw from `seed`. The precision stays, which Keras forgets."""
    precision = keras.config.dtype_policy()
    keras.utils.clear_session()
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(seed)


def build(recipe: Recipe, channels: int, dataset: Dataset, sample: np.ndarray | None = None) -> keras.Model:
    """The recipe's model for images of `channels`, seeded, given the training images in `sample` if it asks for them;
    where an image may have several classes, with a sigmoid in place of its softmax.

    Raises KcnnError where it fails, does not map the images' shape to float32 of the classes, or has no softmax to
    replace.
    """
    shape, classes = (recipe.crop, recipe.crop, channels), len(dataset.competition.classes)
    start_afresh(recipe.seed)
    try:
        model = given_images(recipe.model, sample)(shape, classes)
    except KcnnError:
        raise
    except Exception as error:  # a recipe's code may raise anything
        hint = "other knobs may fit (size, crop), or the recipe needs mending"
        raise KcnnError(
            f"the model cannot be built for {shape} and {classes} classes: {describe(error)}", hint
        ) from error
    if not isinstance(model, keras.Model):
        raise KcnnError(
            f"the recipe's model should return a keras.Model, got {type(model).__name__}",
            "return Model(inputs, outputs)",
        )
    for what, expected, got in [
        ("take", (None, *shape), model.input_shape),
        ("give", (None, classes), model.output_shape),
        ("give", "float32", model.output.dtype),
    ]:
        if got != expected:
            hint = (
                "begin with Input(shape, dtype='uint8'), end with Dense(classes, activation='softmax', dtype='float32')"
            )
            raise KcnnError(f"the recipe's model should {what} {expected}, got {got}", hint)
    if dataset.competition.multi_label:
        head = model.layers[-1]
        if getattr(head, "activation", None) is not keras.activations.softmax:
            raise KcnnError(
                f"images have several labels here, and the model ends in {type(head).__name__}",
                "end with Dense(classes, activation='softmax'): kcnn makes it a sigmoid for such a task",
            )
        head.activation = keras.activations.sigmoid
    return model
