"""Images in the rows of parquet files: `train_0.parquet/Train_7` is the image of the row whose id is Train_7.

A row holds an encoded image (a column of bytes, or of {bytes, path} as the data sets of Hugging Face have it), or its
pixels, a number a column, as in bengaliai-cv19. Reading them needs pyarrow: pip install 'kcnn[parquet]'.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from kaggle_cnn.competition.table import FEWEST_PIXELS
from kaggle_cnn.errors import KcnnError

ENDING = ".parquet"
Rows = dict[str, int]  # the id of each row, and its place


class Layout(NamedTuple):
    """`ids` is the column with the ids, "" where they are the paths in the images' column or the row numbers; `image`
    the column of encoded images, "" where `pixels` are the columns of one image."""

    ids: str
    image: str
    pixels: tuple[str, ...]


def split_parquet(name: str) -> tuple[str, str] | None:
    """Return the file and the id in a path such as train.parquet/Train_7, or None for another path."""
    file, slash, row = name.partition(f"{ENDING}/")
    return (f"{file}{ENDING}", row) if slash and row else None


def can_read() -> bool:
    return find_spec("pyarrow") is not None


def find_layout(path: Path) -> Layout | None:
    """Return where a parquet file has its images, or None where it has none or cannot be read."""
    import pyarrow
    from pyarrow import parquet, types

    try:
        schema = parquet.read_schema(path)
    except (pyarrow.ArrowInvalid, OSError):
        return None
    words = [field.name for field in schema if types.is_string(field.type) or types.is_large_string(field.type)]
    for field in schema:
        encoded = types.is_binary(field.type) or types.is_large_binary(field.type)
        nested = types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
        if encoded or nested:
            return Layout(words[0] if words and not nested else "", field.name, ())
    numbered = [field.name for field in schema if types.is_integer(field.type)]
    numbers = tuple(name for name in numbered if name.strip("_").isdecimal())
    return Layout(words[0] if words else "", "", numbers) if len(numbers) >= FEWEST_PIXELS else None


@lru_cache(maxsize=256)
def read_rows(path: Path, changed: int) -> Rows:
    """Return the rows of a parquet file of images, {} where it has none. `changed` is the time of its last change, so
    that a new file is read again."""
    from pyarrow import parquet

    layout = find_layout(path)
    if layout is None:
        return {}
    ids: list[Any] = []
    if layout.ids:
        ids = parquet.read_table(path, columns=[layout.ids])[layout.ids].to_pylist()
    elif layout.image:
        paths = parquet.read_table(path, columns=[f"{layout.image}.path"])  # of no column where there is no such field
        ids = paths.column(0).to_pylist() if paths.num_columns else []
    count = parquet.read_metadata(path).num_rows
    if len(ids) != count or len(set(ids)) != count or not all(ids):
        ids = [f"{row}" for row in range(count)]
    return {str(name): row for row, name in enumerate(ids)}


def list_rows(folder: Path, name: str) -> list[str]:
    """Return the paths of the images in a parquet file below `folder`."""
    path = folder / name
    return [f"{name}/{row}" for row in read_rows(path, path.stat().st_mtime_ns)]


def find_row(path: Path, row: str) -> int:
    """Return the place of a row. Raises KcnnError where there is none of that id."""
    place = read_rows(path, path.stat().st_mtime_ns).get(row)
    if place is None:
        raise KcnnError(f"{path} has no row '{row}'", "fetch the competition again")
    return place
