"""`make ray-kills`: five folds on a cluster of two machines, both here; SIGKILL of a worker, a machine, the command.

Each time the run ends with the predictions of an undisturbed one, byte for byte. It takes four minutes.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from conftest import environment, make_images_in
from learn.test_devices import EVEN
from ray.cluster_utils import Cluster

TRAIN = ["train", "even", "--folds", "all", "--set", "epochs=40", "--set", "epoch_steps=20", "--set", "dropout=0.3"]


def run(command, folder, wait=True):
    """kcnn in a process of its own."""
    with (folder / f"{time.monotonic_ns()}.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "kaggle_cnn", *command], cwd=folder, stdout=log, stderr=log,
                                   env=environment(HOME=str(folder), RAY_AUTH_MODE="disabled"))  # fmt: skip
    if wait:
        end(process, folder)
    return process


def end(process, folder) -> str:
    """Wait until the last command that was begun has ended well, without a word of Ray's own. Returns what it said."""
    process.wait(400)
    said = max(folder.glob("*.log"), key=lambda path: path.name).read_text()
    if process.returncode or "raylet" in said:
        sys.exit(f"{process.args} ended with {process.returncode}: {said[-3000:]}")
    return said


def workers() -> list[int]:
    """The processes in which a fold is trained now."""
    found = subprocess.run(["pgrep", "-f", "ray::call_work"], capture_output=True, text=True).stdout
    return [int(line) for line in found.split()]


def wait_for_epochs(runs: Path, name: str, count: int) -> None:
    """Until so many folds of a run have a state on the disk, and are not done."""
    deadline = time.monotonic() + 200
    while len(list((runs / name).glob("fold-*/state.npz"))) < count:
        if time.monotonic() > deadline:
            sys.exit(f"{name} has not begun")
        time.sleep(0.05)


def predictions(runs: Path, name: str) -> list[bytes]:
    found = []
    for part in ("oof", "test"):
        with np.load(runs / name / f"{part}.npz") as arrays:
            found.append(arrays["logits"].tobytes())
    return found


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "recipes").mkdir()
        (folder / "recipes" / "even.py").write_text(EVEN)
        run(["fetch", str(make_images_in(folder / "source" / "colours"))], folder)
        runs = folder / "runs" / "colours"
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        # With an address of its own, as another machine has.
        other = cluster.add_node(num_cpus=1, node_ip_address="127.0.0.2")
        on = ["--on", cluster.address]

        begun = time.monotonic()
        run([*TRAIN, *on], folder)
        whole = predictions(runs, "even-001")
        print(f"undisturbed: {time.monotonic() - begun:.0f} s", flush=True)

        process = run([*TRAIN, *on], folder, wait=False)
        wait_for_epochs(runs, "even-002", 1)
        os.kill(workers()[0], signal.SIGKILL)
        noted = "its worker was lost; it goes on" in end(process, folder)
        print(f"a worker killed: noted {noted}, equal {predictions(runs, 'even-002') == whole}", flush=True)

        process = run([*TRAIN, *on], folder, wait=False)
        wait_for_epochs(runs, "even-003", 2)
        cluster.remove_node(other, allow_graceful=False)
        end(process, folder)
        print(f"a machine killed: equal {predictions(runs, 'even-003') == whole}", flush=True)

        cluster.add_node(num_cpus=1, node_ip_address="127.0.0.2")
        process = run([*TRAIN, *on], folder, wait=False)
        wait_for_epochs(runs, "even-004", 2)
        process.kill()
        process.wait()
        run(["train", "even", "--resume", *on], folder)
        print(f"the driver killed, and --resume: equal {predictions(runs, 'even-004') == whole}", flush=True)

        tuning = [
            "tune",
            "even",
            "--trials",
            "8",
            "--set",
            "epochs=30",
            "--set",
            "epoch_steps=20",
            "--at-once",
            "2",
            *on,
        ]
        process = run(tuning, folder, wait=False)
        study = runs / "studies" / "even"
        deadline = time.monotonic() + 200
        while len(list(study.glob("trial-*/fold-0"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(workers()[0], signal.SIGKILL)
        end(process, folder)
        run([*tuning, "--json"], folder)
        last = max(folder.glob("*.log"), key=lambda path: path.name).read_text()
        trials = json.loads(last[last.index("{\n") :])["trials"]
        different = len({json.dumps(each["settings"], sort_keys=True) for each in trials})
        print(f"tune, a worker killed: {len(trials)} trials, {different} different, "
              f"{sum(each['state'] in ('complete', 'pruned') for each in trials)} ended", flush=True)  # fmt: skip

        wrong = EVEN + "import os\n\nif 'RAY_JOB_ID' in os.environ:\n    raise RuntimeError('in a task')\n"
        (folder / "recipes" / "wrong.py").write_text(wrong)
        process = run(["train", "wrong", "--folds", "all", *on], folder, wait=False)
        code, said = process.wait(400), max(folder.glob("*.log"), key=lambda path: path.name).read_text()
        print(f"a mistake in a task: exit {code}, {said.splitlines()[-2:]}", flush=True)
        cluster.shutdown()


if __name__ == "__main__":
    main()
