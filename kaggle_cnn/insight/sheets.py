"""Sheets of images: filters, activations, Grad-CAM, predictions, mistakes, neighbours, samples and duplicates."""

from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.data.decode import decode_whole
from kaggle_cnn.data.image_cache import attempt
from kaggle_cnn.insight.canvas import (
    BLUE,
    GREEN,
    GREY,
    PAGE,
    RED,
    Line,
    Sheet,
    caption_grid,
    enlarge,
    measure_text,
    shrink,
    thumbnail,
)

MOST_CHANNELS = 16  # maps of a layer in `activations`
MOST_FILTERS = 64  # rows and columns of a grid of filters
SMALL_SIDE, MOST_ROWS = 64, 330  # of `contact`: pixels of an image among many; 10 columns of 33 rows
Entry = dict[str, Any]  # an image and its texts; each function names the keys


def pixels_of(path: Path) -> Array:
    """Return a file as uint8 (height, width, 3), large enough for a thumbnail; a grey square if it is not readable."""
    pixels, _ = attempt(partial(decode_whole, path, 180))
    return np.full((64, 64, 3), 220, np.uint8) if pixels is None else pixels


def scale_values(values: Array) -> Array:
    """Return floats of any shape as uint8: the minimum becomes 0, the maximum 255; equal values become 128."""
    low, high = float(values.min()), float(values.max())
    if high == low:
        return np.full(values.shape, 128, np.uint8)
    return np.asarray(np.round((values - low) / (high - low) * 255).astype(np.uint8))


def filters(name: str, kernel: Array) -> Figure:
    """Draw every filter of `kernel`, float (height, width, channels, filters), each scaled to its own range.

    A filter with 3 channels or 1 is drawn as one image, in colour or grey. Otherwise a filter is a row of the grid and
    a channel is a column.
    """
    height, width, channels, count = kernel.shape
    title = f"{name}: {count} filters {height}x{width}x{channels}, each scaled to its own range"
    if channels in (1, 3):
        columns = min(count, max(8, int(np.ceil((2 * count) ** 0.5))))
        tiles = [scale_values(kernel[..., number]) for number in range(count)]
        return mosaic(tiles, columns, max(1, 64 // max(height, width)), title)
    shown, across = min(count, MOST_FILTERS), min(channels, MOST_FILTERS)
    if (shown, across) != (count, channels):
        title += f"; rows: the first {shown} filters, columns: their first {across} channels"
    else:
        title += "; rows: filters, columns: channels"
    tiles = []
    for number in range(shown):
        grey = scale_values(kernel[..., :across, number])
        tiles += [grey[..., place : place + 1] for place in range(across)]
    return mosaic(tiles, across, max(1, 18 // max(height, width)), title)


def mosaic(tiles: list[Array], columns: int, times: int, title: str) -> Figure:
    """Draw tiles of one shape in rows of `columns`, each pixel `times` as large."""
    gap, edge, head = max(2, times // 3), 20, 48
    height, width = (side * times + gap for side in tiles[0].shape[:2])
    rows = -(-len(tiles) // columns)
    whole = max(2 * edge + columns * width, int(measure_text(title, 9, "bold")) + 2 * edge + 2)
    # The background is neither white nor black, so that it differs from the extremes of every filter.
    sheet = Sheet(whole, head + rows * height + edge, background=(203, 213, 225))
    sheet.write(edge, 12, title, whole - 2 * edge, size=9, weight="bold")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.draw_image(edge + column * width, head + row * height, enlarge(tile, times))
    return sheet.finish()


def activations(image: Array, name: str, walk: list[tuple[str, str, Array]]) -> Figure:
    """Draw the image, uint8 (height, width, channels), and below it the first maps of each step of `walk`; of more
    steps than fit on a page, of an even choice.

    `walk` is the result of learn.network.activations. Each map is scaled to its own range; bright is a high value.
    """
    side, gap, edge, head = 64, 4, 20, 30
    row = head + side + 16
    across = edge + MOST_CHANNELS * (side + gap)
    top = 48 + 160 + 24
    most = (PAGE - top - edge) // row
    shown = [walk[place] for place in np.linspace(0, len(walk) - 1, min(len(walk), 2 * most)).astype(int)]
    blocks = 2 if len(shown) > most else 1
    down = -(-len(shown) // blocks)
    width = edge + blocks * across
    sheet = Sheet(width, top + down * row + edge)
    some = f", {len(shown)} of {len(walk)} steps" if len(shown) < len(walk) else ""
    sheet.write(edge, 12, f"activations for {name}{some}", width - 2 * edge, size=9, weight="bold")
    sheet.draw_image(edge, 48, thumbnail(image, 160))
    for number, (layer, what, maps) in enumerate(shown):
        left, high = edge + (number // down) * across, top + (number % down) * row
        height, wide, channels = maps.shape
        count = min(channels, MOST_CHANNELS)
        line = f"{layer}: {what}, {height}x{wide}x{channels}"
        line += f", the first {count}" if count < channels else ""
        sheet.write(left, high, line, across - 2 * edge)
        for channel in range(count):
            values = maps[..., channel : channel + 1]
            grey = scale_values(values) if np.ptp(values) else np.zeros(values.shape, np.uint8)
            tile = shrink(enlarge(grey, max(1, side // max(height, wide))), side)
            sheet.draw_image(left + channel * (side + gap), high + head - 4, tile)
    return sheet.finish()


def mistakes(entries: list[Entry], title: str) -> Figure:
    """Draw wrongly predicted images. Keys: pixels, name, and lines, each a text and its colour."""
    several = max((len(each["lines"]) for each in entries), default=0) > 2  # missed and false labels: longer lines
    columns, side = (4, 280) if several else (6, 180)
    return caption_grid([(each["pixels"], each["name"], each["lines"]) for each in entries], columns, side, title)


def neighbours(image: Array, name: str, near: list[Entry], title: str) -> Figure:
    """Draw an image and its nearest neighbours. Keys of `near`: pixels, name, label, distance."""
    cells: list[tuple[Array, str, list[Line]]] = [(image, name, [("this image", BLUE)])]
    cells += [
        (each["pixels"], each["name"], [(each["label"], "black"), (f"{each['distance']:.3g}", GREY)]) for each in near
    ]
    return caption_grid(cells, 6, 180, title)


def overlay_heat(image: Array, heat: Array) -> Array:
    """Return uint8 (height, width, 1 or 3) under `heat`, float (height, width) from 0, blue, to 1, red."""
    grey = image.mean(axis=2, keepdims=True)
    colours = matplotlib.colormaps["turbo"](0.05 + 0.87 * heat)[..., :3] * 255  # both ends are nearly black
    return np.asarray(np.round(0.5 * grey + 0.5 * colours).astype(np.uint8))


def gradcam(image: Array, name: str, looks: list[tuple[str, str, Array]]) -> Figure:
    """Draw the image, and beside it the Grad-CAM heat map of each of `looks`: (text, colour of the text, heat). What is
    after a semicolon in the text has a line of its own."""
    cells: list[tuple[Array, str, list[Line]]] = [(image, name, [("the input of the network", GREY)])]
    cells += [
        (overlay_heat(image, heat), name, [(line, colour) for line in text.split("; ")]) for text, colour, heat in looks
    ]
    return caption_grid(cells, 3, 320, "Grad-CAM: red areas increase the score of the class")


def predictions(entries: list[Entry], title: str) -> Figure:
    """Draw images with their most probable classes as bars.

    Keys: pixels, name, true (names of classes or labels), predicted (the same), and best, the most probable ones as
    (class, probability).
    """
    side, gap, line, bars, edge = 150, 24, 27, 300, 20
    columns = min(3 if len(entries) <= 33 else 4, max(1, len(entries)))
    rows = -(-len(entries) // columns)
    cell = side + 12 + bars + gap
    sheet = Sheet(2 * edge + columns * cell, 48 + rows * (side + line + gap) + edge)
    sheet.write(edge, 12, title, columns * cell, size=9, weight="bold")
    for number, each in enumerate(entries):
        row, column = divmod(number, columns)
        left, high = edge + column * cell, 48 + row * (side + line + gap)
        right = left + side + 12
        sheet.draw_image(left, high, thumbnail(each["pixels"], side))
        sheet.write(left, high + side + 4, each["name"], side, 7, GREY, keep_end=True)
        for place, (name, probability) in enumerate(each["best"]):
            top, correct = high + place * (side // 5), name in each["true"]
            colour, weight = GREEN if correct else "black", "bold" if name in each["predicted"] else "normal"
            sheet.write(right, top, f"{probability:.0%} {name}", bars - 4, 7, colour, weight)
            sheet.fill_box(right, top + 19, max(bars * probability, 1), 6, GREEN if correct else "#9ca3af")
        missing = not set(each["true"]) <= set(dict(each["best"]))
        words = f"true: {', '.join(each['true']) or 'no label'}" + (", not all among these" if missing else "")
        sheet.write(right, high + side + 4, words, bars - 4, 7, RED if missing else GREEN)
    return sheet.finish()


def contact(rows: list[tuple[str, str, list[Array]]], side: int, title: str, heads: tuple[str, ...] = ()) -> Figure:
    """Draw a contact sheet. Each of `rows` has a name, a line of text below it, and images; `heads` stand above these.

    Rows that need more than a page of PAGE x PAGE pixels stand in several columns of small images, as many of each row
    as have room. At most MOST_ROWS rows fit.
    """
    gap, edge, top = 6, 20, 48 + (24 if heads else 0)
    most = (PAGE - top - edge) // (side + gap)
    if len(rows) > most:
        side, most = SMALL_SIDE, (PAGE - top - edge) // (SMALL_SIDE + gap)
    blocks = max(1, -(-len(rows) // most))
    longest = max([measure_text(text, 8, "bold") for name, line, _ in rows for text in (name, line)], default=0)
    label = int(min(longest, 300 if blocks == 1 else 110 if blocks > 4 else 180)) + 20
    columns = max((len(images) for *_, images in rows), default=1)
    if blocks > 1:
        columns = max(1, min(columns, ((PAGE - 2 * edge) // blocks - label - edge) // (side + gap)))
    between = edge if blocks > 1 else 0
    across, down = label + columns * (side + gap) + between, -(-len(rows) // blocks)
    whole = max(2 * edge + blocks * across, 640)
    sheet = Sheet(whole, top + down * (side + gap) + edge)
    sheet.write(edge, 12, title, whole - 2 * edge, size=9, weight="bold")
    for place, head in enumerate(heads):
        sheet.write(edge + label + place * (side + gap), 44, head, side, 7, GREY)
    for number, (name, line, images) in enumerate(rows):
        left, high = edge + (number // down) * across, top + (number % down) * (side + gap)
        sheet.write(left, high + 4, name, label - 12, weight="bold")
        sheet.write(left, high + 28, line, label - 12, 7, GREY)
        for place, pixels in enumerate(images[:columns]):
            sheet.draw_image(left + label + place * (side + gap), high, thumbnail(pixels, side))
    return sheet.finish()


def pairs(entries: list[list[Entry]], title: str) -> Figure:
    """Draw pairs of equal or similar images side by side, different labels in red. Keys: pixels, name, label, note."""
    side, gap, line, edge, columns = 160, 10, 22, 20, 3
    cell = 2 * (side + gap) + 30
    rows = -(-len(entries) // columns)
    sheet = Sheet(2 * edge + columns * cell, 48 + rows * (side + 3 * line + 20) + edge)
    sheet.write(edge, 12, title, columns * cell, size=9, weight="bold")
    for number, group in enumerate(entries):
        row, column = divmod(number, columns)
        high = 48 + row * (side + 3 * line + 20)
        differ = len({each["label"] for each in group} - {""}) > 1
        for place, each in enumerate(group[:2]):
            left = edge + column * cell + place * (side + gap)
            sheet.draw_image(left, high, thumbnail(each["pixels"], side))
            sheet.write(left, high + side + 4, each["name"], side, 7, GREY, keep_end=True)
            sheet.write(left, high + side + 4 + line, each["label"] or "no label", side, 7, RED if differ else "black")
            sheet.write(left, high + side + 4 + 2 * line, each["note"], side, 7, GREY)
    return sheet.finish()


def disagreements(entries: list[Entry], names: list[str], title: str) -> Figure:
    """Draw images that only one of two runs predicts correctly.

    Keys: pixels, name, true, and for each of the runs `names` its prediction in `said`, (class, probability), and
    whether that is `right`.
    """
    cells: list[tuple[Array, str, list[Line]]] = []
    for each in entries:
        lines = [(f"true {each['true']}", "black")]
        for run, (predicted, probability), right in zip(names, each["said"], each["right"], strict=True):
            lines.append((f"{run}: {probability:.0%} {predicted}", GREEN if right else RED))
        cells.append((each["pixels"], each["name"], lines))
    return caption_grid(cells, 5, 220, title)
