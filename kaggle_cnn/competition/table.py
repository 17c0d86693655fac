"""Read and write CSVs as tables of strings, so that `007` stays `007` and a class called `NA` stays a class."""

import csv
import math
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file

# What a file with the name of a CSV can be instead: its first bytes, and what they show.
FEWEST_PIXELS = 36  # a CSV of fewer numbers a row does not hold images
csv.field_size_limit(2**24)  # bytes of a cell: a row of pixels in one cell; Python's own limit is 2**17
DISGUISES = {
    b"PK\x03\x04": "a zip or Excel file",
    b"version https://git-lfs": "a pointer of git-lfs, not the file itself",
    b"<!DOCTYPE": "a web page, perhaps a login page",
    b"<html": "a web page, perhaps a login page",
}


def read_table(
    path: Path,
    rows: int | None = None,
    columns: list[str] | None = None,
    bad_rows: list[str] | None = None,
    exact: str | None = None,
) -> pd.DataFrame:
    """Return a CSV (the first `rows`, only `columns`) as strings without spaces around them, empty cells as "".

    The column `exact` keeps its spaces, and the header stays as it is; a column without a name is called "". A CSV of
    pixels without a header gets one: label, where the row has a number more than a square image, and pixel0, pixel1 ...
    Commas at the end of rows count as nothing. Rows that have more cells than the header are left out and added to
    `bad_rows`, where that is given. Raises KcnnError where the file is missing or is not a CSV in UTF-8.
    """
    if not path.is_file():
        raise KcnnError(f"there is no {path}", "correct the path; some are set in competition.toml")
    with path.open("rb") as stream:
        start = stream.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
    for beginning, what in DISGUISES.items():
        if start.startswith(beginning):
            raise KcnnError(f"{path} is not a CSV: it is {what}", "download the file from its source again")
    if holds_zero_bytes(path, whole=rows is None):
        raise explain(path, "it has zero bytes")
    try:
        options = {"dtype": str, "keep_default_na": False, "nrows": rows, "usecols": columns, **header_options(path)}
        table = parse_rows(path, options, bad_rows)
    except (ValueError, OverflowError, csv.Error, pd.errors.ParserError) as error:  # not UTF-8, empty, no table
        words = (str(error).splitlines() or [type(error).__name__])[0]
        raise KcnnError(
            f"{path} is not a CSV in UTF-8: {words}", "replace it by a CSV with a header and rows"
        ) from None
    unnamed = [name for name in table.columns if name.startswith("Unnamed: ")]
    table = table.rename(columns={unnamed[0]: ""}) if unnamed else table
    table = table.fillna("")
    return strip(table, exact)


def strip(table: pd.DataFrame, exact: str | None) -> pd.DataFrame:
    """Return a table of strings without spaces around them, but for the column `exact`.

    Not by a call for each column: that takes 0.1 ms, and a table of pixels may have 12,288 columns.
    """
    cells = table.to_numpy(dtype=object)
    stripped = np.empty(cells.size, dtype=object)
    stripped[:] = [cell.strip() for cell in cells.ravel()]
    stripped = stripped.reshape(cells.shape)
    for place in np.flatnonzero(table.columns == exact):
        stripped[:, place] = cells[:, place]
    return pd.DataFrame(stripped, index=table.index, columns=table.columns, dtype=str)


def holds_zero_bytes(path: Path, whole: bool) -> bool:
    """Return whether a file, the `whole` of it or its first MiB, has bytes of zero, as a table in UTF-16 has."""
    with path.open("rb") as stream:
        parts = iter(lambda: stream.read(2**20), b"")
        return any(b"\0" in part for part in (parts if whole else islice(parts, 1)))


def explain(path: Path, words: str) -> KcnnError:
    """Return the error for a file that is not a table."""
    return KcnnError(f"{path} is not a CSV in UTF-8: {words}", "replace it by a CSV with a header and rows")


def parse_rows(path: Path, options: dict[str, Any], bad_rows: list[str] | None) -> pd.DataFrame:
    """Return the table as pandas reads it; with `bad_rows`, rows that are too long are added there and left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.ParserWarning)  # commas at the end of rows, see header_options
        try:
            return pd.read_csv(path, **options)
        except pd.errors.ParserError as error:
            if "Expected" not in str(error):  # "Expected 2 fields in line 3, saw 4" is a row that is too long
                raise
            too_long: list[str] = []
            width = len(options.get("names") or read_first_row(path))

            def shorten(cells: list[str]) -> list[str] | None:
                if not any(cells[width:]):
                    return cells[:width]
                too_long.append(",".join(cells))
                return None

            table = pd.read_csv(path, **{**options, "engine": "python", "on_bad_lines": shorten})
            if too_long and bad_rows is None:
                raise
            if bad_rows is not None:
                bad_rows += too_long
            return table


def header_options(path: Path) -> dict[str, Any]:
    """Return what pandas is given to read a CSV in UTF-8, with names for the columns of pixels without a header.

    Where rows have an empty cell more than the header, from a comma at their end, pandas would take their first cell
    for a name of the row, and move every cell to the left: index_col=False forbids it.
    """
    names = name_pixels(path)
    options: dict[str, Any] = {"encoding": "utf-8-sig"}
    if names:
        return {**options, "header": None, "names": names}
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        header, *start = islice(csv.reader(stream), 100) if path.stat().st_size else ([],)
    longer = [row for row in start if len(row) == len(header) + 1]
    return {**options, "index_col": False} if longer and not any(row[-1].strip() for row in longer) else options


def name_pixels(path: Path) -> list[str]:
    """Return names for the columns of a CSV of pixels that has no header, or []."""
    numbers = [cell.strip() for cell in read_first_row(path)]
    if len(numbers) < FEWEST_PIXELS or not all(number.isdecimal() for number in numbers):
        return []
    first_number = int(numbers[0])
    if numbers == [str(number) for number in range(first_number, first_number + len(numbers))]:  # a header: 0, 1, 2 ...
        return []
    labelled = not makes_square(len(numbers)) and makes_square(len(numbers) - 1)
    return [*(["label"] if labelled else []), *(f"pixel{number}" for number in range(len(numbers) - labelled))]


def makes_square(count: int) -> bool:
    """Return whether so many numbers make a square image, grey or in colour."""
    grey, colour = math.isqrt(count), math.isqrt(count // 3)
    return count in (grey**2, 3 * colour**2)


def read_header(path: Path) -> list[str]:
    """Return the names of a CSV's columns, or [] where the file is empty."""
    return name_pixels(path) or read_first_row(path)


def read_first_row(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            return next(csv.reader(stream), [])
    except csv.Error as error:
        raise KcnnError(
            f"{path} is not a CSV in UTF-8: {error}", "replace it by a CSV with a header and rows"
        ) from None


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as a CSV. The file is complete or not there."""
    with whole_file(path) as temporary:
        temporary.write_bytes(as_csv(table))


def as_csv(table: pd.DataFrame) -> bytes:
    """Return the bytes that write_table writes: UTF-8, lines that end in a line feed."""
    # Before Python 3.13 the module csv leaves a carriage return without quotes, and readers end the line there.
    returns = any(table[name].astype(str).str.contains("\r", regex=False).any() for name in table.columns.unique())
    return table.to_csv(
        index=False, lineterminator="\n", quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL
    ).encode()
