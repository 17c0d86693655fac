"""The fewest operations to 94 % on CIFAR-10: whitened patches, three blocks, a Dirac start, an alternating flip.

    kcnn train recipes/sprint.py

Keller Jordan 2024, "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (arXiv:2404.00498), from the paper's description:
the first layer's 2x2 filters whiten the training images and stay; convolutions begin as the identity in as many
channels as they can; Nesterov SGD with a rate that rises to 23 % of training and falls to 0.07 of its peak, 64 times as
high for the biases of batch normalisation; every fifth step all weights go back towards a slow average (Lookahead); six
views, moved by one pixel and mirrored. Published: 94.01 % on average after 9.9 epochs, 0.36 PFLOP.

CIFAR-10 as JPEGs, 40,000 to train on, 1,973,951 parameters, two cores, 30 minutes (0.28 PFLOP): validation accuracy
0.8931 on one view, 0.8995 on six (+0.64 points, standard error 0.18); the test part 0.8985. The same at half the width
and in five epochs: 0.8321; written in PyTorch too, from the paper, on the same images: 0.8310 (LOG.md). The JPEGs have
lost colour's fine detail, and a fifth of them is held out.
"""

import keras
import numpy as np
from keras import Input, Model, layers, ops, optimizers

from kaggle_cnn import Recipe
from kaggle_cnn.augment import shift_alternating_flip
from kaggle_cnn.layers import standardise
from kaggle_cnn.optimizers import decay_in_loss

BIAS_RATE = 64


@keras.saving.register_keras_serializable("sprint")
class Dirac(keras.initializers.Initializer):
    """The identity, from input channel i to output channel i, as far as both go; beyond that uniform, as PyTorch's."""

    def __call__(self, shape, dtype=None):
        height, width, channels, filters = shape
        bound = (height * width * channels) ** -0.5
        kernel = np.array(keras.random.uniform(shape, -bound, bound), np.float32)
        both = range(min(channels, filters))
        kernel[..., both] = 0
        kernel[height // 2, width // 2, both, both] = 1
        return ops.convert_to_tensor(kernel, dtype)


def whitening(images):
    """Filters (2, 2, channels, 8 * channels) that give patches of 2x2 pixels unit covariance, and their negatives.

    `images` float32 (n, height, width, channels), standardised; the smallest directions are held back by 5e-4.
    """
    patches = np.lib.stride_tricks.sliding_window_view(images, (2, 2), axis=(1, 2))  # (n, h, w, channels, 2, 2)
    patches = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 4 * images.shape[3])
    values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
    filters = (vectors / np.sqrt(values + 5e-4))[:, ::-1].reshape(2, 2, images.shape[3], -1)
    return np.concatenate([filters, -filters], axis=-1).astype(np.float32)


def sprint(shape, outputs, images=None, width=64, weight_decay=1.33e-3, scaling=1 / 9):
    """`shape` is (height, width, channels) of uint8 input; returns logits (outputs,). `images` are training images
    (n, *shape) uint8 to standardise and whiten by."""
    decay = {"kernel_regularizer": decay_in_loss(weight_decay)}

    def normalised(x):
        bias = decay_in_loss(weight_decay / BIAS_RATE)
        x = layers.BatchNormalization(momentum=0.6, epsilon=1e-12, scale=False, beta_regularizer=bias)(x)
        return layers.Activation("gelu")(x)

    def convolution(x, filters):
        return layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer=Dirac(), **decay)(x)

    inputs = Input(shape, dtype="uint8")
    standardised = standardise(images, axis=-1)
    filters = "glorot_uniform"
    if images is not None:
        some = images[:: max(1, len(images) // 5000)]
        filters = keras.initializers.Constant(whitening(ops.convert_to_numpy(standardised(some))))
    x = layers.Conv2D(8 * shape[2], 2, kernel_initializer=filters, activation="gelu", name="whiten")(
        standardised(inputs)
    )
    for wide in (width, 4 * width, 4 * width):
        x = normalised(layers.MaxPooling2D(2)(convolution(x, wide)))
        x = normalised(convolution(x, wide))
    uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    x = layers.GlobalMaxPooling2D()(x)
    x = layers.Dense(outputs, use_bias=False, kernel_initializer=uniform, **decay)(x)
    return Model(inputs, x * scaling)


@keras.saving.register_keras_serializable("sprint")
class Lookahead(optimizers.SGD):
    """Nesterov's SGD, in which every fifth step all weights become slow weights, and these a mixture of both; at the
    last of `steps` they become the slow weights alone (Zhang et al. 2019, the mixture by Jordan 2024).

    Biases of batch normalisation learn at BIAS_RATE times the rate; the whitening filters never, and their biases in
    the first three tenths.
    """

    def __init__(self, learning_rate=1.5, steps=1, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.steps = steps

    def build(self, variables):
        if not self.built:
            self.paths = [each.path for each in variables]
            self.slow = [
                self.add_variable_from_reference(each, "slow", initializer=lambda shape, dtype, own=each: ops.copy(own))
                for each in variables
            ]
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        number = self._get_variable_index(variable)
        if self.paths[number] == "whiten/kernel":
            return
        if self.paths[number] == "whiten/bias":
            learning_rate = learning_rate * ops.cast(self.iterations < 0.3 * self.steps, "float32")
        if self.paths[number].endswith("/beta"):
            learning_rate = learning_rate * BIAS_RATE
        super().update_step(gradient, variable, learning_rate)
        step = ops.cast(self.iterations, "float32") + 1
        kept = ops.where(step >= self.steps, 1.0, 0.95**5 * (step / self.steps) ** 3)
        here = (ops.cast(step, "int32") % 5 == 0) | (step >= self.steps)
        slow, fast = (ops.convert_to_tensor(each) for each in (self.slow[number], variable))
        mixed = kept * slow + (1 - kept) * fast
        self.assign(self.slow[number], ops.where(here, mixed, slow))
        self.assign(variable, ops.where(here, mixed, fast))

    def get_config(self):
        return {**super().get_config(), "steps": self.steps}


@keras.saving.register_keras_serializable("sprint")
class Triangle(optimizers.schedules.LearningRateSchedule):
    """From 0.2 of `peak` up to it over the first 23 % of `steps`, then down to 0.07 of it, both in a line."""

    def __init__(self, peak, steps):
        self.peak, self.steps = peak, steps

    def __call__(self, step):
        done = ops.cast(step, "float32") / self.steps
        return self.peak * ops.minimum(0.2 + 0.8 * done / 0.23, 1 - 0.93 * (done - 0.23) / 0.77)

    def get_config(self):
        return {"peak": self.peak, "steps": self.steps}


def lookahead_sgd(learning_rate, steps, momentum=0.85):
    return Lookahead(Triangle(learning_rate, steps), steps, momentum=momentum, nesterov=True)


recipe = Recipe(
    model=sprint,
    size=32,
    augment=shift_alternating_flip,
    optimizer=lookahead_sgd,
    learning_rate=1.5,
    epochs=10,
    batch=1024,
    label_smoothing=0.2,
    tta="shift",
)
