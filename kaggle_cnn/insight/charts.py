"""Charts: curves of training, the confusion matrix, the balance of classes and sizes, the graph of a network."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from kaggle_cnn.insight.canvas import BLUE, GREY, ORANGE, SERIES, Sheet, figure, fitted, text_width

LONGEST_NAME = 320  # pixels


def curves(histories: dict[str, list[pd.DataFrame]], by: str = "val_accuracy") -> Figure:
    """Loss and accuracy by epoch. `histories`: run -> its folds' history.csv. Training is dashed, validation whole, the
    best epoch by `by` marked."""
    width, height, legend = 1400, 560, 26 * (1 + len(histories))
    drawn = figure(width, height + legend)
    panels = [
        drawn.add_axes((left, (legend + 70) / (height + legend), 0.42, (height - 130) / (height + legend)))
        for left in (0.06, 0.55)
    ]
    entries = []
    for number, (run, folds) in enumerate(histories.items()):
        colour, alpha = SERIES[number % len(SERIES)], 1 if len(folds) == 1 else 0.6
        for history in folds:
            best = best_row(history, by)
            for axes, name in zip(panels, ("loss", "accuracy"), strict=True):
                axes.plot(history["epoch"], history[name], "--", color=colour, linewidth=1, alpha=0.75 * alpha)
                axes.plot(history["epoch"], history[f"val_{name}"], color=colour, linewidth=1.6, alpha=alpha)
                axes.plot(best["epoch"], best[f"val_{name}"], "o", color=colour, markersize=5)
        best = [best_row(history, by) for history in folds]
        told = ", ".join(f"{row['val_accuracy']:.4f} at epoch {int(row['epoch'])}" for row in best[:3])
        line = panels[0].plot([], [], color=colour)[0]
        entries.append((line, f"{run}   best: {told}{' …' if len(best) > 3 else ''}"))
    for axes, name in zip(panels, ("loss", "accuracy"), strict=True):
        of = " of single labels" if name == "accuracy" and by.endswith("loss") else ""
        axes.set_title(name + of, loc="left", weight="bold")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axes.grid(axis="y", color="#9ca3af", linewidth=0.6, alpha=0.35)
    lines = [panels[0].plot([], [], style, color=GREY, linewidth=1)[0] for style in ("--", "-")]
    place = {"loc": "lower left", "frameon": False, "borderaxespad": 0, "fontsize": 8}
    drawn.legend(
        lines, ["training", "validation"], ncols=2, bbox_to_anchor=(0.06, (legend - 24) / (height + legend)), **place
    )
    texts = [fitted(text, width * 0.85, 8) for _, text in entries]
    drawn.legend(
        [line for line, _ in entries], texts, bbox_to_anchor=(0.06, 4 / (height + legend)), labelspacing=0.3, **place
    )
    return drawn


def best_row(history: pd.DataFrame, by: str) -> pd.Series:
    values = history[by]
    return history.loc[values.idxmin() if by.endswith("loss") else values.idxmax()]


def clustered(confusion: np.ndarray) -> list[int]:
    """An order of the classes in which those that are taken for each other stand side by side: average linkage of the
    shares of their rows."""
    shares = row_shares(confusion)
    alike = (shares + shares.T) / 2
    distance = alike.max(initial=0) - alike
    np.fill_diagonal(distance, 0)
    return leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True)).tolist()


def row_shares(confusion: np.ndarray) -> np.ndarray:
    return confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)


def confusion(counts: np.ndarray, classes: list[str], title: str) -> Figure:
    """True class down, predicted across, coloured by the share of the row, with the counts that are not 0.

    A cell is as large as its number wants; beyond 150 classes there are no numbers.
    """
    number = len(classes)
    size = 8 if number <= 30 else 6 if number <= 60 else 5
    widest = max(text_width(f"{count}", size) for count in counts.ravel())
    numbered = number <= 150
    cell = max(56 if number <= 12 else 40 if number <= 30 else 26, widest + 14) if numbered else 14
    name_size = min(8, size + 1) if numbered else 5
    names = [fitted(name, LONGEST_NAME, name_size) for name in classes]
    longest = max(text_width(name, name_size) for name in names)
    left, top, bottom, side = longest + 70, 60, longest + 70, cell * number
    width, height = max(left + side + 30, text_width(title, 9, "bold") + 60), top + side + bottom
    drawn = figure(width, height)
    axes = drawn.add_axes((left / width, bottom / height, side / width, side / height))
    shares = row_shares(counts)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="none")
    if numbered:
        for true, given in np.argwhere(counts):
            shade = "white" if shares[true, given] > 0.55 else "black"
            axes.text(given, true, f"{counts[true, given]}", fontsize=size, ha="center", va="center", color=shade)
    axes.set_xticks(range(number), names, rotation=90, fontsize=name_size)
    axes.set_yticks(range(number), names, fontsize=name_size)
    axes.tick_params(length=2)
    axes.spines[:].set_visible(False)
    drawn.text(0.5 * side / width + left / width, 14 / height, "predicted", ha="center", fontsize=8, color=GREY)
    drawn.text(14 / width, (bottom + 0.5 * side) / height, "true", va="center", rotation=90, fontsize=8, color=GREY)
    drawn.text(30 / width, 1 - 16 / height, title, va="top", fontsize=9, weight="bold")
    return drawn


def balance(counts: dict[str, int], sizes: np.ndarray, title: str) -> Figure:
    """How many images each class has, as bars, and how large images are, (n, 2) width and height in pixels."""
    row, names = 24, [fitted(name, LONGEST_NAME, 8) for name in counts]
    left = max(text_width(name, 8) for name in names) + 40
    widest = max(text_width(f"{count:,}", 8) for count in counts.values())
    bars, plot = 520, 460
    height = max(90 + row * len(counts), plot + 170)
    sheet = Sheet(int(left + bars + widest + plot + 190), int(height))
    sheet.text(20, 14, title, sheet.pixels.shape[1] - 40, size=9, weight="bold")
    most = max([*counts.values(), 1])
    for number, (name, count) in enumerate(zip(names, counts.values(), strict=True)):
        top = 60 + row * number
        sheet.text(20, top, name, LONGEST_NAME + 1)
        sheet.box(left, top, max(bars * count / most, 1), row - 8, BLUE)
        sheet.text(left + bars * count / most + 10, top, f"{count:,}", widest + 8, colour=GREY)
    drawn = sheet.done()
    width, height = sheet.pixels.shape[1], sheet.pixels.shape[0]
    axes = drawn.add_axes(((width - plot - 30) / width, 1 - (plot + 70) / height, plot / width, plot / height))
    kinds, number = np.unique(sizes, axis=0, return_counts=True)
    axes.scatter(*kinds.T, s=8 + 60 * np.sqrt(number / number.max(initial=1)), color=ORANGE, alpha=0.5, linewidth=0)
    top = sizes.max(initial=1) * 1.08
    axes.set(xlim=(0, top), ylim=(0, top), xlabel="width, pixels", ylabel="height, pixels")
    axes.set_title(f"{len(kinds):,} sizes" if len(kinds) > 1 else "one size: {}x{}".format(*kinds[0]), loc="left")
    return drawn


def graph(rows: list[dict], title: str) -> Figure:
    """The steps of a network from top to bottom, as learn.inside.outline gives them; what does not come from the step
    right above comes along an arc on the left."""
    height, box, gap = 30, 960, 12
    places = {row["name"]: number for number, row in enumerate(rows)}
    arcs = sorted(
        (places[source], number)
        for number, row in enumerate(rows)
        for source in row["inputs"]
        if source in places and places[source] != number - 1
    )
    lanes, ends = [], []  # of each arc the lane, of each lane where its last arc ends
    for source, target in sorted(arcs, key=lambda arc: arc[1] - arc[0]):
        lane = next((n for n, taken in enumerate(ends) if all(source >= b or target <= a for a, b in taken)), len(ends))
        ends += [[]] if lane == len(ends) else []
        ends[lane].append((source, target))
        lanes.append((source, target, lane))
    left = 40 + 18 * max(len(ends), 1)
    sheet = Sheet(left + box + 30, 70 + len(rows) * (height + gap) + 20)
    sheet.text(20, 14, title, left + box, size=9, weight="bold")
    heads = {10: "layer", 290: "kind", 530: "output", 670: "parameters", 810: "multiply-adds"}
    for place, text in heads.items():
        sheet.text(left + place, 44, text, 135, 7, GREY)
    at = [70 + number * (height + gap) for number in range(len(rows))]
    for number, row in enumerate(rows):
        sheet.box(left, at[number], box, height, shade(row))
        shape = "x".join(str(side) for side in row["shape"])
        sheet.text(left + 10, at[number] + 6, row["name"], 270, weight="bold" if row["parameters"] else "normal")
        sheet.text(left + 290, at[number] + 6, row["kind"], 230, colour="#374151")
        sheet.text(left + 530, at[number] + 6, shape, 130)
        for place, key in ((670, "parameters"), (810, "operations")):
            sheet.text(left + place, at[number] + 6, f"{row[key]:,}" if row[key] else "", 135, colour="#374151")
        above = number and rows[number - 1]["name"] in row["inputs"]
        if above:
            middle = left + box / 2
            arrow(sheet, (middle, at[number] - gap), (middle, at[number]))
    for source, target, lane in lanes:
        x = left - 14 - 18 * lane
        points = [(left, at[source] + height - 8), (x, at[source] + height - 8), (x, at[target] + 8)]
        sheet.axes.plot(*zip(*points, strict=True), color=GREY, linewidth=0.8)
        arrow(sheet, points[-1], (left, at[target] + 8))
    return sheet.done()


def arrow(sheet: Sheet, begin: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "mutation_scale": 6, "linewidth": 0.8, "color": GREY, "shrinkA": 0, "shrinkB": 0}
    sheet.axes.add_patch(FancyArrowPatch(begin, end, **style))


def shade(row: dict) -> str:
    """By what a step does: convolutions blue, dense layers green, pooling orange, joints violet, all else grey."""
    kinds = {"Conv": "#dbeafe", "Dense": "#dcfce7", "Pool": "#ffedd5"}
    joint = "#ede9fe" if len(row["inputs"]) > 1 else "#f3f4f6"
    return next((colour for word, colour in kinds.items() if word in row["kind"]), joint)
