"""Tables of an evaluation: confusion, classes, values of a regression, and TTA policies. They fit a given width."""

import re
from collections.abc import Iterable, Sequence
from itertools import chain, product, takewhile
from typing import Any

import numpy as np
from rich import box
from rich.cells import cell_len, set_cell_size
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.insight.cells import make_table, truncate
from kaggle_cnn.insight.decision_words import describe_decision
from kaggle_cnn.insight.value_tables import grade_table, target_table, value_tables
from kaggle_cnn.tta import name_policy

MANY = 30  # from more classes on, the worst are shown first
WORST = 15  # confusions and classes
Numbers = dict[str, Any]  # of one TTA policy, as measures.measure returns them


def measures(
    by_policy: dict[str, Numbers],
    classes: Sequence[str],
    width: int,
    metric_name: str,
    primary: str,
    whole: bool = False,
) -> RenderableType:
    """Return all tables of an evaluation.

    `by_policy` maps a TTA policy to its numbers. The tables of classes, confusion and values are those of the policy
    `primary`. The last table has a row for each policy. Of more than MANY classes the confusion matrix is left out, and
    the WORST confusions and classes stand for all, unless the `whole` is asked for.
    """
    numbers = by_policy[primary]
    score = f"{find_metric(metric_name).title} {numbers['scores'][metric_name]:.4f}"
    parts: list[RenderableType] = [
        Text(f"{score} on {numbers['images']:,} validation images, tta {name_policy(primary)}", "bold")
    ]
    if "per_value" in numbers:
        return Group(*parts, "", value_tables(numbers, width), "", summary_table(by_policy, metric_name))
    some = len(classes) > MANY and not whole
    if "confusion" in numbers and some:
        parts += pair_lines(numbers["confusion"], classes)
    elif "confusion" in numbers:
        parts += ["", Text("confusion matrix: rows are true classes, columns are predicted classes"), ""]
        parts.append(confusion_table(numbers["confusion"], classes, width))
    elif "per_target" in numbers:
        parts += ["", target_table(numbers, width)]
    if "per_grade" in numbers:
        parts += ["", grade_table(numbers, width)]
    if lines := describe_decision(numbers["rule"], classes):
        parts += ["", *map(Text, lines)]
    table = class_table(numbers, width, WORST if some else None)
    return Group(*parts, "", table, "", summary_table(by_policy, metric_name))


def confusion_table(confusion: list[list[int]], classes: Sequence[str], width: int) -> RenderableType:
    """Return a confusion matrix: a row for each true class, a column for each predicted class.

    The colour of a cell depends on its share of the row. The columns have the names of the classes if these fit into
    `width`, else abbreviations; a legend follows if the rows have no room for the names either. If the counts do not
    fit, percentages of the row replace them. If these do not fit, only the classes with the most errors are shown. The
    most confused pairs follow.
    """
    counts = [[str(count or "·") for count in row] for row in confusion]
    longest = max(map(cell_len, classes))
    label = max(min(longest, 24), 4)
    if label + len(classes) * (max(longest, find_widest(counts)) + 1) <= width:
        rows = [truncate(name, label) for name in classes]
        table = confusion_grid(confusion, counts, classes, rows, label, range(len(classes)))
        return Group(table, *pair_lines(confusion, classes))
    forms = [(counts, 3, ""), (counts, 2, ""), (percentages(confusion), 2, "in percent of the row, ✓ is all of it")]
    fitting = [form for form in forms if count_columns(width, *form[:2]) >= len(classes)]
    cells, short, note = fitting[0] if fitting else forms[0]
    shown: Sequence[int] = range(len(classes))
    notes = [note] if note else []
    if not fitting:
        shown = most_errors(confusion, count_columns(width, cells, short))
        notes = [f"the {len(shown)} of {len(classes)} classes with the most errors; more do not fit {width} columns"]
    heads = abbreviations(classes, short)
    spare = width - short - len(shown) * (max(short, find_widest(cells)) + 1) - 1
    names = min(longest, 24, spare) if spare >= 8 else 0
    whole = [truncate(name, width - short - 1) for name in classes]
    rows = [f"{set_cell_size(heads[i], short)} {truncate(classes[i], names)}".rstrip() for i in range(len(classes))]
    table = confusion_grid(confusion, cells, heads, rows, short + (names + 1 if names else 0), shown)
    legend = Columns([Text(f"{heads[i]} {whole[i]}") for i in shown] if names < longest else [], padding=(0, 2))
    return Group(table, *(Text(note, "dim") for note in notes), legend, *pair_lines(confusion, classes))


def confusion_grid(
    confusion: list[list[int]],
    cells: list[list[str]],
    heads: Sequence[str],
    rows: list[str],
    label: int,
    shown: Sequence[int],
) -> Table:
    """Return the table itself: the `cells` of the classes `shown`, with `heads` above and `rows`, `label` wide, at the
    left."""
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)  # the box leaves one space between columns
    table.add_column("true" if label >= 4 else "", width=label, no_wrap=True)
    for i in shown:
        width = max(cell_len(heads[i]), find_widest(cells))
        table.add_column(Text(heads[i]), width=width, justify="right", no_wrap=True)
    for i in shown:
        shares = [count / max(sum(confusion[i]), 1) for count in confusion[i]]
        table.add_row(Text(rows[i], "bold"), *(Text(cells[i][j], choose_style(shares[j], i == j)) for j in shown))
    return table


def find_widest(cells: list[list[str]]) -> int:
    """Return the number of letters of the longest cell."""
    return max(len(cell) for row in cells for cell in row)


def count_columns(width: int, cells: list[list[str]], short: int) -> int:
    """Return how many columns of `cells` fit into `width` with abbreviations of `short` letters."""
    return (width - short) // (max(short, find_widest(cells)) + 1)


def percentages(confusion: list[list[int]]) -> list[list[str]]:
    """Return shares of the row in at most two characters; ✓ is the whole row, · is zero."""
    shares = [[100 * count / max(sum(row), 1) for count in row] for row in confusion]
    return [["·" if not share else "✓" if share == 100 else f"{min(share, 99):.0f}" for share in row] for row in shares]


def most_errors(confusion: list[list[int]], count: int) -> list[int]:
    """Return the `count` classes with the most errors, as true or as predicted class, in their own order."""
    predicted = [sum(column) for column in zip(*confusion, strict=True)]
    wrong = [sum(row) + predicted[i] - 2 * row[i] for i, row in enumerate(confusion)]
    return sorted(sorted(range(len(wrong)), key=lambda i: -wrong[i])[:count])


def choose_style(share: float, correct: bool) -> str:
    """Return the style of a cell with this share of its row, from 0 to 1."""
    if not share:
        return "bright_black"
    if correct:
        return "bold green" if share >= 0.9 else "green" if share >= 0.7 else "yellow"
    return "bold red" if share >= 0.1 else "red" if share >= 0.03 else ""


def abbreviations(classes: Iterable[str], length: int) -> list[str]:
    """Return a different short name for each class, at most `length` terminal cells wide.

    It is the first letters of what tells the classes apart; where classes share these, the first letters of the words
    that they share and of the first word that they do not, or the first ones and a later one, or, if other classes have
    these already, a number in letters and digits.
    """
    words = find_telling_words(list(classes))
    first = ["".join(each)[:length] for each in words]
    taken: dict[str, int] = {}
    order = sorted(range(len(words)), key=lambda place: first.count(first[place]) > 1)  # those that share none go first
    for place in order:
        rivals = [other for number, other in enumerate(words) if number != place and first[number] == first[place]]
        shared = max((count_shared(words[place], other) for other in rivals), default=0)
        head = "".join(word[0] for word in words[place][:shared])[: length - 1]
        letters = "".join(words[place][shared:]) or "".join(words[place])
        rest = length - len(head)
        tries = [head + letters[:rest], *(head + letters[: rest - 1] + letter for letter in letters[rest:])]
        counted = map("".join, product("0123456789abcdefghijklmnopqrstuvwxyz", repeat=length))
        fitting = (short for short in chain(tries, counted) if short and cell_len(short) <= length)
        taken[next(short for short in fitting if short not in taken)] = place
    return sorted(taken, key=lambda short: taken[short])


def find_telling_words(names: list[str]) -> list[list[str]]:
    """Return the words of each name that tell it from the others: without those that all have, and without numbers
    where the rest is enough, as in n02085620-Chihuahua and n02085782-Japanese_spaniel."""
    words = [re.findall(r"[^\W\d_]+|\d+", name) for name in names]
    common = set(words[0]).intersection(*words[1:]) if len(words) > 1 else set()
    telling = [[word for word in each if word not in common] or each for each in words]
    letters = [[word for word in each if not word.isdecimal()] for each in telling]
    return letters if all(letters) and len(set(map(tuple, letters))) == len(set(map(tuple, telling))) else telling


def count_shared(one: list[str], other: list[str]) -> int:
    """Return how many words two names have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def pair_lines(confusion: list[list[int]], classes: Sequence[str]) -> list[Text]:
    """Return the most confused pairs in words, five or of many classes WORST. A very long name is truncated."""
    lines = []
    for true, predicted, count in confused_pairs(confusion, count_pairs(len(classes))):
        total = sum(confusion[true])
        names = f"{truncate(classes[true], 30)} predicted as {truncate(classes[predicted], 30)}"
        lines.append(Text(f"  {count} of {total} {names} ({count / total:.0%})"))
    return [Text("\nmost confused", style="bold"), *lines] if lines else [Text("\nno errors", style="bold")]


def count_pairs(classes: int) -> int:
    """Return how many confusions to show."""
    return WORST if classes > MANY else 5


def confused_pairs(confusion: list[list[int]], most: int) -> list[tuple[int, int, int]]:
    """Return (true class, predicted class, count) of the most frequent errors, the largest count first."""
    wrong = np.array(confusion)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [np.unravel_index(place, wrong.shape) for place in order]
    return [(int(true), int(given), int(wrong[true, given])) for true, given in pairs if wrong[true, given]]


def class_table(numbers: Numbers, width: int, most: int | None = None) -> RenderableType:
    """Return precision, recall, F1 and support of each class, then their averages; of several labels also how many
    images miss a label and how many have it wrongly, and which labels stand in the place of which. With `most`, only
    so many classes are shown, those of the lowest F1 first."""
    outcomes = numbers.get("outcomes", {})
    counts = ["missed", "false"] if outcomes else []
    table = make_table(
        "label" if outcomes else "class",
        ["precision", "recall", "f1", "support", *counts],
        max(width - (54 if outcomes else 40), 12),
    )
    rows = list(numbers["per_class"].items())
    parts: list[RenderableType] = [table]
    if most and most < len(rows):
        line = f"the {most} of {len(rows):,} classes with the lowest F1; kcnn evaluate --all shows every one"
        parts = [Text(line), "", table]
        present = [row for row in rows if row[1]["support"]]
        rows = sorted(present, key=lambda row: (row[1]["f1"], -row[1]["support"]))[:most]
    for number, (name, scores) in enumerate(rows, 1):
        wrong = [f"{outcomes[name][count]:,}" for count in counts]
        table.add_row(Text(name), *format_scores(scores), *wrong, end_section=number == len(rows))
    for name, scores in numbers["averages"].items():
        table.add_row(Text(f"{name} average", style="bold"), *format_scores(scores))
    return Group(*parts, *exchange_lines(numbers)) if outcomes else Group(*parts)


def exchange_lines(numbers: Numbers) -> list[Text]:
    """Return in words the labels that are most often missed where another one is wrongly predicted."""
    outcomes = numbers["outcomes"]
    labels = [truncate(name, 30) for name in outcomes]
    supports = [counts["right"] + counts["missed"] for counts in outcomes.values()]
    lines = [
        Text(f"  {count} of {supports[missed]} {labels[missed]} missed, with {labels[false]} in its place")
        for missed, false, count in confused_pairs(numbers["exchanged"], count_pairs(len(outcomes)))
    ]
    return [Text("\nmost exchanged", style="bold"), *lines] if lines else []


def format_scores(scores: dict[str, float]) -> list[str]:
    """Return the cells of a row of `class_table`."""
    return [*(f"{scores[name]:.3f}" for name in ("precision", "recall", "f1")), f"{scores['support']:,}"]


def summary_table(by_policy: dict[str, Numbers], metric_name: str) -> Table:
    """Return the scores of each TTA policy, the metric `metric_name` first, then the others that all policies have."""
    return scores_table(
        "tta", {name_policy(policy): numbers["scores"] for policy, numbers in by_policy.items()}, metric_name
    )


def scores_table(first: str, scores: dict[str, dict[str, float]], metric_name: str) -> Table:
    """Return a row for each name of `scores`, below the heading `first`; the metrics as in `summary_table`."""
    names = dict.fromkeys([metric_name, *chain.from_iterable(scores.values())])
    shown = [name for name in names if all(name in each for each in scores.values())]
    table = make_table(first, [find_metric(name).title for name in shown])
    for name, each in scores.items():
        table.add_row(name, *(f"{each[metric]:.4f}" for metric in shown))
    return table
