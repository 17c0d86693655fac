"""What Keras lacks."""

import keras
import numpy as np
from keras import Model, layers, ops

from kaggle_cnn.errors import KcnnError


@keras.saving.register_keras_serializable("kaggle_cnn")
class View(layers.Layer):
    """Cuts `crop` x `crop` at (`top`, `left`) out of uint8 images (N, height, width, channels), and mirrors it if
    asked; not before there are the probabilities `after`, of another view."""

    def __init__(self, top: int, left: int, crop: int, mirror: bool, **kwargs):
        super().__init__(**kwargs)
        self.top, self.left, self.crop, self.mirror = top, left, crop, mirror

    def call(self, images, after=None):
        cut = images[:, self.top : self.top + self.crop, self.left : self.left + self.crop]
        if after is not None:  # no probability is above 2, which no compiler knows
            cut = cut + ops.cast(after[0, 0] > 2, "uint8")
        return ops.flip(cut, axis=2) if self.mirror else cut

    def compute_output_shape(self, images_shape, after_shape=None):
        return (images_shape[0], self.crop, self.crop, images_shape[3])

    def get_config(self):
        return {**super().get_config(), "top": self.top, "left": self.left, "crop": self.crop, "mirror": self.mirror}


@keras.saving.register_keras_serializable("kaggle_cnn")
class LocalResponseNormalization(layers.Layer):
    """x / (bias + alpha * the sum of x**2 over `size` neighbouring channels, x's own in the middle) ** beta.

    Of any shape (..., channels). The defaults are AlexNet's (Krizhevsky et al. 2012, section 3.3), whose sum is a sum
    and no mean, as TensorFlow's own is: there `size` is 2 * depth_radius + 1. Other libraries divide alpha by `size`.
    """

    def __init__(self, size: int = 5, bias: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, **kwargs):
        super().__init__(**kwargs)
        self.size, self.bias, self.alpha, self.beta = size, bias, alpha, beta

    def call(self, inputs):
        number = np.arange(inputs.shape[-1])
        near = np.abs(number[:, None] - number) <= self.size // 2
        x = ops.cast(inputs, "float32")  # squares leave float16's range early
        sums = self.bias + self.alpha * ops.matmul(ops.square(x), ops.cast(near, "float32"))
        return ops.cast(x * ops.exp(-self.beta * ops.log(sums)), inputs.dtype)  # a power takes twice as long (LOG.md)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        own = {"size": self.size, "bias": self.bias, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **own}


def standardised(images: np.ndarray | None, axis: int | tuple[int, ...]) -> layers.Normalization:
    """A layer that takes the mean away and divides by the deviation: of each pixel for axis=(1, 2, 3), of each channel
    for -1, over `images` (n, height, width, channels) uint8. Without images it changes nothing, until it is loaded."""
    layer = layers.Normalization(axis=axis)
    if images is not None:
        layer.adapt(images)
    return layer


def view_places(size: int, crop: int, views: int) -> list[tuple[int, int, bool]]:
    """(top, left, mirror) of each view: centre and its mirror image first, then the four corners and theirs.

    1 is the centre; 2 adds its mirror image; 10 is the ten of Krizhevsky et al. 2012; 6 has in place of the corners the
    centre moved by a pixel, up to the left and down to the right (Jordan 2024, arXiv:2404.00498).
    """
    middle, end = (size - crop) // 2, size - crop
    others = [(0, 0), (0, end), (end, 0), (end, end)]
    if views == 6:
        others = [(middle - 1, middle - 1), (middle + 1, middle + 1)]
    places = [(middle, middle), *others]
    return [(top, left, mirror) for top, left in places for mirror in (False, True)][:views]


def at_crop(model: Model, crop: int) -> Model:
    """`model` with its weights, but for `crop` x `crop` images: more of the picture than it was trained to see, up to
    the whole, which is to evaluate it densely. Networks that end in global pooling can do it.

    Raises KcnnError for one that cannot.
    """
    trained, channels = model.input_shape[1], model.input_shape[3]
    if crop == trained:
        return model
    try:
        other = keras.models.clone_model(model, input_tensors=layers.Input((crop, crop, channels), dtype="uint8"))
        other.set_weights(model.get_weights())
    except ValueError:
        hint = "a network that ends in global pooling takes any size; leave --crop out for this one"
        raise KcnnError(f"this network takes {trained}x{trained} alone, not {crop}x{crop}", hint) from None
    return other


def with_views(model: Model, size: int, views: int) -> Model:
    """A model from uint8 (N, size, size, channels) to the probabilities of every view, (N, views, classes).

    The views are cut on the device from one upload, within one compiled call, one after the other: TensorFlow would
    work on several at once, which takes the memory of several (LOG.md). Where `size` leaves no room for corners, a view
    that is the same as another is computed once and repeated; where it leaves none for the six views' pixel, the edge
    is reflected.
    """
    _, crop, _, channels = model.input_shape
    images = layers.Input((size, size, channels), dtype="uint8")
    cut_from = images
    if views == 6 and size < crop + 2:
        cut_from, size = ops.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect"), size + 2
    places = view_places(size, crop, views)
    answers, last = {}, None
    for top, left, mirror in dict.fromkeys(places):
        answers[top, left, mirror] = last = model(View(top, left, crop, mirror)(cut_from, after=last))
    return Model(images, ops.stack([answers[place] for place in places], axis=1))
