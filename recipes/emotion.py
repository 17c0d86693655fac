"""Convolutional network for faces by emotion (48x48 grey, 7 classes): one network, made to be strong.

    kcnn train recipes/emotion.py
    kcnn train recipes/emotion.py --set width=32 --set epochs=20

Four stages of two 3x3 convolutions, after VGG as it leads on FER2013 (Khaireddin & Chen 2021, arXiv:2105.03588: 73.3 %
with ten crops of 40 pixels), each stage with a shortcut past its second convolution; batch normalisation; a global mean
in place of the dense layers. The pixels standardised, each by its own mean and deviation over the training set. The
lecture's augmentation, with rotation and shift cut by half for the fewer epochs. The second command is for a CPU, a
quarter of the operations. Reported by the lecture: 45 %, with augmentation 59 %.

`class_weight=balanced` gives the rare classes the same say, and takes from the accuracy over all images.

FER2013, 28,709 images: the second command, 1,179,560 parameters, two cores, 34 minutes: validation accuracy 0.6501 on
one view, 0.6666 with ten crops (+1.65 points, standard error 0.40); the public test part 0.6656. The first: not yet
measured.
"""

from keras import Input, Model, layers

from kaggle_cnn import Recipe
from kaggle_cnn.augment import shift_rotate_flip
from kaggle_cnn.layers import standardise
from kaggle_cnn.optimizers import adamw_warmup_cosine


def convolution(x, filters):
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def emotion(shape, outputs, images=None, width=64, dropout=0.4):
    """`shape` is (height, width, channels) of uint8 input; returns logits (outputs,). `images` are training images
    (n, *shape) uint8 to standardise by."""
    inputs = Input(shape, dtype="uint8")
    x = standardise(images, axis=(1, 2, 3))(inputs)
    for stage in range(4):
        if stage:
            x = layers.MaxPooling2D(2, padding="same")(x)
        x = convolution(x, width * 2**stage)
        x = layers.Add()([x, convolution(x, width * 2**stage)])
    x = layers.Dropout(dropout)(layers.GlobalAveragePooling2D()(x))
    return Model(inputs, layers.Dense(outputs)(x))


recipe = Recipe(
    model=emotion,
    size=40,
    margin=8,
    augment=shift_rotate_flip,
    optimizer=adamw_warmup_cosine,
    learning_rate=3e-3,
    epochs=60,
    batch=64,
    label_smoothing=0.1,
    tta="ten-crop",
)
