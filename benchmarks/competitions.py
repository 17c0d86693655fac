"""A competition out of a folder, and the seconds that kcnn's own training of it takes."""

from pathlib import Path

from rich.console import Console

from kaggle_cnn.competition.fetch import fetch
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
