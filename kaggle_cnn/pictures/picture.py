"""What a kind of picture returns, and what the kinds share."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import RenderableType

from kaggle_cnn.competition.competition import IMAGE_SUFFIXES, Competition
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.insight.sheets import pixels_of
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace

Table = Callable[[int], RenderableType]  # of the width of the terminal


@dataclass(frozen=True)
class Picture:
    """`figure` is written to `path`, a .png. `table` says the same in text, for a terminal that cannot show pictures;
    None where text cannot."""

    figure: Figure
    path: Path
    table: Table | None = None


def picture_path(workspace: Workspace, competition: Competition, run: Run | None, name: str) -> Path:
    """Return where a picture goes: into the run's folder, or for the competition as a whole beside the runs."""
    folder = run.folder if run else workspace.runs(competition.name)
    return folder / "pictures" / f"{name}.png"


def as_file_name(name: str) -> str:
    """Return `name` without what a file cannot be called, and short: with a few signs of its own where it is cut."""
    name = re.sub(rf"({'|'.join(map(re.escape, IMAGE_SUFFIXES))})$", "", name, flags=re.IGNORECASE)
    clean = "".join(letter if letter.isalnum() or letter in "-_.#" else "_" for letter in name).encode()
    if len(clean) <= 100:
        return clean.decode()
    return f"{clean[-90:].decode(errors='ignore')}-{blake2b(name.encode(errors='replace'), digest_size=4).hexdigest()}"


def short_id(competition: Competition, name: str) -> str:
    """Return a training image's id without the folder that all of them are in."""
    return name.removeprefix(f"{competition.train}/") if competition.train else name


def entry_of(competition: Competition, image: str) -> dict[str, Any]:
    """Return a training image as the sheets want it: `name` and `pixels`."""
    return {"name": short_id(competition, image), "pixels": pixels_of(competition.folder / image)}


def join_labels(competition: Competition, marks: Array) -> str:
    """Return the names of the labels that are marked with 1 as one text."""
    return competition.task.describe(marks) or "no label"


def write_values(values: Array) -> str:
    """Return the values of one image as text, with four digits."""
    return ", ".join(f"{value:.4g}" for value in values)
