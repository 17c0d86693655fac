"""A pretrained network and a new last layer: that layer alone first, then all, each part at its own rate.

    kcnn backbones                                                # which there are
    kcnn train recipes/pretrained.py                              # EfficientNetV2B0, ImageNet's weights
    kcnn train recipes/pretrained.py --set backbone=ConvNeXtTiny --set epochs=20
    kcnn train recipes/pretrained.py --set backbone=dinov2_small          # of KerasHub: pip install 'kcnn[pretrained]'
    kcnn train recipes/pretrained.py --set backbone=run:cifar10/resnet-001 --set size=32    # of an earlier run
    kcnn train recipes/pretrained.py --set weights=weights/EfficientNetV2B0_notop.h5        # a file: no network
    kcnn train recipes/pretrained.py --set weights=none --set frozen=0    # from scratch

In the first phase, `frozen` of the epochs, the backbone does not learn, and its gradients are not computed. Then its
first half learns at `lowest` times the learning rate, its second half at `lower` times (Howard & Ruder 2018,
arXiv:1801.06146). Pretrained batch normalisation stays as it was learned, as Keras' guide to transfer learning has it.
The weights are downloaded once, into one cache for all workspaces; `--offline` forbids it.

Not yet measured with ImageNet's weights.
"""

from keras import Input, Model, layers

from kaggle_cnn import Phase, Recipe
from kaggle_cnn.augment import shift_rotate_flip
from kaggle_cnn.backbone import open_backbone
from kaggle_cnn.optimizers import adamw_warmup_cosine


def pretrained(shape, outputs, backbone="EfficientNetV2B0", weights="imagenet", dropout=0.2):
    """`shape` is (height, width, channels) of uint8 input; returns logits (outputs,)."""
    inputs = Input(shape, dtype="uint8")
    x = open_backbone(backbone, shape, weights)(inputs)
    return Model(inputs, layers.Dense(outputs, name="head")(layers.Dropout(dropout, name="head_dropout")(x)))


def head_first(frozen=0.3, lowest=0.1, lower=0.3):
    return Phase(frozen, frozen=True), Phase(1 - frozen, rates=(lowest, lower))


recipe = Recipe(
    model=pretrained,
    size=224,
    margin=32,
    augment=shift_rotate_flip,
    optimizer=adamw_warmup_cosine,
    phases=head_first,
    learning_rate=1e-3,
    epochs=10,
    batch=32,
    label_smoothing=0.1,
)
