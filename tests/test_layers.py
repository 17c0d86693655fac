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

    from kaggle_cnn.learn.layers import LocalResponseNormalization

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
    from kaggle_cnn.learn.layers import LocalResponseNormalization

    own = LocalResponseNormalization().get_config()
    assert (own["size"], own["bias"], own["alpha"], own["beta"]) == (5, 2.0, 1e-4, 0.75)
