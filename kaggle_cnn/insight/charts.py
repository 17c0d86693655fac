"""Charts: training curves, confusion matrix, class balance, image sizes, and the graph of a network."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.insight.canvas import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAGE,
    RED,
    SERIES,
    Sheet,
    figure,
    measure_text,
    shorten,
)
from kaggle_cnn.insight.evaluation import most_errors
from kaggle_cnn.insight.tables import column_title, find_best_row

LONGEST_NAME = 320  # pixels
MOST_CLASSES = 120  # of a confusion matrix: a page has room for their names
SIZES = 460  # pixels, the side of the chart of image sizes
MOST_BARS = 576  # six columns of 96
MOST_VALUES = 5  # of a regression, side by side on a page
LIGHT = "#dbeafe"
Bar = tuple[str, list[tuple[float, str]], str]  # a name, the parts of its bar as (length, colour), a text


def curves(histories: dict[str, list[pd.DataFrame]], by: str, higher_is_better: bool) -> Figure:
    """Draw the loss and the column `by`, such as "val_log_loss", against the epoch.

    `histories` maps a run to the history.csv of each of its folds. Lines of training are dashed, those of validation
    are solid. A dot marks the best epoch by the column `by`. Of training, only the columns that exist are drawn.
    """
    width, height, legend = 1400, 560, 26 * (1 + len(histories))
    whole = height + legend
    names = list(dict.fromkeys(["loss", by.removeprefix("val_")]))
    drawn = figure(width, whole)
    places = [(0.06, 0.42), (0.55, 0.42)] if len(names) == 2 else [(0.06, 0.91)]
    panels = [drawn.add_axes((left, (legend + 70) / whole, across, (height - 130) / whole)) for left, across in places]
    entries: list[tuple[Line2D, str]] = []
    for number, (run, folds) in enumerate(histories.items()):
        colour = SERIES[number % len(SERIES)]
        best = [find_best_row(history, by, higher_is_better) for history in folds]
        for history, row in zip(folds, best, strict=True):
            for axes, name in zip(panels, names, strict=True):
                plot_history(axes, history, row, name, colour, 1 if len(folds) == 1 else 0.6)
        numbers = ", ".join(f"{row[by]:.4f} at epoch {int(row['epoch'])}" for row in best[:3])
        more = " …" if len(best) > 3 else ""
        text = f"{run}   best {column_title(by)}: {numbers}{more}"
        entries.append((panels[0].plot([], [], color=colour)[0], shorten(text, width * 0.85, 8)))
    for axes, name in zip(panels, names, strict=True):
        axes.set_title(column_title(name), loc="left", weight="bold")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axes.grid(axis="y", color="#9ca3af", linewidth=0.6, alpha=0.35)
    styles = [panels[0].plot([], [], style, color=GREY, linewidth=1)[0] for style in ("--", "-")]
    place: dict[str, Any] = {"loc": "lower left", "frameon": False, "borderaxespad": 0, "fontsize": 8}
    anchor = (0.06, (legend - 24) / whole)
    drawn.legend(styles, ["training", "validation"], ncols=2, bbox_to_anchor=anchor, **place)
    lines, texts = [line for line, _ in entries], [text for _, text in entries]
    drawn.legend(lines, texts, bbox_to_anchor=(0.06, 4 / whole), labelspacing=0.3, **place)
    return drawn


def plot_history(
    axes: Axes, history: pd.DataFrame, best: "pd.Series[Any]", name: str, colour: str, alpha: float
) -> None:
    """Draw the column `name` of training and of validation, and a dot at the epoch of the row `best`."""
    if name in history:
        axes.plot(history["epoch"], history[name], "--", color=colour, linewidth=1, alpha=0.75 * alpha)
    axes.plot(history["epoch"], history[f"val_{name}"], color=colour, linewidth=1.6, alpha=alpha)
    axes.plot(best["epoch"], best[f"val_{name}"], "o", color=colour, markersize=5)


def cluster_order(confusion: Array) -> list[int]:
    """Return an order of the classes that puts classes next to each other that are often confused.

    Average linkage of the shares of the rows.
    """
    shares = normalise_rows(confusion)
    similarity = (shares + shares.T) / 2
    distance = similarity.max(initial=0) - similarity
    np.fill_diagonal(distance, 0)
    order = leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True))
    return [int(number) for number in order]


def normalise_rows(confusion: Array) -> Array:
    """Return the counts of each row divided by their sum; a row of zeros stays zero."""
    return np.asarray(confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1))


def confusion(counts: Array, classes: list[str], title: str) -> Figure:
    """Draw a confusion matrix: a row for each true class, a column for each predicted class.

    The colour of a cell is its share of the row, blue where it is right and red where it is wrong. Counts above 0 are
    written in the cells, where a page of PAGE x PAGE pixels has room for them. Of more than MOST_CLASSES classes those
    with the most errors are drawn. `title` names the run and the TTA policy.
    """
    if len(classes) > MOST_CLASSES:
        chosen = most_errors(counts.tolist(), MOST_CLASSES)
        title += f"; the {len(chosen)} of {len(classes):,} classes with the most errors"
        counts, classes = counts[np.ix_(chosen, chosen)], [classes[place] for place in chosen]
    number = len(classes)
    size = 8 if number <= 30 else 6 if number <= 60 else 5
    name_size = min(8, size + 1)
    names = [shorten(name, LONGEST_NAME, name_size) for name in classes]
    longest = max(measure_text(name, name_size) for name in names)
    widest = max(measure_text(f"{count}", size) for count in np.unique(counts))
    room = int((PAGE - longest - 140) // number)
    cell = min(max(56 if number <= 12 else 40 if number <= 30 else 26, widest + 14), max(room, 14))
    numbered = widest + 4 <= cell
    left, top, bottom, side = longest + 70, 60, longest + 70, cell * number
    width, height = max(left + side + 30, measure_text(title, 9, "bold") + 60), top + side + bottom
    drawn = figure(width, height)
    axes = drawn.add_axes((left / width, bottom / height, side / width, side / height))
    shares = normalise_rows(counts)
    right = np.eye(number, dtype=bool)[..., None]
    colours = np.where(right, colormaps["Blues"](shares), colormaps["Reds"](0.1 + 0.9 * shares))
    colours[counts == 0] = 1
    axes.imshow(colours, aspect="auto", interpolation="none")
    if numbered:
        for true, predicted in np.argwhere(counts):
            colour = "white" if shares[true, predicted] > 0.55 else "black"
            text = f"{counts[true, predicted]}"
            axes.text(predicted, true, text, fontsize=size, ha="center", va="center", color=colour)
    axes.set_xticks(range(number), names, rotation=90, fontsize=name_size)
    axes.set_yticks(range(number), names, fontsize=name_size)
    axes.tick_params(length=2)
    axes.spines[:].set_visible(False)
    drawn.text(0.5 * side / width + left / width, 14 / height, "predicted", ha="center", fontsize=8, color=GREY)
    drawn.text(14 / width, (bottom + 0.5 * side) / height, "true", va="center", rotation=90, fontsize=8, color=GREY)
    drawn.text(30 / width, 1 - 16 / height, title, va="top", fontsize=9, weight="bold")
    return drawn


def residuals(targets: Array, values: Array, names: list[str], title: str) -> Figure:
    """Draw for each value of a regression, of at most MOST_VALUES, the predicted against the true values, and below it
    the residuals, predicted less true; `targets` and `values` float (N, values). A line is where a prediction is right.
    """
    shown = names[:MOST_VALUES]
    side, head = (460 if len(shown) < 3 else 340), 60
    width, height = max(90 + len(shown) * (side + 90), measure_text(title, 9, "bold") + 60), head + side * 1.5 + 170
    drawn = figure(width, height)
    for number, name in enumerate(shown):
        left = 90 + number * (side + 90)
        true, given = targets[:, number], values[:, number]
        upper = drawn.add_axes((left / width, 1 - (head + 24 + side) / height, side / width, side / height))
        lower = drawn.add_axes((left / width, 60 / height, side / width, side / 2 / height))
        dots: dict[str, Any] = {"s": 9, "color": BLUE, "alpha": max(0.08, min(0.6, 300 / len(true))), "linewidth": 0}
        upper.scatter(true, given, **dots)
        lower.scatter(true, given - true, **dots)
        ends = [min(true.min(), given.min()), max(true.max(), given.max())]
        upper.plot(ends, ends, color=ORANGE, linewidth=1)
        lower.axhline(0, color=ORANGE, linewidth=1)
        upper.set_title(shorten(name, side, 9), loc="left", weight="bold")
        upper.set(ylabel="predicted", xlim=upper.get_xlim())
        lower.set(xlabel="true", ylabel="predicted less true", xlim=upper.get_xlim())
        for axes in (upper, lower):
            axes.grid(color="#9ca3af", linewidth=0.6, alpha=0.35)
    more = f"; the first {len(shown)} of {len(names):,} values" if len(shown) < len(names) else ""
    drawn.text(30 / width, 1 - 16 / height, f"{title}{more}", va="top", fontsize=9, weight="bold")
    return drawn


def balance(counts: dict[str, int], sizes: Array, title: str) -> Figure | None:
    """Draw the number of images of each class as bars, and the image sizes, (n, 2) width and height in pixels.

    Equal bars are not drawn, and one size is not: a sentence says it; with nothing else to draw, None.
    """
    values = set(counts.values())
    rows: list[Bar] = [(name, [(count, BLUE)], f"{count:,}") for name, count in counts.items()]
    if len(values) == 1:
        return draw_bars([], f"{title}; each of {len(counts):,} classes has {values.pop():,}", sizes)
    return draw_bars(rows, title, sizes)


def ranges(values: dict[str, dict[str, float]], sizes: Array, title: str) -> Figure | None:
    """Draw what `balance` draws, for a regression: its bars show the mean between minimum and maximum of each value.

    `values` maps a name to its count, min, mean and max.
    """
    rows: list[Bar] = []
    for name, found in values.items():
        low, mean, high = found["min"], found["mean"], found["max"]
        share = (mean - low) / (high - low) if high > low else 1
        text = f"mean {mean:.4g} of {low:.4g} to {high:.4g}, {int(found['count']):,} images"
        rows.append((name, [(share, BLUE), (1 - share, LIGHT)], text))
    return draw_bars(rows, title, sizes)


def outcomes(counts: dict[str, dict[str, int]], title: str) -> Figure:
    """Draw for each label, as one bar, on how many images it is right, missed and false; see measures.count_labels."""
    colours = {"right": GREEN, "missed": ORANGE, "false": RED}
    rows: list[Bar] = [
        (name, [(found[kind], colour) for kind, colour in colours.items()], ", ".join(
            f"{found[kind]:,} {kind}" for kind in colours if found[kind]) or "on no image")
        for name, found in counts.items()
    ]  # fmt: skip
    drawn = draw_bars(rows, f"{title}; green right, orange missed, red false", np.zeros((0, 2), int))
    assert drawn is not None  # there is a row for each label
    return drawn


def draw_bars(rows: list[Bar], title: str, sizes: Array) -> Figure | None:
    """Draw a bar for each of `rows`, (name, parts, text), the parts being (length, colour) in any unit, and beside them
    the image sizes where there are several. None where there is nothing to draw.

    Rows that do not fit on a page of PAGE pixels stand in several columns; beyond MOST_BARS an even choice of them.
    """
    row, top = 24, 60
    even = np.linspace(0, len(rows) - 1, min(len(rows), MOST_BARS)).astype(int)
    shown = [rows[place] for place in even]
    title += f"; {len(shown):,} of {len(rows):,} are shown" if len(shown) < len(rows) else ""
    scatter = len(np.unique(sizes, axis=0)) > 1
    if len(sizes) and not scatter:
        title += f"; every image has {sizes[0][0]}x{sizes[0][1]} pixels"
    if not shown and not scatter:
        return None
    aside = SIZES + 150 if scatter else 40
    blocks = max(1, -(-len(shown) // ((PAGE - top - 20) // row)))
    down = -(-len(shown) // blocks)
    texts = max([measure_text(text, 8) for *_, text in shown], default=0)
    names = min(
        max([measure_text(name, 8) for name, *_ in shown], default=0),
        LONGEST_NAME if blocks == 1 else max(150, (PAGE - aside) / blocks - texts - 250),
    )
    room = (PAGE - aside) / blocks - names - texts - 50
    bars = min(520, room) if blocks > 1 else 520
    across = names + max(bars, 24) + texts + 50 if shown else 0
    height = max(top + row * down + 20, SIZES + 170 if scatter else 0)
    width = max(blocks * across + aside, measure_text(title, 9, "bold") + 60)
    sheet = Sheet(int(width), int(height))
    sheet.write(20, 14, title, sheet.pixels.shape[1] - 40, size=9, weight="bold")
    most = max([sum(length for length, _ in parts) for _, parts, _ in shown], default=1) or 1
    for number, (name, parts, text) in enumerate(shown):
        left, high = 20 + (number // down) * across, top + row * (number % down)
        sheet.write(left, high, name, names + 1)
        left += names + 12
        for length, colour in [part for part in parts if part[0]]:
            pixels = max(max(bars, 24) * length / most, 1)
            sheet.fill_box(left, high, pixels, row - 8, colour)
            left += pixels
        sheet.write(left + 10, high, text, texts + 8, colour=GREY)
    drawn = sheet.finish()
    if scatter:
        height, width = sheet.pixels.shape[:2]
        place = ((width - SIZES - 30) / width, 1 - (SIZES + 70) / height, SIZES / width, SIZES / height)
        plot_sizes(drawn.add_axes(place), sizes)
    return drawn


def plot_sizes(axes: Axes, sizes: Array) -> None:
    """Draw a dot for each size, (n, 2) width and height in pixels; its area grows with the number of images."""
    distinct, number = np.unique(sizes, axis=0, return_counts=True)
    areas = 8 + 60 * np.sqrt(number / number.max(initial=1))
    axes.scatter(distinct[:, 0], distinct[:, 1], s=areas, color=ORANGE, alpha=0.5, linewidth=0)
    end = sizes.max(initial=1) * 1.08
    axes.set(xlim=(0, end), ylim=(0, end), xlabel="width, pixels", ylabel="height, pixels")
    axes.set_title(f"{len(distinct):,} sizes", loc="left")


def graph(rows: list[dict[str, Any]], title: str) -> Figure:
    """Draw the steps of a network from top to bottom. `rows` is the result of learn.network.outline.

    An arrow joins a step to the next one. Every other connection is an arc at the left.
    """
    height, box, gap = 30, 960, 12
    arcs = assign_lanes(find_arcs(rows))
    left = 40 + 18 * max([lane + 1 for *_, lane in arcs], default=1)
    sheet = Sheet(left + box + 30, 70 + len(rows) * (height + gap) + 20)
    sheet.write(20, 14, title, left + box, size=9, weight="bold")
    heads = {10: "layer", 290: "kind", 530: "output", 670: "parameters", 810: "multiply-adds"}
    for place, text in heads.items():
        sheet.write(left + place, 44, text, 135, 7, GREY)
    at = [70 + number * (height + gap) for number in range(len(rows))]
    for number, row in enumerate(rows):
        sheet.fill_box(left, at[number], box, height, choose_colour(row))
        shape = "x".join(str(side) for side in row["shape"])
        sheet.write(left + 10, at[number] + 6, row["name"], 270, weight="bold" if row["parameters"] else "normal")
        sheet.write(left + 290, at[number] + 6, row["kind"], 230, colour="#374151")
        sheet.write(left + 530, at[number] + 6, shape, 130)
        for place, key in ((670, "parameters"), (810, "operations")):
            sheet.write(left + place, at[number] + 6, f"{row[key]:,}" if row[key] else "", 135, colour="#374151")
        if number and rows[number - 1]["name"] in row["inputs"]:
            middle = left + box / 2
            draw_arrow(sheet, (middle, at[number] - gap), (middle, at[number]))
    for source, target, lane in arcs:
        x = left - 14 - 18 * lane
        points = [(left, at[source] + height - 8), (x, at[source] + height - 8), (x, at[target] + 8)]
        sheet.axes.plot(*zip(*points, strict=True), color=GREY, linewidth=0.8)
        draw_arrow(sheet, points[-1], (left, at[target] + 8))
    return sheet.finish()


def find_arcs(rows: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Return the connections between steps that do not follow each other, as numbers of rows (source, target)."""
    places = {row["name"]: number for number, row in enumerate(rows)}
    return sorted(
        (places[source], number)
        for number, row in enumerate(rows)
        for source in row["inputs"]
        if source in places and places[source] != number - 1
    )


def assign_lanes(arcs: Iterable[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Return (source, target, lane) for each arc, short ones first, so that no two arcs of one lane overlap."""
    lanes: list[list[tuple[int, int]]] = []
    found = []
    for source, target in sorted(arcs, key=lambda arc: arc[1] - arc[0]):
        free = (n for n, taken in enumerate(lanes) if all(source >= end or target <= begin for begin, end in taken))
        lane = next(free, len(lanes))
        if lane == len(lanes):
            lanes.append([])
        lanes[lane].append((source, target))
        found.append((source, target, lane))
    return found


def draw_arrow(sheet: Sheet, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a small grey arrow."""
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 6, "linewidth": 0.8, "color": GREY}
    sheet.axes.add_patch(FancyArrowPatch(begin, end, shrinkA=0, shrinkB=0, **style))


def choose_colour(row: dict[str, Any]) -> str:
    """Return the colour of a step: convolutions blue, dense layers green, pooling orange, steps with several inputs
    violet, all others grey."""
    kinds = {"Conv": "#dbeafe", "Dense": "#dcfce7", "Pool": "#ffedd5"}
    other = "#ede9fe" if len(row["inputs"]) > 1 else "#f3f4f6"
    return next((colour for word, colour in kinds.items() if word in row["kind"]), other)


def study(numbers: dict[str, Any]) -> Figure:
    """Draw the metric of each trial of a study in their order, with the best so far as a line; and against each setting
    of the space. Pruned trials are hollow. `numbers` are those of tuning.describe_study; two trials or more."""
    trials = [each for each in numbers["trials"] if each["value"] is not None]
    names, title = list(numbers["space"]), column_title(f"val_{numbers['metric']}")
    side, columns = 300, 3
    rows = -(-(1 + len(names)) // columns)
    width, height = columns * (side + 90) + 40, rows * (side + 90) + 50
    drawn = figure(width, height)
    for place, name in enumerate(["", *names]):
        row, column = divmod(place, columns)
        left, top = 80 + column * (side + 90), 70 + row * (side + 90)
        axes = drawn.add_axes((left / width, 1 - (top + side) / height, side / width, side / height))
        xs = [each["settings"][name] if name else each["number"] for each in trials]
        if name and not all(isinstance(x, int | float) and not isinstance(x, bool) for x in xs):
            xs = [str(x) for x in xs]
        for x, each in zip(xs, trials, strict=True):
            fill = BLUE if each["state"] == "complete" else "none"
            best = each["number"] == numbers["best"]
            axes.scatter(
                [x], [each["value"]], s=28, facecolors=ORANGE if best else fill, edgecolors=ORANGE if best else BLUE
            )
        if not name:
            axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
            values = np.array([each["value"] for each in trials])
            best_so_far = np.maximum.accumulate if numbers["higher_is_better"] else np.minimum.accumulate
            axes.step(xs, best_so_far(values), where="post", color=ORANGE, linewidth=1)
        if name in numbers["log"]:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # its own is mathematics
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title(shorten(name or "trial", side, 9), loc="left", weight="bold")
        axes.set_ylabel(title if column == 0 else "")
        axes.grid(color="#9ca3af", linewidth=0.6, alpha=0.35)
    text = f"{numbers['study']}: {len(trials)} trials; pruned ones are hollow, the best is orange"
    drawn.text(30 / width, 1 - 20 / height, text, va="top", fontsize=9, weight="bold")
    return drawn
