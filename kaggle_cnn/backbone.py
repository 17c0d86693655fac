"""The front door of recipes to pretrained networks."""

from keras import Model


def open_backbone(name: str, shape: tuple[int, int, int], weights: str = "imagenet") -> Model:
    """Return a model from uint8 images (n, *shape) to features (n, k): a backbone with its own preprocessing.

    `name` is one of `kcnn backbones`; a preset of KerasHub, or a folder with one; or a run of kcnn: run:resnet-001 of
    the competition, run:cifar10/resnet-001 of another one, or the run's folder. `weights` "imagenet" are the pretrained
    ones of keras.applications, downloaded where they are not on this disk; "none" are random; else it is a file with
    weights. Grey images are repeated in three channels where the backbone needs colours.

    Raises KcnnError where the backbone or its weights cannot be had, or do not fit the images.
    """
    from kaggle_cnn.learn import backbone

    return backbone.open_backbone(name, shape, weights)
