"""Several devices of one machine: each of them computes its share of every batch, and all have the same weights."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.learn.backend import Device

FORWARDS: "weakref.WeakKeyDictionary[keras.Model, Any]" = weakref.WeakKeyDictionary()


@dataclass
class Spread:
    """How many devices share a batch now, and TensorFlow's strategy; of JAX, Keras keeps it. See processes for several
    `processes`, of which this one is number `rank`, and what is set while something is done `across` them."""

    devices: int = 1
    strategy: Any = None
    processes: int = 1
    rank: int = 0
    across: Any = None


CURRENT = Spread()


def use_devices(wanted: str | None) -> int:
    """Let networks that are built from now on be trained on `wanted` devices, "2" or "all"; None is all GPUs. Return
    how many these are.

    On JAX by Keras' DataParallel, on TensorFlow by its MirroredStrategy. A machine without a GPU pretends to have so
    many CPU devices: nothing is faster by it, but all is as with GPUs. Of several processes the devices are known when
    they are joined. Raises KcnnError where there are not so many.
    """
    if CURRENT.processes > 1:
        return CURRENT.devices
    count = count_wanted(wanted)
    CURRENT.devices, CURRENT.strategy = count, None
    backend = keras.backend.backend()
    if backend == "jax":
        chosen = keras.distribution.list_devices()[:count] if count > 1 else []
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=chosen) if chosen else None)
    elif count > 1:
        CURRENT.strategy = mirror(count)
    return count


@cache
def mirror(count: int) -> Any:
    """Return TensorFlow's strategy on the first `count` devices.

    Gradients are summed on one device: by collective operations, its default, the second network of a process fails
    ("different input shapes at different members of the collective op") or hangs.
    """
    import tensorflow as tf

    names = [device.name for device in tf.config.list_logical_devices("GPU" if has_gpu() else "CPU")][:count]
    return tf.distribute.MirroredStrategy(names, cross_device_ops=tf.distribute.ReductionToOneDevice())


def count_wanted(wanted: str | None) -> int:
    """Return the number of devices that `wanted` means. Raises KcnnError where there are fewer."""
    number = int(wanted) if wanted and wanted.isdecimal() else 0
    if wanted not in (None, "all") and not 1 <= number <= 1024:
        raise KcnnError(f"--devices should be a number from 1 on, or all, got '{wanted}'", "for example: --devices 2")
    if number == 1:
        return 1
    if keras.backend.backend() == "torch":
        if number > 1:
            raise KcnnError(
                f"PyTorch trains on one device here, and --devices asks for {number}", "use JAX: --backend jax"
            )
        return 1
    if number > 1:
        pretend_devices(number)
    there = keras.distribution.list_devices() if number or has_gpu() else ["cpu:0"]
    if number > len(there):
        raise KcnnError(f"--devices asks for {number}, and {len(there)} can be used", f"use --devices {len(there)}")
    return number or len(there)


def has_gpu() -> bool:
    return not keras.distribution.list_devices()[0].startswith("cpu")


def pretend_devices(count: int) -> None:
    """Let a machine without a GPU have so many CPU devices, where nothing has been computed yet."""
    if keras.backend.backend() == "jax":
        import jax

        try:
            jax.config.update("jax_num_cpu_devices", count)
        except RuntimeError:  # it has started, with the devices that it has
            return
    else:
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return
        try:
            parts = [tf.config.LogicalDeviceConfiguration()] * count
            tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
        except RuntimeError:
            return


def name_devices(device: Device) -> str:
    """Return how many devices are used, where there are several, and what they are."""
    of = f" of {CURRENT.processes} processes" if CURRENT.processes > 1 else ""
    return device.name if CURRENT.devices == 1 else f"{CURRENT.devices} devices{of}: {device.name}"


def require_equal_shares(batch: int, images: int) -> None:
    """Raise KcnnError where the devices cannot share a batch of `batch` of so many `images` equally."""
    size, count = min(batch, images), CURRENT.devices
    if size % count:
        raise KcnnError(
            f"a batch of {size} images cannot be shared equally by {count} devices",
            f"--set batch={max(1, batch // count) * count}, or fewer devices",
        )


@contextmanager
def on_devices() -> Iterator[None]:
    """Build and compile on all devices in use; JAX needs nothing for it."""
    if CURRENT.strategy is None:
        yield
    else:
        with CURRENT.strategy.scope():
            yield


def clear_session() -> None:
    """Let Keras forget the names of layers, but not the precision and the devices, which it forgets too."""
    precision, spread = keras.config.dtype_policy(), None
    if keras.backend.backend() == "jax":
        spread = keras.distribution.distribution()
    keras.utils.clear_session()
    keras.config.set_dtype_policy(precision)
    if spread:
        keras.distribution.set_distribution(spread)


def predict_batch(model: keras.Model, given: Any) -> Array:
    """Return what `model` gives for a batch, or for a list of the batch's inputs, float32."""
    if CURRENT.strategy is None or model.distribute_strategy is not CURRENT.strategy:
        return to_numpy(model.predict_on_batch(given))
    # predict_on_batch gives the whole batch to each device, and returns it so many times.
    shares = CURRENT.strategy.experimental_distribute_values_from_function(
        lambda context: cut_share(given, context.replica_id_in_sync_group)
    )
    found = CURRENT.strategy.experimental_local_results(forward_of(model)(shares))
    return np.concatenate([to_numpy(each) for each in found])


def cut_share(given: Any, number: int) -> Any:
    """Return the part of each array of `given` that the device of this number computes."""
    return keras.tree.map_structure(
        lambda array: keras.ops.convert_to_tensor(np.array_split(array, CURRENT.devices)[number]), given
    )


def forward_of(model: keras.Model) -> Any:
    """Return the compiled prediction of a model on the devices of TensorFlow's strategy."""
    import tensorflow as tf

    if model not in FORWARDS:
        strategy, own = CURRENT.strategy, weakref.proxy(model)
        FORWARDS[model] = tf.function(lambda shares: strategy.run(lambda each: own(each, training=False), (shares,)))
    return FORWARDS[model]


def to_numpy(value: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(value), np.float32)


def fill_shares(images: int) -> int:
    """Return the least number from `images` on that the devices can share equally; of several processes, each predicts
    by itself, on one device."""
    devices = 1 if CURRENT.processes > 1 else CURRENT.devices
    return -(-images // devices) * devices
