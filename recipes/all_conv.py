r"""All-CNN-C: convolutions with a stride in place of pooling, and no dense layer.

    kcnn train recipes/all_conv.py
    kcnn train recipes/all_conv.py --set width=48 --set epochs=10 --set learning_rate=0.03 --set dropout=0 \
      --set input_dropout=0

Springenberg, Dosovitskiy, Brox & Riedmiller 2015 (arXiv:1412.6806): nine convolutions, the classes a 1x1 convolution
and a global mean. Published for CIFAR-10: 92.75 % with shifts and mirroring, 90.92 % without, after 350 epochs at a
rate that is divided by ten after 200, 250 and 300. 1,369,738 parameters at width=96; the second command is for a CPU.

CIFAR-10 as JPEGs, 40,000 to train on, the second command, 343,882 parameters, two cores, 11 minutes with
precision=mixed_bfloat16: validation accuracy 0.6459 on one view, 0.6515 on two, test part 0.6542. With the published
dropout so few epochs learn nearly nothing (LOG.md). The first command: not yet measured.
"""

from keras import Input, Model, layers, optimizers

from kaggle_cnn import Recipe
from kaggle_cnn.augment import shift_flip_cutout
from kaggle_cnn.optimizers import decay_in_loss


def all_conv(shape, outputs, width=96, dropout=0.5, input_dropout=0.2, weight_decay=1e-3):
    """`shape` is (height, width, channels) of uint8 input; returns logits (outputs,)."""

    def convolution(x, filters, kernel=3, **settings):
        settings = {"activation": "relu", "padding": "same", "kernel_initializer": "he_normal", **settings}
        return layers.Conv2D(filters, kernel, kernel_regularizer=decay_in_loss(weight_decay), **settings)(x)

    inputs = Input(shape, dtype="uint8")
    x = layers.Dropout(input_dropout)(layers.Rescaling(1 / 64, offset=-2)(inputs))
    for filters in (width, 2 * width):
        x = convolution(convolution(x, filters), filters)
        x = layers.Dropout(dropout)(convolution(x, filters, strides=2))
    x = convolution(x, 2 * width, padding="valid")
    x = convolution(x, 2 * width, 1)
    return Model(inputs, layers.GlobalAveragePooling2D()(convolution(x, outputs, 1, activation=None)))


def stepwise_sgd(learning_rate, steps, momentum=0.9):
    """SGD; the rate is divided by ten after 4, 5 and 6 sevenths of the training."""
    ends = [steps * sevenths // 7 for sevenths in (4, 5, 6)]
    rates = [learning_rate / 10**power for power in range(4)]
    return optimizers.SGD(optimizers.schedules.PiecewiseConstantDecay(ends, rates), momentum=momentum)


recipe = Recipe(
    model=all_conv,
    size=32,
    augment=shift_flip_cutout,
    optimizer=stepwise_sgd,
    learning_rate=1e-2,
    epochs=350,
    batch=128,
)
