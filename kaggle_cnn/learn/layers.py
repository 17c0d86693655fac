"""What Keras lacks."""

import keras
from keras import Model, layers, ops

from kaggle_cnn.errors import KcnnError

VIEWS = (1, 2, 10)


@keras.saving.register_keras_serializable("kaggle_cnn")
class View(layers.Layer):
    """Cuts `crop` x `crop` at (`top`, `left`) out of images (N, height, width, channels), and mirrors it if asked."""

    def __init__(self, top: int, left: int, crop: int, mirror: bool, **kwargs):
        super().__init__(**kwargs)
        self.top, self.left, self.crop, self.mirror = top, left, crop, mirror

    def call(self, images):
        cut = images[:, self.top : self.top + self.crop, self.left : self.left + self.crop]
        return ops.flip(cut, axis=2) if self.mirror else cut

    def compute_output_shape(self, shape):
        return (shape[0], self.crop, self.crop, shape[3])

    def get_config(self):
        return {**super().get_config(), "top": self.top, "left": self.left, "crop": self.crop, "mirror": self.mirror}


def view_places(size: int, crop: int, views: int) -> list[tuple[int, int, bool]]:
    """(top, left, mirror) of each view: centre and its mirror image first, then the four corners and theirs.

    1 is the centre; 2 adds its mirror image; 10 is the ten of Krizhevsky et al. 2012.
    """
    middle, end = (size - crop) // 2, size - crop
    corners = [(middle, middle), (0, 0), (0, end), (end, 0), (end, end)]
    return [(top, left, mirror) for top, left in corners for mirror in (False, True)][:views]


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

    The views are cut on the device from one upload, within one compiled call. TensorFlow may work on several at once,
    which takes up to some 400 MiB more than one view (BENCHMARKS.md). Where `size` leaves no room for
    corners, a view that is the same as another is computed once and repeated.
    """
    _, crop, _, channels = model.input_shape
    images = layers.Input((size, size, channels), dtype="uint8")
    places = view_places(size, crop, views)
    answers = {place: model(View(*place[:2], crop, place[2])(images)) for place in dict.fromkeys(places)}
    return Model(images, ops.stack([answers[place] for place in places], axis=1))
