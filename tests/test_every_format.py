"""A competition of every submission format: fetched, trained for an epoch, decided, submitted, scored by its metric.

Each is made of the same tiles of the two photographs that come with scikit-learn; what a label says follows from the
mean colour. The score is worked out again from the written CSV and the solution by scikit-learn, or by the definition.
"""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from conftest import in_this_process, use_solution
from PIL import Image
from sklearn.datasets import load_sample_images
from test_kinds import RECIPE

TRAIN, SIDE = 60, 32
NAMES = ("red", "green", "blue")


def cut_tiles():
    """72 tiles uint8 (72, SIDE, SIDE, 3) that do not overlap; of 24 the largest channel is red, of 24 green."""
    photographs = np.stack(load_sample_images().images)[:, : 13 * SIDE]
    tiles = photographs.reshape(2, 13, SIDE, 20, SIDE, 3).swapaxes(2, 3).reshape(-1, SIDE, SIDE, 3)
    draw = np.random.default_rng(5)
    largest = tiles.mean(axis=(1, 2)).argmax(axis=1)
    chosen = [draw.choice(np.flatnonzero(largest == channel), 24, replace=False) for channel in range(3)]
    return tiles[draw.permutation(np.concatenate(chosen))]


TILES = cut_tiles()
COLOURS = TILES.mean(axis=(1, 2))
LARGEST = COLOURS.argmax(axis=1)
BRIGHT = np.median(COLOURS, axis=0) < COLOURS
VALUES = np.stack([COLOURS @ [0.3, 0.6, 0.1] / 10, COLOURS[:, 0] / 7 - 3], axis=1)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number, tile in enumerate(TILES):
        part = folder / ("train" if number < TRAIN else "test")
        part.mkdir(exist_ok=True)
        Image.fromarray(tile).save(part / f"i{number}.png")
    return folder


def one_hot(numbers, count):
    return np.eye(count, dtype=int)[numbers]


def long(names, cells):
    """A row for each image and name."""
    return ["row_id,target", [[(f"i{n}_{name}", cell) for name, cell in zip(names, row, strict=True)]
                              for n, row in enumerate(cells)]]  # fmt: skip


def wide(header, cells):
    return [f"id,{header}", [[(f"i{n}", *np.atleast_1d(row))] for n, row in enumerate(cells)]]


def words(marks):
    return [" ".join(name for name, on in zip(NAMES, row, strict=True) if on) or "red" for row in marks]


DARK = np.where(LARGEST == 0, 1, 0)
TARGETS = np.stack([np.array(NAMES)[LARGEST], np.where(BRIGHT[:, 0], "light", "dark")], axis=1)
# format: what the label table has, what the sample asks for (in the place of every cell `blank`), the metric's words.
FORMATS = {
    "class_name": (wide("label", np.array(NAMES)[LARGEST]), wide("label", ["red"] * 72), ""),
    "class_id": (wide("label", LARGEST), wide("label", [0] * 72), ""),
    "probability": (wide("label", DARK), wide("label", [0.5] * 72), ""),
    "probability_columns": (wide("label", np.array(NAMES)[LARGEST]), wide("blue,green,red", [[0.3] * 3] * 72), ""),
    "multi_label": (wide("labels", words(BRIGHT)), wide("labels", ["red"] * 72), ""),
    "top_k": (wide("label", np.array(NAMES)[LARGEST]), wide("label", ["red blue"] * 72), ""),
    "long": (wide("red,green,blue", BRIGHT.astype(int)), long(NAMES, [[0.5] * 3] * 72), ""),
    "target_columns": (wide("hue,light", TARGETS), wide("hue,light", [["red", "dark"]] * 72), ""),
    "long of targets": (wide("hue,light", TARGETS), long(("hue", "light"), [["red", "dark"]] * 72), ""),
    "value": (wide("x,y", VALUES.round(3)), wide("x,y", [[0.5, 0.5]] * 72), ""),
    "long of values": (wide("x,y", VALUES.round(3)), long(("x", "y"), [[0.5, 0.5]] * 72), ""),
}


def write(path, made, images):
    header, rows = made
    lines = [",".join(map(str, row)) for number in images for row in rows[number]]
    path.write_text("\n".join([header, *lines]) + "\n")


def expected(form, written, truth):
    """The score of a submission, from the two CSVs alone."""
    if form in ("class_name", "class_id"):
        return sk.accuracy_score(truth["label"], written["label"])
    if form == "probability":
        return sk.log_loss(truth["label"].astype(int), written["label"].astype(float))
    if form == "probability_columns":
        return sk.log_loss(
            truth["label"], written[["blue", "green", "red"]].astype(float), labels=["blue", "green", "red"]
        )
    if form == "multi_label":
        pairs = [(set(a.split()), set(b.split())) for a, b in zip(truth["labels"], written["labels"], strict=True)]
        return np.mean([2 * len(a & b) / (len(a) + len(b)) for a, b in pairs])
    if form == "top_k":
        ranks = [[*each.split(), one].index(one) for one, each in zip(truth["label"], written["label"], strict=True)]
        return np.mean([1 / (rank + 1) if rank < 2 else 0 for rank in ranks])
    if form == "long":
        true = pd.DataFrame({name: truth[name].astype(int) for name in NAMES}).to_numpy().ravel()
        given = written["target"].astype(float)
        return -np.mean(np.where(true, np.log(given), np.log(1 - given)))
    if form in ("target_columns", "long of targets"):
        if form == "long of targets":
            written = pd.DataFrame({name: written["target"][written["row_id"].str.endswith(name)].to_numpy()
                                    for name in ("hue", "light")})  # fmt: skip
        return np.mean([sk.recall_score(truth[name], written[name], average="macro", zero_division=0)
                        for name in ("hue", "light")])  # fmt: skip
    if form == "long of values":
        true = truth[["x", "y"]].astype(float).to_numpy().ravel()
        return np.sqrt(np.mean((true - written["target"].astype(float)) ** 2))
    return np.sqrt(np.mean((truth[["x", "y"]].astype(float).to_numpy() - written[["x", "y"]].astype(float)) ** 2))


@pytest.mark.usefixtures("keras", "eager")
@pytest.mark.parametrize("form", FORMATS)
def test_from_fetch_to_score(form, images, work, begin, tmp_path):
    labels, sample, _ = FORMATS[form]
    folder = tmp_path / "x"
    shutil.copytree(images, folder)
    write(folder / "train.csv", labels, range(TRAIN))
    write(folder / "sample_submission.csv", sample, range(TRAIN, 72))
    begin(folder, colour=RECIPE)
    path = work / "data" / "x" / "competition.toml"
    text = path.read_text()
    assert f'submission_format = "{form.partition(" ")[0]}"' in text
    in_form = labels if form not in ("long", "long of targets", "long of values", "probability_columns") else None
    truth = in_form or (wide("blue,green,red", one_hot(2 - LARGEST, 3)) if form == "probability_columns" else
                        long(NAMES, BRIGHT.astype(int)) if form == "long" else
                        long(("hue", "light"), TARGETS) if form == "long of targets" else
                        long(("x", "y"), VALUES.round(3)))  # fmt: skip
    write(path.parent / "solution.csv", truth, range(TRAIN, 72))
    use_solution(path.parent)
    in_this_process("train", "recipes/colour.py", "--set", "epochs=1")
    score = float(re.search(r"public score (\S+)", in_this_process("submit", "--yes"))[1])
    written = pd.read_csv(work / "submissions" / "x" / "colour-001.csv", dtype=str)
    write(tmp_path / "truth.csv", labels, range(TRAIN, 72))
    assert score == pytest.approx(expected(form, written, pd.read_csv(tmp_path / "truth.csv", dtype=str)), abs=1e-4)
    assert in_this_process("show", "predictions")
