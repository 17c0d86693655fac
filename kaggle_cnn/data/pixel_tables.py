"""Read images from CSVs and arrays: `train.csv#17` is the image in row 17 of train.csv, counted from 0."""

import math
import threading
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kaggle_cnn.competition.layouts.arrays import array_file, is_array, read_images
from kaggle_cnn.competition.layouts.pixel_rows import pixel_columns
from kaggle_cnn.competition.listing import SEVERAL, split_images
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.parquet_rows import find_layout, find_row, split_parquet
from kaggle_cnn.competition.table import header_options, read_table
from kaggle_cnn.errors import KcnnError


def split_row(path: Path) -> tuple[Path, int] | None:
    """Return the CSV or array and the row number in a path such as `train.csv#17`, or None for an image file."""
    name, sharp, row = path.name.rpartition("#")
    holds_rows = sharp and row.isdecimal() and (name.lower().endswith(".csv") or is_array(name))
    return (path.with_name(name), int(row)) if holds_rows else None


def find_files(path: Path) -> list[Path]:
    """Return the files that hold an image: the image file itself, the file of a row, or those that are its channels."""
    if SEVERAL in path.name:
        return split_path(path)
    if rows := split_parquet(path.as_posix()):
        return [Path(rows[0])]
    row = split_row(path)
    return [array_file(row[0]) if row else path]


def split_path(path: Path) -> list[Path]:
    """Return the files that a path joins, or itself alone; see listing.join_images."""
    return [Path(name) for name in split_images(path.as_posix())]


def read_parquet_row(path: Path) -> bytes | Array | None:
    """Return the image of a parquet file's row: the bytes of a file, or uint8 (height, width); None for another path.

    Pixels have the shape of the two factors of their number that are nearest to each other, the height the smaller.
    """
    rows = split_parquet(path.as_posix())
    if rows is None:
        return None
    file, place = Path(rows[0]), find_row(Path(rows[0]), rows[1])
    with one_loads:
        content = load_parquet(file, file.stat().st_mtime_ns)
    return content[place]


one_loads = threading.Lock()  # lru_cache lets every thread that misses load the file


@lru_cache(maxsize=2)  # while some threads are at the end of a file, others begin the next
def load_parquet(path: Path, changed: int) -> Any:
    """Return all images of a parquet file: a list of bytes, or uint8 (N, height, width)."""
    from pyarrow import parquet

    layout = find_layout(path)
    assert layout is not None  # its rows have been listed
    if layout.image:
        cells = parquet.read_table(path, columns=[layout.image])[layout.image].to_pylist()
        return [(cell.get("bytes") if isinstance(cell, dict) else cell) or b"" for cell in cells]
    values = parquet.read_table(path, columns=list(layout.pixels)).to_pandas().to_numpy()
    if values.min() < 0 or values.max() > 255:
        raise ValueError(f"pixels from {values.min()} to {values.max()}, expected 0 to 255")
    count = values.shape[1]
    height = next(side for side in range(math.isqrt(count), 0, -1) if count % side == 0)
    return values.astype(np.uint8).reshape(len(values), height, count // height)


def read_tables(files: Iterable[Path]) -> None:
    """Read each CSV that `files` has rows of, so that threads find it in memory. Raises as `read_rows` does."""
    for table in {row[0] for path in files if (row := split_row(path))}:
        read_rows(table)


@lru_cache(maxsize=2)
def read_rows(path: Path) -> Array:
    """Return all images of a CSV as uint8 (N, side, side); of an array as it is.

    Where a row of a CSV has three times a square number of values, they are colours: uint8 (N, side, side, 3).
    Raises KcnnError if the rows are not squares of numbers from 0 to 255.
    """
    if is_array(path.name):
        return read_images(path)
    columns = pixel_columns(read_table(path, rows=20))
    if not columns:
        raise KcnnError(f"{path} has no columns of pixels", "expected pixel0, pixel1 ..., or one column of numbers")
    try:
        if len(columns) == 1:
            cells = read_table(path, columns=columns)[columns[0]]
            values = np.stack([np.array(cell.split(), dtype=np.float32) for cell in cells])
        else:
            table = pd.read_csv(path, usecols=columns, dtype=np.float32, **header_options(path))
            values = table[columns].to_numpy()
    except ValueError:
        raise KcnnError(
            f"{path} has rows of different lengths, or a value that is not a number", "expected whole numbers"
        ) from None
    if not (values.min() >= 0 and values.max() <= 255):
        raise KcnnError(f"{path} has values from {values.min():g} to {values.max():g}", "expected 0 to 255")
    pixels, count = values.astype(np.uint8), values.shape[1]
    for side, channels in ((round(count**0.5), ()), (round((count / 3) ** 0.5), (3,))):
        if side * side * int(np.prod(channels)) == count:
            return pixels.reshape(len(pixels), side, side, *channels)
    raise KcnnError(
        f"{path} has {count} values in each row, which do not form a square image",
        "expected for example 784 values for 28x28 in grey, or 3072 for 32x32 in colour",
    )
