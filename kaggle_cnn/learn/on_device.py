"""Images that live on the accelerator, and their augmentation there: for small images, whose steps are so short that a
host could not keep up. A recipe whose `augment` returns an AugmentOnDevice trains this way."""

import keras
import numpy as np
from keras import Model, layers, ops


@keras.saving.register_keras_serializable("kaggle_cnn")
class AugmentOnDevice(layers.Layer):
    """Shifts, mirrors, cuts to `crop`, changes brightness and contrast, cuts a square out: uint8 to uint8.

    Each image has its own draw, from a seed generator whose state is saved with the model's: a resumed run goes on
    where it was. Shift, mirror and crop are one gather.

    shift: moves by up to so many pixels each way; what comes in is the reflection. Where the images are larger than
        `crop`, by half the difference more: a random crop. mirror: mirrors half of them.
    cutout: the side of a square that becomes grey, its centre anywhere (DeVries & Taylor 2017); 0 for none.
    brightness: adds up to this share of 255. contrast: times 1 - contrast to 1 + contrast, about the middle grey.
    """

    def __init__(
        self,
        crop: int,
        shift: int = 0,
        mirror: bool = True,
        cutout: int = 0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(dtype="uint8", **kwargs)
        self.crop, self.shift, self.mirror, self.cutout = crop, shift, mirror, cutout
        self.brightness, self.contrast, self.seed = brightness, contrast, seed
        self.draws = keras.random.SeedGenerator(seed)

    def uniform(self, images, low: float, high: float):
        return keras.random.uniform((ops.shape(images)[0], 1, 1), low, high, dtype="float32", seed=self.draws)

    def call(self, images):
        size, channels = images.shape[1], images.shape[3]
        place = ops.arange(self.crop, dtype="float32")

        def moved(places):
            """Row or column numbers of the source, reflected at the picture's edge."""
            start = ops.floor(self.uniform(images, -self.shift, size - self.crop + self.shift + 1))
            return size - 1 - ops.abs(size - 1 - ops.abs(start + places))

        columns = place[None, None, :]
        if self.mirror:
            columns = ops.where(self.uniform(images, 0, 1) < 0.5, columns, self.crop - 1 - columns)
        y, x = moved(place[None, :, None]), moved(columns)
        first = ops.arange(ops.shape(images)[0], dtype="int32")[:, None, None] * size * size
        pixels = ops.take(ops.reshape(images, (-1, channels)), first + ops.cast(y * size + x, "int32"), axis=0)
        if self.brightness or self.contrast:
            pixels = ops.cast(pixels, "float32")
            by = self.uniform(images, 1 - self.contrast, 1 + self.contrast)[..., None]
            more = self.uniform(images, -255 * self.brightness, 255 * self.brightness)[..., None]
            pixels = ops.cast(ops.clip(ops.round((pixels - 127.5) * by + 127.5 + more), 0, 255), "uint8")
        if self.cutout:
            row, column = (ops.floor(self.uniform(images, 0, self.crop)) for _ in range(2))
            half = self.cutout / 2
            out = (ops.abs(place[None, :, None] + 0.5 - row) < half) & (
                ops.abs(place[None, None] + 0.5 - column) < half
            )
            pixels = ops.where(out[..., None], ops.cast(127, "uint8"), pixels)
        return pixels

    def compute_output_shape(self, shape):
        return (shape[0], self.crop, self.crop, shape[3])

    def get_config(self):
        names = ("crop", "shift", "mirror", "cutout", "brightness", "contrast", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class Gallery(layers.Layer):
    """Row numbers (batch,) -> uint8 images (batch, size, size, channels), out of all that it keeps on the device."""

    def __init__(self, pixels: np.ndarray):
        super().__init__(trainable=False)
        self.pixels = self.add_weight(shape=pixels.shape, dtype="uint8", initializer="zeros", trainable=False)
        self.pixels.assign(pixels)

    def call(self, rows):
        return ops.take(self.pixels, rows, axis=0)

    def compute_output_shape(self, shape):
        return (shape[0], *self.pixels.shape[1:])


def augmented(model: Model, augment: AugmentOnDevice, pixels: np.ndarray, resident: bool) -> Model:
    """`model` behind its augmentation: from uint8 images at full size, or where `resident`, from their row numbers."""
    if resident:
        inputs = layers.Input((), dtype="int32")
        return Model(inputs, model(augment(Gallery(pixels)(inputs))))
    inputs = layers.Input(pixels.shape[1:], dtype="uint8")
    return Model(inputs, model(augment(inputs)))
