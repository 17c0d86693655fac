"""ResNet-9, narrow, with the columns beside the images as a second input: age, site, measurements.

    kcnn look                            # names the columns
    kcnn train recipes/metadata.py

The columns that the table of the labels shares with one of the test images, standardised, go through one dense layer
and meet the network's features before the last layer. Where a competition has none, it is ResNet-9 alone. To use
columns by themselves: `kcnn tabular`.

Not yet measured.
"""

from keras import Input, Model, layers

from kaggle_cnn import Recipe
from kaggle_cnn.augment import shift_rotate_flip
from kaggle_cnn.optimizers import adamw_warmup_cosine


def convolution(x, filters, strides=1):
    x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def resnet_with_metadata(shape, outputs, metadata=None, width=16, stride=2, hidden=64, dropout=0.2):
    """`shape` is (height, width, channels) of uint8 input, `metadata` the number of features beside the image, or None;
    returns logits (outputs,)."""
    images = Input(shape, dtype="uint8")
    x = layers.Rescaling(1 / 64, offset=-2)(images)
    x = convolution(x, width, stride)
    for stage in (1, 2, 3):
        x = layers.MaxPooling2D(2, padding="same")(convolution(x, width * 2**stage))
        x = layers.Add()([x, convolution(convolution(x, width * 2**stage), width * 2**stage)])
    x = layers.GlobalMaxPooling2D()(x)
    if metadata is None:
        return Model(images, layers.Dense(outputs)(x))
    given = Input((metadata,))
    beside = layers.Dropout(dropout)(layers.Dense(hidden, activation="relu")(given))
    return Model([images, given], layers.Dense(outputs)(layers.Concatenate()([x, beside])))


recipe = Recipe(
    model=resnet_with_metadata,
    size=64,
    augment=shift_rotate_flip,
    optimizer=adamw_warmup_cosine,
    learning_rate=1e-2,
    epochs=15,
    batch=32,
    label_smoothing=0.1,
)
