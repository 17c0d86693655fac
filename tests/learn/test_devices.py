"""One network on several devices: the same as on one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import environment, in_this_process

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.run import list_runs

EVEN = '''"""Even: for tests of several devices."""
from keras import Input, Model, layers, optimizers

from kaggle_cnn import Recipe
from kaggle_cnn.augment import shift_rotate_flip
from kaggle_cnn.layers import AugmentOnDevice


def even(shape, outputs, dropout=0.0, normalised=False):
    inputs = Input(shape, dtype="uint8")
    x = layers.Conv2D(6, 3)(layers.Rescaling(1 / 255)(inputs))
    x = layers.BatchNormalization(momentum=0.8)(x) if normalised else x
    x = layers.GlobalAveragePooling2D()(layers.Activation("relu")(x))
    return Model(inputs, layers.Dense(outputs)(layers.Dropout(dropout)(x) if dropout else x))


def augment(size, on_device=False):
    return AugmentOnDevice(size) if on_device else shift_rotate_flip(size)


def heavy_ball(learning_rate, steps):
    return optimizers.SGD(learning_rate, momentum=0.9)


recipe = Recipe(
    model=even, size=16, margin=4, augment=augment, optimizer=heavy_ball, learning_rate=0.05, epochs=4, epoch_steps=5,
    batch=8, tta="flip",
)
'''


@pytest.fixture
def here(tiny_workspace, monkeypatch):
    (tiny_workspace.root / "recipes" / "even.py").write_text(EVEN)
    monkeypatch.chdir(tiny_workspace.root)
    return tiny_workspace


def try_devices(here, backend, *names):
    """What devices_trial.py finds, in a process of its own."""
    program = Path(__file__).parents[1] / "devices_trial.py"
    done = subprocess.run([sys.executable, program, backend, *names], cwd=here.root, capture_output=True, text=True,
                          env=environment(HOME=str(here.root), PYTHONPATH=str(program.parents[1])))  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_two_devices_train_as_one_on_jax(here):
    """20 steps; masks of dropout and statistics of batches are those of the whole batch. The other cases take half a
    minute: `python tests/devices_trial.py jax`, in a workspace with the recipe above."""
    found = try_devices(here, "jax", "dropout", "normalised")
    assert found["dropout"]["weights"] < 1e-5, found
    assert found["normalised"]["losses"] < 1e-5, found
    require_alike(found)


def test_two_devices_train_as_one_on_tensorflow(here):
    """But for dropout and batch normalisation, of which each device has its own: docs/scaling.md says so."""
    found = try_devices(here, "tensorflow", "weighted, averaged, mixed up", "resumed")
    assert found["weighted, averaged, mixed up"]["weights"] < 1e-5, found
    assert found["resumed"]["weights"] == 0
    require_alike(found)


def require_alike(found):
    assert found["spread"] == 2
    devices = [each["device"] for each in found.values() if isinstance(each, dict) and "device" in each]
    assert devices
    assert all(two == f"2 devices: {one}" for two, one in devices)
    assert found["refused"] == ["a batch of 9 images cannot be shared equally by 2 devices",
                                "--set batch=8, or fewer devices", 0]  # fmt: skip


@pytest.mark.parametrize(("wanted", "message"), [
    ("0", "--devices should be a number from 1 on, or all, got '0'"),
    ("two", "--devices should be a number from 1 on, or all, got 'two'"),
    ("2", "--devices asks for 2, and 1 can be used"),
])  # fmt: skip
def test_devices_that_are_refused(here, keras, wanted, message):
    keras.ops.zeros(1)  # from now on this process has one
    with pytest.raises(KcnnError, match=message):
        in_this_process("train", "even", "--devices", wanted)
    assert not list_runs(here, "colours")


def test_torch_has_one(here, keras, monkeypatch):
    from kaggle_cnn.learn.distribution import count_wanted

    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    assert count_wanted(None) == count_wanted("all") == count_wanted("1") == 1
    with pytest.raises(KcnnError, match="PyTorch trains on one device here") as raised:
        count_wanted("2")
    assert "--backend jax" in raised.value.hint
