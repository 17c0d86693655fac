"""Many images beside few: peak memory, and time for an image.

    python benchmarks/many.py                                     # 100,000 images of 64 pixels beside 5,000
    python benchmarks/many.py 100000 1000000 --size 32 --limit 2  # a million, in 2 GiB of memory, on Linux as root
    python benchmarks/many.py 100000 --size 32 --limit 2 --folder ~/many --epochs 11

The same tiny network, kcnn's own way from JPEGs to predictions, `fetch` and `train` each in a process of its own.
'folds' is what the first fetch adds to listing: every image is opened for its copies, and folds are drawn.
Peak memory counts the pages of the cache that are mapped, which the system takes back when it needs them. With a limit
the process, with its part of the system's cache of files, is in a control group of so much memory, and the disk is read
anew. In a `folder` the images are kept, fetched and decoded: called again, it trains alone, so that few and many come
soon after each other, on a machine whose speed drifts.
"""

import argparse
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

RECIPE = """
from keras import Input, Model, layers
from kaggle_cnn import Recipe
from kaggle_cnn.augment import shift_rotate_flip

def small(shape, outputs):
    inputs = Input(shape, dtype="uint8")
    x = layers.Conv2D(8, 4, 4, activation="relu")(layers.Rescaling(1 / 255)(inputs))
    return Model(inputs, layers.Dense(outputs)(layers.GlobalAveragePooling2D()(x)))

recipe = Recipe(model=small, augment=shift_rotate_flip, epochs=2, tta="flip", batch=32, size=SIZE)
"""


def make_images(folder: Path, count: int, size: int) -> None:
    """Write JPEGs of ten classes, all different as files; of a thousand kinds of pictures."""
    from pictures import squares
    from PIL import Image

    kinds = [Image.fromarray(pixels) for pixels in squares(1000, size)]
    for number in range(count):
        path = folder / "source" / "train" / f"class {number % 10}" / f"{number:07}.jpg"
        if number < 10:
            path.parent.mkdir(parents=True)
        kinds[number % 1000].save(path, quality=75 + number // 1000 % 20, comment=str(number).encode())


def draw_folds(folder: Path) -> None:
    """As `kcnn fetch`. Prints the seconds that it takes more than to list the images."""
    from competitions import fetched

    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.data.dataset import load_dataset

    workspace = fetched(folder / "source", folder / "work")
    competition, seconds = open_competition(workspace, None), []
    for _ in range(2):
        begun = time.perf_counter()
        load_dataset(workspace, competition)
        seconds.append(time.perf_counter() - begun)
    print(seconds[0] - seconds[1], peak())


def train_small(folder: Path, size: int, epochs: int) -> None:
    """As `kcnn train`. Prints the seconds to list and decode the images, and those of an epoch after the first."""
    from competitions import Times

    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.data.dataset import load_dataset
    from kaggle_cnn.data.image_cache import load_images
    from kaggle_cnn.progress import Silent
    from kaggle_cnn.workspace import Workspace

    workspace = Workspace(folder / "work")
    begun = time.perf_counter()
    competition = open_competition(workspace, None)
    dataset = load_dataset(workspace, competition)
    listed = time.perf_counter()
    load_images(competition.folder, dataset.ids.tolist(), size, None, dataset.cache, Silent())
    decoded = time.perf_counter()

    from kaggle_cnn.learn.backend import start_backend

    start_backend("tensorflow")
    from kaggle_cnn.learn.train import train
    from kaggle_cnn.recipe import load_recipe

    (folder / "small.py").write_text(RECIPE.replace("SIZE", str(size)).replace("epochs=2", f"epochs={epochs}"))
    times = Times()
    recipe = load_recipe(folder / "small.py")
    train(workspace, dataset, recipe, folder / "small.py", [0], times)
    print(listed - begun, decoded - listed, statistics.mean(times.seconds[1:]), peak())


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def limited(gibibytes: float, name: str = "") -> Iterator[Path | None]:
    """Give the file to which a process writes its number to have so much memory; 0 is no limit."""
    if not gibibytes:
        yield None
        return
    first = Path("/sys/fs/cgroup/memory")  # of version 1; version 2 has no folder for each resource
    group = (first if first.is_dir() else first.parent) / f"kcnn-{os.getpid()}{name}"
    group.mkdir()
    limit = group / ("memory.limit_in_bytes" if first.is_dir() else "memory.max")
    limit.write_text(str(int(gibibytes * 2**30)))
    try:
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


def measure(folder: Path, count: int, size: int, limit: float, epochs: int) -> list[float]:
    """Microseconds an image of each part, and the peak MiB of each process; no number where a part was done before."""
    with limited(limit) as group:
        found = [math.nan, math.nan]
        parts = ["train"]
        if not (folder / "work").is_dir():
            make_images(folder, count, size)
            found, parts = [], ["fetch", "train"]
        for part in parts:
            if group:
                os.sync()
                Path("/proc/sys/vm/drop_caches").write_text("3")
            begin = f"echo $$ > {group}; exec" if group else "exec"
            command = f"{begin} {sys.executable} {__file__} --size {size} --epochs {epochs} --part {part} {folder}"
            done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, check=True)
            *seconds, most = map(float, done.stdout.split())
            found += [*(value / count * 1e6 for value in seconds), most]
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", default=["5000", "100000"], help="numbers of images")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--limit", type=float, default=0.0, help="GiB")
    parser.add_argument("--epochs", type=int, default=2, help="2 or more: the first is not counted")
    parser.add_argument("--folder", type=Path, help="where to keep the images")
    parser.add_argument("--part", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        folder = Path(given.counts[0])
        return draw_folds(folder) if given.part == "fetch" else train_small(folder, given.size, given.epochs)
    limit = f", {given.limit:g} GiB of memory" if given.limit else ""
    table = Table(title=f"images of {given.size} pixels, a tiny network{limit}", title_justify="left")
    for heading in ("images", "folds us", "peak MiB", "listing us", "decoding us", "an epoch us", "peak MiB"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory(dir=Path.home()) as temporary:
        for count in map(int, given.counts):
            folder = (given.folder or Path(temporary)) / str(count)
            values = measure(folder, count, given.size, given.limit, given.epochs)
            table.add_row(f"{count:,}", *("" if math.isnan(value) else f"{value:,.1f}" for value in values))
            print(count, *values, file=sys.stderr)
    Console(width=100).print(table)
    return None


if __name__ == "__main__":
    main()
