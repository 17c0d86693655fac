"""What a trained network holds and does inside: its filters, its activations, where it looks, its layers."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
from keras import ops

from kaggle_cnn.errors import KcnnError

PASSING = ("Pooling", "Dropout", "Flatten", "Reshape", "Permute", "InputLayer", "View")


def all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Every layer in the order of the graph, those of a model inside the model in its place."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)
        else:
            yield layer


def kernel(model: keras.Model, name: str | None = None) -> tuple[str, np.ndarray]:
    """The name and the kernel, float32 (height, width, channels, filters), of the first convolution, or of the one
    called `name`; a depthwise one has a single channel.

    Raises KcnnError where there is none.
    """
    convolutions = {layer.name: layer for layer in all_layers(model) if len(kernel_shape(layer)) == 4}
    if not convolutions:
        raise KcnnError("this network has no convolution", "filters are shown of those that have; kcnn show model")
    if name is not None and name not in convolutions:
        raise KcnnError(f"there is no convolution '{name}'", f"there are: {', '.join(convolutions)}")
    layer = convolutions[name or next(iter(convolutions))]
    values = ops.convert_to_numpy(ops.cast(kernel_of(layer), "float32"))
    if "Depthwise" in type(layer).__name__:  # (height, width, channels, multiplier), one filter for each channel
        values = values.reshape(*values.shape[:2], 1, -1)
    return layer.name, values


def kernel_of(layer: keras.layers.Layer):
    return getattr(layer, "kernel", getattr(layer, "depthwise_kernel", None))


def kernel_shape(layer: keras.layers.Layer) -> tuple:
    found = kernel_of(layer)
    return () if found is None else tuple(found.shape)


def activations(model: keras.Model, images: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """What follows each convolution, activation and pooling, in order: the layer's name, what it does, and its output
    for the first of `images` (n, height, width, channels) uint8, as float32 (height, width, channels)."""
    recorded = []

    def recording(layer, call):
        def recorder(*args, **kwargs):
            given = call(*args, **kwargs)
            recorded.append((layer, given))
            return given

        return recorder

    watched = [layer for layer in all_layers(model) if what_it_does(layer)]
    for layer in watched:
        layer.call = recording(layer, layer.call)
    try:
        model(images, training=False)
    finally:
        for layer in watched:
            del layer.call
    values = [(layer, np.asarray(ops.convert_to_numpy(given), np.float32)) for layer, given in recorded]
    return [(layer.name, what_it_does(layer), value[0]) for layer, value in values if value.ndim == 4]


def what_it_does(layer: keras.layers.Layer) -> str:
    """ "convolution, relu", "pooling" ... or "" for a layer that is neither."""
    kind = type(layer).__name__
    own = getattr(layer, "activation", None)
    activation = getattr(own, "__name__", "") if own not in (None, keras.activations.linear) else ""
    if "Conv" in kind:
        return f"convolution, {activation}" if activation else "convolution"
    if "Pooling" in kind:
        return "pooling"
    if kind == "Activation" or kind in ("ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"):
        return activation or kind.lower()
    return ""


def hidden(model: keras.Model) -> keras.Model:
    """From images to what the last layer with weights is given, (n, features); of a map the mean over its places."""
    last = next(layer for layer in reversed(model.layers) if layer.weights)
    if isinstance(last, keras.Model):
        return keras.Model(model.input, model.output)
    features = last.input
    return keras.Model(model.input, ops.mean(features, axis=(1, 2)) if len(features.shape) == 4 else features)


def grad_cam(model: keras.Model, images: np.ndarray, wanted: int) -> np.ndarray:
    """Where `model` sees class `wanted` in the first of `images` (n, height, width, channels) uint8: float32 (height,
    width) in [0, 1], all 0 where nothing speaks for it.

    Selvaraju et al. 2017 (arXiv:1610.02391): the maps of the last convolution, weighed by the mean gradient of the
    class's score before softmax. Raises KcnnError where no map is all that the answer hangs on.
    """
    with scores_for_probabilities(model):
        before, after = cut_at_last_map(model)
        features = before(images[:1], training=False)
        gradient = gradient_at(after, features, wanted)
    maps = ops.convert_to_numpy(features)[0].astype(np.float32)
    heat = np.maximum((maps * gradient.mean(axis=(0, 1))).sum(axis=-1), 0)
    heat = ops.convert_to_numpy(ops.image.resize(heat[..., None], images.shape[1:3], data_format="channels_last"))
    return heat[..., 0] / max(float(heat.max()), 1e-12)


@contextmanager
def scores_for_probabilities(model: keras.Model) -> Iterator[None]:
    """Meanwhile the last layer's activation is left out: at a probability of 1 a softmax has no gradient."""
    last = model.layers[-1]
    own = getattr(last, "activation", None)
    if own is not None:
        last.activation = keras.activations.linear
    try:
        yield
    finally:
        if own is not None:
            last.activation = own


def cut_at_last_map(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The model up to the last map (height, width, channels) that the rest needs nothing but, and that rest."""
    maps = [layer for layer in model.layers if is_map(layer)]
    for passing in (False, True):  # a map that was pooled only where there is no other
        for layer in reversed(maps):
            if passing == any(word in type(layer).__name__ for word in PASSING):
                try:
                    return keras.Model(model.input, layer.output), keras.Model(layer.output, model.output)
                except ValueError:  # the rest needs more
                    continue
    raise KcnnError("this network has no map of features that its answer hangs on alone", "kcnn show model shows it")


def is_map(layer: keras.layers.Layer) -> bool:
    shape = getattr(keras.tree.flatten(layer.output)[0], "shape", ())
    return len(shape) == 4 and (shape[1] or 0) * (shape[2] or 0) > 1


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
