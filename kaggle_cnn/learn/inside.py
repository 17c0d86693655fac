"""What a trained network holds and does inside: its filters, its activations, where it looks, its layers."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from kaggle_cnn.errors import KcnnError

PASSING = ("Pooling", "Dropout", "Flatten", "Reshape", "Permute", "View")


class Step(NamedTuple):
    """A layer or other operation of the graph, the tensor it is given (or the first of them) and the one it gives."""

    layer: keras.Operation
    given: keras.KerasTensor
    gives: keras.KerasTensor


def steps(model: keras.Model) -> tuple[keras.Model, list[Step]]:
    """The model as one graph, those of models inside the model in their place, and its steps in order. It shares every
    layer, and so the weights, with `model`."""
    found, named = [], {}

    def call(operation, *args, **kwargs):
        if isinstance(operation, keras.Model):
            return run(operation, args[0])
        if named.setdefault(operation.name, operation) is not operation:  # two models inside may call a layer the same
            operation.name = f"{operation.name}_{len(found)}"
        gives = operation(*args, **kwargs)
        found.append(Step(operation, keras.tree.flatten(args)[0], keras.tree.flatten(gives)[0]))
        return gives

    def run(part: keras.Model, tensor):
        graph = keras.Model(part.inputs[0], part.outputs[0]) if isinstance(part, keras.Sequential) else part
        # Keras has no public way to go through a graph without making one step of a model inside it.
        return graph._run_through_graph(tensor, operation_fn=lambda operation: partial(call, operation))

    images = keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype)
    return keras.Model(images, run(model, images)), found


def kernel(model: keras.Model, name: str | None = None) -> tuple[str, np.ndarray]:
    """The name and the kernel, float32 (height, width, channels, filters), of the first convolution, or of the one
    called `name`; a depthwise one has a single channel.

    Raises KcnnError where there is none.
    """
    convolutions = {step.layer.name: step.layer for step in steps(model)[1] if is_convolution(step.layer)}
    if not convolutions:
        raise KcnnError("this network has no convolution", "kcnn show model shows its layers")
    if name is not None and name not in convolutions:
        raise KcnnError(f"there is no convolution '{name}'", f"there are: {', '.join(convolutions)}")
    layer = convolutions[name or next(iter(convolutions))]
    values = ops.convert_to_numpy(ops.cast(kernel_of(layer), "float32"))
    if "Depthwise" in type(layer).__name__:  # (height, width, channels, multiplier), one filter for each channel
        values = values.reshape(*values.shape[:2], 1, -1)
    return layer.name, values


def kernel_of(layer: keras.layers.Layer):
    return getattr(layer, "kernel", getattr(layer, "depthwise_kernel", None))


def is_convolution(layer: keras.layers.Layer) -> bool:
    found = kernel_of(layer)
    return found is not None and len(found.shape) == 4


def activations(model: keras.Model, images: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """What follows each convolution, activation and pooling, in order: the layer's name, what it does, and its output
    for the first of `images` (n, height, width, channels) uint8, as float32 (height, width, channels). A convolution
    with an activation of its own is told twice, without it and with it."""
    whole, found = steps(model)
    maps = [step for step in found if what_it_does(step.layer) and len(step.gives.shape) == 4]
    if not maps:
        return []
    both = [tensor for step in maps for tensor in (step.given, step.gives)]
    values = iter(keras.tree.flatten(keras.Model(whole.input, both)(images[:1], training=False)))
    walk = []
    for step, given, gives in zip(maps, values, values, strict=True):
        what = what_it_does(step.layer)
        if activation := activation_of(step.layer) if what == "convolution" else "":
            with without_activation(step.layer):
                walk.append((step.layer.name, what, step.layer(given)))
            what = activation
        walk.append((step.layer.name, what, gives))
    return [(name, what, ops.convert_to_numpy(ops.cast(value, "float32"))[0]) for name, what, value in walk]


def what_it_does(operation: keras.Operation) -> str:
    """ "convolution", "relu", "pooling" ... or "" for what is neither."""
    kind = type(operation).__name__
    if "Conv" in kind:
        return "convolution"
    if "Pooling" in kind:
        return "pooling"
    if kind in ("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"):
        return activation_of(operation) or kind.lower()
    return ""


def activation_of(operation: keras.Operation) -> str:
    """The name of a layer's own activation, "" where it has none."""
    own = getattr(operation, "activation", None)
    return "" if own in (None, keras.activations.linear) else getattr(own, "__name__", type(own).__name__).lower()


@contextmanager
def without_activation(layer: keras.layers.Layer) -> Iterator[None]:
    own = getattr(layer, "activation", None)
    if own is not None:
        layer.activation = keras.activations.linear
    try:
        yield
    finally:
        if own is not None:
            layer.activation = own


def hidden(model: keras.Model) -> keras.Model:
    """From images to what the last layer with weights is given, (n, features); of a map the mean over its places."""
    whole, found = steps(model)
    features = next(step.given for step in reversed(found) if getattr(step.layer, "weights", None))
    return keras.Model(whole.input, ops.mean(features, axis=(1, 2)) if len(features.shape) == 4 else features)


def grad_cam(model: keras.Model, images: np.ndarray, wanted: int) -> np.ndarray:
    """Where `model` sees class `wanted` in the first of `images` (n, height, width, channels) uint8: float32 (height,
    width) in [0, 1], all 0 where nothing speaks for it.

    Selvaraju et al. 2017 (arXiv:1610.02391): the maps of the last convolution, weighed by the mean gradient of the
    class's score before softmax. Raises KcnnError where there is no convolution, or no map is all that the answer hangs
    on.
    """
    whole, found = steps(model)
    with scores(whole, found) as output:
        before, after = cut_at_last_map(whole.input, found, output)
        features = before(images[:1], training=False)
        gradient = gradient_at(after, features, wanted)
    maps = ops.convert_to_numpy(ops.cast(features, "float32"))[0]
    heat = np.maximum((maps * gradient.mean(axis=(0, 1))).sum(axis=-1), 0)
    heat = ops.convert_to_numpy(ops.image.resize(heat[..., None], images.shape[1:3], data_format="channels_last"))
    return heat[..., 0] / max(float(heat.max()), 1e-12)


@contextmanager
def scores(whole: keras.Model, found: list[Step]) -> Iterator[keras.KerasTensor]:
    """The tensor of the classes' scores, since at a probability of 1 a softmax has no gradient: what a softmax at the
    end is given, or what the last layer gives while its activation is left out."""
    last = found[-1]
    if type(last.layer).__name__ in ("Softmax", "Activation"):
        yield last.given
    else:
        with without_activation(last.layer):
            yield whole.output


def cut_at_last_map(images, found: list[Step], output) -> tuple[keras.Model, keras.Model]:
    """The model up to the last map (height, width, channels), from a convolution on, that the rest needs nothing but,
    and that rest, up to `output`."""
    first = next((place for place, step in enumerate(found) if is_convolution(step.layer)), None)
    if first is None:
        raise KcnnError("this network has no convolution", "kcnn show model shows its layers")
    maps = [step for step in found[first:] if len(step.gives.shape) == 4 and math.prod(step.gives.shape[1:3]) > 1]
    for passing in (False, True):  # a map that was pooled only where there is no other
        for step in reversed(maps):
            if passing == any(word in type(step.layer).__name__ for word in PASSING):
                try:
                    return keras.Model(images, step.gives), keras.Model(step.gives, output)
                except ValueError:  # the rest needs more
                    continue
    raise KcnnError("this network has no map of features that its answer hangs on alone", "kcnn show model shows it")


def gradient_at(after: keras.Model, features, wanted: int) -> np.ndarray:
    """The gradient of score `wanted` of `after` at `features` (1, height, width, channels), without the 1.

    On every backend by the same means: one step, of rate 1, of a shift that begins at 0.
    """
    after.trainable = False
    shifted = Shifted(after, features)
    # A seed that dropout would draw is of no matter: the rest is called as for prediction.
    fitted = keras.Sequential([keras.Input((1,)), shifted])
    fitted.compile(keras.optimizers.SGD(1.0), lambda _, scores: -scores[:, wanted])
    fitted.train_on_batch(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    return np.asarray(ops.convert_to_numpy(shifted.shift), np.float32)[0]


class Shifted(keras.layers.Layer):
    """`after` of `features` plus a variable of their shape, whatever the input."""

    def __init__(self, after: keras.Model, features):
        super().__init__(dtype="float32")
        self.after, self.features = after, ops.cast(features, "float32")
        self.shift = self.add_weight(shape=features.shape, initializer="zeros", name="shift")

    def call(self, unused):
        return ops.cast(self.after(self.features + self.shift, training=False), "float32")

    def compute_output_shape(self, shape):
        return (1, self.after.output_shape[-1])


def outline(model: keras.Model) -> list[dict]:
    """A row for each step of the graph, those of a model inside the model in its place: `name`, `kind`, `shape` of the
    output without the batch, `parameters`, `operations` (multiply-adds for one image, of convolutions and dense
    layers) and `inputs`, the names of the steps that it is given."""
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs, model.outputs)
    rows = []
    for entry, step in zip(model.get_config()["layers"], model.operations, strict=True):
        inputs = list(dict.fromkeys(sources(entry["inbound_nodes"])))
        if isinstance(step, keras.Model):
            inner = outline(step)
            for row in inner:
                row["inputs"] = [f"{step.name}/{name}" for name in row["inputs"]] or inputs
                row["name"] = f"{step.name}/{row['name']}"
            rows += inner
            continue
        shape = keras.tree.flatten(step.output)[0].shape[1:]
        rows.append(
            {
                "name": step.name,
                "kind": type(step).__name__,
                "shape": tuple(shape),
                "parameters": step.count_params() if isinstance(step, keras.layers.Layer) else 0,
                "operations": multiply_adds(step, shape),
                "inputs": inputs,
            }
        )
    ends = {name for row in rows for name in row["inputs"]} - {row["name"] for row in rows}
    for end in ends:  # a model inside the model: what comes after it is given what it gives last
        last = [row["name"] for row in rows if row["name"].startswith(f"{end}/")][-1]
        for row in rows:
            row["inputs"] = [last if name == end else name for name in row["inputs"]]
    return rows


def sources(nodes) -> Iterator[str]:
    """The names of the steps whose output stands anywhere in a serialized node."""
    if isinstance(nodes, dict):
        if "keras_history" in nodes:
            yield nodes["keras_history"][0]
        else:
            for value in nodes.values():
                yield from sources(value)
    elif isinstance(nodes, list | tuple):
        for value in nodes:
            yield from sources(value)


def multiply_adds(step, shape: tuple) -> int:
    """Of one image: a kernel is applied once at each place of the output, that of a transposed one of the input."""
    if not isinstance(step, keras.layers.Layer):
        return 0
    where = keras.tree.flatten(step.input)[0].shape[1:] if "Transpose" in type(step).__name__ else shape
    places = math.prod(where[:-1])
    names = ("kernel", "depthwise_kernel", "pointwise_kernel")
    kernels = [each for name in names if hasattr((each := getattr(step, name, None)), "shape")]
    return places * sum(math.prod(each.shape) for each in kernels)
