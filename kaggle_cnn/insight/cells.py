"""Pieces of tables: a table of numbers, a name that fits."""

from collections.abc import Iterable

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.table import Table


def truncate(name: str, width: int) -> str:
    """Return `name` in at most `width` terminal cells; an ellipsis replaces its end if it is too long."""
    return name if cell_len(name) <= width else set_cell_size(name, max(width - 1, 0)).rstrip() + "…" * (width > 0)


def make_table(first: str, names: Iterable[str], most: int | None = None) -> Table:
    """Return an empty table with a column of names, at most `most` wide, and columns of numbers."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(first, max_width=most, no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=most is not None)
    return table
