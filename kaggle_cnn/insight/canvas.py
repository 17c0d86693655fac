"""What every picture shares: fonts, colours, sizes, thumbnails, saving."""

import warnings
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure

from kaggle_cnn.files import whole_file

DPI = 144  # a point is two pixels
BLUE, ORANGE, GREEN, RED, GREY = "#2563eb", "#d97706", "#15803d", "#b91c1c", "#6b7280"
SERIES = (BLUE, ORANGE, GREEN, "#9333ea", "#0891b2", "#be185d", "#4d7c0f", "#78350f")
# For names that are written neither in Latin, Greek, Cyrillic, Arabic nor Hebrew; the first that is installed.
OTHER_SCRIPTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo",
    "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Arial Unicode MS",
    "Noto Sans Devanagari", "Noto Sans Thai", "Noto Sans Bengali", "Nirmala UI",
)  # fmt: skip


def figure(width: float, height: float, **settings) -> Figure:
    """An empty figure of so many pixels. Text is never taken for mathematics: a class may be called `$x_1$`."""
    matplotlib.rcParams.update(
        {
            "text.parse_math": False,
            "font.family": families(),
            "font.size": 8,
            "axes.titlesize": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": matplotlib.cycler(color=SERIES),
            "svg.fonttype": "path",  # the same everywhere, whatever fonts there are
            "svg.hashsalt": "kcnn",
        }
    )
    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, **settings)


@lru_cache
def families() -> list[str]:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in OTHER_SCRIPTS if name in installed)]


def save(drawn: Figure, path: Path, svg: bool = False) -> list[Path]:
    """Writes `path`, a .png, and with `svg` the same as .svg beside it; returns what was written."""
    paths = [path, *([path.with_suffix(".svg")] if svg else [])]
    for each in paths:
        with whole_file(each) as temporary:
            drawn.savefig(temporary, dpi=DPI, metadata={"Date": None} if each.suffix == ".svg" else None)
    return paths


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Pixels that `text` takes at `size` points."""
    properties = font_manager.FontProperties(family=families(), size=size, weight=weight)
    return measuring().get_text_width_height_descent(text, properties, False)[0]


@lru_cache
def measuring() -> RendererAgg:
    warnings.filterwarnings("ignore", "Glyph .* missing")  # letters that no installed font has become boxes
    return RendererAgg(1, 1, DPI)


@lru_cache(maxsize=4096)
def fitted(text: str, width: float, size: float, weight: str = "normal", keep_end: bool = False) -> str:
    """`text` on one line of at most `width` pixels at `size` points, its end cut off, or its beginning, with an
    ellipsis in place."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    if text_width(text, size, weight) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        fits = text_width(cut(text, middle, keep_end), size, weight) <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return cut(text, low, keep_end)


def cut(text: str, length: int, keep_end: bool) -> str:
    return f"…{text[len(text) - length :]}" if keep_end else f"{text[:length].rstrip()}…"


def thumbnail(pixels: np.ndarray, side: int) -> np.ndarray:
    """uint8 (height, width, 1 or 3) as (side, side, 3): the whole of it, at the left on white; a small one
    enlarged by a whole number, so that a pixel stays a pixel."""
    colour = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    colour = shrunk(enlarged(colour, max(1, side // max(colour.shape[:2]))), side)
    placed = np.full((side, side, 3), 255, np.uint8)
    top = (side - colour.shape[0]) // 2
    placed[top : top + colour.shape[0], : colour.shape[1]] = colour
    return placed


def shrunk(pixels: np.ndarray, side: int) -> np.ndarray:
    """uint8 (height, width, channels) with its longer side `side` at most: the mean of areas."""
    scale = side / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    height, width = (max(1, round(each * scale)) for each in pixels.shape[:2])
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, -1)


def enlarged(pixels: np.ndarray, times: int) -> np.ndarray:
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


class Sheet:
    """A page counted in pixels from its upper left corner, with images pixel for pixel and text that keeps to the width
    that it is given."""

    def __init__(self, width: int, height: int, background: tuple[int, int, int] = (255, 255, 255)):
        self.figure = figure(width, height)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")
        self.pixels = np.full((height, width, 3), background, np.uint8)

    def image(self, left: int, top: int, pixels: np.ndarray) -> None:
        """uint8 (height, width, 3 or 1)."""
        self.pixels[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels

    def text(
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
        words = fitted(text, width, size, weight, keep_end)
        self.axes.text(left, top, words, fontsize=size, color=colour, weight=weight, va="top", clip_on=False)

    def box(self, left: float, top: float, width: float, height: float, colour: str) -> None:
        patch = matplotlib.patches.Rectangle((left, top), width, height, facecolor=colour, linewidth=0)
        self.axes.add_patch(patch)

    def done(self) -> Figure:
        height, width = self.pixels.shape[:2]
        self.axes.imshow(self.pixels, extent=(0, width, height, 0), interpolation="none", zorder=-1, aspect="auto")
        return self.figure


def captioned(
    cells: list[tuple[np.ndarray, str, list[tuple[str, str]]]], columns: int, side: int, title: str
) -> Figure:
    """A grid of `cells`: an image uint8 (height, width, 1 or 3), the file's name, and lines of (text, colour)."""
    gap, line, head = 16, 22, 44
    lines = 1 + max((len(texts) for *_, texts in cells), default=0)
    columns = max(1, min(columns, len(cells)))
    rows = -(-len(cells) // columns)
    width = max(gap + columns * (side + gap), 480)
    sheet = Sheet(width, head + rows * (side + lines * line + gap) + gap)
    sheet.text(gap, 12, title, width - 2 * gap, size=9, weight="bold")
    for number, (pixels, name, texts) in enumerate(cells):
        row, column = divmod(number, columns)
        left, top = gap + column * (side + gap), head + row * (side + lines * line + gap)
        sheet.image(left, top, thumbnail(pixels, side))
        sheet.text(left, top + side + 4, name, side, 7, GREY, keep_end=True)
        for place, (text, colour) in enumerate(texts, 1):
            sheet.text(left, top + side + 4 + place * line, text, side, 7, colour)
    return sheet.done()
