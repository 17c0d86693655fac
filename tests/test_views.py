import numpy as np
import pytest
from conftest import untracked


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
