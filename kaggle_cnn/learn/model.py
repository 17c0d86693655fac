"""Recipe + task -> network. Here alone the head, the loss and the Keras metrics of each kind of task are added."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import Model, layers

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.recipe import Recipe, explain_failures, give

HEADS = {"multiclass": "softmax", "ordinal": "softmax", "multilabel": "sigmoid"}


@dataclass(frozen=True)
class Network:
    """One network, three models that share its layers and weights.

    logits: uint8 images -> float32 logits (N, outputs), what is trained; of a regression standardised values.
    whole: images -> probabilities, or values in their units: what model.keras keeps. predicting: images -> what
    predictions keep: the logits, or the values in their units.
    """

    logits: Model
    whole: Model
    predicting: Model


def start_afresh(seed: int) -> None:
    """Count the names of layers from the beginning, and draw all random numbers from `seed`. The precision stays, which
    Keras forgets."""
    precision = keras.config.dtype_policy()
    keras.utils.clear_session()
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(seed)


def build_network(
    recipe: Recipe, channels: int, task: Task, sample: Array | None = None, targets: Array | None = None
) -> Network:
    """Build the recipe's network for images of `channels`, seeded.

    `sample` are training images for a recipe that asks for them; `targets` float32 (n, values) those of a regression's
    training images, whose mean and deviation scale the output.
    Raises KcnnError where it fails, does not map the images' shape to the task's outputs, or ends in an activation.
    """
    start_afresh(recipe.seed)
    network = call_recipe(recipe, (recipe.size, recipe.size, channels), task.outputs, sample)
    logits = layers.Activation("linear", dtype="float32")(network.output)  # also under mixed precision
    if task.kind == "regression":
        mean, deviation = scale_of(targets, task.outputs)
        values = layers.Rescaling(deviation, offset=mean, dtype="float32")(logits)
        whole = Model(network.input, values)
        return Network(Model(network.input, logits), whole, whole)
    whole = Model(network.input, layers.Activation(HEADS[task.kind], dtype="float32")(logits))
    trained = Model(network.input, logits)
    return Network(trained, whole, trained)


def call_recipe(recipe: Recipe, shape: tuple[int, int, int], outputs: int, sample: Array | None) -> Model:
    """Return the model that a recipe builds, checked."""
    hint = "change its settings (size, for example), or fix the recipe"
    with explain_failures(f"the model cannot be built for {shape} and {outputs} outputs", hint):
        model = give(recipe.model, images=sample)(shape, outputs)
    if isinstance(model, keras.Sequential) and model.built:
        model = Model(model.inputs[0], model.outputs[0])
    if not isinstance(model, Model) or not hasattr(model, "operations"):  # a subclass has no graph
        raise KcnnError(
            f"the recipe's model should return a keras.Model of layers, got {type(model).__name__}",
            "return Model(inputs, outputs), with inputs = Input(shape, dtype='uint8')",
        )
    hint = "begin with Input(shape, dtype='uint8'), end with Dense(outputs) without an activation"
    for what, parts in (("take", model.input), ("give", model.output)):
        if isinstance(parts, dict | list | tuple):
            raise KcnnError(f"the recipe's model should {what} one tensor, got {len(parts)} in a container", hint)
    for what, expected, got in [
        ("take", (None, *shape), model.input_shape),
        ("give", (None, outputs), model.output_shape),
    ]:
        if got != expected:
            raise KcnnError(f"the recipe's model should {what} {expected}, got {got}", hint)
    last = model.operations[-1]  # a layer, or what ops.softmax leaves
    if (ending := activation_name(last) or type(last).__name__.lower()) in ("softmax", "sigmoid"):
        raise KcnnError(f"the recipe's model should return logits, and it ends in {ending}", hint)
    return model


def activation_name(layer: layers.Layer) -> str:
    """Return the name of a layer's activation, "" where it has none."""
    if isinstance(layer, layers.Softmax):
        return "softmax"
    own = getattr(layer, "activation", None)
    return "" if own in (None, keras.activations.linear) else str(getattr(own, "__name__", type(own).__name__)).lower()


def scale_of(targets: Array | None, outputs: int) -> tuple[Any, Any]:
    """Return the mean and the deviation of each value, as lists; 0 and 1 where they are not known."""
    if targets is None or not len(targets):
        return [0.0] * outputs, [1.0] * outputs
    deviation = targets.std(axis=0, dtype=np.float64)
    return targets.mean(axis=0, dtype=np.float64).tolist(), np.where(deviation > 0, deviation, 1).tolist()


def scale_targets(task: Task, targets: Array) -> Array:
    """Return the targets that the network is trained on: those of a regression standardised."""
    if task.kind != "regression":
        return targets
    mean, deviation = (np.array(each, np.float32) for each in scale_of(targets, task.outputs))
    return np.asarray((targets - mean) / deviation, np.float32)


def make_loss(recipe: Recipe, task: Task) -> keras.Loss:
    """Return the loss of logits: cross-entropy, that of each label, or the mean squared error."""
    if task.kind == "regression":
        return keras.losses.MeanSquaredError()
    kind = keras.losses.BinaryCrossentropy if task.kind == "multilabel" else keras.losses.CategoricalCrossentropy
    return kind(from_logits=True, label_smoothing=recipe.label_smoothing)


def make_metrics(task: Task) -> list[keras.Metric]:
    """Return what is shown of the training itself beside the loss: the accuracy, or the mean absolute error in
    deviations. Of several labels nothing: where images have few of many, predicting none has an accuracy above 0.9."""
    if task.kind == "regression":
        return [keras.metrics.MeanAbsoluteError(name="absolute_error")]
    if task.kind == "multilabel":
        return []
    return [keras.metrics.CategoricalAccuracy(name="accuracy")]


def cut_head(model: Model, task: Task) -> Model:
    """Return a saved model as one that gives what predictions keep; see Network.predicting."""
    return model if task.kind == "regression" else Model(model.input, model.layers[-1].input)
