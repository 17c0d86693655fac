"""Two dense layers, 300 and 100: what a network without convolutions can do.

    kcnn train recipes/mlp.py

The classifier of Géron's "Hands-On Machine Learning" (chapter 10) for Fashion-MNIST: plain SGD, 30 epochs, usually 89
%.

Fashion-MNIST, 48,000 images to train on, 266,610 parameters, two cores: validation accuracy 0.8860, test part 0.8813.
"""

from keras import Input, Model, layers, optimizers

from kaggle_cnn import Recipe


def mlp(shape, outputs):
    """`shape` is (height, width, channels) of uint8 input; returns logits (outputs,)."""
    inputs = Input(shape, dtype="uint8")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(inputs))
    for width in (300, 100):
        x = layers.Dense(width, activation="relu")(x)
    return Model(inputs, layers.Dense(outputs)(x))


def sgd(learning_rate, steps):
    return optimizers.SGD(learning_rate)


recipe = Recipe(model=mlp, size=28, optimizer=sgd, learning_rate=1e-2, epochs=30, batch=32, tta="none")
