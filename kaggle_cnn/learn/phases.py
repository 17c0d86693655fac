"""The phases of a training: which layers learn, at which rates, over which epochs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras.optimizers import MultiOptimizer

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.recipe import Phase, Recipe, explain_failures

HEAD = "head"  # the beginning of the names of layers that are new, and learn in every phase


@dataclass(frozen=True)
class Stage:
    """A phase with its epochs, from `first` to before `last`, counted from 0."""

    phase: Phase
    first: int
    last: int


def plan_stages(recipe: Recipe) -> list[Stage]:
    """Return the stages of a training: each phase has its share of the epochs, rounded, and at least one where there
    are as many. Raises KcnnError where the recipe's `phases` do not give phases."""
    if recipe.phases is None:
        return [Stage(Phase(), 0, recipe.epochs)]
    with explain_failures("the recipe's phases cannot be made"):
        phases = list(recipe.phases())
    if not phases or not all(isinstance(each, Phase) for each in phases):
        raise KcnnError("the recipe's phases should return a tuple of Phase", "for example (Phase(0.3, frozen=True),)")
    phases = [each for each in phases if each.share > 0] or phases[-1:]
    shares = np.cumsum([0.0, *(each.share for each in phases)])
    edges = np.round(recipe.epochs * shares / max(shares[-1], 1e-12))
    for number in range(1, len(edges)):
        edges[number] = min(max(edges[number], edges[number - 1] + 1), recipe.epochs)
    edges[-1] = recipe.epochs
    stages = [Stage(each, int(a), int(b)) for each, a, b in zip(phases, edges, edges[1:], strict=False)]
    return [stage for stage in stages if stage.last > stage.first]


def stage_at(stages: list[Stage], epoch: int) -> int:
    """Return the number of the stage that trains an epoch; after all of them that of the last."""
    return next((number for number, stage in enumerate(stages) if epoch < stage.last), len(stages) - 1)


def list_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers of a model and of models in it, in their order."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from list_layers(layer)
        else:
            yield layer


def is_head(layer: keras.layers.Layer) -> bool:
    return str(layer.name).startswith(HEAD)


def list_frozen(model: keras.Model) -> set[int]:
    """Return the ids, as of `id`, of the layers that the recipe itself keeps from learning."""
    return {id(layer) for layer in list_layers(model) if not layer.trainable}


def freeze(model: keras.Model, phase: Phase, always: set[int]) -> None:
    """Let the layers learn that a phase trains, and keep the others, and those of `always`, as they are: batch
    normalisation, too, uses its averages and does not change them. Raises KcnnError where nothing is left to learn."""
    for layer in list_layers(model):
        layer.trainable = id(layer) not in always and (is_head(layer) or not phase.frozen)
    if not model.trainable_variables:
        raise KcnnError(
            "a phase with frozen=True has no layer to train",
            f'let the names of the new layers begin with "{HEAD}": Dense(outputs, name="{HEAD}")',
        )


def make_rates(model: keras.Model, phase: Phase) -> dict[int, float]:
    """Return id of a variable -> the rate of its layer, relative to that of the head: the layers with weights before
    the head are divided, in their order, into as many groups of equal size as the phase has rates."""
    body = [layer for layer in list_layers(model) if layer.trainable_variables and not is_head(layer)]
    groups = np.array_split(np.arange(len(body)), len(phase.rates))
    return {
        id(variable): rate
        for rate, group in zip(phase.rates, groups, strict=True)
        for place in group
        for variable in body[place].trainable_variables
    }


def build_optimizer(
    recipe: Recipe, steps: int, model: keras.Model | None = None, phase: Phase | None = None
) -> keras.Optimizer:
    """Return the recipe's optimizer for `steps`; with rates in `phase` one for each rate, of the same kind, in a
    MultiOptimizer for the variables of `model`."""
    if model is None or phase is None or not phase.rates:
        return build_one(recipe, steps)
    if isinstance(build_one(recipe, steps), MultiOptimizer):
        raise KcnnError("a phase with rates needs one optimizer, and the recipe has a MultiOptimizer", "leave one out")
    rates = make_rates(model, phase)
    optimizers = {
        rate: build_one(replace(recipe, learning_rate=rate * recipe.learning_rate), steps)
        for rate in dict.fromkeys([1.0, *rates.values()])
    }
    return MultiOptimizer(lambda variable: optimizers[rates.get(id(variable), 1.0)])


def build_one(recipe: Recipe, steps: int) -> keras.Optimizer:
    """Return the recipe's optimizer for a training of `steps`, with the average of the weights that `ema` asks for."""
    make = recipe.optimizer or (lambda learning_rate, steps: keras.optimizers.Adam(learning_rate))
    with explain_failures("the recipe's optimizer cannot be made of (learning_rate, steps)"):
        optimizer = make(recipe.learning_rate, steps)
    if not isinstance(optimizer, keras.Optimizer):
        raise KcnnError(
            f"the recipe's optimizer should return a keras.Optimizer, got {type(optimizer).__name__}",
            "return for example keras.optimizers.Adam(learning_rate)",
        )
    if recipe.ema:
        optimizer.use_ema = True
        optimizer.ema_momentum = min(recipe.ema, 1 - 10 / (10 + steps))
    return optimizer


def list_optimizers(optimizer: Any) -> list[Any]:
    """Return the optimizers in one that a model was compiled with: behind the loss scale of mixed_float16, and those of
    a MultiOptimizer, that of the head first."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(inner, MultiOptimizer):
        return [inner]
    return sorted(inner.optimizers, key=lambda each: -read_rate(each))


def read_rate(optimizer: Any) -> float:
    """Return the rate at which an optimizer learns now."""
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
