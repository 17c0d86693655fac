"""The layout `pixels`: CSVs whose rows are images."""

import re
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.labels import LABEL_NAMES, TEST_NAME, Found
from kaggle_cnn.competition.table import read_header, read_table

FEWEST_PIXELS = 36  # below that a CSV of numbers is no CSV of images


def find_pixels(folder: Path, tables: list[str]) -> Found | None:
    """Train rows have a label; test rows have none, stand in another file, or have another Usage than Training."""
    labelled, bare = [], []
    for name in tables:
        start = read_table(folder / name, rows=20)
        if not pixel_columns(start):
            continue
        column = pixel_label(start)
        (labelled if column and (start[column] != "").all() else bare).append((name, column))
    if not labelled:
        return None
    trains = [each for each in labelled if not TEST_NAME.search(PurePosixPath(each[0]).name)] or labelled
    name, column = max(trains, key=lambda each: ("train" in each[0].lower(), (folder / each[0]).stat().st_size))
    cells, training = labelled_rows(folder / name, column)
    others = [each for each, _ in [*bare, *labelled] if each != name and "train" not in each.lower()]
    test = next(iter(others), "") if training.all() else name
    fields = {"layout": "pixels", "train": name, "test": test, "labels": name, "label_columns": (column,)}
    return Found(fields, [(cell,) for cell in cells[training]])


def pixel_columns(table: pd.DataFrame) -> list[str]:
    """The columns of a CSV that hold an image: one cell of many numbers, or many columns of one; [] if none does."""
    if not len(table):
        return []
    for name in table.columns:
        cell = table[name].iloc[0]
        if cell.count(" ") >= FEWEST_PIXELS - 1 and all(part.isdecimal() for part in cell.split()):
            return [name]
    numbered = [name for name in table.columns if re.fullmatch(r"\D*\d+|\d+x\d+", name)]
    if len(numbered) >= FEWEST_PIXELS and len(numbered) >= len(table.columns) - 4:
        return numbered
    return []


def pixel_label(table: pd.DataFrame) -> str:
    """The column of a CSV of pixels that holds the label, or ""."""
    pixels = set(pixel_columns(table))
    rest = [name for name in table.columns if name not in pixels and name and name.lower() not in ("usage", "id")]
    named = [name for name in rest if LABEL_NAMES.fullmatch(name.strip())]
    return (named or [name for name in rest if "id" not in name.lower()] or [""])[0]


def read_pixels(competition: Competition) -> tuple[list[str], list[tuple[str, ...]], list[str], list[str]]:
    cells, training = labelled_rows(competition.folder / competition.labels, competition.label_columns[0])
    trained = [f"{competition.train}#{row}" for row in np.flatnonzero(training)]
    if competition.test == competition.train:
        tested = [f"{competition.test}#{row}" for row in np.flatnonzero(~training)]
    elif competition.test:
        first = read_header(competition.folder / competition.test)[0]
        count = len(read_table(competition.folder / competition.test, columns=[first]))
        tested = [f"{competition.test}#{row}" for row in range(count)]
    else:
        tested = []
    return trained, [(cell,) for cell in cells[training]], tested, []


def labelled_rows(path: Path, column: str) -> tuple[pd.Series, pd.Series]:
    """The labels of a CSV's rows, and which are for training: those whose Usage begins with 'train', or all."""
    cells, training, _ = rows_by_usage(path, column)
    return cells, training


def rows_by_usage(path: Path, column: str) -> tuple[pd.Series, pd.Series, pd.Series]:
    """The same, and each row's Usage: its label where the CSV has no such column."""
    usage = next((name for name in read_header(path) if name.strip().lower() == "usage"), column)
    table = read_table(path, columns=list({column, usage}))
    training = table[usage].str.lower().str.startswith("train") & (usage != column)
    return table[column], training | (not training.any()), table[usage]


def unused_rows(competition: Competition) -> dict[str, tuple[str, str]]:
    """Of the rows of a CSV whose Usage is not Training: row, as `train.csv#17` -> its Usage and its label."""
    if competition.layout != "pixels" or competition.test != competition.train:
        return {}
    cells, training, usages = rows_by_usage(competition.folder / competition.labels, competition.label_columns[0])
    return {f"{competition.train}#{row}": (usages[row], cells[row]) for row in np.flatnonzero(~training)}
