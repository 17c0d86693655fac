"""VGG: for small images four stages of two 3x3 convolutions; with depth=11, 13, 16 or 19 as published, for 224 pixels.

    kcnn train recipes/vgg.py
    kcnn train recipes/vgg.py --set width=128 --set epochs=90
    kcnn train recipes/vgg.py --set depth=16 --set size=224 --set margin=32 --set learning_rate=3e-4

Simonyan & Zisserman 2014 (arXiv:1409.1556). Published: five stages, two dense layers of 4,096, no normalisation;
138,357,544 parameters for 16 layers at 1,000 classes. The small version, depth=9, has half the width, batch
normalisation and a global mean; width=64 is for a CPU, and a GPU takes 128, four times the operations, in its stride.

Demo with size=28 margin=0 tta=flip shift=0 degrees=0 epochs=12: README.md.
"""

from keras import Input, Model, layers

from kaggle_cnn import KcnnError, Recipe
from kaggle_cnn.augment import shift_rotate_flip
from kaggle_cnn.optimizers import adamw_warmup_cosine

STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(shape, outputs, depth=9, width=64, dropout=0.5):
    """`shape` is (height, width, channels) of uint8 input; returns logits (outputs,)."""
    inputs = Input(shape, dtype="uint8")
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = small(x, width // 2, dropout) if depth == 9 else published(x, depth, width, dropout)
    return Model(inputs, layers.Dense(outputs)(x))


def small(x, width, dropout):
    for stage in range(4):
        if stage:
            x = layers.MaxPooling2D(2, padding="same")(x)
        for _ in range(2):
            x = layers.Conv2D(width * 2**stage, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.ReLU()(x)
    return layers.Dropout(dropout)(layers.GlobalAveragePooling2D()(x))


def published(x, depth, width, dropout):
    """Table 1, columns A, B, D and E."""
    if depth not in STAGES:
        raise KcnnError(f"depth should be 9, {', '.join(map(str, STAGES))}, got {depth}", "--set depth=16 is the usual")
    for stage, convolutions in enumerate(STAGES[depth]):
        for _ in range(convolutions):
            filters = min(8, 2**stage) * width
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(64 * width, activation="relu", kernel_initializer="he_normal")(x)
        x = layers.Dropout(dropout)(x)
    return x


recipe = Recipe(
    model=vgg,
    size=64,
    margin=8,
    augment=shift_rotate_flip,
    optimizer=adamw_warmup_cosine,
    learning_rate=2e-3,
    epochs=60,
    batch=64,
    label_smoothing=0.1,
    tta="ten-crop",
)
