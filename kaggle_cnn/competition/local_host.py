"""The local host: competitions from the embedded demo, a folder or a zip, and scores from answers on this disk."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from kaggle_cnn.competition.archive import unpack, unpack_nested
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.table import read_table
from kaggle_cnn.errors import KcnnError

DEMO = Path(__file__).parent / "demo"


def bring(source: str, target: Path, track: Callable) -> None:
    """Puts what `source` holds ("demo", or a folder or zip) into the empty folder `target`.

    A folder's files are hard links where the disk allows, else copies; the originals are never written to.
    Raises KcnnError where `source` is none of these.
    """
    path = DEMO / "demo.zip" if source == "demo" else Path(source)
    if path.is_dir():
        link_tree(path, target, track)
    elif path.is_file():
        unpack(path, target, track)
    else:
        raise KcnnError(f"there is no {path}", "expected 'demo', a folder, a zip, or a competition's name on Kaggle")
    unpack_nested(target, track)


def link_tree(source: Path, target: Path, track: Callable) -> None:
    """Hard links (copies, across disks) of all files below `source` that are not hidden."""
    if target.resolve().is_relative_to(source.resolve()):
        raise KcnnError(f"{source} holds this workspace itself", "give the folder that holds just the images")
    files = []
    for place, folders, names in os.walk(source, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(place, name) for name in sorted(names) if not name.startswith(".")]
    for path in track(files, f"taking over {source.name}", len(files)):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path.resolve(), copy)
        except OSError:  # another disk, or a file system without hard links
            shutil.copy2(path, copy)


def answers(competition: Competition) -> pd.DataFrame | None:
    """The true labels of the test images as a table of strings like the sample, or None where nobody here has them."""
    if competition.source == "demo":
        return read_table(DEMO / "answers.csv")
    return read_table(competition.folder / competition.answers) if competition.answers else None


def submit(competition: Competition, submission: pd.DataFrame) -> float:
    """The accuracy of a checked submission against the answers. Raises KcnnError where there are none."""
    truth = answers(competition)
    if truth is None:
        raise KcnnError(
            f"'{competition.name}' was fetched from a file and has no answers here to score against",
            f"upload the CSV on the competition's page, or set `answers` in {competition.folder / 'competition.toml'}",
        )
    if competition.answer not in ("name", "index"):
        raise KcnnError(
            f"scores are computed here for answers of one class, not for '{competition.answer}'",
            "kcnn evaluate shows the validation scores",
        )
    keys = [competition.id_column, *competition.answer_columns]
    missing = [name for name in keys if name not in truth.columns]
    if missing:
        raise KcnnError(f"the answers have no column '{missing[0]}'", f"expected {', '.join(keys)}")
    truth = truth[keys].drop_duplicates(competition.id_column)
    joined = truth.merge(submission[keys], on=competition.id_column, suffixes=("_true", "_given"))
    if len(joined) < len(truth):
        raise KcnnError(
            f"{len(truth) - len(joined)} of the {len(truth)} answers are of ids that the submission does not have",
            "the answers' ids must be spelled as the submission's",
        )
    return float((joined[f"{keys[1]}_true"] == joined[f"{keys[1]}_given"]).mean())
