"""The local host: competitions from the embedded demo, a folder or a zip, and scores from answers on this disk."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from kaggle_cnn.competition import layout
from kaggle_cnn.competition.archive import unpack
from kaggle_cnn.competition.competition import Competition, open_competition
from kaggle_cnn.competition.submission import read_table
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace, whole_folder

DEMO = Path(__file__).parent / "demo"


def fetch(given: str, workspace: Workspace, track: Callable) -> tuple[Competition, bool]:
    """Brings `given` ("demo", or a folder or zip) to data/<name>/ and guesses its layout.

    Returns the competition and whether anything was brought: a second fetch of the same finds it there.
    A folder's files are hard links where the disk allows, else copies; the originals are never written to.
    Raises KcnnError where `given` is none of these, or holds no labelled images; data/ is then as it was.
    """
    source = "demo" if given == "demo" else str(Path(given).expanduser().resolve())
    name = competition_name(source)
    folder = workspace.data(name)
    if (folder / "competition.toml").is_file():
        competition = Competition.read(folder)
        if competition.source != source:
            raise KcnnError(
                f"there already is a competition '{name}', fetched from {competition.source}",
                f"rename what you fetch, or remove {folder}",
            )
        return competition, False
    if folder.exists():
        raise KcnnError(f"{folder} exists, but not as a competition", "move it away, then fetch again")
    with whole_folder(folder) as temporary:
        bring(DEMO / "demo.zip" if source == "demo" else Path(source), temporary, track)
        guessed = layout.guess(temporary)
        Competition(folder=temporary, name=name, host="local", source=source, **guessed).write()
    return Competition.read(folder), True


def source_of(workspace: Workspace, name: str) -> str:
    """What was given to fetch the competition called `name`."""
    return open_competition(workspace, name).source


def competition_name(source: str) -> str:
    """A folder name from what was given: letters, digits, dots, dashes and underscores."""
    path = Path(source)
    return re.sub(r"[^\w.-]+", "-", path.stem if path.suffix.lower() == ".zip" else path.name).strip("-.") or "mine"


def bring(source: Path, target: Path, track: Callable) -> None:
    if source.is_dir():
        link_tree(source, target, track)
    elif source.is_file():
        unpack(source, target, track)
    else:
        raise KcnnError(
            f"expected 'demo', a folder or a zip, and there is no {source}",
            "to fetch from Kaggle, download the zip on the competition's Data page, then: kcnn fetch THAT.zip",
        )


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
    keys = [competition.id_column, competition.label_column]
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
