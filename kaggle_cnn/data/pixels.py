"""CSVs whose rows are images: `train.csv#17` is the image in row 17, counted from 0, of train.csv."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_cnn.competition.pixel_rows import pixel_columns
from kaggle_cnn.competition.table import read_table
from kaggle_cnn.errors import KcnnError


def split_row(path: Path) -> tuple[Path, int] | None:
    """The CSV and the row that a path names, or None where it is that of an image file."""
    name, sharp, row = path.name.rpartition("#")
    return (path.with_name(name), int(row)) if sharp and name.lower().endswith(".csv") and row.isdecimal() else None


def file_of(path: Path) -> Path:
    """The file in which an image lies."""
    row = split_row(path)
    return row[0] if row else path


def read_tables(files: Iterable[Path]) -> None:
    """Reads the CSVs that `files` name rows of: once, before many threads ask for them. Raises as `read_rows`."""
    for table in {row[0] for path in files if (row := split_row(path))}:
        read_rows(table)


@lru_cache(maxsize=2)
def read_rows(path: Path) -> np.ndarray:
    """All images of a CSV, uint8 (N, side, side) grey, or (N, side, side, 3) where three times a square are there.

    Raises KcnnError where the rows are no squares of whole numbers from 0 to 255.
    """
    columns = pixel_columns(read_table(path, rows=20))
    if not columns:
        raise KcnnError(f"{path} has no columns of pixels", "expected pixel0, pixel1 ..., or one column of numbers")
    try:
        if len(columns) == 1:
            cells = read_table(path, columns=columns)[columns[0]]
            values = np.stack([np.array(cell.split(), dtype=np.float32) for cell in cells])
        else:
            values = pd.read_csv(path, usecols=columns, dtype=np.float32, encoding="utf-8-sig")[columns].to_numpy()
    except ValueError:
        raise KcnnError(f"{path} has rows of unequal length, or what is no number", "expected whole numbers") from None
    if not (values.min() >= 0 and values.max() <= 255):
        raise KcnnError(f"{path} has values from {values.min():g} to {values.max():g}", "expected 0 to 255")
    pixels, count = values.astype(np.uint8), values.shape[1]
    for side, shape in ((round(count**0.5), (-1,)), (round((count / 3) ** 0.5), (-1, 3))):
        if side * side * (shape[-1] if len(shape) > 1 else 1) == count:
            return pixels.reshape(len(pixels), side, side, *shape[1:])
    raise KcnnError(f"{path} has {count} pixels a row, which make no square", "expected 784 for 28x28, and the like")
