"""Tables of runs, submissions, a leaderboard, recipes, a competition's contents, training curves and layers."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.competition.task import SEVERAL_LABELS
from kaggle_cnn.insight.decision_words import format_gain
from kaggle_cnn.insight.evaluation import MANY
from kaggle_cnn.tta import name_policy

STANDARD = ("accuracy", "macro_f1", "log_loss", "rmse", "mae", "r2")  # two of these follow the competition's metric
FILES = ("image", "file")  # columns
WIDE = 92  # columns of the terminal from which runs_table has a date
BARS = "▁▂▃▄▅▆▇█"
MOST_PROBLEMS = 20


def plain_table(columns: list[str], rows: Iterable[Iterable[str]], right: Iterable[str] = (), gap: int = 2) -> Table:
    """Return a table of strings with `gap` (1 or 2) spaces between columns. Columns in `right` are right-aligned; those
    of FILES are never broken, so that a path can be copied: the other columns are, where the terminal is narrow."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False)
    for name in columns:
        justify: Literal["left", "right"] = "right" if name in right else "left"
        whole = name in FILES
        table.add_column(name, justify=justify, overflow="ellipsis" if whole else "fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def column_title(column: str) -> str:
    """Return the title of a column of history.csv: "val_log_loss" -> "log loss"."""
    name = column.removeprefix("val_")
    return name if name == "loss" else find_metric(name).title


def runs_table(rows: list[dict[str, Any]], width: int, metric_name: str) -> Table:
    """Return a table of runs in the given order.

    Keys of a row: id, kind, score (of the metric `metric_name`, or None), scores (metric -> value), tta, folds (their
    numbers), seeds (models of each fold), epochs, seconds, status ("finished" or "training"), created, and history: the
    metric of the first fold after each epoch, drawn as bars. On a terminal of 92 columns or more, the table also has
    the date.
    """
    others = [name for name in STANDARD if name != metric_name and any(name in row["scores"] for row in rows)][:2]
    cells = []
    for row in rows:
        scores = [row["score"], *(row["scores"].get(name) for name in others)]
        trained = f"{row['seconds']:,.0f} s" if row["status"] == "finished" else row["status"]
        cells.append(
            [
                row["id"],
                *("" if score is None else f"{score:.4f}" for score in scores),
                sparkline(row["history"], 8),
                name_policy(row["tta"]) if row["tta"] else "",
                f"{len(row['folds'])}{f' x {count}' if (count := row.get('seeds', 1)) > 1 else ''}",
                str(row["epochs"] or ""),
                trained,
                row["created"][5:16].replace("T", " "),
            ]
        )
    titles = [find_metric(name).title for name in (metric_name, *others)]
    columns = ["run", *titles, "by epoch", "tta", "folds", "epochs", "trained"]
    columns += ["begun (UTC)"] if width >= WIDE else []
    right = [name for name in columns if name not in ("run", "by epoch", "tta")]
    return plain_table(columns, [row[: len(columns)] for row in cells], right=right, gap=1)


def origins_table(lines: list[tuple[str, str, str]]) -> Table:
    """Return what runs come from, and their best public score; of each its id, the words and the score, which may be
    empty."""
    scored = any(score for _, _, score in lines)
    columns = ["run", "comes from", *(["public"] if scored else [])]
    return plain_table(columns, [line[: len(columns)] for line in lines], right=columns[2:])


def policies_table(policies: list[dict[str, Any]], metric_name: str) -> Table:
    """Return what each TTA policy gains and costs; the rows are those of runs.views.judge_policies."""
    rows = [
        [name_policy(each["policy"]), str(each["passes"]), f"{each['score']:.4f}",
         format_gain(each["gain"]) if each["gain"] else ""]
        for each in policies
    ]  # fmt: skip
    columns = ["tta", "passes", find_metric(metric_name).title, "gain over none, 95 % interval"]
    return plain_table(columns, rows, right=columns[1:3])


def submissions_table(entries: list[dict[str, str]]) -> Table:
    """Return the lines of the ledger. A column that is empty in all lines is left out."""
    columns = ["date", "ref", "file", "run", "tta", "metric", "validation", "public", "private", "status", "message"]
    columns = [name for name in columns if any(entry[name] for entry in entries)] or columns
    rows = [[entry[name][:16] if name == "date" else entry[name] for name in columns] for entry in entries]
    return plain_table(columns, rows, right=("validation", "public", "private"), gap=1)


def leaderboard_table(rows: list[dict[str, Any]]) -> Table:
    """Return places of a leaderboard, the user's own in bold. Keys: place, team, score, date, own."""
    cells = [[f"{row['place']:,}", row["team"], f"{row['score']:g}", row["date"][:16]] for row in rows]
    table = plain_table(["place", "team", "score", "date"], cells, right=("place", "score"))
    for number, row in enumerate(rows):
        table.rows[number].style = "bold green" if row["own"] else None
    return table


def recipes_table(outlines: list[tuple[str, str, dict[str, str]]], shared: Mapping[str, Any]) -> RenderableType:
    """Return the name, the first line and the settings of each recipe; and the settings `shared` by all, which have
    these values where a recipe does not give another."""
    parts: list[RenderableType] = []
    for name, first_line, settings in outlines:
        parts += [Text(name, "bold"), Padding(Text(first_line), (0, 0, 0, 2))]
        words = " ".join(f"{setting}={value}" for setting, value in settings.items())
        parts.append(Padding(Text(words, "dim"), (0, 0, 1, 2)))
    parts += [Text("settings of every recipe", "bold")]
    parts.append(Padding(Text(" ".join(f"{name}={value}" for name, value in shared.items()), "dim"), (0, 0, 0, 2)))
    return Group(*parts)


def overview_tables(found: dict[str, Any]) -> list[RenderableType]:
    """Return tables and lines that show what data.overview.summarise found."""
    parts: list[RenderableType] = [labels_table(found), "", images_table(found), ""]
    lines = [
        f"layout {found['layout']}, kind {found['kind']}, folds {found['folds']}",
        f"submission: {found['submission']}",
        *found["notes"],
        *duplicate_lines(found["same"]),
        *near_lines(found["near"], found["kept_together"]),
        *(f"advice: {line}" for line in found["advice"]),
    ]
    for part in ("train", "test"):
        problems = found[part]["problems"]
        lines += [f"corrupt: {name}: {reason}" for name, reason in list(problems.items())[:MOST_PROBLEMS]]
        more = len(problems) - MOST_PROBLEMS
        lines += [f"corrupt: and {more} more, see --json"] if more > 0 else []
    return [*parts, *map(Text, lines)]


def labels_table(found: dict[str, Any]) -> RenderableType:
    """Return the number of images of each class, of many in columns, or the range of each value of a regression."""
    if found["values"]:
        columns = ["value", "images", "min", "mean", "max"]
        rows = [
            [name, f"{numbers['count']:,}", *(f"{numbers[column]:.4g}" for column in columns[2:])]
            for name, numbers in found["values"].items()
        ]
        return plain_table(columns, rows, right=columns[1:])
    rows = [[name, f"{counts['train']:,}", f"{counts['share']:.1%}"] for name, counts in found["classes"].items()]
    if len(rows) <= MANY:
        return plain_table(["class", "images", "share"], rows, right=("images", "share"))
    cells = [Text.assemble(name[:40], (f" {count}", "dim")) for name, count, _ in rows]
    return Group(Text(f"{len(rows):,} classes and how many images each has", "bold"), Columns(cells, padding=(0, 2)))


def images_table(found: dict[str, Any]) -> Table:
    """Return counts and sizes of the training images and of the test images."""
    counts = ["images", "grey", "colour", "corrupt", "duplicates"]
    sizes = {"width (median)": "width", "height (median)": "height"}
    rows = []
    for part in ("train", "test"):
        numbers = found[part]
        if numbers["images"]:
            shapes = [describe_spread(numbers[name]) for name in sizes.values()]
            rows.append([part, *(f"{numbers[name]:,}" for name in counts), *shapes])
    return plain_table(["part", *counts, *sizes], rows, right=[*counts, *sizes], gap=1)


def describe_spread(sides: tuple[int, int, int] | None) -> str:
    """Return the smallest, the largest and the median of widths or heights as text, as "32 to 128 (64)"."""
    if not sides:
        return ""
    low, middle, high = sides
    return f"{low}" if low == high else f"{low} to {high} ({middle})"


def duplicate_lines(same: dict[str, Any]) -> list[str]:
    """Return how many groups of duplicates there are, and a few duplicates with different labels."""
    if not same["groups"]:
        return []
    lines = [
        f"groups of duplicates: {same['groups']:,}, of these {same['across']:,} across parts, "
        f"{same['conflicting']:,} with different labels"
    ]
    conflicts = [members for members in same["members"] if len({each["label"] for each in members} - {""}) > 1]
    for members in conflicts[:5]:
        first = next(each for each in members if each["label"])
        other = next(each for each in members if each["label"] not in ("", first["label"]))
        lines.append(f"  {first['file']} ({first['label']}) = {other['file']} ({other['label']})")
    return lines


def near_lines(pairs: list[dict[str, Any]], kept_together: str) -> list[str]:
    """Return how many pairs of near-duplicates there are, and a few of different parts or with different labels."""
    if not pairs:
        return []
    across, conflicting = (sum(pair[name] for pair in pairs) for name in ("across", "conflicting"))
    lines = [
        f"pairs of near-duplicates: {len(pairs):,}, of these {across:,} across parts, {conflicting:,} with different "
        "labels; --pictures draws them, --json lists them"
    ]
    for pair in [pair for pair in pairs if pair["across"] or pair["conflicting"]][:5]:
        one, other = (f"{each['file']} ({each['label'] or each['part']})" for each in pair["images"])
        lines.append(f"  {one} ~ {other}")
    if kept_together != "near" and any({each["part"] for each in pair["images"]} == {"train"} for pair in pairs):
        lines.append("  kcnn fetch --keep-together near draws folds in which those of the training set stay together")
    return lines


def sparkline(values: Sequence[float], most: int = 20) -> str:
    """Return a line of bars from the minimum to the maximum, with a space for a value that is not a number.

    Of more than `most` values, some are chosen at equal distances, with the first and the last.
    """
    step = (len(values) - 1) / (most - 1)
    kept = values if len(values) <= most else [values[round(place * step)] for place in range(most)]
    finite = [value for value in kept if math.isfinite(value)]
    low, high = min(finite, default=0), max(finite, default=0)
    heights = [int(7 * (value - low) / ((high - low) or 1)) if math.isfinite(value) else None for value in kept]
    return "".join(" " if height is None else BARS[height] for height in heights)


def find_best_row(history: pd.DataFrame, by: str, higher_is_better: bool) -> "pd.Series[Any]":
    """Return the row of history.csv with the best value in the column `by`: the first one among equals."""
    values = history[by].to_numpy(float)
    merits = np.where(np.isnan(values), -np.inf, values if higher_is_better else -values)
    return history.iloc[int(merits.argmax())]


def curves_table(histories: dict[str, list[pd.DataFrame]], by: str, higher_is_better: bool) -> Table:
    """Return the column `by` of each fold of each run: all epochs as bars, the best value and the last one.

    The arguments are those of charts.curves.
    """
    rows = []
    for run, folds in histories.items():
        for number, history in enumerate(folds):
            best, values = find_best_row(history, by, higher_is_better), history[by].tolist()
            epoch = f"{int(best['epoch'])} of {len(history)}"
            rows.append(["" if number else run, sparkline(values), f"{best[by]:.4f}", epoch, f"{values[-1]:.4f}"])
    columns = ["run", f"validation {column_title(by)}", "best", "epoch", "last"]
    return plain_table(columns, rows, right=columns[2:])


def layers_table(rows: list[dict[str, Any]]) -> Table:
    """Return the steps of a network. `rows` is the result of learn.network.outline."""
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


def backbones_table(rows: list[dict[str, Any]]) -> Table:
    """Return a table of backbones. Keys of a row: name, parameters, size (side of the images, pixels), licence,
    megabytes (of the download), on_disk (a path, or "")."""
    cells = [
        [row["name"], f"{row['parameters']:,}", str(row["size"]), f"{row['megabytes']:,.0f}", row["licence"],
         "yes" if row["on_disk"] else ""]
        for row in rows
    ]  # fmt: skip
    columns = ["backbone", "parameters", "size", "MB", "licence", "here"]
    return plain_table(columns, cells, right=columns[1:4])


def is_share(metric: str) -> bool:
    """Return whether a metric is a share from 0 to 1, such as accuracy or F1, whose differences are shown in points."""
    return find_metric(metric).higher_is_better and not metric.startswith(("quadratic", "matthews", "r2"))


def in_points(metric: str, difference: float) -> str:
    """Return a difference of two scores as text: of shares in points, hundredths."""
    return f"{100 * difference:+.2f}" if is_share(metric) else f"{difference:+.4f}"


def comparison(
    names: list[str], numbers: dict[str, Any], entries: list[dict[str, Any]], most: int = 10
) -> RenderableType:
    """Return the comparison of two runs. `numbers` is the result of runs.compare.compare.

    `entries` are the images that only one run predicts correctly, or better, with the keys name, true and said: the
    (class, probability), or (labels, F1), of each run.
    """
    rows = []
    for metric, scores in numbers["scores"].items():
        low, high = scores["interval"]
        gain, low, high = (in_points(metric, value) for value in (scores["difference"], low, high))
        values = [f"{scores['one']:.4f}", f"{scores['other']:.4f}", gain]
        unit = " points" if is_share(metric) else ""
        rows.append([find_metric(metric).title, *values, f"{low} to {high}{unit}"])
    columns = ["", *names, "difference", "95 % interval"]
    parts: list[RenderableType] = [
        Text(f"{numbers['images']:,} validation images\n"),
        plain_table(columns, rows, right=columns[1:]),
        "",
    ]
    if "p" in numbers:
        several = numbers["kind"] in SEVERAL_LABELS
        what, test = ("better labels", "sign test") if several else ("correct", "McNemar's test")
        counts = f"{what} only in {names[0]}: {numbers['only_one']:,}, only in {names[1]}: {numbers['only_other']:,}"
        parts.append(Text(f"{counts}; {test}: p {numbers['p']:.3g}"))
    better = numbers["better"]
    beyond = numbers["beyond_noise"] and better is not None
    title = find_metric(numbers["metric"]).title
    verdict = f"{names[better]} is better in {title}, beyond noise" if beyond else "the difference is within noise"
    parts.append(Text(verdict, "bold"))
    if entries:
        cells = [
            [each["name"], each["true"], *(f"{predicted} {share:.0%}" for predicted, share in each["said"])]
            for each in entries[:most]
        ]
        unit = "; percent are the F1 of the labels" if numbers["kind"] in SEVERAL_LABELS else ""
        parts.append(Text(f"\nlargest disagreements, {len(cells)} of {len(entries):,}{unit}"))
        parts.append(plain_table(["image", "true", *names], cells))
    return Group(*parts)
