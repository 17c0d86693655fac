"""Layers of our own: what they compute, and that they are saved with what they need."""

import numpy as np
import pytest


def by_loop(x, size, bias, alpha, beta):
    """Krizhevsky et al. 2012, section 3.3, in float64."""
    given = np.empty(x.shape)
    channels = x.shape[-1]
    for channel in range(channels):
        near = x[..., max(0, channel - size // 2) : min(channels, channel + size // 2 + 1)].astype(np.float64)
        given[..., channel] = x[..., channel] / (bias + alpha * (near**2).sum(axis=-1)) ** beta
    return given


@pytest.mark.parametrize("settings", [{}, {"size": 9, "bias": 1.0, "alpha": 0.001 / 9}, {"size": 3, "alpha": 1.0}])
@pytest.mark.parametrize("shape", [(2, 5, 5, 12), (3, 1, 1, 2)])
def test_local_response_normalization(keras, settings, shape):
    import tensorflow as tf

    from kaggle_cnn.layers import LocalResponseNormalization

    x = np.random.default_rng(0).normal(0, 30, shape).astype(np.float32)
    layer = LocalResponseNormalization(**settings)
    own = layer.get_config()
    given = np.asarray(layer(x))
    loop = by_loop(x, *(own[name] for name in ("size", "bias", "alpha", "beta")))
    assert np.allclose(given, loop, rtol=1e-5, atol=1e-6)
    theirs = tf.nn.local_response_normalization(x, own["size"] // 2, own["bias"], own["alpha"], own["beta"])
    assert np.allclose(given, theirs, rtol=1e-5, atol=1e-6)
    again = LocalResponseNormalization.from_config(own)
    assert (np.asarray(again(x)) == given).all()


def test_alexnets_normalization_is_the_default(keras):
    from kaggle_cnn.layers import LocalResponseNormalization

    own = LocalResponseNormalization().get_config()
    assert (own["size"], own["bias"], own["alpha"], own["beta"]) == (5, 2.0, 1e-4, 0.75)


@pytest.mark.parametrize("axis", [(1, 2, 3), -1])
def test_standardise(keras, axis):
    from kaggle_cnn.layers import standardise

    images = np.random.default_rng(0).normal(90, 20, (400, 6, 5, 3)).clip(0, 255).astype(np.uint8)
    images[:, :3, :, 1] //= 2
    given = np.asarray(standardise(images, axis)(images))
    over = 0 if axis == (1, 2, 3) else (0, 1, 2)  # each pixel of each channel, or each channel
    assert np.abs(given.mean(axis=over)).max() < 1e-3
    assert np.abs(given.std(axis=over) - 1).max() < 1e-3
    assert np.allclose(standardise(None, axis)(images), images, atol=1e-4)


def test_own_layers_are_loaded_with_their_settings(keras, tmp_path):
    from kaggle_cnn.layers import AugmentOnDevice, LocalResponseNormalization, standardise

    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    settings = {"size": 6, "shift": 1, "mirror": False, "cutout": 2, "brightness": 0.1, "contrast": 0.2, "seed": 4}
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    x = standardise(images[:, 1:7, 1:7], -1)(AugmentOnDevice(**settings)(inputs))
    model = keras.Model(inputs, LocalResponseNormalization(size=3, bias=1.5, alpha=0.1, beta=0.5)(x))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    layers = {type(layer).__name__: layer.get_config() for layer in loaded.layers}
    assert settings.items() <= layers["AugmentOnDevice"].items()
    own = {"size": 3, "bias": 1.5, "alpha": 0.1, "beta": 0.5}
    assert own.items() <= layers["LocalResponseNormalization"].items()
    given = np.asarray(model(images))
    assert given.shape == (20, 6, 6, 3)
    assert np.allclose(loaded(images), given, atol=1e-6)  # the same draws: the generator's state is saved too
    assert np.abs(np.asarray(loaded(images)) - given).max() > 0.1  # and the next ones are others
