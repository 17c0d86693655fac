"""Labels of test images that the files hold: class folders in the test part, another CSV, rows with another Usage. They
are not trained on; they score submissions at home."""

import unicodedata
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts.label_table import find_ids
from kaggle_cnn.competition.layouts.pixel_rows import read_usage, unused_rows
from kaggle_cnn.competition.listing import Spellings, is_below, is_left_out, list_tables
from kaggle_cnn.competition.table import read_header, read_table

ENOUGH = 0.9  # share of the test images whose labels must be there


def find_solution(folder: Path, images: list[str], fields: Mapping[str, Any], sample: str) -> str:
    """Return what holds the labels of the test images, for `Competition.solution`; "" where nothing does.

    `images` are all in `folder`, `fields` those of a Competition. It is the test folder, where its images lie in class
    folders; the CSV itself, where its rows have a Usage; or a CSV other than `labels` and `sample` with the same column
    of labels.
    """
    layout, test, columns = fields["layout"], fields["test"], fields.get("label_columns", ())
    if layout == "pixels" and test == fields["train"]:
        cells, training, _ = read_usage(folder / test, columns[0])
        return test if (cells[~training] != "").mean() >= ENOUGH else ""
    if not test or layout in ("pixels", "arrays"):
        return str(fields.get("solution", ""))
    ignore = fields.get("ignore", ())
    images = [image for image in images if is_below(image, test) and not is_left_out(image, ignore)]
    if layout == "folders":
        labelled = [image for image in images if class_above(image, fields["classes"])]
        return str(test) if images and len(labelled) >= ENOUGH * len(images) and "*" not in test else ""
    if layout != "table" or len(columns) != 1:
        return ""
    spellings = Spellings(images, test)
    for name in list_tables(folder):
        if name in (fields["labels"], sample) or columns[0] not in read_header(folder / name):
            continue
        table = read_table(folder / name, bad_rows=[])
        ids = find_ids(table, spellings)
        if ids and len({spellings.find(cell) for cell in table[ids]} - {None}) >= ENOUGH * len(images):
            return name
    return ""


def class_above(image: str, classes: tuple[str, ...]) -> str:
    """Return the class that one of an image's folders is called, or ""."""
    folders = PurePosixPath(unicodedata.normalize("NFC", image)).parts[:-1]
    return next((name for name in folders if name in classes), "")


def read_known(competition: Competition, images: list[str]) -> dict[str, str] | None:
    """Return test image -> label, where `solution` is one of the three above; else None."""
    if competition.layout == "pixels" and competition.solution == competition.train:
        return {row: label for row, (_, label) in unused_rows(competition).items()}
    path = competition.folder / competition.solution
    if path.is_dir():
        return {image: name for image in images if (name := class_above(image, competition.classes))}
    if competition.layout != "table":
        return None
    table, spellings = read_table(path, bad_rows=[]), Spellings(images, competition.test)
    ids = find_ids(table, spellings)
    column = competition.label_columns[0]
    if ids is None or column not in table.columns:
        return None
    pairs = zip(table[ids], table[column], strict=True)
    return {image: label for name, label in pairs if (image := spellings.find(name))}


def read_usages(competition: Competition, images: list[str]) -> dict[str, str]:
    """Return test image -> its Usage, such as PublicTest, where what `read_known` reads says so; else {}."""
    if competition.layout == "pixels" and competition.solution == competition.train:
        return {row: usage for row, (usage, _) in unused_rows(competition).items()}
    path = competition.folder / competition.solution
    if competition.layout != "table" or not path.is_file():
        return {}
    table, spellings = read_table(path, bad_rows=[]), Spellings(images, competition.test)
    ids, column = find_ids(table, spellings), find_usage(table)
    pairs = zip(table[ids], table[column], strict=True) if ids and column else []
    return {image: usage for name, usage in pairs if (image := spellings.find(name))}


def find_usage(table: pd.DataFrame) -> str | None:
    """Return the column of a solution that says which rows are public, or None."""
    return next((str(name) for name in table.columns if str(name).strip().lower() == "usage"), None)
