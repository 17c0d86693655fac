"""Open every image once: find its size, whether it can be read, and its duplicates."""

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.data.decode import GREY_MODES, decode_whole, read_header
from kaggle_cnn.data.image_cache import Paths, attempt, fingerprint, ignore_warnings, in_parallel, is_kept, is_momentary
from kaggle_cnn.data.pixel_tables import read_tables
from kaggle_cnn.files import whole_file
from kaggle_cnn.progress import Progress

TABULATED = 16_384  # results that become columns at a time, since those of a million images take much memory

Result = TypeVar("Result")
Results = list[tuple[Result | None, str]]  # for each file what `attempt` returns


def inspect(folder: Path, names: Sequence[str], cache: Path, progress: Progress) -> pd.DataFrame:
    """Return a table with a row for each of `names`, which are relative to `folder` as in `load_images`.

    Columns: `width` and `height` int32, 0 if the image cannot be read; `grey` bool; `pixels` uint64, a hash that is
    equal for images with equal pixels, whatever their file format; `reason` str, why the image cannot be read, else "".
    Every image is decoded at full size. The table is kept in the folder `cache`, with keys as in `load_images`.
    """
    table = compute_once("inspection", folder, names, cache, measure, tabulate, progress, "looking at the images")
    return pd.DataFrame(table)


def measure(path: Path) -> tuple[int, int, bool, int]:
    """Return width, height, whether the image is grey, and a 64-bit hash of its pixels."""
    pixels = decode_whole(path)
    width, height, mode = read_header(path)
    digest = blake2b(f"{width} {height}".encode(), digest_size=8)
    digest.update(pixels.data)
    return width, height, mode in GREY_MODES, int.from_bytes(digest.digest())


def tabulate(results: Results[tuple[int, int, bool, int]]) -> dict[str, Array]:
    """Return the columns of `inspect`, each (N,), from what `measure` returns for each file."""
    rows = [found or (0, 0, False, 0) for found, _ in results]
    return {
        "width": np.array([row[0] for row in rows], np.int32),
        "height": np.array([row[1] for row in rows], np.int32),
        "grey": np.array([row[2] for row in rows], bool),
        "pixels": np.array([row[3] for row in rows], np.uint64),
        "reason": np.array([reason for _, reason in results], dtype=str),
    }


def compute_once(
    what: str,
    folder: Path,
    names: Sequence[str],
    cache: Path,
    compute: Callable[[Path], Result],
    tabulate: Callable[[Results[Result]], dict[str, Array]],
    progress: Progress,
    description: str,
) -> dict[str, Array]:
    """Return `tabulate` of the results of `compute` for each file, from the cache or computed now on all cores.

    They are kept in the folder `cache`, in a file whose name starts with `what`. `description` is for `progress`.
    """
    target = cache / f"{what}-{fingerprint(folder, names, 0, None)}.npz"
    if kept := read_columns(target, len(names), tabulate([])):
        return kept
    files = Paths(folder, names)
    read_tables(files)

    def compute_rows(rows: range) -> Results[Result]:
        return [attempt(partial(compute, files[row])) for row in rows]

    with ignore_warnings(), closing(in_parallel(compute_rows, len(files))) as portions:
        results = progress.track(chain.from_iterable(portions), description, len(files))
        tables, momentary = [tabulate([])], False
        while some := list(islice(results, TABULATED)):
            tables.append(tabulate(some))
            momentary |= any(is_momentary(reason) for _, reason in some)
    # Any: mypy takes an array for savez's own argument allow_pickle
    columns: dict[str, Any] = {name: np.concatenate([each[name] for each in tables]) for name in tables[0]}
    if not momentary:
        with whole_file(target) as temporary:
            np.savez(temporary, **columns)
    return columns


def read_columns(path: Path, count: int, empty: dict[str, Array]) -> dict[str, Array] | None:
    """Return the columns of `count` rows from the cache, of the names, types and shapes of `empty`; None where they are
    not there or damaged."""
    if not is_kept(path):
        return None
    try:
        with np.load(path) as arrays:
            columns = {name: arrays[name] for name in arrays.files}
    except Exception:  # NumPy raises many kinds for a damaged file
        return None
    sound = columns.keys() == empty.keys() and all(
        (column.dtype.kind, column.shape) == (empty[name].dtype.kind, (count, *empty[name].shape[1:]))
        for name, column in columns.items()
    )
    return columns if sound else None


def same_pixels(inspected: pd.DataFrame) -> Array:
    """Return a group number for each image, int (N,): the row of the first image with the same pixels.

    `inspected` is the table of `inspect`. An image that cannot be read is a group of its own.
    """
    rows = np.arange(len(inspected))
    first = inspected.assign(row=rows).groupby("pixels")["row"].transform("min").to_numpy()
    return np.where(inspected["reason"] == "", first, rows)
