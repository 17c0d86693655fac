"""Rich tables. Each function returns something for a rich Console to print, made to fit the width it is given."""

from collections.abc import Iterable

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kaggle_cnn.insight.metrics import confused_pairs


def confusion_table(confusion: list[list[int]], classes: list[str], width: int) -> RenderableType:
    """True class down, predicted across; the diagonal and the errors coloured by their share of the row.

    Columns bear the classes' names where they fit into `width`, else abbreviations, which the rows bear too with the
    name behind. Where even those do not fit, only the classes with the most errors are shown. The most confused
    pairs follow.
    """
    shown, heads = list(range(len(classes))), list(classes)
    digits = max(len(str(count)) for row in confusion for count in row)
    name_width = min(max(map(cell_len, classes)), 24)
    if fitting_columns(width, name_width, max(digits, *map(cell_len, classes))) < len(classes):
        heads = abbreviations(classes)
        room = fitting_columns(width, 9, max(digits, *map(cell_len, heads)))
        if room < len(classes):
            errors = [
                sum(row) - row[i] + sum(other[i] for other in confusion) - row[i] for i, row in enumerate(confusion)
            ]
            shown = sorted(sorted(shown, key=lambda i: -errors[i])[: max(room, 2)])
        column = max(digits, *map(cell_len, heads))
        name_width = min(name_width, max(width - len(shown) * (column + 1) - column - 3, 0))
    column = max(digits, *(cell_len(heads[i]) for i in shown))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, title_justify="left")
    abbreviated = heads != list(classes)
    table.add_column(
        Text("true \\ predicted" if name_width > 15 else "true"),
        width=name_width + (column + 1) * abbreviated,
        no_wrap=True,
    )
    for i in shown:
        table.add_column(Text(heads[i]), width=column, justify="right", no_wrap=True)
    for i in shown:
        name = Text(set_cell_size(heads[i], column) + " " if abbreviated else "", style="bold")
        name.append(fit(classes[i], name_width), style="not bold")
        total = sum(confusion[i])
        table.add_row(name, *(count_cell(confusion[i][j], total, i == j) for j in shown))
    notes = [
        Text(
            f"the {len(shown)} of {len(classes)} classes with the most errors; the others do not fit {width} columns",
            "dim",
        )
    ]
    parts = [table, *(notes if len(shown) < len(classes) else []), *pair_lines(confusion, classes)]
    return Group(*parts)


def fitting_columns(width: int, name_width: int, column: int) -> int:
    return (width - name_width - 1) // (column + 1)


def count_cell(count: int, total: int, correct: bool) -> Text:
    if not count:
        return Text("·", style="bright_black")
    share = count / total
    if correct:
        return Text(str(count), style="bold green" if share >= 0.9 else "green" if share >= 0.7 else "yellow")
    return Text(str(count), style="bold red" if share >= 0.1 else "red" if share >= 0.03 else "")


def fit(name: str, width: int) -> str:
    """`name` in at most `width` terminal cells, cut with an ellipsis."""
    return name if cell_len(name) <= width else set_cell_size(name, max(width - 1, 0)).rstrip() + "…" * (width > 0)


def abbreviations(classes: Iterable[str], length: int = 3) -> list[str]:
    """A different short name for each: its first letters, or its first ones with a later letter, or a number."""
    taken: dict[str, None] = {}
    for number, name in enumerate(classes, 1):
        letters = [letter for letter in name if letter.isalnum()] or ["?"]
        candidates = [
            "".join(letters[:length]),
            *("".join([*letters[: length - 1], letter]) for letter in letters[length:]),
        ]
        fresh = (short for short in candidates if short not in taken and cell_len(short) <= length + 1)
        taken[next(fresh, str(number))] = None
    return list(taken)


def pair_lines(confusion: list[list[int]], classes: list[str]) -> list[Text]:
    """The five most confused pairs in words; a class name that fills lines is cut."""
    lines = []
    for true, given, count in confused_pairs(confusion):
        total = sum(confusion[true])
        names = f"{fit(classes[true], 30)} taken for {fit(classes[given], 30)}"
        lines.append(Text(f"  {count} of {total} {names} ({count / total:.0%})"))
    return [Text("\nmost confused", style="bold"), *lines] if lines else [Text("\nno errors", style="bold")]


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
    """Accuracy, macro F1, log loss and top-5 accuracy for each number of views."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("views")
    for name in ("accuracy", "macro F1", "log loss", "top-5"):
        table.add_column(name, justify="right", no_wrap=True)
    for views, numbers in by_views.items():
        table.add_row(
            str(views), *(f"{numbers[name]:.4f}" for name in ("accuracy", "macro_f1", "log_loss", "top5_accuracy"))
        )
    return table


def plain_table(columns: list[str], rows: Iterable[Iterable[str]], right: Iterable[str] = ()) -> Table:
    """A table of strings, one line each row; the columns named in `right` stand to the right."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def runs_table(runs: list) -> Table:
    """`runs` as learn.run.Run, in the order given."""
    rows = []
    for run in runs:
        record, (views, accuracy) = run.record, run.best_score()
        numbers = record["scores"][str(views)] if accuracy is not None else {}
        rows.append(
            [
                run.id,
                f"{accuracy:.4f}" if numbers else record["status"],
                f"{numbers['macro_f1']:.4f}" if numbers else "",
                f"{numbers['log_loss']:.4f}" if numbers else "",
                str(views or ""),
                str(len(record["folds"])),
                str(record["knobs"]["epochs"]),
                f"{record['seconds']:,.0f} s",
                record["created"][:16].replace("T", " "),
            ]
        )
    columns = ["run", "accuracy", "macro F1", "log loss", "views", "folds", "epochs", "trained", "begun (UTC)"]
    return plain_table(columns, rows, right=columns[1:8])


def survey_tables(found: dict, width: int) -> list[RenderableType]:
    """What data.survey found, as tables and lines."""
    rows = [[name, f"{counts['train']:,}", f"{counts['share']:.1%}"] for name, counts in found["classes"].items()]
    parts: list[RenderableType] = [plain_table(["class", "images", "share"], rows, right=("images", "share"))]
    rows = []
    for part in ("train", "test"):
        numbers = found[part]
        if numbers["images"]:
            sizes = [
                f"{numbers[name][0]}x{numbers[name][1]}" if numbers[name] else ""
                for name in ("smallest", "median", "largest")
            ]
            counts = [f"{numbers[name]:,}" for name in ("images", "grey", "colour", "corrupt", "double")]
            rows.append([part, *counts, *sizes])
    columns = ["part", "images", "grey", "colour", "corrupt", "double", "smallest", "median", "largest"]
    parts += ["", plain_table(columns, rows, right=columns[1:]), ""]
    lines = [f"layout {found['layout']}, folds {found['folds']}", f"submission: {found['submission']}", *found["notes"]]
    for part in ("train", "test"):
        problems = found[part]["problems"]
        lines += [f"corrupt: {name}: {reason}" for name, reason in list(problems.items())[:20]]
        lines += [f"corrupt: and {len(problems) - 20} more, see --json"] if len(problems) > 20 else []
    return [*parts, *map(Text, lines)]
