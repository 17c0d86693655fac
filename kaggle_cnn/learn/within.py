"""A training that ends in a given time: what a step takes is measured, and the epochs follow from it."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np

from kaggle_cnn import tta
from kaggle_cnn.data.batches import Ahead
from kaggle_cnn.data.columns import attach_metadata
from kaggle_cnn.data.order import steps_per_epoch
from kaggle_cnn.data.training_set import validation_rows
from kaggle_cnn.errors import TooShortError
from kaggle_cnn.learn.callbacks import Checkpoint
from kaggle_cnn.learn.feed import fit_batches
from kaggle_cnn.learn.fit import (
    Compiled,
    FoldPlan,
    Training,
    begin_again,
    compile_network,
    encoded_set,
    is_same_for_all_folds,
    prepare_batches,
    validate_fold,
)
from kaggle_cnn.learn.model import make_loss
from kaggle_cnn.learn.predict import batch_size, load_test_images, predict_views
from kaggle_cnn.parsing import read_json
from kaggle_cnn.plural import count_of
from kaggle_cnn.progress import Silent
from kaggle_cnn.recipe import Recipe
from kaggle_cnn.runs.run import Run, write_json

SPARE = 0.02  # of the time: a machine is slower at times
LAST = 3.0  # seconds to join the folds, to decide and to print
LEAST, SHARE = 2.0, 0.02  # a step is measured for so many seconds, or for this share of the time
EPOCHS = 3  # that are ended to measure what that takes
MOST_BETWEEN = 0.2  # of the time, for what comes after epochs
NEARLY = 0.03  # of the time of a model: by less, its steps are not changed
CROWDED = 1.15  # times that a step takes which was measured without others on the same machine
PLAN = "plan.json"  # in a fold's folder: its steps an epoch, where they are not those of the run


@dataclass(frozen=True)
class Speed:
    """Seconds: to compile a network and train its first step; for a step; between two epochs, to validate and to write;
    to predict a fold."""

    compiled: float
    step: float
    between: float
    prediction: float


@dataclass(frozen=True)
class Elsewhere:
    """How the models of a run are trained by other processes. `train(run, members)`: all these pairs of a seed and a
    fold. `measure(recipe, fold, members, seconds)`: the speed there, how many of so many members are trained at once,
    and the seconds to start. On a graphics card each model is started anew, and `compiled` has these seconds too."""

    train: Callable[[Run, list[tuple[int, int]]], object]
    measure: Callable[[Recipe, int, int, float], tuple[Speed, int, float]]


@dataclass(frozen=True)
class Pace:
    """How a training of several models keeps its time: the `speed` that counts now, until `deadline` of time.monotonic,
    for as many models as are `left`. A machine is not as fast all the time."""

    speed: Speed
    deadline: float
    left: int

    def follow(self, recipe: Recipe, seconds: float) -> "Pace":
        """Return the pace after a model of `recipe` was trained in `seconds`, without compilation and predictions; in 0
        where another process trained it."""
        planned = recipe.epochs * (recipe.epoch_steps * self.speed.step + self.speed.between)
        ratio = seconds / planned or 1.0
        speed = Speed(*(ratio * each for each in astuple(self.speed)))
        return Pace(speed, self.deadline, self.left - 1)

    def adjust(self, recipe: Recipe, compiles: bool) -> Recipe:
        """Return the recipe with as many steps an epoch as the time that is left allows; the same recipe where that is
        nearly what it has. Another number of steps is compiled anew, unless each model `compiles` anyway."""
        own = (self.deadline - time.monotonic() - LAST) / max(self.left, 1) - self.speed.prediction
        own -= self.speed.compiled if compiles else 0
        training = recipe.epochs * (recipe.epoch_steps * self.speed.step + self.speed.between)
        if abs(own - training) < NEARLY * training:
            return recipe
        own -= 0 if compiles else self.speed.compiled
        steps = int((own / recipe.epochs - self.speed.between) / self.speed.step)
        return replace(recipe, epoch_steps=max(1, steps))


def fit_to_time(
    training: Training,
    plan: FoldPlan,
    compiled: Compiled,
    fold: int,
    deadline: float,
    elsewhere: Elsewhere | None = None,
) -> tuple[Recipe, Compiled, Pace | None]:
    """Return the recipe with as many epochs, and steps in each, as all folds and seeds, one after the other, and their
    predictions, take until `deadline` of time.monotonic; its network, compiled, as it is before any training; and the
    pace to keep, which models that are trained `elsewhere` do not.

    Raises TooShortError where that is not enough for one step.
    """
    if elsewhere:
        return fit_elsewhere(training, plan, elsewhere, fold, deadline), compiled, None
    members = training.run.seeds * len(training.run.folds)
    compiling = training.run.seeds if is_same_for_all_folds(training.recipe, training.dataset) else members
    speed = measure_speed(training, plan, fold, deadline - time.monotonic())
    recipe = choose_epochs(training, plan, speed, members, compiling, deadline)
    begin_again(compiled, recipe.seed)
    arguments = (recipe, training.dataset.task, training.images, training.device, plan, True)
    return recipe, compile_network(*arguments), Pace(speed, deadline, members)


def fit_elsewhere(training: Training, plan: FoldPlan, elsewhere: Elsewhere, fold: int, deadline: float) -> Recipe:
    """Return the recipe with as many epochs, and steps in each, as the models that one process elsewhere trains, and
    their predictions, take until `deadline` of time.monotonic. Raises TooShortError as `fit_to_time` does."""
    members = training.run.seeds * len(training.run.folds)
    speed, at_once, start = elsewhere.measure(training.recipe, fold, members, deadline - time.monotonic())
    speed = replace(speed, step=CROWDED * speed.step, between=CROWDED * speed.between)
    own = math.ceil(members / at_once)
    return choose_epochs(training, plan, speed, own, own, deadline - start)


def keep_pace(training: Training, fold: int, pace: Pace | None) -> Training:
    """Return the training of a fold with the steps that were planned for it, by an earlier attempt or now."""
    path = training.run.fold_folder(fold) / PLAN
    if path.is_file():
        steps = read_json(dict[str, int], path, f"remove {path.parent}")["epoch_steps"]
        return replace(training, recipe=replace(training.recipe, epoch_steps=steps))
    if pace is None:
        return training
    recipe = pace.adjust(training.recipe, not is_same_for_all_folds(training.recipe, training.dataset))
    if recipe is not training.recipe:
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"epoch_steps": recipe.epoch_steps})
        training.progress.say(f"{recipe.epoch_steps:,} steps an epoch, to end in time")
    return replace(training, recipe=recipe)


def choose_epochs(
    training: Training, plan: FoldPlan, speed: Speed, members: int, compiling: int, deadline: float
) -> Recipe:
    """Return the recipe with the epochs and the steps of each of `members`, one after the other, that fit until
    `deadline`: about whole passes, but no more epochs than that what comes after each takes MOST_BETWEEN of the time.
    So many of them are compiled, or started, anew."""
    recipe, seconds = training.recipe, deadline - time.monotonic()
    usable = seconds * (1 - SPARE) - LAST - compiling * speed.compiled - members * speed.prediction
    own = usable / members
    whole = steps_per_epoch(len(plan.chosen.rows), recipe.batch)
    passes = round(own / (whole * speed.step + speed.between))
    epochs = max(1, min(passes, int(MOST_BETWEEN * own / speed.between)))
    steps = int((own / epochs - speed.between) / speed.step)
    if steps < 1:
        needed = seconds - usable + members * (speed.step + speed.between)
        raise TooShortError(
            f"--within is too short: {max(seconds, 0):,.0f} s are left, and one step of {count_of(members, 'model')} "
            f"with what is around it takes {needed:,.0f} s",
            "give more time, or train fewer folds or smaller images: --folds 0, --set size=VALUE",
        )
    training.progress.say(
        f"a step takes {1000 * speed.step:.0f} ms: {count_of(epochs, 'epoch')} of {steps:,} steps, "
        f"{epochs * (steps * speed.step + speed.between):,.0f} s for each of "
        f"{count_of(training.run.seeds * len(training.run.folds), 'model')}"
    )
    return replace(recipe, epochs=epochs, epoch_steps=steps)


def measure_speed(training: Training, plan: FoldPlan, fold: int, seconds: float) -> Speed:
    """Train the network of `plan` some steps, which it does not forget, for a share of `seconds`; end some epochs as a
    training does, with files in a folder that is removed; predict some images."""
    recipe, dataset, images = training.recipe, training.dataset, training.images
    encoded = encoded_set(recipe, dataset.task, plan.chosen)
    wanted, begun = max(LEAST, SHARE * seconds), time.monotonic()
    trained = compile_network(recipe, dataset.task, images, training.device, plan, keep=False).trained
    with Ahead(prepare_batches(recipe, plan, encoded, images, training.device)) as batch_at, batch_at.explain_errors():

        def train(steps: int, epochs: int = 1, callbacks: Sequence[keras.callbacks.Callback] = ()) -> float:
            start = time.monotonic()
            fit_batches(trained, batch_at, steps_per_epoch=steps, epochs=epochs, callbacks=list(callbacks))
            return time.monotonic() - start

        train(1)
        compiling, steps = time.monotonic() - begun, 4
        spent = train(steps)
        while spent < wanted:
            steps = max(2 * steps, int(1.2 * steps * wanted / max(spent, 1e-3)))
            spent = train(steps)
        step = spent / steps
        with (
            TemporaryDirectory(dir=training.dataset.cache) as folder,
            end_epochs(training, plan, fold, folder) as ending,
        ):
            # Epochs of one step: the noise of many steps is more than what comes after them.
            ended = train(1, EPOCHS, [ending])
    each, first = measure_prediction(training, plan, fold)
    tested = load_test_images(dataset, recipe.stored_size, recipe.fit, images.pixels.shape[3], training.progress)
    tested = attach_metadata(dataset, tested, training.columns, "test")
    validated, views = len(validation_rows(dataset, images, fold)), len(tta.views_of("none", recipe.policy))
    predicted = first + each * views * (validated + len(tested.pixels))
    return Speed(compiling, step, max(ended / EPOCHS - step, 1e-3), predicted)


def end_epochs(training: Training, plan: FoldPlan, fold: int, folder: str) -> Checkpoint:
    """Return what ends the epochs of a training, with its files in `folder`."""
    recipe, dataset = training.recipe, training.dataset
    run = replace(training.run, folder=Path(folder))
    run.fold_folder(fold).mkdir()
    loss = make_loss(recipe, dataset.task)
    validate = partial(validate_fold, plan, recipe, loss, dataset, training.images, fold)
    return Checkpoint(run, fold, plan.network, plan.network, validate, dataset.task.metric, 0, Silent())


def measure_prediction(training: Training, plan: FoldPlan, fold: int) -> tuple[float, float]:
    """Return the seconds to predict one view of an image, and to predict the first batch."""
    recipe, images, model = training.recipe, training.images, plan.network.predicting
    rows = validation_rows(training.dataset, images, fold)
    some = np.resize(rows, 4 * batch_size(model))
    times = []
    for part in (some[: batch_size(model)], some):
        begun = time.monotonic()
        predict_views(model, images.pixels, part, ("centre",), recipe.size, None, images.metadata)
        times.append(time.monotonic() - begun)
    return times[1] / len(some), times[0]
