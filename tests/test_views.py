import numpy as np
import pytest
from conftest import untracked

from kaggle_cnn.errors import KcnnError


@pytest.fixture
def model(keras):
    """Not symmetric in any way, so that a view cut wrongly gives another answer."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(x))


def by_hand(model, pixels):
    """The ten views of Krizhevsky et al. 2012, cut with NumPy: centre and mirror image first."""
    size, crop = pixels.shape[1], 6
    end, middle = size - crop, (size - crop) // 2
    answers = []
    for top, left in [(middle, middle), (0, 0), (0, end), (end, 0), (end, end)]:
        cut = pixels[:, top : top + crop, left : left + crop]
        answers += [model.predict_on_batch(cut), model.predict_on_batch(cut[:, :, ::-1])]
    return np.stack(answers, axis=1)


@pytest.mark.parametrize("size", [6, 7, 9])
def test_views_are_those_cut_by_hand(model, size):
    from kaggle_cnn.learn.predict import predict_views

    pixels = np.random.default_rng(0).integers(0, 255, (70, size, size, 2), dtype=np.uint8)
    rows = np.arange(69, -1, -1)
    expected = by_hand(model, pixels[rows])
    answers = predict_views(model, pixels, rows, 10, untracked)
    assert sorted(answers) == [1, 2, 10]
    for views, values in answers.items():
        assert np.allclose(values, expected[:, :views].mean(axis=1), atol=1e-6)
    assert list(predict_views(model, pixels, rows, 1, untracked)) == [1]
    assert predict_views(model, pixels, rows[:0], 2, untracked)[2].shape == (0, 4)


@pytest.mark.parametrize("size", [6, 7, 9])
def test_six_views_move_by_a_pixel(model, size):
    from kaggle_cnn.learn.predict import predict_views

    pixels = np.random.default_rng(0).integers(0, 255, (5, size, size, 2), dtype=np.uint8)
    around, middle = np.pad(pixels, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="reflect"), 3 + (size - 6) // 2
    each = []
    for top in (middle, middle - 1, middle + 1):
        cut = around[:, top : top + 6, top : top + 6]
        each += [model.predict_on_batch(cut), model.predict_on_batch(cut[:, :, ::-1])]
    answers = predict_views(model, pixels, np.arange(5), 6, untracked)
    assert sorted(answers) == [1, 2, 6]
    for views, values in answers.items():
        assert np.allclose(values, np.mean(each[:views], axis=0), atol=1e-6)


def pooled(keras, side):
    """A network that takes any size, with weights of its own."""
    inputs = keras.Input((side, side, 3), dtype="uint8")
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(x))
    return keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(x))


def test_a_larger_crop_is_the_same_network_over_more_of_the_image(keras):
    from kaggle_cnn.learn.predict import predict_views

    small, large = pooled(keras, 8), pooled(keras, 12)
    large.set_weights(small.get_weights())
    pixels = np.random.default_rng(0).integers(0, 255, (9, 12, 12, 3), dtype=np.uint8)
    both = np.stack([large.predict_on_batch(pixels), large.predict_on_batch(pixels[:, :, ::-1])], axis=1)
    answers = predict_views(small, pixels, np.arange(9), 10, untracked, crop=12)
    assert np.allclose(answers[1], both[:, 0], atol=1e-6)
    for views in (2, 10):  # the whole image has no corners to go to
        assert np.allclose(answers[views], both.mean(axis=1), atol=1e-6)
    with pytest.raises(KcnnError, match="at most 12"):
        predict_views(small, pixels, np.arange(9), 1, untracked, crop=13)


def test_a_network_of_one_size_says_so(model):
    from kaggle_cnn.learn.predict import predict_views

    pixels = np.zeros((3, 9, 9, 2), np.uint8)
    with pytest.raises(KcnnError, match="takes 6x6 alone, not 8x8") as caught:
        predict_views(model, pixels, np.arange(3), 1, untracked, crop=8)
    assert "--crop" in caught.value.hint


def test_the_batch_fits_the_memory(keras):
    from kaggle_cnn.learn.layers import with_views
    from kaggle_cnn.learn.predict import batch_size

    def network(side, width):
        inputs = keras.Input((side, side, 3), dtype="uint8")
        x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(width, 1)(keras.layers.Rescaling(1.0)(inputs)))
        return keras.Model(inputs, x)

    assert batch_size(network(8, 4)) == 256
    assert batch_size(network(64, 32)) == 64  # 0.5 MiB an image
    assert batch_size(network(512, 64)) == 1  # 64 MiB
    alike = network(64, 32)
    with_views(alike, 72, 10)
    assert batch_size(alike) == 64
