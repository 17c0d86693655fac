"""Any network of keras.applications: its ImageNet weights frozen first, then trained on at a lower rate.

    kcnn train recipes/finetune.py
    kcnn train recipes/finetune.py --set backbone=ConvNeXtTiny --set epochs=20
    kcnn train recipes/finetune.py --set weights=weights/EfficientNetV2B0_notop.h5      # a file you have: no network
    kcnn train recipes/finetune.py --set backbone=MobileNetV3Small --set weights=none   # from scratch

Keras downloads `weights=imagenet` when it is first asked for them. The new last layer is trained alone for the first
`frozen` of the steps; then the backbone follows at `lower` times its rate. Its batch normalisation stays as it was
learned, as Keras' guide to transfer learning has it. The frozen steps take as long as the others: the backbone's
gradients are computed and not used, so that one training is one compiled step.

Not yet measured with ImageNet's weights.
"""

import difflib
import inspect
import sys
from contextlib import redirect_stdout

import keras
from keras import Input, Model, layers, ops, optimizers

from kaggle_cnn import KcnnError, Recipe
from kaggle_cnn.augment import shift_rotate_flip
from kaggle_cnn.optimizers import warmup_cosine


def finetune(shape, outputs, backbone="EfficientNetV2B0", weights="imagenet", dropout=0.2):
    """`shape` is (height, width, channels) of uint8 input; returns logits (outputs,)."""
    network = known(backbone)
    inputs = Input(shape, dtype="uint8")
    x = ops.cast(inputs, "float32")
    if shape[2] == 1:
        x = layers.Concatenate()([x, x, x])
    x = inspect.getmodule(network).preprocess_input(x)
    wanted = None if weights == "none" else weights
    try:
        with redirect_stdout(sys.stderr):  # the download's progress
            body = network(include_top=False, weights=wanted, input_tensor=x)
    except Exception as error:  # a download, a file and a shape each raise their own
        reason = " ".join(str(error).split())[:200]
        hint = "a file with weights: --set weights=PATH; without any: --set weights=none; larger images: --set size=224"
        raise KcnnError(f"{backbone} with weights={weights} for {shape}: {reason}", hint) from error
    if wanted:
        for layer in body.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.trainable = False
    x = layers.Dropout(dropout)(layers.GlobalAveragePooling2D()(body.output))
    return Model(inputs, layers.Dense(outputs, name="head")(x))


def known(backbone):
    names = [name for name in dir(keras.applications) if name[0].isupper()]
    if backbone not in names:
        near = difflib.get_close_matches(backbone, names, 3) or names
        raise KcnnError(f"keras.applications has no {backbone}", f"there is {', '.join(near)}")
    return getattr(keras.applications, backbone)


@keras.saving.register_keras_serializable("finetune")
class Thawing(optimizers.Adam):
    """Adam at full rate for the layer called head; for others at none before step `thaw`, then at `lower` of it."""

    def __init__(self, learning_rate=1e-3, thaw=0, lower=0.1, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.thaw, self.lower = thaw, lower

    def build(self, variables):
        self.paths = [each.path for each in variables]
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        if not self.paths[self._get_variable_index(variable)].startswith("head"):
            learning_rate = learning_rate * ops.where(self.iterations < self.thaw, 0.0, self.lower)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "thaw": self.thaw, "lower": self.lower}


def frozen_first(learning_rate, steps, frozen=0.3, lower=0.1):
    return Thawing(warmup_cosine(learning_rate, steps, 0.1), int(frozen * steps), lower)


recipe = Recipe(
    model=finetune,
    size=224,
    margin=32,
    augment=shift_rotate_flip,
    optimizer=frozen_first,
    learning_rate=1e-3,
    epochs=10,
    batch=32,
    label_smoothing=0.1,
)
