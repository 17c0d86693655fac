"""Rich tables. Each function returns something for a rich Console to print, made to fit the width it is given."""

from collections.abc import Iterable
from itertools import chain, product

import numpy as np
from rich import box
from rich.cells import cell_len, set_cell_size
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
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


def plain_table(columns: list[str], rows: Iterable[Iterable[str]], right: Iterable[str] = (), gap: int = 2) -> Table:
    """A table of strings, a line a row, `gap` (1 or 2) spaces between columns; those named in `right` stand there."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def runs_table(runs: list, width: int) -> Table:
    """`runs` as learn.run.Run, in the order given. Accuracy and the like are of the most views there are; the bars are
    the first fold's validation accuracy, epoch by epoch. When a run was begun is told from 92 columns on."""
    rows = []
    for run in runs:
        record, (views, numbers) = run.record, run.best_score()
        scores = [f"{numbers[name]:.4f}" if numbers else "" for name in ("accuracy", "macro_f1", "log_loss")]
        settings = [str(views or ""), str(len(record["folds"])), str(record["knobs"]["epochs"])]
        begun = record["created"][5:16].replace("T", " ")
        status = f"{record['seconds']:,.0f} s" if run.finished else record["status"]
        history = next(iter(run.histories()), None)
        line = sparkline(history["val_accuracy"].tolist(), 8) if history is not None else ""
        rows.append([run.id, *scores, line, *settings, status, begun])
    columns = ["run", "accuracy", "macro F1", "log loss", "by epoch", "views", "folds", "epochs", "trained"]
    columns += ["begun (UTC)"] if width >= 92 else []
    rows = [row[: len(columns)] for row in rows]
    return plain_table(columns, rows, right=[name for name in columns[1:] if name != "by epoch"], gap=1)


def scores_table(entries: list[dict[str, str]]) -> Table:
    """The ledger's lines; a column that no line fills is left out."""
    columns = ["date", "file", "run", "validation", "public", "private", "status", "message"]
    columns = [name for name in columns if any(entry[name] for entry in entries)] or columns
    rows = [[entry[name][:16] if name == "date" else entry[name] for name in columns] for entry in entries]
    return plain_table(columns, rows, right=("validation", "public", "private"), gap=1)


def leaderboard_table(rows: list[dict]) -> Table:
    """Places of a leaderboard, the user's own in bold."""
    cells = [[f"{row['place']:,}", row["team"], f"{row['score']:g}", row["date"][:16]] for row in rows]
    table = plain_table(["place", "team", "score", "date"], cells, right=("place", "score"))
    for number, row in enumerate(rows):
        table.rows[number].style = "bold green" if row["own"] else None
    return table


def recipes_table(outlines: list[tuple[str, str, dict[str, str]]]) -> RenderableType:
    """Each recipe's name, first line and knobs as written."""
    parts = []
    for name, first_line, knobs in outlines:
        parts += [Text(name, "bold"), Padding(Text(first_line), (0, 0, 0, 2))]
        parts += [Padding(Text(" ".join(f"{knob}={value}" for knob, value in knobs.items()), "dim"), (0, 0, 1, 2))]
    return Group(*parts)


def survey_tables(found: dict) -> list[RenderableType]:
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
    lines += same_lines(found["same"])
    for part in ("train", "test"):
        problems = found[part]["problems"]
        lines += [f"corrupt: {name}: {reason}" for name, reason in list(problems.items())[:20]]
        lines += [f"corrupt: and {len(problems) - 20} more, see --json"] if len(problems) > 20 else []
    return [*parts, *map(Text, lines)]


def same_lines(same: dict) -> list[str]:
    """How many images have the same pixels as others, and a few of those that differ in label."""
    if not same["groups"]:
        return []
    lines = [
        f"groups of images of the same pixels: {same['groups']:,}, of these {same['across']:,} across parts, "
        f"{same['conflicting']:,} with different labels"
    ]
    conflicts = [members for members in same["members"] if len({each["label"] for each in members} - {""}) > 1]
    for members in conflicts[:5]:
        first = next(each for each in members if each["label"])
        other = next(each for each in members if each["label"] not in ("", first["label"]))
        lines.append(f"  {first['file']} ({first['label']}) = {other['file']} ({other['label']})")
    return lines


def sparkline(values: list[float], most: int = 20) -> str:
    """A line of bars from the least value to the greatest; of more than `most`, an even choice with the last."""
    step = (len(values) - 1) / (most - 1)
    kept = values if len(values) <= most else [values[round(place * step)] for place in range(most)]
    low, high = min(kept, default=0), max(kept, default=0)
    return "".join("▁▂▃▄▅▆▇█"[int(7 * (value - low) / ((high - low) or 1))] for value in kept)


def curves_table(histories: dict[str, list], by: str) -> Table:
    """Of each run's folds: validation accuracy epoch by epoch, the best one and the last. As charts.curves has them."""
    rows = []
    for run, folds in histories.items():
        for number, history in enumerate(folds):
            best = history[by].idxmin() if by.endswith("loss") else history[by].idxmax()
            values = history["val_accuracy"]
            epoch = f"{int(history['epoch'][best])} of {len(history)}"
            line = sparkline(values.tolist())
            rows.append(["" if number else run, line, f"{values[best]:.4f}", epoch, f"{values.iloc[-1]:.4f}"])
    return plain_table(["run", "validation accuracy", "best", "epoch", "last"], rows, right=["best", "epoch", "last"])


def layers_table(rows: list[dict]) -> Table:
    """The steps of a network; `rows` as learn.inside.outline gives them."""
    cells = [
        [
            row["name"],
            row["kind"],
            "x".join(str(side) for side in row["shape"]),
            f"{row['parameters']:,}" if row["parameters"] else "",
            f"{row['operations']:,}" if row["operations"] else "",
        ]
        for row in rows
    ]
    columns = ["layer", "kind", "output", "parameters", "multiply-adds"]
    return plain_table(columns, cells, right=columns[2:])


def comparison(names: list[str], numbers: dict, entries: list[dict], most: int = 10) -> RenderableType:
    """`numbers` as insight.compare.compare gives them, `entries` the images on which two runs part."""
    rows = []
    for key, name in (("accuracy", "accuracy"), ("macro_f1", "macro F1")):
        of, (low, high) = numbers[key], numbers[key]["interval"]
        ends = f"{low:+.4f} to {high:+.4f}"
        rows.append([name, f"{of['one']:.4f}", f"{of['other']:.4f}", f"{of['difference']:+.4f}", ends])
    columns = ["", *names, "difference", "95 % interval"]
    counts = numbers["only_one"], numbers["only_other"]
    better = names[1] if numbers["accuracy"]["difference"] > 0 else names[0]
    verdict = f"{better} is better, beyond noise" if numbers["beyond_noise"] else "the difference is within noise"
    right = f"only {names[0]} right {counts[0]:,}, only {names[1]} right {counts[1]:,}"
    parts = [
        Text(f"{numbers['images']:,} validation images\n"),
        plain_table(columns, rows, right=columns[1:]),
        Text(f"\n{right}; McNemar's p {numbers['p']:.3g}"),
        Text(verdict, "bold"),
    ]
    if not entries:
        return Group(*parts)
    cells = []
    for each in entries[:most]:
        cells.append([each["name"], each["true"], *(f"{given} {share:.0%}" for given, share in each["said"])])
    apart = Text(f"\nwhere they part most, {len(cells)} of {len(entries):,}")
    return Group(*parts, apart, plain_table(["image", "true", *names], cells))
