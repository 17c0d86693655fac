"""A contact sheet of a competition by class."""

import numpy as np

from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.insight import sheets
from kaggle_cnn.pictures.picture import Picture, picture_path
from kaggle_cnn.workspace import Workspace


def draw(workspace: Workspace, dataset: Dataset, count: int = 10) -> Picture:
    """Draw `count` training images of each class; of a regression, from the least to the greatest of each value."""
    competition = dataset.competition
    rows = []
    numbers = np.linspace(0, len(competition.classes) - 1, min(len(competition.classes), sheets.MOST_ROWS)).astype(int)
    for number in numbers:
        name = competition.classes[number]
        column = dataset.targets[:, number]
        own = column.argsort() if competition.kind == "regression" else column.nonzero()[0]
        some = own[:: max(1, len(own) // count)][:count]
        line = f"{column.min():g} to {column.max():g}" if competition.kind == "regression" else f"{len(own):,} images"
        rows.append((name, line, [sheets.pixels_of(competition.folder / str(dataset.ids[row])) for row in some]))
    title = f"{competition.name}: {len(dataset.ids):,} training images"
    if competition.kind != "regression":
        title += f" of {len(competition.classes):,} classes"
    if len(numbers) < len(competition.classes):
        title += f", {len(numbers)} of these are shown"
    return Picture(sheets.contact(rows, 96, title), picture_path(workspace, competition, None, "samples"))
