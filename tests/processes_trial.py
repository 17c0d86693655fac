"""python processes_trial.py PORT: trains in the workspace here, each case by two processes and by one, on JAX; prints
as JSON how far the two are apart."""

import json
import subprocess
import sys
from pathlib import Path

from conftest import environment
from devices_trial import CASES, compare_runs

from kaggle_cnn.runs.run import open_run
from kaggle_cnn.workspace import Workspace


def start(folder: Path, port: int, options: list[str], rank: int = 0, processes: int = 2) -> subprocess.Popen:
    """kcnn train even, as one of a group of processes; alone where it is one of one."""
    group = {"JOB_ADDRESSES": f"127.0.0.1:{port}", "NUM_PROCESSES": str(processes), "PROCESS_ID": str(rank)}
    more = {f"KERAS_DISTRIBUTION_{name}": value for name, value in group.items()} if processes > 1 else {}
    command = [sys.executable, "-m", "kaggle_cnn", "train", "even", "--backend", "jax", *options]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=environment(HOME=str(folder), **more))  # fmt: skip


def end(processes: list[subprocess.Popen]) -> list[tuple[int, str]]:
    """The exit code and standard error of each."""
    outputs = [process.communicate(timeout=200)[1] for process in processes]
    return [(process.returncode, said) for process, said in zip(processes, outputs, strict=True)]


def main(port: int) -> None:
    folder, found = Path.cwd(), {}
    for number, (name, settings) in enumerate(CASES.items()):
        options = [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        runs = []
        for processes in (2, 1):
            ended = end([start(folder, port + number, options, rank, processes) for rank in range(processes)])
            assert not any(code for code, _ in ended), ended
            runs.append(open_run(Workspace(folder), "colours"))
        found[name] = compare_runs(*runs)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]))
