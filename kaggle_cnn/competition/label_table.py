"""The layout `table`: a CSV with an id and labels beside the images."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.labels import LABEL_NAMES, NO_LABEL_NAMES, TEST_NAME, Found, is_fraction, regression
from kaggle_cnn.competition.listing import TRAIN_FOLDER, Spellings, first_folder
from kaggle_cnn.competition.table import read_header, read_table
from kaggle_cnn.errors import KcnnError

MOST_PARTS = 100  # labels that one image may have a row each for
SEPARATORS = " |;,"
YES, NO = ("1", "1.0"), ("0", "0.0")


def find_table(
    folder: Path, tables: list[str], labelled: list[str], test: str, sample: pd.DataFrame | None, sure: bool
) -> Found | None:
    """The CSV that names the most of the images, has a column of labels, and is no list of the test images.

    With `sure`, a column must be called as labels are, or as in the sample.
    """
    train = first_folder(labelled, TRAIN_FOLDER)
    spellings = Spellings(labelled, train)
    best, most = None, 0
    for name in tables:
        if TEST_NAME.search(PurePosixPath(name).name) or len(read_header(folder / name)) > 1000:
            continue
        table = read_table(folder / name)
        if len(table.columns) < 2 or not len(table):
            continue
        named = [column for column in table.columns if column] or list(table.columns)  # an index bears no name
        ids = max(named, key=lambda column: spellings.share(table[column].head(500)))
        parts = None
        if spellings.share(table[ids].head(500)) < 0.5:
            ids = table.columns[0]
            ways = split_ids(table[ids])
            parts = next((parts for stems, parts in ways if spellings.share(stems[:500]) >= 0.5), None)
            if parts is None or len(table.columns) < 2:
                continue
            table = widen(table, ids, parts)
        columns = label_columns(table, ids, sample, parts, sure)
        there = table[ids].map(lambda value: spellings.find(value) is not None)
        if columns and there.sum() > most:
            most = there.sum()
            fields = {"layout": "table", "train": train, "test": test, "labels": name, "label_id": ids}
            best = labelled_table(table[there], columns, fields)
    return best


def label_columns(
    table: pd.DataFrame, ids: str, sample: pd.DataFrame | None, parts: list[str] | None, sure: bool
) -> list[str]:
    """The columns of `table` that hold the labels: those of the sample, those called so, one of 0s and 1s for each
    class, or what is left."""
    if parts:
        return [name for name in table.columns if name != ids]
    rest = [name for name in table.columns if name not in (ids, "") and name.lower().strip() not in NO_LABEL_NAMES]
    wanted = [name for name in sample.columns if name in rest] if sample is not None else []
    marks = [name for name in rest if set(table[name]) <= {*YES, *NO}]
    named = [name for name in rest if LABEL_NAMES.fullmatch(name.strip())]
    if wanted:
        return wanted
    if named:
        return named[:1]
    if len(marks) > 1:
        return marks
    if sure:
        return []
    if len(rest) == 1:
        return rest
    few = [name for name in rest if 2 <= table[name].nunique() <= max(2, len(table) // 2)]
    return few[-1:]


def labelled_table(table: pd.DataFrame, columns: list[str], fields: dict) -> Found:
    """What the label columns of a table say. Raises KcnnError where they hold numbers that are no classes."""
    rows = list(table[columns].itertuples(index=False, name=None))
    if len(columns) > 1:
        cells = set(pd.unique(table[columns].to_numpy().ravel()))
        if cells <= {*YES, *NO, ""}:
            values = [row_labels(row, columns, "", True) for row in rows]
            several = any(len(value) != 1 for value in values)
            return Found({**fields, "label_columns": tuple(columns), "multi_label": several}, values)
        if any(is_fraction(cell) for cell in cells):
            raise regression(columns[0], next(cell for cell in cells if is_fraction(cell)))
        values = [row_labels(row, columns, "", False) for row in rows]
        return Found({**fields, "label_columns": tuple(columns)}, values)
    cells = table[columns[0]]
    if sum(map(is_fraction, cells)) > len(cells) / 10:
        raise regression(columns[0], next(cell for cell in cells if is_fraction(cell)))
    separator = separator_in(set(cells))
    values = [row_labels(row, columns, separator, False) for row in rows]
    several = {"multi_label": True, "separator": separator} if separator else {}
    return Found({**fields, "label_columns": tuple(columns), **several}, values)


def separator_in(cells: set[str]) -> str:
    """What parts several labels in one cell, or "": nearly every part of a cell stands in other cells, too.

    So `rust scab` is two labels among `rust`, `scab` and `scab complex`, and `Sugar beet` is one.
    """
    for separator in SEPARATORS:
        several = [cell.split(separator) for cell in cells if separator in cell]
        if not several:
            continue
        seen = Counter(part for cell in cells for part in set(cell.split(separator)))
        parts = {part for each in several for part in each}
        if sum(seen[part] > 1 for part in parts) >= 0.8 * len(parts) or all(part.isdecimal() for part in parts):
            return separator
    return ""


def split_ids(ids: pd.Series) -> Iterator[tuple[list[str], list[str]]]:
    """Ways to part ids such as ID_28fbab7eb_epidural into images and parts, every image having every part."""
    for count in range(1, 5):
        pieces = ids.str.split("_", n=count)
        if (pieces.str.len() <= count).any():
            return
        stems = list(dict.fromkeys(pieces.str[:count].str.join("_")))
        parts = list(dict.fromkeys(pieces.str[count]))
        if 2 <= len(parts) <= MOST_PARTS and len(parts) * len(stems) == ids.nunique():
            yield stems, parts


def widen(table: pd.DataFrame, ids: str, parts: list[str]) -> pd.DataFrame:
    """A table with a row for each image and part as one with a row for each image and a column for each part."""
    value = next(name for name in table.columns if name not in (ids, ""))
    ending = re.compile(f"_({'|'.join(sorted(map(re.escape, parts), key=len, reverse=True))})$")
    part = table[ids].str.extract(ending, expand=False)
    stems = table[ids].str.replace(ending, "", regex=True)
    long = pd.DataFrame({ids: stems, "part": part, "value": table[value]}).drop_duplicates([ids, "part"])
    wide = long.pivot(index=ids, columns="part", values="value").reindex(columns=parts).fillna("")
    return wide.loc[list(dict.fromkeys(stems))].reset_index().rename_axis(columns=None)


def read_labels(competition: Competition, images: list[str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Image -> classes, from the CSV; files that it does not name and names without a file are counted."""
    path = competition.folder / competition.labels
    table, ids, columns = read_table(path), competition.label_id, list(competition.label_columns)
    if ids in table.columns and columns and not set(columns) <= set(table.columns):
        table = widen(table, ids, columns)
    for name in (ids, *columns):
        if name not in table.columns:
            raise KcnnError(f"{path} has no column '{name}'", f"its columns are {', '.join(table.columns)}")
    spellings = Spellings(images, competition.train)
    cells = table[columns].itertuples(index=False, name=None)
    marked = set(columns) <= set(competition.classes)
    trained, lacking, twice, empty = {}, [], 0, 0
    for name, row in zip(table[ids], cells, strict=True):
        image = spellings.find(name)
        labels = row_labels(row, columns, competition.separator, marked)
        if image is None:
            lacking.append(name)
        elif not competition.multi_label and not any(labels):
            empty += 1
        elif image in trained:
            twice += trained[image] != labels
        else:
            trained[image] = labels
    notes = []
    if lacking:
        notes.append(f"{len(lacking):,} ids in {competition.labels} have no image, the first is '{lacking[0]}'")
    if competition.test and (unnamed := len(images) - len(trained) - empty):
        notes.append(f"{unnamed:,} images are not named in {competition.labels} and are not used")
    if empty:
        notes.append(f"{empty:,} images have no label in {competition.labels} and are not used")
    if twice:
        notes.append(f"{twice:,} images have a second label in {competition.labels}; the first counts")
    return trained, notes


def row_labels(row: tuple[str, ...], columns: list[str], separator: str, marked: bool) -> tuple[str, ...]:
    """The classes of one image from the cells of its label columns: several in a cell, with `separator` between them;
    the columns that are marked 1; or all cells together, as one class."""
    if len(columns) == 1:
        several = [part for part in row[0].split(separator) if part] if separator else row
        return tuple(dict.fromkeys(several))
    if marked:
        return tuple(name for name, cell in zip(columns, row, strict=True) if cell in YES)
    return ("|".join(row),)
