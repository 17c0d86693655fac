"""A competition out of a folder, and the seconds that kcnn's own training of it takes."""

from pathlib import Path

import numpy as np
from rich.console import Console
from rounds import untracked

from kaggle_cnn.competition.competition import open_competition
from kaggle_cnn.competition.fetch import fetch
from kaggle_cnn.data.dataset import load_dataset
from kaggle_cnn.data.images import load_images
from kaggle_cnn.insight.progress import Talk
from kaggle_cnn.workspace import Workspace


class Times:
    """A training progress that keeps the seconds of each epoch."""

    def __init__(self):
        self.seconds = []

    def epoch(self, row, better, seconds) -> None:
        self.seconds.append(seconds)

    def say(self, *_) -> None:
        pass

    fold = step = say


def fetched(source: Path, folder: Path) -> Workspace:
    """A workspace in `folder` whose current competition is `source`, a folder of class folders."""
    workspace = Workspace(folder)
    competition, _ = fetch(str(source), workspace, Talk(Console(quiet=True)))
    workspace.make_current(competition.name)
    return workspace


def arrays(folder: Path, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the fetched competition in `folder`: uint8 images (n, size, size, channels), class numbers (n,), folds
    (n,)."""
    dataset = load_dataset(open_competition(Workspace(folder.parents[1]), folder.name))
    images = load_images(dataset.train_files, size, None, folder / ".cache", untracked)
    return images.pixels, dataset.labels, dataset.folds
