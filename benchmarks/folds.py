"""Seconds of each fold of `kcnn train --folds all` on the demo, beside those of the training alone.

    python benchmarks/folds.py [--epochs 6] [--recipe resnet]

'training alone' is the median epoch after the fold's first, times the epochs: no building, no compilation. A fold is
counted from its start, where the network is built or taken from the fold before, to its last epoch; its predictions
of the validation and test images come on top. The first fold compiles; the others should not.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3"}

from rich.console import Console
from rich.table import Table

from kaggle_cnn import api
from kaggle_cnn.progress import Silent
from kaggle_cnn.workspace import Workspace

RECIPES = Path(__file__).parents[1] / "recipes"


class Clock(Silent):
    """Keeps the seconds of each epoch, and when folds begin and end."""

    def __init__(self):
        self.begun, self.trained, self.epochs = [], [], []

    def fold(self, fold, images, steps, epochs, done):
        self.epochs.append([])

    def epoch(self, row, better, seconds):
        self.epochs[-1].append(seconds)
        self.trained[len(self.epochs) - 1 :] = [time.perf_counter()]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--recipe", default="resnet")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace, clock = Workspace(Path(folder)), Clock()
        api.fetch("demo", workspace=workspace)
        from kaggle_cnn.learn import train as training

        whole = training.train_fold

        def timed(*arguments):
            clock.begun.append(time.perf_counter())
            return whole(*arguments)

        training.train_fold = timed
        settings = {"epochs": options.epochs}
        training.train(RECIPES / f"{options.recipe}.py", settings, "all", workspace=workspace, progress=clock)
        ended = time.perf_counter()
    table = Table(title=f"{options.recipe}, demo, {options.epochs} epochs a fold", title_justify="left")
    for heading in (
        "fold",
        "first epoch, s",
        "later epochs, s",
        "fold, s",
        "times the training alone",
        "predictions, s",
    ):
        table.add_column(heading, justify="right")
    for number, (begun, trained, epochs) in enumerate(zip(clock.begun, clock.trained, clock.epochs, strict=True)):
        alone = options.epochs * statistics.median(epochs[1:])
        until = clock.begun[number + 1] if number + 1 < len(clock.begun) else ended
        table.add_row(
            str(number),
            f"{epochs[0]:.2f}",
            f"{statistics.median(epochs[1:]):.2f}",
            f"{trained - begun:.2f}",
            f"{(trained - begun) / alone:.3f}",
            f"{until - trained:.2f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
