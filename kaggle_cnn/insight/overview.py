"""A competition in pictures: its classes and sizes, images that are the same, or nearly, or differ only in label."""

from pathlib import Path

import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.insight import charts, sheets
from kaggle_cnn.insight.canvas import save

MOST_PAIRS = 24


def draw(competition: Competition, images: pd.DataFrame, found: dict, folder: Path) -> list[Path]:
    """Writes classes.png, and same.png, labels.png and near.png where there is something to show, into `folder`;
    returns their paths. `images` and `found` as data.survey gives them, with `near` among them."""
    counts = {name: numbers["train"] for name, numbers in found["classes"].items()}
    sizes = images.loc[images["reason"] == "", ["width", "height"]].to_numpy()
    trained, tested = (f"{found[part]['images']:,}" for part in ("train", "test"))
    total = f"{competition.name}: {trained} training images, {tested} to be predicted"
    drawn = {"classes": charts.balance(counts, sizes, total)}
    groups = sorted(found["same"]["members"], key=lambda group: len({each["part"] for each in group}) == 1)
    alike = [[group[0], across(group)] for group in groups]
    differing = [pair for group in groups if (pair := labelled_apart(group))]
    near = [[{**each, "note": f", distance {pair['distance']}"} for each in pair["images"]] for pair in found["near"]]
    for name, pairs, words in (
        ("same", alike, "groups of images of the same pixels"),
        ("labels", differing, "groups of images that differ only in label"),
        ("near", near, "pairs of images that look alike"),
    ):
        if pairs:
            first = f"the first {MOST_PAIRS} of " if len(pairs) > MOST_PAIRS else ""
            entries = [[entry(competition, each) for each in pair] for pair in pairs[:MOST_PAIRS]]
            drawn[name] = sheets.pairs(entries, f"{competition.name}: {first}{len(pairs):,} {words}")
    return [path for name, figure in drawn.items() for path in save(figure, folder / f"{name}.png")]


def across(group: list[dict]) -> dict:
    """Of a group's others the first of another part than its first, or the first."""
    return next((each for each in group[1:] if each["part"] != group[0]["part"]), group[1])


def labelled_apart(group: list[dict]) -> list[dict]:
    """The first two of a group with different labels; [] where there are none."""
    known = [each for each in group if each["label"]]
    other = next((each for each in known if each["label"] != known[0]["label"]), None)
    return [known[0], other] if other else []


def entry(competition: Competition, image: dict) -> dict:
    pixels = sheets.pixels_of(competition.folder / image["file"])
    note = f"{image['part']}{image.get('note', '')}"
    return {"pixels": pixels, "name": image["file"], "label": image["label"], "note": note}
