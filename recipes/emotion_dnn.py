"""Dense network for faces by emotion (48x48 grey, 7 classes), the lecture's first try, before any convolution.

    kcnn train recipes/emotion_dnn.py

The pixels standardised, each by its own mean and deviation over the training set, then three dense layers with dropout.
The classes are weighed so that the rare ones (disgust: 1.5 %) count as much as the others. Reported: 43 %.

FER2013, 28,709 images, 3,028,232 parameters, two cores, 8 minutes: validation accuracy 0.4480, mirrored too 0.4521; the
public test part 0.4787.
"""

from keras import Input, Model, layers

from kaggle_cnn import Recipe
from kaggle_cnn.augment import flip
from kaggle_cnn.layers import standardise
from kaggle_cnn.optimizers import adamw_warmup_cosine


def emotion_dnn(shape, outputs, images=None, width=1024, dropout=0.25):
    """`shape` is (height, width, channels) of uint8 input; returns logits (outputs,). `images` are training images
    (n, *shape) uint8 to standardise by."""
    inputs = Input(shape, dtype="uint8")
    x = layers.Flatten()(standardise(images, axis=(1, 2, 3))(inputs))
    for share in (1, 2, 4):
        x = layers.Dense(width // share, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.Dropout(dropout)(x)
    return Model(inputs, layers.Dense(outputs)(x))


recipe = Recipe(
    model=emotion_dnn,
    size=48,
    augment=flip,
    optimizer=adamw_warmup_cosine,
    learning_rate=1e-3,
    epochs=60,
    batch=128,
    class_weight="balanced",
)
