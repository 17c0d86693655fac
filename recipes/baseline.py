"""Baseline: the four-convolution CNN that class competitions start from.

    kcnn train recipes/baseline.py
    kcnn train recipes/baseline.py --set size=28 --set learning_rate=1e-3 --set epochs=15

Two stages of two 3x3 convolutions, max-pooling and dropout, then one dense layer, as in the Keras examples for
CIFAR-10. At the default rate of 1e-4 it wants its 30 epochs and more; small images want the second command.
"""

from keras import Input, Model, layers, optimizers

from kaggle_cnn import Recipe
from kaggle_cnn.augment import shift_rotate_flip


def baseline(shape, outputs, width=32, dense=256):
    """`shape` is (height, width, channels) of uint8 input; returns logits (outputs,)."""
    inputs = Input(shape, dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (width, 2 * width):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.Conv2D(filters, 3, activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
        x = layers.Dropout(0.25)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(dense, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    return Model(inputs, layers.Dense(outputs)(x))


def rmsprop(learning_rate, steps):
    """RMSprop whose rate falls as 1 / (1 + 1e-6 step), which older Keras called `decay=1e-6`."""
    return optimizers.RMSprop(optimizers.schedules.InverseTimeDecay(learning_rate, 1, 1e-6))


recipe = Recipe(
    model=baseline,
    size=64,
    augment=shift_rotate_flip,
    optimizer=rmsprop,
    learning_rate=1e-4,
    epochs=30,
    batch=32,
)
