"""Images that live on the accelerator, for a recipe that augments there: small images, whose steps are so short that a
host cannot keep up."""

from typing import Any

from keras import Model, layers, ops

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.layers import AugmentOnDevice


class Gallery(layers.Layer):
    """Turn row numbers (batch,) into uint8 images (batch, size, size, channels), out of all that it keeps on the
    device."""

    def __init__(self, pixels: Array):
        super().__init__(trainable=False)
        self.pixels = self.add_weight(shape=pixels.shape, dtype="uint8", initializer="zeros", trainable=False)
        self.pixels.assign(pixels)

    def call(self, rows: Any) -> Any:
        return ops.take(self.pixels, rows, axis=0)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], *self.pixels.shape[1:])


def augment_first(model: Model, augment: AugmentOnDevice, pixels: Array, resident: bool) -> Model:
    """Return `model` after its augmentation: from uint8 images at full size, or where `resident`, from their row
    numbers."""
    if resident:
        inputs = layers.Input((), dtype="int32")
        return Model(inputs, model(augment(Gallery(pixels)(inputs))))
    inputs = layers.Input(pixels.shape[1:], dtype="uint8")
    return Model(inputs, model(augment(inputs)))
