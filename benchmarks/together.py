"""Memory of one process that trains a network, and of each of two that train it together: with the files in memory.

    python benchmarks/together.py 100000 --size 128      # on Linux, as root: each process has its own control group

The network is that of many.py; the batch is 64, an epoch is trained, validated and written. Beside what a process
allocates, a control group counts the parts of files that the system keeps for it: here the images, of which each of two
processes reads its own half. `train` has decoded them before.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from many import RECIPE, limited, make_images
from rich.console import Console
from rich.table import Table

PLENTY = 1000.0  # GiB


def train_together(folder: Path, processes: int, port: int) -> list[tuple[float, float]]:
    """MiB of each process: what it allocates at most, and with its files."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    with ExitStack() as stack:
        groups, started = [], []
        for rank in range(processes):
            group = stack.enter_context(limited(PLENTY, f"-{rank}"))
            assert group is not None
            environment = dict(os.environ)
            if processes > 1:
                names = {"JOB_ADDRESSES": f"127.0.0.1:{port}", "NUM_PROCESSES": str(processes), "PROCESS_ID": str(rank)}
                environment |= {f"KERAS_DISTRIBUTION_{name}": value for name, value in names.items()}
            command = f"echo $$ > {group}; exec {sys.executable} -m kaggle_cnn train small --backend jax"
            # In a child of the shell's, so that wait4 gives the peak of it alone.
            started.append(subprocess.Popen(["sh", "-c", command], cwd=folder, env=environment))
            groups.append(group.parent)
        found = []
        for process, group in zip(started, groups, strict=True):
            _, code, used = os.wait4(process.pid, 0)
            assert code == 0
            first = group / "memory.max_usage_in_bytes"
            peak = (first if first.is_file() else group / "memory.peak").read_text()
            found.append((used.ru_maxrss / 1024, int(peak) / 2**20))
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=100_000)
    parser.add_argument("--size", type=int, default=128)
    given = parser.parse_args()
    table = Table(title=f"{given.count:,} images of {given.size} pixels", title_justify="left")
    for heading in ("processes", "process", "its own, MiB", "with its files, MiB", "of one's"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory(dir=Path.home()) as text:
        folder = Path(text)
        make_images(folder, given.count, given.size)
        (folder / "recipes").mkdir()
        recipe = RECIPE.replace("SIZE", str(given.size)).replace("epochs=2", "epochs=1").replace("batch=32", "batch=64")
        (folder / "recipes" / "small.py").write_text(recipe)
        for command in (["fetch", "source"], ["train", "small", "--set", "epoch_steps=1"]):
            subprocess.run([sys.executable, "-m", "kaggle_cnn", *command], cwd=folder, check=True, capture_output=True)
        [(_, one)] = whole = train_together(folder, 1, 0)
        for number, (own, files) in enumerate([*whole, *train_together(folder, 2, 7891)]):
            cells = f"{own:,.0f}", f"{files:,.0f}", f"{files / one:.2f}"
            table.add_row(str(1 if number == 0 else 2), str(max(0, number - 1)), *cells)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
