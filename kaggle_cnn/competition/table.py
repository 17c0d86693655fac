"""Read and write CSVs as tables of strings, so that `007` stays `007` and a class called `NA` stays a class."""

import csv
import math
from pathlib import Path
from typing import Any

import pandas as pd

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file

# What a file with the name of a CSV can be instead: its first bytes, and what they show.
FEWEST_PIXELS = 36  # a CSV of fewer numbers a row does not hold images
DISGUISES = {
    b"PK\x03\x04": "a zip or Excel file",
    b"version https://git-lfs": "a pointer of git-lfs, not the file itself",
    b"<!DOCTYPE": "a web page, perhaps a login page",
    b"<html": "a web page, perhaps a login page",
}


def read_table(
    path: Path, rows: int | None = None, columns: list[str] | None = None, bad_rows: list[str] | None = None
) -> pd.DataFrame:
    """Return a CSV (the first `rows`, only `columns`) as strings without spaces around them, empty cells as "".

    The header stays as it is; a column without a name is called "". A CSV of pixels without a header gets one: label,
    where the row has a number more than a square image, and pixel0, pixel1 ... Rows that have more cells than the
    header are left out and added to `bad_rows`, where that is given. Raises KcnnError where the file is missing or is
    not a CSV in UTF-8.
    """
    if not path.is_file():
        raise KcnnError(f"there is no {path}", "correct the path; some are set in competition.toml")
    with path.open("rb") as stream:
        start = stream.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
    for beginning, what in DISGUISES.items():
        if start.startswith(beginning):
            raise KcnnError(f"{path} is not a CSV: it is {what}", "download the file from its source again")
    options = {"dtype": str, "keep_default_na": False, "nrows": rows, "usecols": columns, **header_options(path)}
    try:
        try:
            table = pd.read_csv(path, **options)
        except pd.errors.ParserError:
            if bad_rows is None:
                raise
            keep: Any = lambda cells: bad_rows.append(",".join(cells))  # noqa: E731
            table = pd.read_csv(path, **options, engine="python", on_bad_lines=keep)
    except (ValueError, pd.errors.ParserError) as error:  # ValueError: not UTF-8, empty
        raise KcnnError(
            f"{path} is not a CSV in UTF-8: {str(error).splitlines()[0]}", "replace it by a CSV with a header and rows"
        ) from None
    unnamed = [name for name in table.columns if name.startswith("Unnamed: ")]
    table = table.rename(columns={unnamed[0]: ""}) if unnamed else table
    return table.fillna("").apply(lambda column: column.str.strip())


def header_options(path: Path) -> dict[str, Any]:
    """Return what pandas is given to read a CSV in UTF-8, with names for the columns of pixels without a header."""
    names = name_pixels(path)
    return {"encoding": "utf-8-sig", **({"header": None, "names": names} if names else {})}


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
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        return next(csv.reader(stream), [])


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as a CSV. The file is complete or not there."""
    with whole_file(path) as temporary:
        temporary.write_bytes(as_csv(table))


def as_csv(table: pd.DataFrame) -> bytes:
    """Return the bytes that write_table writes: UTF-8, lines that end in a line feed."""
    return table.to_csv(index=False, lineterminator="\n").encode()
