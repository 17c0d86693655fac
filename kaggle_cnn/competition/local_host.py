"""The local host: competitions from the embedded demo, a folder or a zip; scores from a solution on this disk."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_cnn.competition import submission
from kaggle_cnn.competition.archive import unpack, unpack_nested
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.joining import join_test
from kaggle_cnn.competition.layouts import recognise
from kaggle_cnn.competition.layouts.arrays import is_array, read_label_array
from kaggle_cnn.competition.layouts.known_labels import find_usage, read_known, read_usages
from kaggle_cnn.competition.listing import walk
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.table import read_header, read_table
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Progress

DEMO = Path(__file__).parent / "demo"


def copy_source(source: str, target: Path, progress: Progress) -> None:
    """Put the files of `source` ("demo", or a folder or zip) into the empty folder `target`.

    A folder's files are hard links where the disk allows, else copies; the originals are never written to.
    Raises KcnnError where `source` is none of these.
    """
    path = DEMO / "demo.zip" if source == "demo" else Path(source)
    room = None
    if path.is_dir():
        if target.resolve().is_relative_to(path.resolve()):
            raise KcnnError(f"{path} contains this workspace", "give the folder that has only the images")
        link_tree(path, target, progress)
    elif path.is_file():
        room = unpack(path, target, progress)
    else:
        raise KcnnError(f"there is no {path}", "expected 'demo', a folder, a zip, or a competition's name on Kaggle")
    unpack_nested(target, progress, room)


def link_tree(source: Path, target: Path, progress: Progress) -> None:
    """Make hard links (copies, across disks) of all files below `source` that are not hidden."""
    files = [place / name for place, names in walk(source) for name in names]
    for path in progress.track(files, f"linking {source.name}", len(files)):
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link((source / path).resolve(), copy)
        except OSError:  # another disk, or a file system without hard links
            shutil.copy2(source / path, copy)


def read_solution(competition: Competition) -> pd.DataFrame | None:
    """Return the true labels of the test images as a table of strings like the sample, or None where they are not here.

    `solution` is a CSV like the sample, or what known_labels.find_solution finds. A table of ids and class names will
    do for every format. Raises KcnnError where it has neither.
    """
    if competition.source == "demo":
        return read_table(DEMO / "solution.csv")
    if not competition.solution:
        return None
    id_column, label_column = competition.id_column, competition.prediction_columns[0]
    path = competition.folder / competition.solution
    if is_array(competition.solution):
        labels = read_label_array(path)
        ids = [str(number) for number in range(1, len(labels) + 1)]
        return pd.DataFrame({id_column: ids, label_column: labels})
    header = read_header(path) if path.is_file() else []
    names_images = id_column not in header and bool({*competition.label_columns} & {*header})
    if path.is_dir() or names_images or competition.solution == competition.train:
        tests, files, _ = join_test(competition, recognise.read(competition)[2])
        if known := read_known(competition, files.tolist()):
            pairs = [pair for pair in zip(tests.tolist(), files.tolist(), strict=True) if pair[1] in known]
            rows = [(name, known[file]) for name, file in pairs]
            usages = read_usages(competition, files.tolist())
            made = pd.DataFrame(rows, columns=[id_column, label_column], dtype=str)
            return made.assign(Usage=[usages.get(file, "") for _, file in pairs]) if usages else made
    table = read_table(path)
    if id_column not in table.columns:
        raise KcnnError(
            f"the solution has no column '{id_column}', only {', '.join(table.columns)}",
            f"correct `solution` in {competition.folder / 'competition.toml'}",
        )
    return table


def true_labels(competition: Competition, solution: pd.DataFrame) -> submission.Parsed:
    """Return the ids and targets of a solution: in the sample's form, or in one column of class names."""
    columns = [name for name in competition.prediction_columns if name in solution.columns]
    others = [name for name in solution.columns if name != competition.id_column and name.lower() != "usage"]
    if len(columns) < len(competition.prediction_columns) or not fits(competition, solution):
        several_values = competition.kind == "regression" and len(competition.classes) > 1
        if len(others) != 1 or several_values or competition.kind == "multioutput":
            missing = [name for name in competition.prediction_columns if name not in solution.columns]
            what = f"has no column '{missing[0]}'" if missing else "is not in the form of the sample"
            raise KcnnError(
                f"the solution {what}",
                f"expected the columns {', '.join([competition.id_column, *competition.prediction_columns])}",
            )
        form = {"multilabel": "multi_label", "regression": "value"}.get(competition.kind, "class_name")
        competition = replace(competition, submission_format=form, prediction_columns=(others[0],))
    try:
        return submission.parse(competition, solution)
    except (KeyError, ValueError) as error:
        raise KcnnError(
            f"the solution has a cell that is not a label of this competition: {error}",
            f"correct `solution` or `classes` in {competition.folder / 'competition.toml'}",
        ) from None


def fits(competition: Competition, solution: pd.DataFrame) -> bool:
    """Whether the cells of a solution are numbers where the format wants numbers."""
    if competition.submission_format not in submission.NUMBERS or competition.kind == "multioutput":
        return True
    columns = [pd.to_numeric(solution[name], errors="coerce") for name in competition.prediction_columns]
    return all(bool(column.notna().all()) for column in columns)


@dataclass(frozen=True)
class Score:
    """The score of a submission on the public part of the test images, and on the private one, which is None where the
    solution names no such part."""

    public: float
    private: float | None = None


def score(competition: Competition, table: pd.DataFrame) -> Score:
    """Return the score of a checked submission by the competition's metric. Raises KcnnError where it cannot be had.

    Where the solution has a column Usage, its rows are Public (also PublicTest and the like), Private, or of another
    word, which do not count. Without one, or of other words alone, all rows are public.
    """
    solution, metric = read_solution(competition), competition.task.metric
    if solution is None:
        raise KcnnError(
            f"'{competition.name}' is not on Kaggle and has no solution here to score against",
            f"upload the CSV on the competition's page, or set `solution` in {competition.folder / 'competition.toml'}",
        )
    require_once(competition, solution)
    true, given = true_labels(competition, solution), submission.parse(competition, table)
    ranks_only = competition.submission_format == "top_k" and not metric.name.startswith(("map_at_", "top_"))
    if metric.needs == "scores" and (given.scores is None or ranks_only):
        raise KcnnError(
            f"{metric.title} needs probabilities, and this submission holds {competition.submission_format}",
            f"correct `metric` or `submission_format` in {competition.folder / 'competition.toml'}",
        )
    place = {name.strip(): number for number, name in enumerate(given.ids)}
    rows = [place.get(name.strip(), -1) for name in true.ids]
    if -1 in rows:
        raise KcnnError(
            f"{rows.count(-1)} of the {len(rows)} ids of the solution are not in the submission",
            "write the same ids in both, with or without suffix",
        )
    chosen = np.array(rows, int)

    def score_rows(part: Array) -> float:
        scores = given.scores[chosen[part]] if given.scores is not None else None
        return metric.score(true.decisions[part], scores, given.decisions[chosen[part]], None)

    usages = read_parts(competition, solution, true.ids)
    public, private = (np.char.startswith(usages, word) for word in ("public", "private"))
    if public.any() and private.any():
        return Score(score_rows(public), score_rows(private))
    if (np.char.startswith(usages, "ignore")).all():
        raise KcnnError("no row of the solution counts: its Usage is Ignored", "expected Public and Private rows")
    return Score(score_rows((public | private) if (public | private).any() else np.ones(len(chosen), bool)))


def require_once(competition: Competition, solution: pd.DataFrame) -> None:
    """Raise KcnnError for a solution without rows, or with two different rows of one id."""
    where = f"correct `solution` in {competition.folder / 'competition.toml'}"
    if not len(solution):
        raise KcnnError("the solution has no rows", where)
    distinct = solution.drop_duplicates()[competition.id_column]
    if distinct.duplicated().any():
        name = distinct[distinct.duplicated()].iloc[0]
        raise KcnnError(f"the solution has two different rows of the id '{name}'", where)


def read_parts(competition: Competition, solution: pd.DataFrame, ids: Array) -> Array:
    """Return the Usage of each of `ids` in small letters, "" where the solution has no such column."""
    column = find_usage(solution)
    if column is None:
        return np.zeros(len(ids), dtype=str)
    images = submission.image_of(competition, solution[competition.id_column])
    usages = dict(zip(images, solution[column].str.strip().str.lower(), strict=True))
    return np.array([usages.get(name, "") for name in ids.tolist()], dtype=str)
