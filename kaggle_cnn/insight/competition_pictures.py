"""Pictures of a competition: its classes and image sizes, what a square leaves of long images, and duplicates."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.data.decode import decode_square
from kaggle_cnn.data.image_cache import count_channels
from kaggle_cnn.data.overview import measure_cut
from kaggle_cnn.insight import charts, sheets
from kaggle_cnn.insight.canvas import save
from kaggle_cnn.recipe import FITS

MOST_PAIRS = 24
MOST_FITS, FIT_SIDE, LEAST_CUT = 8, 128, 0.05  # images; pixels; the share that the central square leaves out
Image = dict[str, Any]  # file, part, label, and where there is one a note


def draw(competition: Competition, images: pd.DataFrame, found: dict[str, Any], folder: Path) -> list[Path]:
    """Write pictures into `folder` and return their paths.

    classes.png, or values.png for a regression; and, if there are such images, fits.png (what each `fit` makes of the
    most elongated images), same.png (duplicates), labels.png (duplicates with different labels) and near.png
    (near-duplicates). `images` is the table of
    data.overview.every_image; `found` is the result of data.overview.summarise.
    """
    drawn = {**draw_classes(competition, images, found), **draw_fits(competition, images)}
    groups = sorted(found["same"]["members"], key=lambda group: len({each["part"] for each in group}) == 1)
    same = [[group[0], choose_second(group)] for group in groups]
    conflicts = [pair for group in groups if (pair := find_conflict(group))]
    near = [[{**each, "note": f", distance {pair['distance']}"} for each in pair["images"]] for pair in found["near"]]
    for name, pairs, words in (
        ("same", same, "groups of duplicates: images of the same pixels"),
        ("labels", conflicts, "groups of duplicates with different labels"),
        ("near", near, "pairs of near-duplicates: images that look alike"),
    ):
        if pairs:
            first = f"the first {MOST_PAIRS} of " if len(pairs) > MOST_PAIRS else ""
            entries = [[make_entry(competition, each) for each in pair] for pair in pairs[:MOST_PAIRS]]
            drawn[name] = sheets.pairs(entries, f"{competition.name}: {first}{len(pairs):,} {words}")
    return [path for name, figure in drawn.items() for path in save(figure, folder / f"{name}.png")]


def draw_classes(competition: Competition, images: pd.DataFrame, found: dict[str, Any]) -> dict[str, Figure]:
    """Draw the classes, or the values of a regression, and the image sizes; return the name of the file and the
    figure; nothing where all classes and sizes are equal."""
    sizes = images.loc[images["reason"] == "", ["width", "height"]].to_numpy()
    training, test = (f"{found[part]['images']:,}" for part in ("train", "test"))
    title = f"{competition.name}: {training} training images, {test} test images"
    if found["values"]:
        name, drawn = "values", charts.ranges(found["values"], sizes, title)
    else:
        counts = {name: numbers["train"] for name, numbers in found["classes"].items()}
        name, drawn = "classes", charts.balance(counts, sizes, title)
    return {name: drawn} if drawn else {}


def draw_fits(competition: Competition, images: pd.DataFrame) -> dict[str, Figure]:
    """Draw what each `fit` makes of the most elongated training images; nothing where all are nearly squares."""
    train = images[(images["part"] == "train") & (images["reason"] == "")]
    train = train.assign(lost=measure_cut(train)).sort_values("lost", ascending=False, kind="stable")
    rows: list[tuple[str, str, list[Array]]] = []
    for each in train[train["lost"] >= LEAST_CUT][:MOST_FITS].to_dict("records"):
        path = competition.folder / each["file"]
        line = f"{each['width']}x{each['height']}, crop leaves out {each['lost']:.0%}"
        squares = [decode_square(path, FIT_SIDE, count_channels([path]), fit) for fit in FITS]
        rows.append((path.name, line, [sheets.pixels_of(path), *squares]))
    if not rows:
        return {}
    heads = ("the whole image", *(f"fit={fit}" for fit in FITS))
    title = f"{competition.name}: what fit makes of the {len(rows)} most elongated training images"
    return {"fits": sheets.contact(rows, FIT_SIDE, title, heads)}


def choose_second(group: list[Image]) -> Image:
    """Return the image of a group to show beside its first one: if possible, one from another part."""
    return next((each for each in group[1:] if each["part"] != group[0]["part"]), group[1])


def find_conflict(group: list[Image]) -> list[Image]:
    """Return the first two images of a group whose labels differ, or [] if there are none."""
    known = [each for each in group if each["label"]]
    other = next((each for each in known if each["label"] != known[0]["label"]), None)
    return [known[0], other] if other else []


def make_entry(competition: Competition, image: Image) -> sheets.Entry:
    """Return an image as `sheets.pairs` needs it."""
    pixels = sheets.pixels_of(competition.folder / image["file"])
    note = f"{image['part']}{image.get('note', '')}"
    return {"pixels": pixels, "name": image["file"], "label": image["label"], "note": note}
