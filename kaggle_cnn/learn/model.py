"""Recipe + task -> network. Here alone the head, the loss and the Keras metrics of each kind of task are added."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import Model, layers

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.learn.distribution import clear_session, on_devices
from kaggle_cnn.recipe import Recipe, explain_failures, give, takes

SPREAD = 0.7  # grades: how far grades are taken to be from a predicted value, see GradesOfValue
LEAST = 1e-4  # a grade's least probability, see GradesOfThresholds


@dataclass(frozen=True)
class Network:
    """One network, three models that share its layers and weights.

    raw: uint8 images -> what is trained, float32 (N, raw outputs): logits; of a regression standardised values; of
    grades what the setting `ordinal` says. whole: images -> probabilities, or values in their units: what model.keras
    keeps. predicting: images -> what predictions keep: logits (N, outputs), or the values in their units. `tail` is
    the layer from the first to the last, None where they are the same.
    """

    raw: Model
    whole: Model
    predicting: Model
    tail: layers.Layer | None

    def finish(self, raw: Array) -> Array:
        """Return what predictions keep, for raw outputs."""
        return np.asarray(keras.ops.convert_to_numpy(self.tail(raw)), np.float32) if self.tail else raw


@keras.saving.register_keras_serializable("kcnn")
class SoftmaxOfEach(layers.Layer):
    """Logits of several targets, (N, outputs), to probabilities: a softmax over the `sizes` classes of each."""

    def __init__(self, sizes: Sequence[int], **settings: Any):
        super().__init__(**settings)
        self.sizes = list(sizes)

    def call(self, logits: Any) -> Any:
        parts = keras.ops.split(logits, np.cumsum(self.sizes)[:-1].tolist(), axis=-1)
        return keras.ops.concatenate([keras.ops.softmax(part) for part in parts], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sizes": self.sizes}


@keras.saving.register_keras_serializable("kcnn")
class GradesOfValue(layers.Layer):
    """A standardised value (N, 1) to logits of `grades`: of a normal distribution around the value in grades, of
    deviation SPREAD. The mean of such logits, over views or folds, is that of the mean value."""

    def __init__(self, grades: int, mean: float, deviation: float, **settings: Any):
        super().__init__(**settings)
        self.grades, self.mean, self.deviation = grades, mean, deviation

    def call(self, value: Any) -> Any:
        # Far beyond the grades it is the same; the square of 1e20 is not a number any more.
        within = keras.ops.clip(value * self.deviation + self.mean, -self.grades, 2.0 * self.grades)
        apart = within - keras.ops.arange(self.grades, dtype="float32")
        return -keras.ops.square(apart) / (2 * SPREAD**2)

    def get_config(self) -> dict[str, Any]:
        own = {"grades": self.grades, "mean": self.mean, "deviation": self.deviation}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("kcnn")
class GradesOfThresholds(layers.Layer):
    """Cumulative logits (N, grades - 1), each of "the grade is above k", to logits of the grades (Cheng et al. 2008,
    arXiv:0704.1028). Where they do not fall from one threshold to the next, a grade keeps the LEAST probability."""

    def call(self, logits: Any) -> Any:
        above = keras.ops.sigmoid(logits)
        edge = keras.ops.ones_like(above[:, :1])
        chances = keras.ops.concatenate([edge, above], axis=1) - keras.ops.concatenate([above, 0 * edge], axis=1)
        return keras.ops.log(keras.ops.maximum(chances, LEAST))


def start_afresh(seed: int) -> None:
    """Count the names of layers from the beginning, and draw all random numbers from `seed`."""
    clear_session()
    keras.utils.set_random_seed(seed)


def build_network(
    recipe: Recipe,
    channels: int,
    task: Task,
    sample: Array | None = None,
    targets: Array | None = None,
    metadata: Array | None = None,
) -> Network:
    """Build the recipe's network for images of `channels`, seeded.

    `sample` are training images for a recipe that asks for them; `targets` float32 (n, outputs) those of the training
    images: of values the mean and deviation scale the output. `metadata` float32 (n, features) is that of the training
    images, for a recipe that takes it: its mean and deviation scale the second input.
    Raises KcnnError where it fails, does not map the images' shape to the task's outputs, or ends in an activation.
    """
    start_afresh(recipe.seed)
    with on_devices():
        return join_models(recipe, channels, task, sample, targets, metadata)


def join_models(
    recipe: Recipe, channels: int, task: Task, sample: Array | None, targets: Array | None, metadata: Array | None
) -> Network:
    """Return the recipe's network with what stands between its outputs and predictions."""
    outputs = count_raw(recipe, task)
    features = metadata.shape[1] if metadata is not None and takes(recipe.model, "metadata") else None
    network = call_recipe(recipe, (recipe.size, recipe.size, channels), outputs, sample, features)
    if metadata is not None and features:
        network = scale_metadata(network, metadata)
    raw = layers.Activation("linear", dtype="float32")(network.output)  # also under mixed precision
    tail = make_tail(recipe, task, targets)
    trained = Model(network.input, raw)
    predicting = Model(network.input, tail(raw)) if tail else trained
    head = make_head(task)
    whole = Model(network.input, head(predicting.output)) if head else predicting
    return Network(trained, whole, predicting, tail)


def count_raw(recipe: Recipe, task: Task) -> int:
    """Return how many outputs the recipe's network has."""
    if task.kind != "ordinal":
        return task.outputs
    return {"classification": task.outputs, "cumulative": task.outputs - 1, "regression": 1}[recipe.ordinal]


def make_tail(recipe: Recipe, task: Task, targets: Array | None) -> layers.Layer | None:
    """Return the layer from what is trained to what predictions keep, or None."""
    if task.kind == "ordinal" and recipe.ordinal == "regression":
        mean, deviation = scale_of(None if targets is None else expected_grades(targets), 1)
        return GradesOfValue(task.outputs, mean[0], deviation[0], dtype="float32")
    if task.kind == "ordinal" and recipe.ordinal == "cumulative":
        return GradesOfThresholds(dtype="float32")
    if task.kind == "regression":
        mean, deviation = scale_of(targets, task.outputs)
        return layers.Rescaling(deviation, offset=mean, dtype="float32")
    return None


def make_head(task: Task) -> layers.Layer | None:
    """Return the last layer, from logits to probabilities; None for a regression."""
    if task.kind == "regression":
        return None
    if task.heads:
        return SoftmaxOfEach([count for _, count in task.heads], dtype="float32")
    return layers.Activation("sigmoid" if task.kind == "multilabel" else "softmax", dtype="float32")


def scale_metadata(network: Model, metadata: Array) -> Model:
    """Return a network of two inputs, of which the second is standardised."""
    images, given = (layers.Input(part.shape[1:], dtype=part.dtype) for part in network.inputs)
    mean, deviation = scale_of(metadata, metadata.shape[1])
    scale = [1 / each for each in deviation]
    scaled = layers.Rescaling(scale, [-m * s for m, s in zip(mean, scale, strict=True)], dtype="float32")(given)
    return Model([images, given], network([images, scaled]))


def image_shape(model: Model) -> tuple[int | None, ...]:
    """Return the shape of a network's images, also where it has metadata beside them."""
    return tuple(model.inputs[0].shape)


def call_recipe(
    recipe: Recipe, shape: tuple[int, int, int], outputs: int, sample: Array | None, features: int | None = None
) -> Model:
    """Return the model that a recipe builds, checked; `features` is the number of those of the metadata, or None."""
    hint = "change its settings (size, for example), or fix the recipe"
    with explain_failures(f"the model cannot be built for {shape} and {outputs} outputs", hint):
        model = give(recipe.model, images=sample, metadata=features)(shape, outputs)
    if isinstance(model, keras.Sequential) and model.built:
        model = Model(model.inputs[0], model.outputs[0])
    if not isinstance(model, Model) or not hasattr(model, "operations"):  # a subclass has no graph
        raise KcnnError(
            f"the recipe's model should return a keras.Model of layers, got {type(model).__name__}",
            "return Model(inputs, outputs), with inputs = Input(shape, dtype='uint8')",
        )
    hint = "begin with Input(shape, dtype='uint8'), end with Dense(outputs) without an activation"
    if features:
        taken = [tuple(each.shape) for each in model.inputs]
        if taken != [(None, *shape), (None, features)]:
            raise KcnnError(
                f"the recipe's model should take images {(None, *shape)} and metadata {(None, features)}, got {taken}",
                "return Model([images, given], outputs), with given = Input((metadata,))",
            )
    for what, parts in (("take", model.inputs[0] if features else model.input), ("give", model.output)):
        if isinstance(parts, dict | list | tuple):
            raise KcnnError(f"the recipe's model should {what} one tensor, got {len(parts)} in a container", hint)
    for what, expected, got in [
        ("take", (None, *shape), image_shape(model)),
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


def expected_grades(targets: Array) -> Array:
    """Return the grade of each image, float32 (n, 1), of marks (n, grades), which may be soft."""
    return np.asarray(targets @ np.arange(targets.shape[1], dtype=np.float32))[:, None]


def encode_targets(recipe: Recipe, task: Task, targets: Array, trained: Array) -> Array:
    """Return targets float32 (n, outputs) as the network's raw outputs are trained on them, float32 (n, raw outputs).

    Those of a regression standardised by the mean and deviation of the training images' targets `trained`; grades as a
    standardised value, or as marks of "the grade is above k".
    """
    if task.kind == "ordinal" and recipe.ordinal == "cumulative":
        return np.asarray(targets[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:], np.float32)
    if task.kind == "ordinal" and recipe.ordinal == "regression":
        targets, trained = expected_grades(targets), expected_grades(trained)
    elif task.kind != "regression":
        return targets
    mean, deviation = (np.array(each, np.float32) for each in scale_of(trained, targets.shape[1]))
    return np.asarray((targets - mean) / deviation, np.float32)


def form_of(recipe: Recipe, task: Task) -> Literal["classes", "labels", "values"]:
    """Return what the raw outputs are: logits of classes that exclude each other, a logit of each label, or values."""
    if task.kind == "ordinal":
        forms: dict[str, Any] = {"classification": "classes", "cumulative": "labels", "regression": "values"}
        return forms[recipe.ordinal]  # type: ignore[no-any-return]
    return task.form


def make_loss(recipe: Recipe, task: Task) -> keras.Loss:
    """Return the loss of the raw outputs. Raises KcnnError where the recipe's does not fit the kind of task."""
    if recipe.ordinal != "classification" and task.kind != "ordinal":
        raise KcnnError(
            f"ordinal={recipe.ordinal} is for grades, and this task is {task.kind}",
            'leave it out, or set kind = "ordinal" in competition.toml',
        )
    form = form_of(recipe, task)
    usual = "mean_squared_error" if form == "values" else "cross_entropy"
    losses = VALUE_LOSSES if form == "values" else CLASS_LOSSES
    name = usual if recipe.loss == "auto" else recipe.loss
    if name not in losses:
        raise KcnnError(
            f"loss should be auto or one of {', '.join(losses)} for this task, got '{name}'",
            f"its kind is {task.kind}: --set loss=auto is the usual one",
        )
    if form == "values":
        return VALUE_LOSSES[name]()
    make: Any = LABEL_LOSSES[name] if form == "labels" else CLASS_LOSSES[name]
    loss = make(from_logits=True, label_smoothing=recipe.label_smoothing)
    return LossOfEach(loss, [count for _, count in task.heads]) if task.heads else loss


VALUE_LOSSES = {
    "mean_squared_error": keras.losses.MeanSquaredError,
    "mean_absolute_error": keras.losses.MeanAbsoluteError,
    "huber": keras.losses.Huber,
}
CLASS_LOSSES = {
    "cross_entropy": keras.losses.CategoricalCrossentropy,
    "focal": keras.losses.CategoricalFocalCrossentropy,
}
LABEL_LOSSES = {"cross_entropy": keras.losses.BinaryCrossentropy, "focal": keras.losses.BinaryFocalCrossentropy}


class LossOfEach(keras.Loss):
    """The mean of a loss over several targets, whose classes are `sizes` columns each."""

    def __init__(self, loss: keras.Loss, sizes: Sequence[int]):
        super().__init__(name="loss_of_each")
        self.loss, self.edges = loss, np.cumsum(sizes)[:-1].tolist()

    def call(self, y_true: Any, y_pred: Any) -> Any:
        pairs = zip(*(keras.ops.split(each, self.edges, axis=-1) for each in (y_true, y_pred)), strict=True)
        return sum(self.loss.call(*pair) for pair in pairs) / (len(self.edges) + 1)


def make_metrics(recipe: Recipe, task: Task) -> list[keras.Metric]:
    """Return what is shown of the training itself beside the loss: the accuracy, or the mean absolute error in
    deviations. Of several labels nothing: where images have few of many, predicting none has an accuracy above 0.9."""
    form = form_of(recipe, task)
    if form == "values":
        return [keras.metrics.MeanAbsoluteError(name="absolute_error")]
    if form == "labels" or task.heads:
        return []
    return [keras.metrics.CategoricalAccuracy(name="accuracy")]


def cut_head(model: Model, task: Task) -> Model:
    """Return a saved model as one that gives what predictions keep; see Network.predicting."""
    return model if task.kind == "regression" else Model(model.input, model.layers[-1].input)
