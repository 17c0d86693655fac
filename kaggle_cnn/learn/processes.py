"""Several processes that train one network, joined by JAX: each computes its share of every batch.

What is fitted is built across them; beside it each process has the same network for itself, which validates and
predicts, and is saved by the first: to save the other one by one process alone would wait for ever, as each variable
that is made there is made by all. All go through the same steps, so what one of them alone knows is shared first.
"""

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras
import numpy as np

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.group import ADDRESS, Group
from kaggle_cnn.learn.distribution import CURRENT, pretend_devices

CARRIERS = ("Gloo", "NCCL", "oordination service")  # what carries numbers between processes, as JAX names it


def join_group(group: Group, wanted: str | None) -> None:
    """Wait for the other processes; let what is built in `across_processes` be trained on the devices of all of them.

    `wanted` is as in use_devices, of each process; a machine without a GPU pretends to have so many CPU devices.
    Raises KcnnError where the others do not come within five minutes, or where the devices are other ones than wanted.
    """
    import jax

    CURRENT.processes, CURRENT.rank = group.processes, group.rank
    address = os.environ.get(ADDRESS, "").split(",")[0]
    if address.startswith(("127.0.0.1:", "localhost:")):  # else it listens on all interfaces
        os.environ.setdefault("JAX_COORDINATOR_BIND_ADDRESS", address)
    keras.utils.set_random_seed(0)  # else Keras agrees on one by the network of the CPUs, which GPUs do not need
    number = int(wanted) if wanted and wanted.isdecimal() else 0
    if number > 1:
        pretend_devices(number)
    try:
        keras.distribution.initialize()
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise KcnnError(f"the {group.processes} processes cannot be joined: {reason}", "see docs/scaling.md") from None
    if number and jax.local_device_count() != number:
        raise KcnnError(
            f"--devices asks for {number} of each process, and process {group.rank} has {jax.local_device_count()}",
            "leave it out: processes that train together use all devices that they see",
        )
    chosen = keras.distribution.list_devices()
    CURRENT.devices = len(chosen)
    CURRENT.across = keras.distribution.DataParallel(devices=chosen, auto_shard_dataset=False)


def leave_group() -> None:
    """Wait for the others, and go on alone."""
    if is_alone():
        return
    import jax

    share(None)
    jax.distributed.shutdown()
    CURRENT.processes, CURRENT.devices, CURRENT.across = 1, 1, None


def is_alone() -> bool:
    return CURRENT.processes == 1


def is_first() -> bool:
    """Whether this process writes files: the first of its group, also after it has left it."""
    return CURRENT.rank == 0


def across_processes() -> AbstractContextManager[None]:
    """Build, compile, fit and assign on the devices of all processes; all of them must do the same in the block."""
    return spread_over(CURRENT.across)


def by_itself() -> AbstractContextManager[None]:
    """Within `across_processes`: build and assign in this process alone."""
    return spread_over(None)


@contextmanager
def spread_over(devices: Any) -> Iterator[None]:
    """Use Keras' distribution `devices` in the block, where several processes train together."""
    if CURRENT.across is None:
        yield
        return
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(devices)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


@contextmanager
def first_alone() -> Iterator[None]:
    """Let the first process do the block before the others: what it leaves on a shared disk is then there for them.
    Where it fails in it, the others end without a word."""
    if is_alone():
        yield
        return
    if CURRENT.rank:
        if share(None) == "failed":
            raise SystemExit(1)
        yield
        return
    try:
        yield
    except BaseException:
        share("failed")
        raise
    share("done")


def share(value: Any) -> Any:
    """Return the `value` of the first process, which JSON can hold; that of the others is ignored."""
    if is_alone():
        return value
    text = np.frombuffer(json.dumps(value if is_first() else None).encode(), np.uint8)
    length = int(share_arrays(np.array(len(text))))
    return json.loads(bytes(share_arrays(text if is_first() else np.zeros(length, np.uint8))))


def share_arrays(arrays: Any) -> Any:
    """Return the arrays of the first process; those of the others have the same shapes."""
    if is_alone():
        return arrays
    from jax.experimental.multihost_utils import broadcast_one_to_all

    with explain_loss():
        return broadcast_one_to_all(arrays)


def share_values(variables: list[Any]) -> None:
    """Give variables that each process has for itself the values of the first."""
    if is_alone():
        return
    shared = share_arrays([np.array(keras.ops.convert_to_numpy(variable)) for variable in variables])
    for variable, value in zip(variables, shared, strict=True):
        variable.assign(np.asarray(value))


def split_rows(rows: Array) -> Array:
    """Return the part of `rows` that this process predicts."""
    return np.array_split(rows, CURRENT.processes)[CURRENT.rank] if CURRENT.processes > 1 else rows


def gather(found: Array, count: int) -> Array:
    """Return what all processes have found for their parts of `count` rows, in order."""
    if is_alone():
        return found
    from jax.experimental.multihost_utils import process_allgather

    sizes = [len(part) for part in np.array_split(np.arange(count), CURRENT.processes)]
    padded = np.zeros((max(sizes), *found.shape[1:]), found.dtype)
    padded[: len(found)] = found
    with explain_loss():
        every = np.asarray(process_allgather(padded)).reshape(len(sizes), *padded.shape)
    return np.concatenate([part[:size] for part, size in zip(every, sizes, strict=True)])


def follow(network: keras.Model, fitted: keras.Model) -> None:
    """Give a network of this process the values of the one that is fitted across the processes."""
    if network is fitted:
        return
    for own, variable in zip(network.variables, fitted.variables, strict=True):
        own.assign(keras.ops.convert_to_numpy(variable))


@contextmanager
def explain_loss() -> Iterator[None]:
    """Raise KcnnError where another process is lost: JAX raises several kinds of error for it."""
    try:
        yield
    except Exception as error:
        if is_alone() or not any(word in str(error) for word in CARRIERS):
            raise
        raise KcnnError(
            f"another of the {CURRENT.processes} processes that train this network has ended",
            "finished epochs are kept: start all of them again, with --resume",
        ) from None
