"""Ids of tables that have a row for each image and part: ID_28fbab7eb_epidural is the part epidural of ID_28fbab7eb."""

import re
from collections.abc import Iterable, Iterator

import pandas as pd

MOST_PARTS = 100  # rows that a table may have for one image


def split_ids(ids: "pd.Series[str]") -> Iterator[tuple[list[str], list[str]]]:
    """Yield ways to split ids such as ID_28fbab7eb_epidural into images and parts, where each image has each part."""
    for count in range(1, 5):
        pieces = [name.split("_", count) for name in ids]
        if any(len(piece) <= count for piece in pieces):
            return
        stems = list(dict.fromkeys("_".join(piece[:count]).rstrip("_") for piece in pieces))
        parts = list(dict.fromkeys(piece[count].lstrip("_") for piece in pieces))
        if 2 <= len(parts) <= MOST_PARTS and len(parts) * len(stems) == ids.nunique():
            yield stems, parts


def row_pattern(parts: Iterable[str]) -> re.Pattern[str]:
    """Return the pattern of the end of a row's id: one underscore or more, and one of `parts`, which is group 1."""
    longest_first = sorted(map(re.escape, parts), key=len, reverse=True)
    return re.compile(f"_+({'|'.join(longest_first)})$")
