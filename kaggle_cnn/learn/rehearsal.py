"""One batch through everything that a training does, before the first epoch: a mistake costs seconds, not a night."""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kaggle_cnn.data.batches import BatchMaker
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.learn.backend import Device, free_memory
from kaggle_cnn.learn.distribution import CURRENT
from kaggle_cnn.learn.feed import fit_batches
from kaggle_cnn.learn.model import Network
from kaggle_cnn.learn.processes import follow
from kaggle_cnn.recipe import Recipe, explain_failures, load_recipe


def require_room(recipe: Recipe, images: int) -> None:
    """Raise KcnnError where one batch of images, as float32, is more than the memory; `images` is how many there are.

    Asked before the images are decoded and the network is built: both would ask for the memory.
    """
    batch = min(recipe.batch, images)
    needed = 4 * 3 * batch * recipe.size**2
    if needed > (free := free_memory()):
        raise KcnnError(
            f"a batch of {batch} images of {recipe.size}x{recipe.size} needs {in_gibibytes(needed)}, and "
            f"{in_gibibytes(free)} are free",
            "use a smaller size or batch: --set size=VALUE, --set batch=VALUE",
        )


def require_memory(recipe: Recipe, network: Network, device: Device) -> None:
    """Raise KcnnError where training one batch needs more memory than there is, by the least that it can be.

    That is: each weight twice in float32 (itself and its gradient), and what each layer with weights gives, which its
    gradient needs, in the precision of the layers.
    """
    made = [layer.output for layer in network.raw.layers if layer.weights and not isinstance(layer, keras.Model)]
    kept = sum(int(np.prod([side or 1 for side in each.shape[1:]])) for each in made if hasattr(each, "shape"))
    bytes_each = 4 if keras.config.dtype_policy().compute_dtype == "float32" else 2
    share = recipe.batch // CURRENT.devices
    needed = 8 * network.raw.count_params() + bytes_each * share * kept
    free = device.memory or free_memory()
    if needed > free:
        raise KcnnError(
            f"this network needs {in_gibibytes(needed)} or more to train a batch of {share} images, and "
            f"{in_gibibytes(free)} are free",
            "use a smaller size or batch: --set size=VALUE, --set batch=VALUE",
        )


def in_gibibytes(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB"


def rehearse(
    trained: keras.Model, fitted: Network, network: Network, make: BatchMaker, given: Any, path: Path, source: str
) -> None:
    """Make one batch, train on it, predict the images `given`, save the network, load it again. The weights change.

    `trained` is compiled, and `fitted` the part of it that `network` follows; `path` and `source` are the recipe's.
    Raises KcnnError that says which of these fails.
    """
    with explain_failures("the recipe's augmentation fails"):
        batch = make(0)
    with explain_failures("one step of training fails"):
        # By fit, as the training: what it compiles is then compiled once. train_on_batch took 2 s more of a resnet.
        done = fit_batches(trained, lambda step: batch, steps_per_epoch=1, epochs=1)
        loss = float(done.history["loss"][0])
    if not np.isfinite(loss):
        raise KcnnError(
            f"the loss of the first batch is {loss}", "use a lower learning rate: --set learning_rate=VALUE"
        )
    follow(network.whole, fitted.whole)
    require_numbers(network.predicting, given)
    require_savable(network.whole, given, path, source)


def require_numbers(model: keras.Model, given: Any) -> None:
    """Raise KcnnError where a network predicts what is not a number, as it does when it does not train."""
    found = keras.ops.convert_to_numpy(model(given, training=False))
    if not np.isfinite(found).all():
        raise KcnnError(
            "the network predicts values that are not numbers, after one batch",
            "look for a division by zero or a logarithm in the recipe's model; or use a lower learning rate",
        )


def require_savable(whole: keras.Model, given: Any, path: Path, source: str) -> None:
    """Raise KcnnError where the saved network cannot be loaded, or predicts something else than before."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        try:
            whole.save(file)
            load_recipe(path, source)  # as whoever loads it does, for layers that the recipe defines
            loaded = keras.models.load_model(file, compile=False)
        except KcnnError:
            raise
        except Exception as error:
            words = " ".join(str(error).split()).rpartition("Exception encountered: ")[2]
            raise KcnnError(
                f"the recipe's network cannot be saved and loaded again: {words:.250}",
                "use a layer of your own with @keras.saving.register_keras_serializable() in place of a Lambda",
            ) from error
    before, after = (keras.ops.convert_to_numpy(model(given, training=False)) for model in (whole, loaded))
    if before.shape != after.shape or not np.allclose(before, after, rtol=1e-2, atol=1e-3):
        raise KcnnError(
            "the recipe's network predicts something else after it is saved and loaded",
            "give each layer of your own a get_config() with all arguments of its __init__()",
        )


def require_same_network(one: Network, other: Network) -> None:
    """Raise KcnnError where a recipe builds another network each time: it could not be resumed, or trained for other
    folds."""
    shapes = [[(each.path, tuple(each.shape)) for each in network.raw.variables] for network in (one, other)]
    if shapes[0] != shapes[1]:
        raise KcnnError(
            "the recipe's model is another one each time it is built",
            "let its layers depend on its arguments alone, not on chance or the clock",
        )
