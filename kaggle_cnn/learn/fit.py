"""One fold: its network, its training set and its loss -> the weights of the best epoch."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import albumentations
import keras
import numpy as np
from keras.optimizers.schedules import LearningRateSchedule

from kaggle_cnn import augment
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.data.batches import (
    Ahead,
    Augmenter,
    BatchMaker,
    Mixing,
    Share,
    augmenting_threads,
    centres,
    plain_batch,
    training_batch,
)
from kaggle_cnn.data.columns import Columns
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.image_cache import Images
from kaggle_cnn.data.order import steps_per_epoch
from kaggle_cnn.data.training_set import TrainingSet, training_set, validation_rows
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.learn.backbone import PLACE
from kaggle_cnn.learn.backend import Device
from kaggle_cnn.learn.callbacks import Checkpoint, Row, Scalars, Watch, copy_values, training_state
from kaggle_cnn.learn.distribution import CURRENT, on_devices, require_equal_shares
from kaggle_cnn.learn.feed import fit_batches
from kaggle_cnn.learn.model import Network, build_network, encode_targets, form_of, make_loss, make_metrics
from kaggle_cnn.learn.phases import build_optimizer, freeze, list_frozen, plan_stages, stage_at
from kaggle_cnn.learn.predict import predict_views
from kaggle_cnn.learn.processes import across_processes, is_first
from kaggle_cnn.learn.rehearsal import rehearse, require_memory, require_same_network
from kaggle_cnn.learn.resident import augment_first
from kaggle_cnn.progress import Progress
from kaggle_cnn.recipe import Recipe, explain_failures, give, takes
from kaggle_cnn.runs.decision import usual_decision
from kaggle_cnn.runs.run import Run


@dataclass(frozen=True)
class Training:
    """What the folds of one training share."""

    run: Run
    recipe: Recipe
    dataset: Dataset
    images: Images
    device: Device
    progress: Progress
    tensorboard: bool = False
    columns: Columns | None = None


@dataclass(frozen=True)
class FoldPlan:
    """What one fold trains, made before its run is: `chosen` with targets in units, `sample` the training images that
    the recipe's functions are given, or None."""

    network: Network
    chosen: TrainingSet
    sample: Array | None


@dataclass(frozen=True)
class Compiled:
    """A compiled network: `trained` is what is fitted, for the `stage` of that number, in `steps` a fold; `start` has
    the variables as they were before any training, for the folds that follow; empty where none can use it. `frozen`
    are the layers that the recipe itself keeps from learning. `fitted` is the part of `trained` that `network` follows:
    itself, or that which is built across several processes."""

    network: Network
    fitted: Network
    trained: keras.Model
    stage: int
    steps: int
    start: dict[str, Array]
    frozen: set[int]


def plan_fold(
    recipe: Recipe, dataset: Dataset, images: Images, fold: int, compiled: Compiled | None = None
) -> FoldPlan:
    """Build the network of a fold, once; where that of an earlier fold will do, take it, since to compile takes longer
    than an epoch. Raises KcnnError where the recipe does not fit the images or the task."""
    PLACE.set(replace(PLACE.get(), fold=fold))
    chosen = training_set(dataset, images, fold, recipe.class_weight)
    sample = sample_images(recipe, images.pixels, chosen.rows)
    same = is_same_for_all_folds(recipe, dataset)
    if same and compiled and compiled.start and compiled.steps == count_steps(recipe, chosen):
        return FoldPlan(compiled.network, chosen, sample)
    return FoldPlan(build_for(recipe, dataset.task, images, chosen, sample), chosen, sample)


def build_for(recipe: Recipe, task: Task, images: Images, chosen: TrainingSet, sample: Array | None) -> Network:
    """Return the network of a recipe for the images of a training set."""
    metadata = None if images.metadata is None else images.metadata[chosen.rows]
    return build_network(recipe, images.pixels.shape[3], task, sample, chosen.targets, metadata)


def is_same_for_all_folds(recipe: Recipe, dataset: Dataset) -> bool:
    """Whether a network holds nothing of the images that it is trained on but its weights, and is compiled once."""
    return (
        form_of(recipe, dataset.task) != "values"
        and not takes(recipe.model, "images")
        and not takes(recipe.model, "metadata")
        and not takes(recipe.model, "backbone")  # which may be a run with a model for each fold
        and len(plan_stages(recipe)) == 1
    )


def count_epoch_steps(recipe: Recipe, chosen: TrainingSet) -> int:
    """Return the steps between two validations."""
    return recipe.epoch_steps or steps_per_epoch(len(chosen.rows), recipe.batch)


def count_steps(recipe: Recipe, chosen: TrainingSet) -> int:
    return recipe.epochs * count_epoch_steps(recipe, chosen)


def compile_network(recipe: Recipe, task: Task, images: Images, device: Device, plan: FoldPlan, keep: bool) -> Compiled:
    """Return the network of `plan` compiled for the last stage, in which the most layers learn; with `keep`, with its
    variables as they are before any training."""
    stages, fitted = plan_stages(recipe), plan.network
    with across_processes():
        if CURRENT.across:
            fitted = build_for(recipe, task, images, plan.chosen, plan.sample)
        trained = prepare_model(recipe, fitted.raw, plan.sample, images.pixels, device)
    frozen, steps = list_frozen(fitted.raw), count_steps(recipe, plan.chosen)
    compiled = Compiled(plan.network, fitted, trained, len(stages) - 1, steps, {}, frozen)
    for number in range(len(stages)):  # each, so that a mistake in one is found before any training
        compiled = compile_stage(recipe, task, plan, compiled, number)
    return replace(compiled, start=copy_values(training_state(trained))) if keep else compiled


def compile_stage(recipe: Recipe, task: Task, plan: FoldPlan, compiled: Compiled, number: int) -> Compiled:
    """Compile a network for a stage: its layers, its optimizer and its schedule."""
    stage, trained = plan_stages(recipe)[number], compiled.trained
    freeze(compiled.fitted.raw, stage.phase, compiled.frozen)
    steps = (stage.last - stage.first) * count_epoch_steps(recipe, plan.chosen)
    with on_devices(), across_processes():
        optimizer = build_optimizer(recipe, steps, compiled.fitted.raw, stage.phase)
        trained.compile(optimizer, make_loss(recipe, task), metrics=make_metrics(recipe, task))
        trained.optimizer.build(trained.trainable_variables)
    return replace(compiled, stage=number)


def begin_again(compiled: Compiled, seed: int) -> None:
    """Put a network's variables back to what they were before any training."""
    keras.utils.set_random_seed(seed)
    with across_processes():
        for name, variable in training_state(compiled.trained).items():
            variable.assign(compiled.start[name])


def rehearse_fold(
    recipe: Recipe, dataset: Dataset, images: Images, device: Device, plan: FoldPlan, path: Path, source: str
) -> Compiled:
    """Return the network of `plan` compiled, after one batch has gone through all that a training does; see rehearsal.

    Raises KcnnError where that fails, or where the network needs more memory than there is.
    """
    task, first = dataset.task, plan.chosen.rows[:2]
    require_equal_shares(recipe.batch, len(plan.chosen.rows))
    require_memory(recipe, plan.network, device)
    require_same_network(plan.network, build_for(recipe, task, images, plan.chosen, plan.sample))
    compiled = compile_network(recipe, task, images, device, plan, keep=True)
    makers = prepare_batches(recipe, plan, encoded_set(recipe, task, plan.chosen), images, device)
    given: Any = centres(images.pixels, first, recipe.size)
    given = given if images.metadata is None else [given, images.metadata[first]]
    rehearse(compiled.trained, compiled.fitted, plan.network, makers[0], given, path, source)
    return compiled


def encoded_set(recipe: Recipe, task: Task, chosen: TrainingSet) -> TrainingSet:
    """Return a training set with the targets that the network's raw outputs are trained on."""
    return TrainingSet(chosen.rows, encode_targets(recipe, task, chosen.targets, chosen.targets), chosen.weights)


def fit_fold(training: Training, fold: int, plan: FoldPlan, compiled: Compiled | None = None) -> Compiled:
    """Train the model that validates on `fold`, from where an earlier attempt was stopped; leave the best epoch's
    model.keras and history.csv in its folder, and tensorboard/ where that is asked for.

    `compiled` is the network of `plan`, or of an earlier fold. Returns the network, with the weights of the best epoch,
    for the next fold.
    """
    recipe, dataset, progress = training.recipe, training.dataset, training.progress
    run, task = training.run, dataset.task
    if is_first():
        run.fold_folder(fold).mkdir(exist_ok=True)
    encoded = encoded_set(recipe, task, plan.chosen)
    steps = count_epoch_steps(recipe, encoded)
    makers = prepare_batches(recipe, plan, encoded, training.images, training.device)
    for_others = len(run.folds) > 1 and is_same_for_all_folds(recipe, dataset)
    if compiled and compiled.network is plan.network:
        begin_again(compiled, recipe.seed)
        if not for_others:
            compiled.start.clear()  # as much memory as the weights and the optimizer's slots
    else:
        compiled = compile_network(recipe, task, training.images, training.device, plan, for_others)
    trained, loss, stages = compiled.trained, make_loss(recipe, task), plan_stages(recipe)
    validate = partial(validate_fold, plan, recipe, loss, dataset, training.images, fold)
    averaged = range(max(0, recipe.epochs - recipe.swa), recipe.epochs) if recipe.swa else range(0)
    networks = (plan.network, compiled.fitted)
    with Checkpoint(run, fold, *networks, validate, task.metric, recipe.plateau, progress, averaged) as checkpoint:
        done = checkpoint.read_epochs()
        first = stage_at(stages, done)
        if first != compiled.stage:
            compiled = compile_stage(recipe, task, plan, compiled, first)
        with across_processes():
            checkpoint.restore(trained, begins_stage=done == stages[first].first)
        logs = training.tensorboard and is_first()
        logging = [Scalars(run.fold_folder(fold) / "tensorboard", checkpoint)] if logs else []
        progress.fold(fold, len(encoded.rows), steps, recipe.epochs, done)
        with Ahead(makers) as batch_at, batch_at.explain_errors():
            for number in range(first, len(stages) if done < recipe.epochs else 0):
                if number != compiled.stage:
                    compiled = compile_stage(recipe, task, plan, compiled, number)
                begin = max(done, stages[number].first)
                fit_batches(
                    trained,
                    batch_at,
                    begin * steps,
                    steps_per_epoch=steps,
                    epochs=stages[number].last,
                    initial_epoch=begin,
                    callbacks=[Watch(progress), checkpoint, *logging],
                )
    return compiled


def validate_fold(plan: FoldPlan, recipe: Recipe, loss: keras.Loss, dataset: Dataset, images: Images, fold: int) -> Row:
    """Return the loss and the metrics of the images that are validated in `fold`, on the centre view; NaN where the
    network does not predict numbers."""
    task, rows = dataset.task, validation_rows(dataset, images, fold)
    given = (images.pixels, rows, ("centre",), recipe.size, None, images.metadata)
    raw = predict_views(plan.network.raw, *given)[:, 0]
    primary = task.metrics[:2]
    if not np.isfinite(raw).all():
        return {"val_loss": math.nan, **{f"val_{metric.name}": math.nan for metric in primary}}
    soft = dataset.targets[rows]
    kept, logits = dataset.average_images(rows, plan.network.finish(raw))
    targets, scores = dataset.validated_targets(kept, fold), task.activate(logits)
    decided = usual_decision(task, targets, scores).decide(scores)
    measured = {f"val_{metric.name}": metric.score(targets, scores, decided, None) for metric in primary}
    return {"val_loss": float(loss(encode_targets(recipe, task, soft, plan.chosen.targets), raw)), **measured}


def sample_images(recipe: Recipe, pixels: Array, rows: Array) -> Array | None:
    """Return what a recipe's functions are given as `images`: the centres of `pixels`[`rows`], of all or, beyond 256
    MiB, of an even choice; None where no function asks for them."""
    if not any(takes(function, "images") for function in (recipe.model, recipe.augment)):
        return None
    most = 2**28 // (recipe.size**2 * pixels.shape[3])
    return centres(pixels, rows[:: math.ceil(len(rows) / most)], recipe.size)


def require_consistent(recipe: Recipe) -> None:
    """Raise KcnnError where two settings exclude each other; before a run is made."""
    optimizer = build_optimizer(recipe, 1)
    if recipe.plateau and isinstance(getattr(optimizer, "_learning_rate", None), LearningRateSchedule):
        raise KcnnError(
            f"plateau={recipe.plateau} needs a constant learning rate, and this recipe uses a schedule",
            "leave plateau out, or give the recipe an optimizer with a constant learning rate",
        )
    on_device = recipe.augment and isinstance(make_pipeline(recipe, None), keras.layers.Layer)
    if takes(recipe.model, "metadata") and (on_device or recipe.mixup or recipe.cutmix):
        raise KcnnError(
            "a recipe that takes metadata cannot mix images, or augment them on the device",
            "set mixup and cutmix to 0, and let `augment` return an Albumentations pipeline",
        )
    if on_device and (recipe.mixup or recipe.cutmix):
        raise KcnnError(
            "mixup and cutmix mix what Albumentations gives, and this recipe augments on the device",
            "set them to 0, or let `augment` return an Albumentations pipeline",
        )


def make_pipeline(recipe: Recipe, sample: Array | None) -> Any:
    """Return the recipe's augmentation, an Albumentations pipeline or a Keras layer; without one it cuts the centre."""
    function: Callable[..., Any] = recipe.augment or augment.centre
    with explain_failures("the recipe's augmentation cannot be made of (size)"):
        pipeline = give(function, images=sample, mirror=recipe.mirror, seed=recipe.seed)(recipe.size)
    if not isinstance(pipeline, keras.layers.Layer | albumentations.BaseCompose):
        raise KcnnError(
            f"the recipe's augmentation should return a pipeline or a layer, got {type(pipeline).__name__}",
            "return albumentations.Compose([...]), or layers.AugmentOnDevice(...)",
        )
    return pipeline


def prepare_model(recipe: Recipe, raw: keras.Model, sample: Array | None, pixels: Array, device: Device) -> keras.Model:
    """Return what is fitted: a network, after its augmentation where the recipe augments on the device."""
    pipeline = make_pipeline(recipe, sample)
    if isinstance(pipeline, keras.layers.Layer):
        with explain_failures("the recipe's augmentation does not fit the network"), on_devices():
            return augment_first(raw, pipeline, pixels, is_resident(pixels, device))
    return raw


def is_resident(pixels: Array, device: Device) -> bool:
    """Whether the images live on the device: where they fit in a tenth of its memory."""
    return bool(pixels.nbytes <= device.memory // 10)


def prepare_batches(
    recipe: Recipe, plan: FoldPlan, chosen: TrainingSet, images: Images, device: Device
) -> list[BatchMaker]:
    """Return functions of the step that make the batches of a fold, one for each thread; a single one where the recipe
    augments on the device."""
    pipeline, pixels = make_pipeline(recipe, plan.sample), images.pixels
    share = Share(CURRENT.rank, CURRENT.processes)
    if isinstance(pipeline, keras.layers.Layer):
        there = None if is_resident(pixels, device) else pixels
        return [partial(plain_batch, there, chosen, recipe.batch, recipe.seed, share=share)]
    mixing = Mixing(recipe.mixup, recipe.cutmix)
    pipelines = [pipeline, *(make_pipeline(recipe, plan.sample) for _ in range(augmenting_threads() - 1))]

    def maker_of(each: Any) -> BatchMaker:
        augmenter = Augmenter(each, recipe.seed, recipe.size)
        return lambda step: training_batch(
            pixels, chosen, augmenter, recipe.batch, step, mixing, images.metadata, share
        )

    return [maker_of(each) for each in pipelines]
