"""Ten crops of every image: time against one view and against ten `predict` calls, and peak memory.

    python benchmarks/views.py

Each side is a process of its own, since memory is the process' peak; they take turns. 'one view' is the centre,
'ten-crop' the ten views of that policy, each a call of the same compiled function for a batch; 'ten predicts' cuts each
view of all images on the host, as notebooks do, and calls `model.predict` for it.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3"}

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

NETWORKS = {"alexnet": (29, 227, 96, 1000), "baseline": (8, 64, 512, 18)}  # margin, size, images, classes
SIDES = ("one view", "ten-crop", "ten predicts")


def work(network: str, side: str) -> None:
    """Prints seconds and peak MiB for each line on standard input."""
    from kaggle_cnn.learn.backend import start_backend

    start_backend(os.environ.get("KERAS_BACKEND"))
    from kaggle_cnn.learn.predict import batch_size, predict_views
    from kaggle_cnn.recipe import load_recipe
    from kaggle_cnn.tta import cut_view, views_of

    margin, size, images, classes = NETWORKS[network]
    model = load_recipe(Path(__file__).parents[1] / "recipes" / f"{network}.py").model((size, size, 3), classes)
    pixels = np.random.default_rng(0).integers(0, 255, (images, size + margin, size + margin, 3), dtype=np.uint8)
    views = views_of("none" if side == "one view" else "ten-crop")

    def predicts() -> None:
        for view in views:
            model.predict(cut_view(pixels, view, size), batch_size=batch_size(model), verbose=0)

    for _ in sys.stdin:
        begun = time.perf_counter()
        if side == "ten predicts":
            predicts()
        else:
            predict_views(model, pixels, np.arange(images), views, size)
        print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--work", nargs=2)
    options = parser.parse_args()
    if options.work:
        return work(*options.work)
    for network, (margin, size, images, _) in NETWORKS.items():
        processes = {
            side: subprocess.Popen(
                [sys.executable, __file__, "--work", network, side],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for side in SIDES
        }
        seconds, memory = {side: [] for side in SIDES}, {}
        for number in range(options.rounds + 1):  # the first, with its compilation, does not count
            for side, process in processes.items():
                print("go", file=process.stdin, flush=True)
                taken, memory[side] = map(float, process.stdout.readline().split())
                if number:
                    seconds[side].append(taken)
        for process in processes.values():
            process.stdin.close()
            process.wait()
        table = Table(title=f"{network}, {images} images, {size} of {size + margin} pixels", title_justify="left")
        for heading in ("", "images/s", "times one view", "least", "most", "peak MiB", "above one view's"):
            table.add_column(heading, justify="right" if heading else "left")
        for side in SIDES:
            ratios = [own / one for own, one in zip(seconds[side], seconds["one view"], strict=True)]
            table.add_row(
                side,
                f"{images / statistics.median(seconds[side]):.1f}",
                *(f"{value:.2f}" for value in (statistics.median(ratios), min(ratios), max(ratios))),
                f"{memory[side]:.0f}",
                f"{memory[side] - memory['one view']:+.0f}",
            )
        Console(width=120).print(table)
    return None


if __name__ == "__main__":
    main()
