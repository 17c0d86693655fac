"""Backbones as Keras models from images to features: of keras.applications, of KerasHub, of a run."""

import inspect
import os
import warnings
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from keras import Model, layers, ops

from kaggle_cnn.backbones.catalogue import find_backbone, list_backbones
from kaggle_cnn.backbones.weights import KAGGLE_INPUT, OFFLINE, OTHERWISE, get_weights
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file
from kaggle_cnn.learn.network import last_features
from kaggle_cnn.learn.predict import load_model, resize_input
from kaggle_cnn.progress import current_progress
from kaggle_cnn.recipe import describe_error
from kaggle_cnn.runs.run import Run, open_run, read_run
from kaggle_cnn.workspace import Workspace

RUN = "run:"
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels from 0 to 1
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Place:
    """For what a recipe is run, whose functions are not given it: the workspace, the competition, the digest of its
    folds, and the fold that is not trained on, None where that is not known."""

    workspace: Workspace
    competition: str = ""
    digest: str = ""
    fold: int | None = None


PLACE: ContextVar[Place] = ContextVar("place")


def open_backbone(name: str, shape: Shape, weights: str) -> Model:
    """Return the backbone `name`; see kaggle_cnn.backbone."""
    if run := find_run(name):
        return open_run_backbone(run, shape)
    if name.lower() in map(str.lower, list_backbones()):
        return open_application(name, shape, weights)
    if folder := find_preset(name):
        return open_preset(str(folder), shape, weights)
    if is_preset(name):
        require_online(name)
        return open_preset(name, shape, weights)
    find_backbone(name)  # raises
    raise AssertionError(name)


def find_run(name: str) -> Run | None:
    """Return the run that a backbone's name means, or None where it is not that of a run."""
    if not name.startswith(RUN):
        return read_run(Path(name)) if (Path(name) / "run.json").is_file() else None
    place = PLACE.get(Place(Workspace.find()))
    competition, _, run = name.removeprefix(RUN).rpartition("/")
    return open_run(place.workspace, competition or place.competition or place.workspace.current() or "", run)


def unseen_folds(run: Run, competition: str, digest: str) -> list[int] | None:
    """Return the folds of a competition that some model of `run` has not seen in training, None where the run is of
    another competition, and has seen none of its images."""
    if run.record["competition"] != competition:
        return None
    return run.folds if run.record["folds"]["digest"] == digest else []


def choose_model(run: Run) -> Path:
    """Return the model of a run to begin with: of the same competition that of the same fold, since the others have
    been trained on the images that are validated now. Raises KcnnError where there is none."""
    place = PLACE.get(Place(Workspace.find()))
    folds = unseen_folds(run, place.competition, place.digest)
    if folds is None or place.fold is None:
        return run.models[0]
    if place.fold not in folds:
        raise KcnnError(
            f"{run.id} was trained on images that fold {place.fold} validates: the score would be too good",
            "train it with --folds all and name that run, or choose folds that it has, or a run of another competition",
        )
    return run.models[run.folds.index(place.fold)]


def open_run_backbone(run: Run, shape: Shape) -> Model:
    """Return the network of a run without its last layer, with its weights."""
    trained = load_model(run, choose_model(run))
    body = last_features(resize_input(trained, shape[0]))
    for layer in body.layers:
        layer.trainable = True
    inputs = layers.Input(shape, dtype="uint8")
    return Model(inputs, body(match_channels(inputs, body.input_shape[3])), name=f"backbone_{run.id.replace('-', '_')}")


def keep_recipes(run: Run) -> None:
    """Keep the recipe of the run that is the backbone of `run`, and those that it keeps itself: the layers that they
    define are needed wherever the network is loaded."""
    backbone = find_run(str(run.settings.get("backbone", "")))
    if backbone is None:
        return
    for number, recipe in enumerate([*sorted(backbone.folder.glob("backbone-*.py")), backbone.folder / "recipe.py"]):
        with whole_file(run.folder / f"backbone-{number}.py") as temporary:
            temporary.write_bytes(recipe.read_bytes())


def match_channels(images: Any, channels: int) -> Any:
    """Return uint8 images with 1 or 3 `channels`: grey is repeated; of colours it is the luma of ITU-R BT.601, as
    Pillow has it."""
    if images.shape[3] == channels:
        return images
    if channels == 3:
        return layers.Concatenate()([images] * 3)
    grey = ops.sum(ops.cast(images, "float32") * ops.reshape(ops.array([0.299, 0.587, 0.114]), (1, 1, 1, 3)), axis=3)
    return ops.cast(ops.round(grey), "uint8")[..., None]


def open_application(name: str, shape: Shape, weights: str) -> Model:
    """Return a network of keras.applications without its last layer, averaged over its places."""
    known = find_backbone(name)
    make = getattr(keras.applications, known.name)
    inputs = layers.Input(shape, dtype="uint8")
    x = inspect.getmodule(make).preprocess_input(ops.cast(match_channels(inputs, 3), "float32"))  # type: ignore[union-attr]
    given = None if weights == "none" else weights
    if weights == "imagenet":
        given = str(get_weights(known, current_progress()))
    elif given and not Path(given).is_file():
        raise KcnnError(f"{known.name} with weights={weights} for {shape}: there is no such file", OTHERWISE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file of other layers, before the error
            body = make(include_top=False, weights=given, input_tensor=x)
    except Exception as error:  # a file and a shape each raise their own
        small = "input size" in str(error).lower()
        raise KcnnError(
            f"{known.name} with weights={weights} for {shape}: {describe_error(error)}",
            f"larger images: --set size={known.size}" if small else OTHERWISE,
        ) from error
    if given:
        keep_averages(body)
    return Model(inputs, layers.GlobalAveragePooling2D()(body.output), name=f"backbone_{known.name.lower()}")


def keep_averages(model: Model) -> None:
    """Keep batch normalisation as it was learned, as Keras' guide to transfer learning has it."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False


def require_online(name: str) -> None:
    """Raise KcnnError where downloads are forbidden."""
    if os.environ.get(OFFLINE) == "1":
        raise KcnnError(
            f"the backbone {name} is not on this disk, and nothing is downloaded offline",
            "attach it to the notebook, or name a folder with it: --set backbone=FOLDER",
        )


def find_preset(name: str) -> Path | None:
    """Return the folder of a KerasHub preset: `name` itself, or what a Kaggle notebook or KerasHub's own cache has of
    that name."""
    if (Path(name) / "config.json").is_file():
        return Path(name)
    variation = name.split("/")[-2] if "://" in name and name.count("/") > 2 else name
    cache = Path(os.environ.get("KAGGLEHUB_CACHE") or Path.home() / ".cache" / "kagglehub") / "models"
    for place in (KAGGLE_INPUT, cache) if variation and "/" not in variation else ():
        for path in sorted(place.rglob("config.json")):
            if variation in path.relative_to(place).parts:
                return path.parent
    return None


def is_preset(name: str) -> bool:
    """Return whether a name is one of KerasHub's presets, or a handle of a hub. Without KerasHub only handles are."""
    if "://" in name:
        return True
    try:
        import keras_hub
    except ImportError:
        return False
    return name in keras_hub.models.Backbone.presets


def open_preset(name: str, shape: Shape, weights: str) -> Model:
    """Return a preset of KerasHub: its feature map averaged, or of tokens the first one and the mean of the others."""
    try:
        import keras_hub
    except ImportError:
        raise KcnnError(
            f"the backbone {name} needs KerasHub, which is not installed", "pip install 'kcnn[pretrained]'"
        ) from None
    try:
        body = keras_hub.models.Backbone.from_preset(
            name, image_shape=(shape[0], shape[1], 3), load_weights=weights != "none"
        )
        scale, offset = read_scale(keras_hub.layers.ImageConverter, name)
    except Exception as error:  # a network, a folder and a shape each raise their own
        raise KcnnError(
            f"the backbone {name} cannot be opened for {shape}: {describe_error(error)}",
            "a folder with the preset needs no network: --set backbone=FOLDER",
        ) from error
    inputs = layers.Input(shape, dtype="uint8")
    x = layers.Rescaling(scale, offset)(ops.cast(match_channels(inputs, 3), "float32"))
    if weights != "none":
        keep_averages(body)
    output = body({"images": x} if isinstance(body.input, dict) else x)
    return Model(inputs, pool(output), name="backbone")


def read_scale(converter: Any, name: str) -> tuple[Any, Any]:
    """Return by what the pixels of a preset's images are multiplied, and what is added then; a folder without an image
    converter gets ImageNet's mean and deviation."""
    try:
        found = converter.from_preset(name)
    except FileNotFoundError:
        current_progress().say(f"note: {name} has no image_converter.json: pixels are scaled by those of ImageNet")
        return [1 / (255 * each) for each in DEVIATION], [-m / d for m, d in zip(MEAN, DEVIATION, strict=True)]
    return 1.0 if found.scale is None else found.scale, 0.0 if found.offset is None else found.offset


def pool(output: Any) -> Any:
    """Return features (n, k) of what a backbone gives: a map (n, h, w, k), tokens (n, t, k), or features."""
    if isinstance(output, dict):
        output = list(output.values())[-1]
    if len(output.shape) == 4:
        return layers.GlobalAveragePooling2D()(output)
    if len(output.shape) == 3:
        return layers.Concatenate()([output[:, 0], ops.mean(output[:, 1:], axis=1)])
    return output
