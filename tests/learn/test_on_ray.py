"""Folds as tasks of Ray. What a kill does to them, on two machines, is in ray_kills.py, which takes minutes."""

import io
import json
import pickle
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import optuna
import pytest
from conftest import environment, in_this_process
from rich.console import Console

from kaggle_cnn import elsewhere, training, trials
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight.progress import ConsoleProgress
from kaggle_cnn.progress import Part, Silent
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import list_runs, read_run

# A network with one other machine, which never replies; what is sent to it, or beyond it, is counted at the end.
ISLAND = ["unshare", "-rn", "sh", "-c", """set -e
ip link set lo up
ip link add v0 type veth peer name v1
for each in v0 v1; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done
ip addr add 192.0.2.1/24 dev v0
ip link set v1 up
ip link set v0 up
ip route add default dev v0
set +e
"$@"
code=$?
awk '$1 == "v0:" {print "packets", $11}' /proc/net/dev >&2
exit $code""", "sh"]  # fmt: skip
FAST = ("--folds", "0,1", "--set", "epochs=2", "--set", "tta=flip")


@pytest.fixture
def here(tiny_workspace, monkeypatch):
    monkeypatch.chdir(tiny_workspace.root)
    return tiny_workspace


def test_folds_on_ray_are_those_of_this_machine(here, keras):
    """Each is a task in a process of its own; the run is as any other, and nothing of Ray is left, nor sent."""
    command = [sys.executable, "-m", "kaggle_cnn", "train", "tiny", *FAST, "--on", "ray"]
    alone = [] if send_from_an_island(["true"]) is None else ISLAND
    printed = subprocess.run([*alone, *command], cwd=here.root, env=environment(HOME=str(here.root)),
                             capture_output=True, text=True)  # fmt: skip
    assert printed.returncode == 0, printed.stderr
    assert not alone or printed.stderr.splitlines()[-1] == "packets 0"
    assert "Ray: 1 machine, 1 core for each of up to 2" in printed.stderr
    for fold in (0, 1):
        for epoch in (1, 2):
            assert f"fold {fold}: epoch {epoch}/2  loss " in printed.stderr
    in_this_process("train", "tiny", *FAST)
    on_ray, here_alone = list_runs(here, "colours")
    for part in ("oof", "test"):
        ours, theirs = (Predictions.read(run.folder / f"{part}.npz") for run in (here_alone, on_ray))
        assert ours.ids.tolist() == theirs.ids.tolist()
        np.testing.assert_allclose(ours.logits, theirs.logits, atol=1e-3)
    for name in ("epochs", "best_epoch", "status"):
        assert on_ray.result(1)[name] == here_alone.result(1)[name]
    assert not list(on_ray.folder.rglob("state.npz"))
    assert "ray" not in json.dumps(read_run(on_ray.folder).record)


def send_from_an_island(command):
    """How many packets a command sends to other machines; None where the system does not let us look."""
    if shutil.which("unshare") is None:
        return None
    done = subprocess.run([*ISLAND, *command], capture_output=True, text=True)
    last = (done.stderr.splitlines() or [""])[-1]
    return int(last.removeprefix("packets ")) if last.startswith("packets ") else None


def test_a_packet_to_another_machine_is_seen():
    if send_from_an_island(["true"]) is None:
        pytest.skip("a network of one's own needs Linux, iproute2, and leave to make one")
    send = "import socket; socket.create_connection(('192.0.2.7', 80), timeout=0.5)"
    assert send_from_an_island([sys.executable, "-c", send]) > 0
    assert send_from_an_island([sys.executable, "-c", send.replace("192.0.2.7", "127.0.0.1")]) == 0


@pytest.mark.parametrize(("options", "message"), [
    (["--on", "rya"], "--on should be ray, or the address of a cluster of Ray, got 'rya'"),
    (["--on", "ray", "--tensorboard"], "--tensorboard writes here"),
])  # fmt: skip
def test_what_is_refused(here, options, message):
    with pytest.raises(KcnnError, match=message):
        in_this_process("train", "tiny", *options)
    assert not list_runs(here, "colours")
    with pytest.raises(KcnnError, match="--on should be ray"):
        in_this_process("tune", "tiny", "--on", "rya")


def test_a_cluster_that_is_not_there(here, monkeypatch):
    """Ray itself would end the process, after half a minute."""
    with pytest.raises(KcnnError, match=r"Ray at 127\.0\.0\.1:1 cannot be reached"):
        in_this_process("train", "tiny", *FAST, "--on", "127.0.0.1:1")
    monkeypatch.setenv("RAY_ADDRESS", "ray://127.0.0.1:1")
    with pytest.raises(KcnnError, match=r"Ray at ray://127\.0\.0\.1:1 cannot be reached"):
        in_this_process("train", "tiny", *FAST, "--on", "ray")
    monkeypatch.delenv("RAY_ADDRESS")
    (here.root / "kcnn.toml").write_text('competition = "colours"\naddress = "127.0.0.1:2"\n')
    with pytest.raises(KcnnError, match=r"Ray at 127\.0\.0\.1:2 cannot be reached"):
        in_this_process("train", "tiny", *FAST, "--on", "ray")
    here.make_current("colours")
    assert here.settings == {"competition": "colours", "address": "127.0.0.1:2"}
    assert not list_runs(here, "colours")


@pytest.mark.usefixtures("eager")
def test_trials_are_asked_judged_and_ended_by_one_process(here, monkeypatch):
    """With the tasks done in this process, in turn: bad trials are stopped after an epoch, a mistake fails alone."""

    class Near(Silent):
        """What a worker sends to, here."""

        stopped = False

        def report(self, **values):
            self.stopped = self.judge(self.name, values)

        def is_stopped(self):
            return self.stopped

    def run_here(work, most, ask, end, address, progress, judge):
        while asked := ask():
            near = Near()
            near.name, near.judge = asked[0], judge
            try:
                result = work(asked[1], near)
            except KcnnError as error:
                result = error
            end(asked[0], result)

    monkeypatch.setattr(trials, "run_asked", run_here)
    # With another seed it may be that no bad trial comes after five good ones, before which none is stopped.
    monkeypatch.setattr(optuna.samplers, "TPESampler", partial(optuna.samplers.TPESampler, seed=0))
    options = ("--set", "epochs=3", "--set", "tta=flip", "--space", "learning_rate=0.01,0.02,1e-9,1e30")
    options += ("--space", "width=2..8")
    found = json.loads(in_this_process("tune", "tiny", "--trials", "12", *options, "--on", "ray", "--json"))
    states = [each["state"] for each in found["trials"]]
    assert len(states) == 12
    assert {"complete", "pruned", "fail"} == set(states)
    assert all(len(each["epochs"]) < 3 for each in found["trials"] if each["state"] == "pruned")
    settings = [tuple(each["settings"].items()) for each in found["trials"]]
    assert len(set(settings)) == 12
    assert found["best"] is not None


@pytest.mark.usefixtures("eager")
def test_a_time_counts_how_many_models_are_trained_at_once(here, keras, monkeypatch):
    """With the tasks done in this process: a pilot measures, the epochs follow; of two at once each has twice the
    time of one of two in turn."""
    from kaggle_cnn.learn import within

    planned, at_once = [], iter((2, 1))

    def run_here(work, most, ask, end, address, progress):
        name, part = ask()
        assert ask() is None
        speed, spent, anew = work(part, progress)  # a real pilot, of a speed that is the same each time
        assert speed.step > 0
        assert not anew
        end(name, (within.Speed(compiled=1.0, step=0.02, between=0.2, prediction=1.0), spent, anew))
        return next(at_once)

    def train_none(work, parts, address, progress):
        [run] = list_runs(here, "colours")[-1:]
        planned.append(run.settings["epochs"] * run.settings["epoch_steps"])
        raise KcnnError("enough", "")

    monkeypatch.setattr(within, "LEAST", 0.3)
    monkeypatch.setattr(within, "LAST", 0.5)
    monkeypatch.setattr(elsewhere, "run_asked", run_here)
    monkeypatch.setattr(elsewhere, "run_on_ray", train_none)
    for _ in range(2):
        with pytest.raises(KcnnError, match="enough"):
            training.train("tiny", folds="0,1", within=60, on="ray", workspace=here)
    assert planned[0] == pytest.approx(2 * planned[1], rel=0.25)


def test_an_error_comes_whole_from_another_process():
    error = pickle.loads(pickle.dumps(KcnnError("what", "why")))
    assert (error.message, error.hint) == ("what", "why")


def test_a_row_for_each_part():
    """80 columns are enough; a class of several targets may be called as markup."""
    row = {"epoch": 3, "loss": 0.5, "accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.75}
    parts = [
        Part("fold 0", "training", "node-b", 3, 8, row, 12.0),
        Part("fold 1"),
        Part("fold 2", "done", "x", 8, 8, row),
    ]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(ConsoleProgress(console).draw_parts(parts))
    rows = [line.split() for line in console.export_text().splitlines()]
    assert rows == [["epoch", "loss", "validation", "accuracy", "left", "on"],
                    ["fold", "0", "3/8", "0.5000", "0.7500", "1:00", "node-b"], ["fold", "1", "waiting"],
                    ["fold", "2", "8/8", "0.5000", "0.7500", "done", "x"]]  # fmt: skip
