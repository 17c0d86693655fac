"""`kcnn look` says which recipe and settings fit, and why nothing is mirrored."""

import json

import numpy as np
import pytest

from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.data.advice import MIRRORLESS, advise


def task(*classes, kind="multiclass"):
    return Task(kind, classes, find_metric("accuracy" if kind == "multiclass" else "samples_f1"))


def part(width, height, grey=False):
    sides = {"width": (8, width, 900), "height": (8, height, 900), "cut": {"median": 0.1, "much": 0}}
    return {**sides, "grey": 9 * grey, "colour": 9 * (not grey)}


def counts(**images):
    return {name: {"train": count, "share": 0.5} for name, count in images.items()}


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (part(32, 32), "small pictures of 32 pixels: kcnn train resnet, or faster with --set size=32"),
        (part(48, 48, grey=True), "kcnn train emotion"),
        (part(48, 48), "pictures of 48 pixels: kcnn train resnet first"),
        (part(640, 480), "photographs of 480 pixels: kcnn train pretrained"),
        (part(640, 480, grey=True), "pictures of 480 pixels: kcnn train resnet first"),
    ],
)
def test_the_recipe_follows_size_and_colours(found, line):
    [said] = advise(task("cat", "dog"), found, counts(cat=5, dog=5))
    assert line in said


def test_cutting_that_loses_much():
    """Half of the images in the middle, or a quarter of one image in ten."""
    for cut, said in (((0.3, 0), True), ((0.1, 1), True), ((0.24, 0), False)):
        found = {**part(90, 90), "cut": dict(zip(("median", "much"), cut, strict=True))}
        assert any("fit=pad" in line for line in advise(task("cat", "dog"), found, counts(cat=5, dog=5))) == said


def test_much_larger_classes(keras):
    said = advise(task("cat", "dog"), part(90, 90), counts(cat=60, dog=5))
    assert "the largest class has 12 times the images of the smallest: --set class_weight=balanced" in said[1]
    assert len(advise(task("cat", "dog"), part(90, 90), counts(cat=60, dog=7))) == 1
    assert len(advise(task("cat", "dog", kind="multilabel"), part(90, 90), counts(cat=60, dog=5))) == 1


def test_no_image_that_can_be_read():
    nothing = {"width": None, "height": None, "grey": 0, "colour": 0}
    assert advise(task("cat", "dog"), nothing, counts(cat=0, dog=0)) == []


def test_look_says_why_digits_are_not_mirrored(kcnn, work, tmp_path):
    draw = np.random.default_rng(0)
    head = ",".join(f"pixel{n}" for n in range(36))
    rows = "".join(f"{n % 10},{','.join(map(str, draw.integers(0, 255, 36)))}\n" for n in range(60))
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "train.csv").write_text(f"label,{head}\n{rows}")
    kcnn("fetch", tmp_path / "digits", cwd=work)
    looked = " ".join(kcnn("look", cwd=work).stdout.split())
    assert f"advice: {MIRRORLESS}" in looked
    assert "advice: small pictures of 6 pixels: kcnn train resnet, or faster with --set size=16" in looked
    assert json.loads(kcnn("look", "--json", cwd=work).stdout)["advice"][0] == MIRRORLESS
