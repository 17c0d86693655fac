"""Read and write CSVs as tables of strings, so that `007` stays `007` and a class called `NA` stays a class."""

import csv
from pathlib import Path

import pandas as pd

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file

# What a file with the name of a CSV can be instead: its first bytes, and what they show.
DISGUISES = {
    b"PK\x03\x04": "a zip or Excel file",
    b"version https://git-lfs": "a pointer of git-lfs, not the file itself",
    b"<!DOCTYPE": "a web page, perhaps a login page",
    b"<html": "a web page, perhaps a login page",
}


def read_table(path: Path, rows: int | None = None, columns: list[str] | None = None) -> pd.DataFrame:
    """Return a CSV (the first `rows`, only `columns`) as strings without spaces around them, empty cells as "".

    The header stays as it is; a column without a name is called "". Raises KcnnError where the file is missing or is
    not a CSV in UTF-8.
    """
    if not path.is_file():
        raise KcnnError(f"there is no {path}", "correct the path; some are set in competition.toml")
    with path.open("rb") as stream:
        start = stream.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
    for beginning, what in DISGUISES.items():
        if start.startswith(beginning):
            raise KcnnError(f"{path} is not a CSV: it is {what}", "download the file from its source again")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", nrows=rows, usecols=columns)
    except (ValueError, pd.errors.ParserError) as error:  # ValueError: not UTF-8, empty
        raise KcnnError(
            f"{path} is not a CSV in UTF-8: {str(error).splitlines()[0]}", "replace it by a CSV with a header and rows"
        ) from None
    unnamed = [name for name in table.columns if name.startswith("Unnamed: ")]
    table = table.rename(columns={unnamed[0]: ""}) if unnamed else table
    return table.fillna("").apply(lambda column: column.str.strip())


def read_header(path: Path) -> list[str]:
    """Return the names of a CSV's columns, or [] where the file is empty."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        return next(csv.reader(stream), [])


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as a CSV. The file is complete or not there."""
    with whole_file(path) as temporary:
        temporary.write_bytes(as_csv(table))


def as_csv(table: pd.DataFrame) -> bytes:
    """Return the bytes that write_table writes: UTF-8, lines that end in a line feed."""
    return table.to_csv(index=False, lineterminator="\n").encode()
