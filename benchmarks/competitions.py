"""A competition out of a folder, and the seconds that kcnn's own training of it takes."""

from pathlib import Path

import numpy as np

from kaggle_cnn.competition.fetch import fetch
from kaggle_cnn.competition.opening import open_competition
from kaggle_cnn.data.dataset import load_dataset
from kaggle_cnn.data.image_cache import load_images
from kaggle_cnn.progress import Silent
from kaggle_cnn.workspace import Workspace


class Times(Silent):
    """A progress that keeps the seconds of each epoch."""

    def __init__(self):
        self.seconds = []

    def epoch(self, row, better, seconds) -> None:
        self.seconds.append(seconds)


def fetched(source: Path, folder: Path) -> Workspace:
    """A workspace in `folder` whose current competition is `source`, a folder of class folders."""
    workspace = Workspace(folder)
    competition, _ = fetch(str(source), workspace, Silent())
    workspace.make_current(competition.name)
    return workspace


def arrays(folder: Path, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the fetched competition in `folder`: uint8 images (n, size, size, channels), class numbers (n,), folds
    (n,)."""
    workspace = Workspace(folder.resolve().parents[1])
    dataset = load_dataset(workspace, open_competition(workspace, folder.name))
    images = load_images(folder, dataset.ids.tolist(), size, None, dataset.cache, Silent())
    return images.pixels, dataset.targets.argmax(axis=1), dataset.folds.numbers
