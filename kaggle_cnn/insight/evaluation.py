"""An evaluation in rich tables: confusion, classes, views. Made to fit the width they are given."""

from collections.abc import Iterable
from itertools import chain, product

import numpy as np
from rich import box
from rich.cells import cell_len, set_cell_size
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def measures(by_views: dict[int, dict], classes: list[str], width: int) -> RenderableType:
    """All of an evaluation: confusion and classes for the most views, then a line for each number of views."""
    views, numbers = max(by_views.items())
    of = f"{numbers['images']:,} validation images, {views} view{'s' if views > 1 else ''}"
    if "confusion" in numbers:
        first = [Text(f"confusion of {of}, true class down"), "", confusion_table(numbers["confusion"], classes, width)]
    else:
        first = [Text(f"{of}, several labels each; predicted from a probability of {numbers['threshold']:.2f} on")]
    return Group(*first, "", class_table(numbers, width), "", summary_table(by_views))


def confusion_table(confusion: list[list[int]], classes: list[str], width: int) -> RenderableType:
    """True class down, predicted across; the diagonal and the errors coloured by their share of the row.

    Columns bear the classes' names where they fit into `width`, else abbreviations, with a legend below where the rows
    have no room for the names either. Where counts do not fit they become percentages of the row, and where those do
    not, only the classes with the most errors are shown. The most confused pairs follow.
    """
    counts = [[str(count or "·") for count in row] for row in confusion]
    longest = max(map(cell_len, classes))
    label = max(min(longest, 24), 4)
    if label + len(classes) * (max(longest, widest(counts)) + 1) <= width:
        rows = [fit(name, label) for name in classes]
        table = confusion_grid(confusion, counts, list(classes), rows, label, range(len(classes)))
        return Group(table, *pair_lines(confusion, classes))
    forms = [(counts, 3, ""), (counts, 2, ""), (percentages(confusion), 2, "in percent of the row, ✓ is all of it")]
    fitting = [form for form in forms if room(width, *form[:2]) >= len(classes)]
    cells, short, note = fitting[0] if fitting else forms[0]
    shown, notes = range(len(classes)), [note] if note else []
    if not fitting:
        shown = most_errors(confusion, room(width, cells, short))
        notes = [f"the {len(shown)} of {len(classes)} classes with the most errors; more do not fit {width} columns"]
    heads = abbreviations(classes, short)
    spare = width - short - len(shown) * (max(short, widest(cells)) + 1) - 1
    names = min(longest, 24, spare) if spare >= 8 else 0
    whole = [fit(name, width - short - 1) for name in classes]
    rows = [f"{set_cell_size(heads[i], short)} {fit(classes[i], names)}".rstrip() for i in range(len(classes))]
    table = confusion_grid(confusion, cells, heads, rows, short + (names + 1 if names else 0), shown)
    legend = Columns([Text(f"{heads[i]} {whole[i]}") for i in shown] if names < longest else [], padding=(0, 2))
    return Group(table, *(Text(note, "dim") for note in notes), legend, *pair_lines(confusion, classes))


def confusion_grid(confusion, cells: list[list[str]], heads: list[str], rows: list[str], label: int, shown) -> Table:
    """The table itself: `cells` of the classes `shown`, under `heads`, beside `rows` of width `label`."""
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)  # the box leaves one space between columns
    table.add_column("true" if label >= 4 else "", width=label, no_wrap=True)
    for i in shown:
        table.add_column(Text(heads[i]), width=max(cell_len(heads[i]), widest(cells)), justify="right", no_wrap=True)
    for i in shown:
        shares = [count / max(sum(confusion[i]), 1) for count in confusion[i]]
        table.add_row(Text(rows[i], "bold"), *(Text(cells[i][j], cell_style(shares[j], i == j)) for j in shown))
    return table


def widest(cells: list[list[str]]) -> int:
    return max(len(cell) for row in cells for cell in row)


def room(width: int, cells: list[list[str]], short: int) -> int:
    """How many columns of `cells` fit beside and under abbreviations of `short` letters."""
    return (width - short) // (max(short, widest(cells)) + 1)


def percentages(confusion: list[list[int]]) -> list[list[str]]:
    """Shares of the row in at most two characters; ✓ for the whole row, · for nothing at all."""
    shares = [[100 * count / max(sum(row), 1) for count in row] for row in confusion]
    return [["·" if not share else "✓" if share == 100 else f"{min(share, 99):.0f}" for share in row] for row in shares]


def most_errors(confusion: list[list[int]], count: int) -> list[int]:
    """The `count` classes that are most often taken for others or others for them, in their own order."""
    taken_for = [sum(column) for column in zip(*confusion, strict=True)]
    wrong = [sum(row) + taken_for[i] - 2 * row[i] for i, row in enumerate(confusion)]
    return sorted(sorted(range(len(wrong)), key=lambda i: -wrong[i])[:count])


def cell_style(share: float, correct: bool) -> str:
    """`share` of the row's images in [0, 1]."""
    if not share:
        return "bright_black"
    if correct:
        return "bold green" if share >= 0.9 else "green" if share >= 0.7 else "yellow"
    return "bold red" if share >= 0.1 else "red" if share >= 0.03 else ""


def fit(name: str, width: int) -> str:
    """`name` in at most `width` terminal cells, cut with an ellipsis."""
    return name if cell_len(name) <= width else set_cell_size(name, max(width - 1, 0)).rstrip() + "…" * (width > 0)


def abbreviations(classes: Iterable[str], length: int) -> list[str]:
    """A different short name for each, at most `length` terminal cells wide: its first letters, or its first ones and a
    later one, or, where those are taken, the number of the class in letters and digits."""
    taken: dict[str, None] = {}
    for name in classes:
        letters = "".join(letter for letter in name if letter.isalnum())
        first = [letters[:length], *(letters[: length - 1] + letter for letter in letters[length:])]
        counted = map("".join, product("0123456789abcdefghijklmnopqrstuvwxyz", repeat=length))
        fitting = (short for short in chain(first, counted) if short and cell_len(short) <= length)
        taken[next(short for short in fitting if short not in taken)] = None
    return list(taken)


def pair_lines(confusion: list[list[int]], classes: list[str]) -> list[Text]:
    """The five most confused pairs in words; a class name that fills lines is cut."""
    lines = []
    for true, given, count in confused_pairs(confusion):
        total = sum(confusion[true])
        names = f"{fit(classes[true], 30)} taken for {fit(classes[given], 30)}"
        lines.append(Text(f"  {count} of {total} {names} ({count / total:.0%})"))
    return [Text("\nmost confused", style="bold"), *lines] if lines else [Text("\nno errors", style="bold")]


def confused_pairs(confusion: list[list[int]], most: int = 5) -> list[tuple[int, int, int]]:
    """(true class, predicted class, count) of the most frequent errors, most first."""
    wrong = np.array(confusion)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [np.unravel_index(place, wrong.shape) for place in order]
    return [(int(true), int(given), int(wrong[true, given])) for true, given in pairs if wrong[true, given]]


def class_table(numbers: dict, width: int) -> Table:
    """Precision, recall, F1 and support of each class, then their averages. `numbers` as metrics.measure gives."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("class", max_width=max(width - 40, 12), no_wrap=True)
    for name in ("precision", "recall", "f1", "support"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = list(numbers["per_class"].items())
    for number, (name, scores) in enumerate(rows, 1):
        table.add_row(Text(name), *score_cells(scores), end_section=number == len(rows))
    for name, scores in numbers["averages"].items():
        table.add_row(Text(f"{name} average", style="bold"), *score_cells(scores))
    return table


def score_cells(scores: dict) -> list[str]:
    return [*(f"{scores[name]:.3f}" for name in ("precision", "recall", "f1")), f"{scores['support']:,}"]


def summary_table(by_views: dict[int, dict]) -> Table:
    """The numbers over all classes, as far as there are any of a kind, for each number of views."""
    names = {"accuracy": "accuracy", "macro_f1": "macro F1", "samples_f1": "samples F1", "log_loss": "log loss",
             "top5_accuracy": "top-5", "auc": "AUC"}  # fmt: skip
    shown = [name for name in names if all(name in numbers for numbers in by_views.values())]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("views")
    for name in shown:
        table.add_column(names[name], justify="right", no_wrap=True)
    for views, numbers in by_views.items():
        table.add_row(str(views), *(f"{numbers[name]:.4f}" for name in shown))
    return table
