"""VGG for small images: four stages of two 3x3 convolutions, from scratch.

    kcnn train recipes/vgg.py
    kcnn train recipes/vgg.py --set width=64 --set epochs=90

After Simonyan & Zisserman 2014 (arXiv:1409.1556), with batch normalisation and global pooling. The default width of
32 is for a CPU; a GPU takes 64, four times the operations, in its stride.
"""

from keras import Input, Model, layers, optimizers

from kaggle_cnn import Recipe
from kaggle_cnn.data.augment import shift_rotate_flip


def vgg(shape, classes, width=32, dropout=0.5):
    """`shape` is (height, width, channels) of uint8 input; returns class probabilities."""
    inputs = Input(shape, dtype="uint8")
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    for stage in range(4):
        if stage:
            x = layers.MaxPooling2D(2, padding="same")(x)
        for _ in range(2):
            x = layers.Conv2D(width * 2**stage, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x)
    return Model(inputs, layers.Dense(classes, activation="softmax", dtype="float32")(x))


def warm_cosine(learning_rate, steps):
    """Adam with decoupled weight decay; the rate rises over the first tenth of training, then falls as a cosine."""
    warm = max(1, steps // 10)
    schedule = optimizers.schedules.CosineDecay(
        learning_rate / 100, max(1, steps - warm), warmup_target=learning_rate, warmup_steps=warm
    )
    return optimizers.AdamW(schedule, weight_decay=0.05)


recipe = Recipe(
    model=vgg,
    size=72,
    crop=64,
    augment=shift_rotate_flip,
    optimizer=warm_cosine,
    learning_rate=2e-3,
    epochs=60,
    batch=64,
    label_smoothing=0.1,
)
