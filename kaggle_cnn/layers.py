"""Layers that Keras does not have."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

Pixels = np.ndarray[Any, Any]
Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable("kaggle_cnn")
class LocalResponseNormalization(layers.Layer):
    """Compute x / (bias + alpha * the sum of x**2 over `size` neighbouring channels, x's own in the middle) ** beta.

    Of any shape (..., channels). The defaults are AlexNet's (Krizhevsky et al. 2012, section 3.3), whose sum is a sum
    and no mean, as TensorFlow's own is: there `size` is 2 * depth_radius + 1. Other libraries divide alpha by `size`.
    """

    def __init__(self, size: int = 5, bias: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, **kwargs: Any):
        super().__init__(**kwargs)
        self.size, self.bias, self.alpha, self.beta = size, bias, alpha, beta

    def call(self, inputs: Any) -> Any:
        number = np.arange(inputs.shape[-1])
        near = np.abs(number[:, None] - number) <= self.size // 2
        x = ops.cast(inputs, "float32")  # squares leave float16's range early
        sums = self.bias + self.alpha * ops.matmul(ops.square(x), ops.cast(near, "float32"))
        return ops.cast(x * ops.exp(-self.beta * ops.log(sums)), inputs.dtype)  # a power takes twice as long (LOG.md)

    def compute_output_shape(self, shape: Shape) -> Shape:
        return shape

    def get_config(self) -> dict[str, Any]:
        own = {"size": self.size, "bias": self.bias, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("kaggle_cnn")
class AugmentOnDevice(layers.Layer):
    """Shift, mirror, cut to `size`, change brightness and contrast, cut a square out: uint8 to uint8.

    Each image has its own draw, from a seed generator whose state is saved with the model's: a resumed run goes on
    where it was. Shift, mirror and cut are one gather.

    shift: moves by up to so many pixels each way; what comes in is the reflection. Where the images are larger than
        `size`, by half the difference more: a random crop. mirror: mirrors half of them; the recipe's setting.
    cutout: the side of a square that becomes grey, its centre anywhere (DeVries & Taylor 2017); 0 for none.
    brightness: adds up to this share of 255. contrast: times 1 - contrast to 1 + contrast, about the middle grey.
    """

    def __init__(
        self,
        size: int,
        shift: int = 0,
        mirror: bool = True,
        cutout: int = 0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**{**kwargs, "dtype": "uint8"})  # its own config names a dtype too
        self.size, self.shift, self.mirror, self.cutout = size, shift, mirror, cutout
        self.brightness, self.contrast, self.seed = brightness, contrast, seed
        self.draws = keras.random.SeedGenerator(seed)

    def uniform(self, images: Any, low: float, high: float) -> Any:
        return keras.random.uniform((ops.shape(images)[0], 1, 1), low, high, dtype="float32", seed=self.draws)

    def call(self, images: Any) -> Any:
        side, channels = images.shape[1], images.shape[3]
        place = ops.arange(self.size, dtype="float32")

        def shift(places: Any) -> Any:
            """Return row or column numbers of the source, reflected at the edge of the image."""
            start = ops.floor(self.uniform(images, -self.shift, side - self.size + self.shift + 1))
            return side - 1 - ops.abs(side - 1 - ops.abs(start + places))

        columns = place[None, None, :]
        if self.mirror:
            columns = ops.where(self.uniform(images, 0, 1) < 0.5, columns, self.size - 1 - columns)
        y, x = shift(place[None, :, None]), shift(columns)
        first = ops.arange(ops.shape(images)[0], dtype="int32")[:, None, None] * side * side
        pixels = ops.take(ops.reshape(images, (-1, channels)), first + ops.cast(y * side + x, "int32"), axis=0)
        if self.brightness or self.contrast:
            pixels = ops.cast(pixels, "float32")
            by = self.uniform(images, 1 - self.contrast, 1 + self.contrast)[..., None]
            more = self.uniform(images, -255 * self.brightness, 255 * self.brightness)[..., None]
            pixels = ops.cast(ops.clip(ops.round((pixels - 127.5) * by + 127.5 + more), 0, 255), "uint8")
        if self.cutout:
            row, column = (ops.floor(self.uniform(images, 0, self.size)) for _ in range(2))
            half = self.cutout / 2
            out = (ops.abs(place[None, :, None] + 0.5 - row) < half) & (
                ops.abs(place[None, None] + 0.5 - column) < half
            )
            pixels = ops.where(out[..., None], ops.cast(127, "uint8"), pixels)
        return pixels

    def compute_output_shape(self, shape: Shape) -> Shape:
        return (shape[0], self.size, self.size, shape[3])

    def get_config(self) -> dict[str, Any]:
        names = ("size", "shift", "mirror", "cutout", "brightness", "contrast", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def standardise(images: Pixels | None, axis: int | tuple[int, ...]) -> layers.Normalization:
    """Return a layer that subtracts the mean and divides by the deviation: of each pixel for axis=(1, 2, 3), of each
    channel for -1, over `images` (n, height, width, channels) uint8. Without images it changes nothing, until it is
    loaded."""
    layer = layers.Normalization(axis=axis)
    if images is not None:
        layer.adapt(images)
    return layer
