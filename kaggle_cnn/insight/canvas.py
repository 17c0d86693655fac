"""Shared parts of all pictures: fonts, colours, sizes, thumbnails, and writing to a file."""

import logging
import warnings
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.rcsetup import cycler

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.files import whole_file

DPI = 144  # a point is two pixels
PAGE = 2400  # pixels: how high and how wide a picture of many classes may be, to be read on a screen
BLUE, ORANGE, GREEN, RED, GREY = "#2563eb", "#d97706", "#15803d", "#b91c1c", "#6b7280"
SERIES = (BLUE, ORANGE, GREEN, "#9333ea", "#0891b2", "#be185d", "#4d7c0f", "#78350f")
# Fonts for names in scripts other than Latin, Greek, Cyrillic, Arabic and Hebrew, of which the installed ones are used;
# and those that packages have for Chinese, Japanese and Korean, so that these are legible on every computer.
OTHER_SCRIPTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo",
    "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Arial Unicode MS",
    "Noto Sans Devanagari", "Noto Sans Thai", "Noto Sans Bengali", "Nirmala UI",
)  # fmt: skip
PACKAGED = {"zhplot": "NotoSansSC-Regular.ttf", "koreanize_matplotlib": "NanumGothic.ttf"}
LEAST_SIDE = 90  # pixels of an image in a grid, for its text to say something
Line = tuple[str, str]  # a text and its colour


def figure(width: float, height: float, **settings: Any) -> Figure:
    """Return an empty figure of `width` x `height` pixels.

    Text is never parsed as mathematics, because a class may have the name `$x_1$`.
    """
    matplotlib.rcParams.update(
        {
            "text.parse_math": False,
            "font.family": find_fonts(),
            "font.size": 8,
            "axes.titlesize": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=SERIES),
            "svg.fonttype": "path",  # the same on every computer, whatever fonts are installed
            "svg.hashsalt": "kcnn",
        }
    )
    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, **settings)


@lru_cache
def find_fonts() -> list[str]:
    """Return the default font, the installed ones of OTHER_SCRIPTS, and those of PACKAGED."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    fonts = ["DejaVu Sans", *(name for name in OTHER_SCRIPTS if name in installed)]
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # it warns where a font has no bold weight
    for package, file in PACKAGED.items():
        found = find_spec(package)  # it is not imported: both change matplotlib's settings then
        path = Path(found.origin).with_name("fonts") / file if found and found.origin else None
        if path and path.is_file():
            font_manager.fontManager.addfont(path)
            fonts.append(font_manager.FontProperties(fname=path).get_name())
    return fonts


def save(drawn: Figure, path: Path, svg: bool = False) -> list[Path]:
    """Write a figure to `path`, a .png, and with `svg` also to a .svg beside it. Return the paths of the files."""
    paths = [path, *([path.with_suffix(".svg")] if svg else [])]
    for each in paths:
        with whole_file(each) as temporary:
            drawn.savefig(temporary, dpi=DPI, metadata={"Date": None} if each.suffix == ".svg" else None)
    return paths


@lru_cache(maxsize=4096)
def measure_text(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of `text` at `size` points, in pixels."""
    properties = font_manager.FontProperties(family=find_fonts(), size=size, weight=weight)
    return float(make_renderer().get_text_width_height_descent(text, properties, False)[0])


@lru_cache
def make_renderer() -> RendererAgg:
    """Return a renderer that measures text. A letter that no installed font has becomes a box, without a warning."""
    warnings.filterwarnings("ignore", "Glyph .* missing")
    return RendererAgg(1, 1, DPI)


@lru_cache(maxsize=4096)
def shorten(text: str, width: float, size: float, weight: str = "normal", keep_end: bool = False) -> str:
    """Return `text` as one line of at most `width` pixels at `size` points.

    If it is too long, an ellipsis replaces its end, or its start with `keep_end`.
    """
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    if measure_text(text, size, weight) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        fits = measure_text(truncate(text, middle, keep_end), size, weight) <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return truncate(text, low, keep_end)


def truncate(text: str, length: int, keep_end: bool) -> str:
    """Return the first `length` letters of `text`, or the last ones with `keep_end`, and an ellipsis."""
    return f"…{text[len(text) - length :]}" if keep_end else f"{text[:length].rstrip()}…"


def thumbnail(pixels: Array, side: int) -> Array:
    """Return uint8 (height, width, channels) as (side, side, 3): the whole image, on white, at the left; of other than
    three channels their mean, in grey.

    A small image is enlarged by a whole number, so that its pixels stay visible as squares.
    """
    grey = np.round(pixels.mean(axis=2, keepdims=True)).astype(np.uint8)
    colour = pixels if pixels.shape[2] == 3 else np.repeat(grey, 3, axis=2)
    colour = shrink(enlarge(colour, max(1, side // max(colour.shape[:2]))), side)
    square = np.full((side, side, 3), 255, np.uint8)
    top = (side - colour.shape[0]) // 2
    square[top : top + colour.shape[0], : colour.shape[1]] = colour
    return square


def shrink(pixels: Array, side: int) -> Array:
    """Return uint8 (height, width, channels) with a longer side of at most `side`, by averaging over areas."""
    scale = side / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    height, width = (max(1, round(each * scale)) for each in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)).reshape(height, width, -1)


def enlarge(pixels: Array, times: int) -> Array:
    """Return an image in which each pixel is `times` as high and as wide."""
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


class Sheet:
    """A page with pixel coordinates from its upper left corner.

    Images keep their pixels exactly. Text is shortened to the width that its caller allows.
    """

    def __init__(self, width: int, height: int, background: tuple[int, int, int] = (255, 255, 255)):
        self.figure = figure(width, height)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")
        self.pixels: Array = np.full((height, width, 3), background, np.uint8)

    def draw_image(self, left: int, top: int, pixels: Array) -> None:
        """Draw uint8 (height, width, 3 or 1)."""
        self.pixels[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels

    def write(
        self,
        left: float,
        top: float,
        text: str,
        width: float,
        size: float = 8,
        colour: str = "black",
        weight: str = "normal",
        keep_end: bool = False,
    ) -> None:
        """Write one line of at most `width` pixels. See `shorten`."""
        words = shorten(text, width, size, weight, keep_end)
        self.axes.text(left, top, words, fontsize=size, color=colour, weight=weight, va="top", clip_on=False)

    def fill_box(self, left: float, top: float, width: float, height: float, colour: str) -> None:
        """Draw a rectangle without an outline."""
        self.axes.add_patch(Rectangle((left, top), width, height, facecolor=colour, linewidth=0))

    def finish(self) -> Figure:
        """Return the page as a figure. Call it once, after all images."""
        height, width = self.pixels.shape[:2]
        self.axes.imshow(self.pixels, extent=(0, width, height, 0), interpolation="none", zorder=-1, aspect="auto")
        return self.figure


def caption_grid(cells: list[tuple[Array, str, list[Line]]], columns: int, side: int, title: str) -> Figure:
    """Draw a grid of images with text below each.

    A cell is an image, uint8 (height, width, 1 or 3), the name of its file, and lines of (text, colour). Where more
    cells than fit on a page stand in `columns` of images of `side` pixels, there are more columns of smaller ones.
    """
    gap, line, head = 16, 22, 44
    lines = 1 + max((len(texts) for *_, texts in cells), default=0)
    columns = max(1, min(columns, len(cells)))
    while head + gap + -(-len(cells) // columns) * (side + lines * line + gap) > PAGE and side > LEAST_SIDE:
        columns += 1
        side = min(side, (PAGE - gap) // columns - gap)
    rows = -(-len(cells) // columns)
    width = max(gap + columns * (side + gap), 480)
    sheet = Sheet(width, head + rows * (side + lines * line + gap) + gap)
    sheet.write(gap, 12, title, width - 2 * gap, size=9, weight="bold")
    for number, (pixels, name, texts) in enumerate(cells):
        row, column = divmod(number, columns)
        left, top = gap + column * (side + gap), head + row * (side + lines * line + gap)
        sheet.draw_image(left, top, thumbnail(pixels, side))
        sheet.write(left, top + side + 4, name, side, 7, GREY, keep_end=True)
        for place, (text, colour) in enumerate(texts, 1):
            sheet.write(left, top + side + 4 + place * line, text, side, 7, colour)
    return sheet.finish()
