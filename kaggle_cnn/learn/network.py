"""What a trained network has learned and does: its filters, its activations, where it looks, its layers."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.learn.model import activation_name

LEAST_MAP = 7  # places of a map's side: with fewer, Grad-CAM shows blots and not what it is that counts
PASSING = ("Pooling", "Dropout", "Flatten", "Reshape", "Permute", "View")


class Step(NamedTuple):
    """A layer or other operation of the graph, its input tensor (or the first of them) and its output tensor."""

    layer: keras.Operation
    input: keras.KerasTensor
    output: keras.KerasTensor


def list_steps(model: keras.Model) -> tuple[keras.Model, list[Step]]:
    """Return the model as one graph, with the steps of nested models in their place, and its steps in order. It shares
    every layer, and so the weights, with `model`."""
    require_one_input(model)
    found: list[Step] = []
    named: dict[str, Any] = {}

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(operation, keras.Model):
            return run(operation, args[0])
        if named.setdefault(operation.name, operation) is not operation:  # two nested models may name a layer alike
            operation.name = f"{operation.name}_{len(found)}"
        output = operation(*args, **kwargs)
        found.append(Step(operation, keras.tree.flatten(args)[0], keras.tree.flatten(output)[0]))
        return output

    def run(part: keras.Model, tensor: Any) -> Any:
        graph = keras.Model(part.inputs[0], part.outputs[0]) if isinstance(part, keras.Sequential) else part
        # Keras has no public way to go through a graph without making one step of a nested model.
        return graph._run_through_graph(tensor, operation_fn=lambda operation: partial(call, operation))

    images = keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype)
    return keras.Model(images, run(model, images)), found


def require_one_input(model: keras.Model) -> None:
    """Raise KcnnError for a network that takes metadata beside the images."""
    if len(model.inputs) > 1:
        raise KcnnError(
            "this picture is of networks with one input, and this one takes metadata beside the images",
            "kcnn show confusion and kcnn show mistakes show what it predicts",
        )


def read_kernel(model: keras.Model, name: str | None = None) -> tuple[str, Array]:
    """Return the name and the kernel, float32 (height, width, channels, filters), of the first convolution, or of the
    one called `name`; a depthwise one has a single channel.

    Raises KcnnError where there is none.
    """
    convolutions = {step.layer.name: step.layer for step in list_steps(model)[1] if is_convolution(step.layer)}
    if not convolutions:
        raise KcnnError("this network has no convolution", "kcnn show model shows its layers")
    if name is not None and name not in convolutions:
        raise KcnnError(f"there is no convolution '{name}'", f"there are: {', '.join(convolutions)}")
    layer = convolutions[name or next(iter(convolutions))]
    values = ops.convert_to_numpy(ops.cast(kernel_of(layer), "float32"))
    if "Depthwise" in type(layer).__name__:  # (height, width, channels, multiplier), one filter for each channel
        values = values.reshape(*values.shape[:2], 1, -1)
    return layer.name, values


def kernel_of(layer: keras.layers.Layer) -> Any:
    return getattr(layer, "kernel", getattr(layer, "depthwise_kernel", None))


def is_convolution(layer: keras.layers.Layer) -> bool:
    found = kernel_of(layer)
    return found is not None and len(found.shape) == 4


def activations(model: keras.Model, images: Array) -> list[tuple[str, str, Array]]:
    """Return what comes out of each convolution, activation and pooling, in order: the layer's name, what it does, and
    its output for the first of `images` (n, height, width, channels) uint8, as float32 (height, width, channels). A
    convolution with an activation of its own is there twice, without it and with it."""
    whole, found = list_steps(model)
    maps = [step for step in found if describe_step(step.layer) and len(step.output.shape) == 4]
    if not maps:
        return []
    both = [tensor for step in maps for tensor in (step.input, step.output)]
    values = iter(keras.tree.flatten(keras.Model(whole.input, both)(images[:1], training=False)))
    walk = []
    for step, given, output in zip(maps, values, values, strict=True):
        what = describe_step(step.layer)
        if activation := activation_name(step.layer) if what == "convolution" else "":
            walk.append((step.layer.name, what, copy_without_activation(step.layer, given.shape)(given)))
            what = activation
        walk.append((step.layer.name, what, output))
    return [(name, what, ops.convert_to_numpy(ops.cast(value, "float32"))[0]) for name, what, value in walk]


def describe_step(operation: keras.Operation) -> str:
    """Return "convolution", "relu", "pooling" ... or "" for what is none of these."""
    kind = type(operation).__name__
    if "Conv" in kind:
        return "convolution"
    if "Pooling" in kind:
        return "pooling"
    if kind in ("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"):
        return activation_name(operation) or kind.lower()
    return ""


def copy_without_activation(layer: keras.layers.Layer, shape: Any) -> keras.layers.Layer:
    """Return a layer of the same weights that leaves its activation out."""
    copy = layer.__class__.from_config({**layer.get_config(), "activation": "linear"})
    copy.build(shape)
    copy.set_weights(layer.get_weights())
    return copy


def last_features(model: keras.Model) -> keras.Model:
    """Return a model from images to what the last layer with weights gets, (n, features); of a map the mean over its
    places."""
    whole, found = list_steps(model)
    features = next(step.input for step in reversed(found) if getattr(step.layer, "weights", None))
    return keras.Model(whole.input, ops.mean(features, axis=(1, 2)) if len(features.shape) == 4 else features)


def grad_cam(logits: keras.Model, images: Array, output: int, layer: str | None = None) -> Array:
    """Return where a network sees `output` in the first of `images` (n, height, width, channels) uint8: float32
    (height, width) in [0, 1], all 0 where nothing speaks for it.

    `logits` is the network up to its logits: at a probability of 1 a softmax has no gradient. Selvaraju et al. 2017
    (arXiv:1610.02391): the maps of `layer`, else of the last one with at least LEAST_MAP x LEAST_MAP places, weighted
    by the mean gradient of the class's logit. Raises KcnnError where there is no convolution, or no map is all that the
    output depends on.
    """
    whole, found = list_steps(logits)
    before, after = cut_at_map(whole.input, found, whole.output, layer)
    features = before(images[:1], training=False)
    gradient = gradient_at(after, features, output)
    maps = ops.convert_to_numpy(ops.cast(features, "float32"))[0]
    heat = np.maximum((maps * gradient.mean(axis=(0, 1))).sum(axis=-1), 0)
    resized = ops.image.resize(heat[..., None], images.shape[1:3], data_format="channels_last")
    heat = np.asarray(ops.convert_to_numpy(resized))[..., 0]
    return np.asarray(heat / max(float(heat.max()), 1e-12))


def cut_at_map(images: Any, found: list[Step], output: Any, layer: str | None) -> tuple[keras.Model, keras.Model]:
    """Return the model up to the map (height, width, channels) of `layer`, and the rest, up to `output`, which must
    need nothing else. Without a name it is the last such map, from a convolution on, of at least LEAST_MAP x LEAST_MAP,
    or the last of any size."""
    first = next((place for place, step in enumerate(found) if is_convolution(step.layer)), None)
    if first is None:
        raise KcnnError("this network has no convolution", "kcnn show model shows its layers")
    maps = [step for step in found[first:] if len(step.output.shape) == 4 and math.prod(step.output.shape[1:3]) > 1]
    large = [step for step in maps if min(step.output.shape[1:3]) >= LEAST_MAP]
    # A map that was pooled only where there is no other of its size.
    tried = [
        step
        for some in (large, maps)
        for passing in (False, True)
        for step in reversed(some)
        if passing == any(word in type(step.layer).__name__ for word in PASSING)
    ]
    for step in tried if layer is None else [step for step in maps if step.layer.name == layer]:
        if cut := cut_at(images, step, output):
            return cut
    if layer is None:
        raise KcnnError("this network has no feature map that its whole output depends on", "kcnn show model shows it")
    usable = ", ".join(dict.fromkeys(step.layer.name for step in maps if cut_at(images, step, output)))
    if layer not in (step.layer.name for step in found):
        raise KcnnError(f"no layer is called '{layer}'", f"Grad-CAM can look at: {usable}")
    raise KcnnError(
        f"Grad-CAM cannot look at '{layer}': the output does not depend on its map alone, or it has no map",
        f"it can look at: {usable}",
    )


def cut_at(images: Any, step: Step, output: Any) -> tuple[keras.Model, keras.Model] | None:
    """Return the model up to a step, and the rest; None where the rest needs more than the step's output."""
    try:
        return keras.Model(images, step.output), keras.Model(step.output, output)
    except ValueError:
        return None


def gradient_at(after: keras.Model, features: Any, output: int) -> Array:
    """Return the gradient of `output` of `after` at `features` (1, height, width, channels), without the 1.

    On every backend in the same way: one step, of rate 1, of a shift that starts at 0.
    """
    after.trainable = False
    shifted = Shifted(after, features)
    # Dropout draws nothing: the rest is called as for prediction.
    fitted = keras.Sequential([keras.Input((1,)), shifted])
    fitted.compile(keras.optimizers.SGD(1.0), lambda _, given: -given[:, output])
    fitted.train_on_batch(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    return np.asarray(ops.convert_to_numpy(shifted.shift), np.float32)[0]


class Shifted(keras.layers.Layer):
    """Apply `after` to `features` plus a variable of their shape, whatever the input."""

    def __init__(self, after: keras.Model, features: Any):
        super().__init__(dtype="float32")
        self.after, self.features = after, ops.cast(features, "float32")
        self.shift = self.add_weight(shape=features.shape, initializer="zeros", name="shift")

    def call(self, unused: Any) -> Any:
        return ops.cast(self.after(self.features + self.shift, training=False), "float32")

    def compute_output_shape(self, shape: Any) -> tuple[int, int]:
        return (1, self.after.output_shape[-1])


def outline(model: keras.Model) -> list[dict[str, Any]]:
    """Return a row for each step of the graph, with those of a nested model in its place: `name`, `kind`, `shape` of
    the output without the batch, `parameters`, `operations` (multiply-adds for one image, of convolutions and dense
    layers) and `inputs`, the names of the steps before it."""
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs, model.outputs)
    rows: list[dict[str, Any]] = []
    for entry, step in zip(model.get_config()["layers"], model.operations, strict=True):
        inputs = list(dict.fromkeys(sources(entry["inbound_nodes"])))
        if isinstance(step, keras.Model):
            nested = outline(step)
            for row in nested:
                row["inputs"] = [f"{step.name}/{name}" for name in row["inputs"]] or inputs
                row["name"] = f"{step.name}/{row['name']}"
            rows += nested
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
    for end in ends:  # a nested model: what comes after it gets the output of its last step
        last = [row["name"] for row in rows if row["name"].startswith(f"{end}/")][-1]
        for row in rows:
            row["inputs"] = [last if name == end else name for name in row["inputs"]]
    return rows


def sources(nodes: Any) -> Iterator[str]:
    """Yield the names of the steps whose output occurs anywhere in a serialized node."""
    if isinstance(nodes, dict):
        if "keras_history" in nodes:
            yield nodes["keras_history"][0]
        else:
            for value in nodes.values():
                yield from sources(value)
    elif isinstance(nodes, list | tuple):
        for value in nodes:
            yield from sources(value)


def multiply_adds(step: Any, shape: tuple[int, ...]) -> int:
    """Return those of one image: a kernel is applied once at each place of the output, or of the input where it is
    transposed."""
    if not isinstance(step, keras.layers.Layer):
        return 0
    where = keras.tree.flatten(step.input)[0].shape[1:] if "Transpose" in type(step).__name__ else shape
    places = int(math.prod(where[:-1]))
    names = ("kernel", "depthwise_kernel", "pointwise_kernel")
    kernels: list[Any] = [getattr(step, name, None) for name in names]
    return places * sum(int(math.prod(each.shape)) for each in kernels if hasattr(each, "shape"))
