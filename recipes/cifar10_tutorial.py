"""TensorFlow's CIFAR-10 tutorial: random crops of 24 pixels, two 5x5 convolutions, local response normalisation.

    kcnn train recipes/cifar10_tutorial.py
    kcnn train recipes/cifar10_tutorial.py --set epochs=50 --set ema=0.999

The network of TensorFlow's models/tutorials/image/cifar10 (2015), after Krizhevsky's cuda-convnet: mirrored, brightness
and contrast changed, each image standardised by its own mean and deviation; SGD from 0.1, weight decay on the dense
layers alone, and the running average of the weights is what predicts. There the rate is divided by ten every 350
epochs, here it falls to a tenth over the training. Reported: 79.3 %.

CIFAR-10 as JPEGs, 50,000 images, 1,068,298 parameters, two cores, the second line, 34 minutes beside other work:
validation accuracy 0.7942, with ten crops 0.8138 (+1.96 points, standard error 0.31); the test part 0.8148.
"""

from keras import Input, Model, initializers, layers, ops, optimizers

from kaggle_cnn import Recipe
from kaggle_cnn.augment import flip_brightness_contrast
from kaggle_cnn.layers import LocalResponseNormalization
from kaggle_cnn.optimizers import decay_in_loss


def normal(deviation: float):
    return initializers.TruncatedNormal(stddev=deviation)


def cifar10_tutorial(shape, outputs, weight_decay=4e-3):
    """`shape` is (height, width, channels) of uint8 input; returns logits (outputs,)."""
    inputs = Input(shape, dtype="uint8")
    pixels = ops.cast(inputs, "float32")
    least = (shape[0] * shape[1] * shape[2]) ** -0.5  # of a deviation: an image of one colour is not divided by 0
    deviation = ops.maximum(ops.std(pixels, axis=(1, 2, 3), keepdims=True), least)
    x = (pixels - ops.mean(pixels, axis=(1, 2, 3), keepdims=True)) / deviation

    def normalise(x):
        return LocalResponseNormalization(size=9, bias=1.0, alpha=0.001 / 9, beta=0.75)(x)

    def convolution(x, bias):
        bias = initializers.Constant(bias)
        settings = {"kernel_initializer": normal(0.05), "bias_initializer": bias, "padding": "same"}
        return layers.Conv2D(64, 5, activation="relu", **settings)(x)

    x = normalise(layers.MaxPooling2D(3, 2, padding="same")(convolution(x, 0.0)))
    x = layers.MaxPooling2D(3, 2, padding="same")(normalise(convolution(x, 0.1)))
    x = layers.Flatten()(x)
    for width in (384, 192):
        settings = {"kernel_initializer": normal(0.04), "bias_initializer": initializers.Constant(0.1)}
        x = layers.Dense(width, activation="relu", kernel_regularizer=decay_in_loss(weight_decay), **settings)(x)
    last = layers.Dense(outputs, kernel_initializer=normal(1 / 192), dtype="float32")
    return Model(inputs, last(x))


def falling_sgd(learning_rate, steps):
    return optimizers.SGD(optimizers.schedules.ExponentialDecay(learning_rate, steps, 0.1))


recipe = Recipe(
    model=cifar10_tutorial,
    size=24,
    margin=8,
    augment=flip_brightness_contrast,
    optimizer=falling_sgd,
    learning_rate=0.1,
    epochs=250,
    batch=128,
    ema=0.9999,
    tta="ten-crop",
)
