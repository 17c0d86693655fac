"""One network, trained by two processes that JAX joins: the same as by one."""

import os
import signal
import time
from itertools import count

import numpy as np
import pytest
from devices_trial import compare_runs
from learn.test_devices import EVEN
from processes_trial import end, start
from typer.testing import CliRunner

from kaggle_cnn.cli import app
from kaggle_cnn.data.batches import Augmenter, Mixing, Share, plain_batch, training_batch
from kaggle_cnn.data.training_set import TrainingSet
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import one_at_a_time
from kaggle_cnn.group import Group, find_group
from kaggle_cnn.runs.run import list_runs

PORTS = count(20_000 + os.getpid() % 20_000)


@pytest.fixture
def here(tiny_workspace):
    (tiny_workspace.root / "recipes" / "even.py").write_text(EVEN)
    return tiny_workspace


def test_two_processes_one_of_which_is_killed_train_as_one(here, keras):
    """With dropout; without a kill, and in all other cases: `python tests/processes_trial.py PORT`, a minute."""
    options = ["--set", "dropout=0.5", "--set", "ema=0.9", "--set", "epochs=60"]
    first, second = next(PORTS), next(PORTS)
    both = [start(here.root, first, options, rank) for rank in range(2)]
    state = here.runs("colours") / "even-001" / "fold-0" / "state.npz"
    deadline = time.monotonic() + 100
    while not state.is_file():
        assert time.monotonic() < deadline, end(both)
        time.sleep(0.02)
    both[1].send_signal(signal.SIGKILL)
    ended = end(both)
    assert [code for code, _ in ended] == [1, -signal.SIGKILL]
    assert ended[0][1].splitlines()[-2:] == [
        "error: another of the 2 processes that train this network has ended",
        "hint: finished epochs are kept: start all of them again, with --resume",
    ]
    assert ended[1][1] == ""
    ended = end([start(here.root, second, ["--resume"], rank) for rank in range(2)])
    assert [code for code, _ in ended] == [0, 0], ended
    assert "2 devices of 2 processes" in ended[0][1]
    assert ended[1][1] == ""
    assert end([start(here.root, 0, options, processes=1)])[0][0] == 0
    resumed, alone = list_runs(here, "colours")
    assert resumed.record["device"] != alone.record["device"]
    found = compare_runs(resumed, alone)
    assert found["weights"] < 1e-5, found
    assert found["losses"] < 1e-4, found
    assert found["logits"] < 1e-4, found


def test_the_parts_of_a_batch_are_the_batch():
    import albumentations

    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (50, 20, 20, 3), np.uint8)
    chosen = TrainingSet(np.arange(3, 50), draw.random((47, 4), np.float32), draw.random(47, np.float32))
    pipeline = albumentations.Compose([albumentations.RandomCrop(16, 16), albumentations.HorizontalFlip()])
    for mixing in (None, Mixing(mixup=0.4), Mixing(cutmix=1.0)):
        for step in (0, 5):
            whole, *parts = (
                training_batch(pixels, chosen, Augmenter(pipeline, 7, 16), 12, step, mixing, None, share)
                for share in (Share(), *(Share(rank, 3) for rank in range(3)))
            )
            require_joined(whole, parts)
    for there in (pixels, None):
        whole, *parts = (plain_batch(there, chosen, 12, 7, 4, share) for share in (Share(), Share(0, 2), Share(1, 2)))
        require_joined(whole, parts)


def require_joined(whole, parts):
    for number, array in enumerate(whole):
        assert len({len(part[number]) for part in parts}) == 1
        assert np.array_equal(array, np.concatenate([part[number] for part in parts]))


def test_what_starts_the_processes_says_which_this_one_is(monkeypatch):
    assert find_group() == Group(1, 0)
    monkeypatch.setenv("SLURM_NTASKS", "4")  # of a job, whose script is one process
    monkeypatch.setenv("SLURM_PROCID", "0")
    assert find_group() == Group(1, 0)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")  # of a step, by srun
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert find_group() == Group(4, 3)
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    with pytest.raises(KcnnError, match="should be a number of processes and the number of this one"):
        find_group()
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "1")
    assert find_group() == Group(2, 1)
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "2")
    with pytest.raises(KcnnError, match="got '2' and '2'"):
        find_group()


@pytest.mark.parametrize(("options", "said"), [
    ([], "error: 2 processes can train one network on JAX only, not on tensorflow"),
    (["--backend", "jax", "--within", "1h"], "error: --within is for one process, and 2 train this network"),
    (["--backend", "jax", "--on", "ray"], "error: --on is for one process, and 2 train this network"),
])  # fmt: skip
def test_what_two_processes_cannot_do_is_said_once(here, monkeypatch, capfd, options, said):
    monkeypatch.chdir(here.root)
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    for rank, expected in (("0", said), ("1", "")):
        monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", rank)
        capfd.readouterr()
        assert CliRunner().invoke(app, ["train", "even", *options]).exit_code == 1
        assert (capfd.readouterr().err.splitlines() or [""])[0] == expected


def test_asking_at_the_same_time_is_not_being_trained(tmp_path):
    """Two processes that resume a run ask at the same time whether it is locked."""
    from threading import Thread

    from kaggle_cnn.runs.run import is_locked

    def hold():
        with one_at_a_time(tmp_path / "fold-0"):
            time.sleep(0.1)

    other = Thread(target=hold)
    other.start()
    time.sleep(0.02)
    assert not is_locked(tmp_path / "fold-0")
    other.join()
