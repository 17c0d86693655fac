"""The layout `pixels`: CSVs whose rows are images."""

import re
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts.labels import LABEL_NAMES, TEST_NAME, Found
from kaggle_cnn.competition.table import FEWEST_PIXELS, read_header, read_table


def find_pixels(folder: Path, tables: list[str], chosen_column: str = "") -> Found | None:
    """Return the labels in that one of `tables` whose rows are training images, or None where there is no such table.

    `chosen_column` is the user's choice of the column of labels. Rows are test images where they have no label, are in
    another file, or have a Usage other than Training.
    """
    labelled: list[tuple[str, str]] = []
    bare: list[tuple[str, str]] = []
    for name in tables:
        start = read_table(folder / name, rows=20)
        if not pixel_columns(start):
            continue
        column = label_column(start)
        column = chosen_column if chosen_column in start.columns else column
        (labelled if column and (start[column] != "").all() else bare).append((name, column))
    if not labelled:
        return None
    trains = [each for each in labelled if not TEST_NAME.search(PurePosixPath(each[0]).name)] or labelled
    name, column = max(trains, key=lambda each: ("train" in each[0].lower(), (folder / each[0]).stat().st_size))
    cells, training = read_training(folder / name, column)
    others = [each for each, _ in [*bare, *labelled] if each != name and "train" not in each.lower()]
    test = next(iter(others), "") if training.all() else name
    fields = {"layout": "pixels", "train": name, "test": test, "labels": name, "label_columns": (column,)}
    return Found(fields, [(cell,) for cell in cells[training]])


def pixel_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of a CSV that hold an image: one of many numbers a cell, or many of one; [] where none do."""
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


def label_column(table: pd.DataFrame) -> str:
    """Return the column of a CSV of pixels that holds the label, or ""."""
    pixels = set(pixel_columns(table))
    rest = [name for name in table.columns if name not in pixels and name and name.lower() not in ("usage", "id")]
    named = [name for name in rest if LABEL_NAMES.fullmatch(name.strip())]
    return (named or [name for name in rest if "id" not in name.lower()] or [""])[0]


def read_pixels(competition: Competition) -> tuple[list[str], list[tuple[str, ...]], list[str], list[str]]:
    """Return the training rows, their labels, the test rows, and notes; see `recognise.read`."""
    cells, training = read_training(competition.folder / competition.labels, competition.label_columns[0])
    trained = [f"{competition.train}#{row}" for row in np.flatnonzero(training)]
    tests: list[str] = []
    if competition.test == competition.train:
        tests = [f"{competition.test}#{row}" for row in np.flatnonzero(~training)]
    elif competition.test:
        first = read_header(competition.folder / competition.test)[0]
        count = len(read_table(competition.folder / competition.test, columns=[first]))
        tests = [f"{competition.test}#{row}" for row in range(count)]
    return trained, [(cell,) for cell in cells[training]], tests, []


def read_training(path: Path, column: str) -> tuple["pd.Series[str]", "pd.Series[bool]"]:
    """Return the labels of a CSV's rows, and which rows are for training.

    These are the rows whose Usage begins with 'train', or all where there is none.
    """
    cells, training, _ = read_usage(path, column)
    return cells, training


def read_usage(path: Path, column: str) -> tuple["pd.Series[str]", "pd.Series[bool]", "pd.Series[str]"]:
    """Return what `read_training` does, and each row's Usage: its label where the CSV has no such column."""
    usage = next((name for name in read_header(path) if name.strip().lower() == "usage"), column)
    table = read_table(path, columns=list({column, usage}))
    training = table[usage].str.lower().str.startswith("train") & (usage != column)
    return table[column], training | (not training.any()), table[usage]


def unused_rows(competition: Competition) -> dict[str, tuple[str, str]]:
    """Return row, as `train.csv#17` -> its Usage and its label, of the rows of a CSV whose Usage is not Training."""
    if competition.layout != "pixels" or competition.test != competition.train:
        return {}
    cells, training, usages = read_usage(competition.folder / competition.labels, competition.label_columns[0])
    return {f"{competition.train}#{row}": (usages[row], cells[row]) for row in np.flatnonzero(~training)}
