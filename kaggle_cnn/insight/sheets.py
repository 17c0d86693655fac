"""Sheets of images: filters, activations, errors, neighbours, where a network looks, what a competition holds."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from kaggle_cnn.data.decode import picture
from kaggle_cnn.data.images import attempt
from kaggle_cnn.insight.canvas import (
    BLUE,
    GREEN,
    GREY,
    RED,
    Sheet,
    captioned,
    enlarged,
    text_width,
    thumbnail,
)

MOST_CHANNELS = 16  # of a layer's maps in `features`
MOST_FILTERS = 64  # down and across, in a grid of a deeper layer's


def pixels_of(path: Path) -> np.ndarray:
    """A file's picture for a thumbnail, uint8 (height, width, 3); a grey square where it cannot be read."""
    pixels, _ = attempt(lambda: picture(path, 180))
    return np.full((64, 64, 3), 220, np.uint8) if pixels is None else pixels


def scaled(values: np.ndarray) -> np.ndarray:
    """float of any shape -> uint8: its least value 0, its greatest 255; 128 where they are the same."""
    low, high = float(values.min()), float(values.max())
    if high == low:
        return np.full(values.shape, 128, np.uint8)
    return np.round((values - low) / (high - low) * 255).astype(np.uint8)


def filters(name: str, kernel: np.ndarray) -> Figure:
    """Every filter of `kernel`, float (height, width, channels, filters), each scaled to itself: in colour, or grey,
    where it has 3 channels or 1; else a row for each filter, a column for each channel."""
    height, width, channels, count = kernel.shape
    title = f"{name}: {count} filters {height}x{width}x{channels}, each scaled to itself"
    if channels in (1, 3):
        columns = min(count, max(8, int(np.ceil((2 * count) ** 0.5))))
        tiles = [scaled(kernel[..., number]) for number in range(count)]
        return mosaic(tiles, columns, max(1, 64 // max(height, width)), title)
    shown, across = min(count, MOST_FILTERS), min(channels, MOST_FILTERS)
    if (shown, across) != (count, channels):
        title += f"; the first {shown} down, their first {across} channels across"
    else:
        title += "; filters down, channels across"
    tiles = []
    for number in range(shown):
        grey = scaled(kernel[..., :across, number])
        tiles += [grey[..., place : place + 1] for place in range(across)]
    return mosaic(tiles, across, max(1, 18 // max(height, width)), title)


def mosaic(tiles: list[np.ndarray], columns: int, times: int, title: str) -> Figure:
    """Tiles of one shape in rows, each pixel `times` as large."""
    gap, edge, head = max(2, times // 3), 20, 48
    height, width = (side * times + gap for side in tiles[0].shape[:2])
    rows = -(-len(tiles) // columns)
    whole = max(2 * edge + columns * width, int(text_width(title, 9, "bold")) + 2 * edge + 2)
    sheet = Sheet(whole, head + rows * height + edge, background=(203, 213, 225))  # no filter's own white or black
    sheet.text(edge, 12, title, whole - 2 * edge, size=9, weight="bold")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.image(edge + column * width, head + row * height, enlarged(tile, times))
    return sheet.done()


def features(image: np.ndarray, name: str, walk: list[tuple[str, str, np.ndarray]]) -> Figure:
    """The image uint8 (height, width, channels) as the network is given it, and below it the first maps of each step of
    `walk`, as learn.inside.activations gives it: bright is much, each map scaled to itself."""
    side, gap, edge, head = 64, 4, 20, 30
    row = head + side + 16
    width = 2 * edge + MOST_CHANNELS * (side + gap)
    top = 48 + 160 + 24
    sheet = Sheet(width, top + len(walk) * row + edge)
    sheet.text(edge, 12, f"{name}, through the network", width - 2 * edge, size=9, weight="bold")
    sheet.image(edge, 48, thumbnail(image, 160))
    for number, (layer, what, maps) in enumerate(walk):
        height, across, channels = maps.shape
        shown = min(channels, MOST_CHANNELS)
        line = f"{layer}: {what}, {height}x{across}x{channels}"
        line += f", the first {shown}" if shown < channels else ""
        sheet.text(edge, top + number * row, line, width - 2 * edge)
        for channel in range(shown):
            grey = scaled(maps[..., channel]) if np.ptp(maps[..., channel]) else np.zeros(maps.shape[:2], np.uint8)
            tile = enlarged(grey, max(1, side // max(height, across)))
            if max(tile.shape) > side:
                share = side / max(tile.shape)
                kept = (max(1, round(across * share)), max(1, round(height * share)))
                tile = cv2.resize(grey, kept, interpolation=cv2.INTER_AREA)
            sheet.image(edge + channel * (side + gap), top + number * row + head - 4, tile[..., None])
    return sheet.done()


def mistakes(entries: list[dict], title: str) -> Figure:
    """`entries`: pixels, name, true and predicted (names), probability of the predicted."""
    cells = [
        (
            each["pixels"],
            each["name"],
            [(f"true {each['true']}", GREEN), (f"{each['probability']:.0%} {each['predicted']}", RED)],
        )
        for each in entries
    ]
    return captioned(cells, 6, 180, title)


def neighbours(image: np.ndarray, name: str, near: list[dict], title: str) -> Figure:
    """The image asked for, and `near`: pixels, name, label, distance."""
    cells = [(image, name, [("asked for", BLUE)])]
    cells += [
        (each["pixels"], each["name"], [(each["label"], "black"), (f"{each['distance']:.3g}", GREY)]) for each in near
    ]
    return captioned(cells, 6, 180, title)


def heated(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """uint8 (height, width, 1 or 3) under `heat`, float (height, width) in [0, 1]: from blue, nothing, to red."""
    grey = image.mean(axis=2, keepdims=True)
    colours = matplotlib.colormaps["turbo"](0.05 + 0.87 * heat)[..., :3] * 255  # its ends are nearly black
    return np.round(0.5 * grey + 0.5 * colours).astype(np.uint8)


def cam(image: np.ndarray, name: str, looks: list[tuple[str, str, np.ndarray]]) -> Figure:
    """The image beside where the network sees each of `looks`: (what it is, colour, heat)."""
    cells = [(image, name, [("as the network is given it", GREY)])]
    cells += [(heated(image, heat), name, [(text, colour)]) for text, colour, heat in looks]
    return captioned(cells, 3, 320, "where the network looks (Grad-CAM): red speaks for the class")


def top(entries: list[dict], title: str) -> Figure:
    """`entries`: pixels, name, true (a name, or None) and best, the most probable classes as (name, probability)."""
    side, gap, line, bars, edge = 150, 24, 27, 300, 20
    columns = min(3, max(1, len(entries)))
    rows = -(-len(entries) // columns)
    cell = side + 12 + bars + gap
    sheet = Sheet(2 * edge + columns * cell, 48 + rows * (side + line + gap) + edge)
    sheet.text(edge, 12, title, columns * cell, size=9, weight="bold")
    for number, each in enumerate(entries):
        row, column = divmod(number, columns)
        left, high = edge + column * cell, 48 + row * (side + line + gap)
        sheet.image(left, high, thumbnail(each["pixels"], side))
        sheet.text(left, high + side + 4, each["name"], side, 7, GREY, keep_end=True)
        for place, (name, probability) in enumerate(each["best"]):
            y, colour = high + place * (side // 5), GREEN if name == each["true"] else "#9ca3af"
            sheet.text(
                left + side + 12,
                y,
                f"{probability:.0%} {name}",
                bars - 4,
                7,
                GREEN if name == each["true"] else "black",
            )
            sheet.box(left + side + 12, y + 19, max(bars * probability, 1), 6, colour)
        if each["true"] is not None:
            missing = each["true"] not in dict(each["best"])
            words = f"true: {each['true']}{', not among the five' if missing else ''}"
            sheet.text(left + side + 12, high + side + 4, words, bars - 4, 7, RED if missing else GREEN)
    return sheet.done()


def contact(rows: list[tuple[str, str, list[np.ndarray]]], side: int, title: str) -> Figure:
    """A row for each of `rows`: a name, a line below it, images."""
    gap, edge = 6, 20
    label = max([text_width(text, 8, "bold") for name, line, _ in rows for text in (name, line)], default=0)
    label = int(min(label, 300)) + 20
    columns = max((len(images) for *_, images in rows), default=1)
    whole = max(2 * edge + label + columns * (side + gap), 640)
    sheet = Sheet(whole, 48 + len(rows) * (side + gap) + edge)
    sheet.text(edge, 12, title, whole - 2 * edge, size=9, weight="bold")
    for number, (name, line, images) in enumerate(rows):
        high = 48 + number * (side + gap)
        sheet.text(edge, high + 4, name, label - 12, weight="bold")
        sheet.text(edge, high + 28, line, label - 12, 7, GREY)
        for place, pixels in enumerate(images):
            sheet.image(edge + label + place * (side + gap), high, thumbnail(pixels, side))
    return sheet.done()


def pairs(entries: list[list[dict]], title: str) -> Figure:
    """Groups of images that are the same or alike, side by side: each with pixels, name, part, label and note."""
    side, gap, line, edge, columns = 160, 10, 22, 20, 3
    cell = 2 * (side + gap) + 30
    rows = -(-len(entries) // columns)
    sheet = Sheet(2 * edge + columns * cell, 48 + rows * (side + 3 * line + 20) + edge)
    sheet.text(edge, 12, title, columns * cell, size=9, weight="bold")
    for number, group in enumerate(entries):
        row, column = divmod(number, columns)
        high = 48 + row * (side + 3 * line + 20)
        differ = len({each["label"] for each in group} - {""}) > 1
        for place, each in enumerate(group[:2]):
            left = edge + column * cell + place * (side + gap)
            sheet.image(left, high, thumbnail(each["pixels"], side))
            sheet.text(left, high + side + 4, each["name"], side, 7, GREY, keep_end=True)
            sheet.text(left, high + side + 4 + line, each["label"] or "no label", side, 7, RED if differ else "black")
            sheet.text(left, high + side + 4 + 2 * line, each["note"], side, 7, GREY)
    return sheet.done()


def parted(entries: list[dict], names: list[str], title: str) -> Figure:
    """Images that just one of two runs has right. `entries`: pixels, name, true, and for each of the runs `names` what
    it `said`, (class, probability), and whether that is `right`."""
    cells = []
    for each in entries:
        lines = [(f"true {each['true']}", "black")]
        for run, (given, probability), right in zip(names, each["said"], each["right"], strict=True):
            lines.append((f"{run}: {probability:.0%} {given}", GREEN if right else RED))
        cells.append((each["pixels"], each["name"], lines))
    return captioned(cells, 5, 220, title)
