"""Find duplicates across parts and with different labels, near-duplicates, and the values of a regression."""

import os

import numpy as np
import pytest
from conftest import save_noise
from PIL import Image

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.fetch import fetch
from kaggle_cnn.data.dataset import load_dataset
from kaggle_cnn.data.decode import decode_whole
from kaggle_cnn.data.duplicates import inspect, same_pixels
from kaggle_cnn.data.near_duplicates import Looks, find_looks, near_pairs
from kaggle_cnn.data.overview import every_image, spell_label, summarise
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight.competition_pictures import draw
from kaggle_cnn.progress import Silent
from kaggle_cnn.workspace import Workspace


def fetch_dataset(folder, source):
    """Fetch `source` into a new workspace below `folder` and load it."""
    workspace = Workspace(folder / "work")
    competition, _ = fetch(str(source), workspace, Silent())
    return load_dataset(workspace, competition)


def write_faces(folder):
    """Write train/, validation/ and test/ of two classes, and return `folder`.

    The pixels of train/happy/a.png are also in another file of `happy`, in `sad` and in test. b.png is nearly equal.
    """
    draw = np.random.default_rng(0)
    for part in ("train", "validation", "test"):
        for name in ("happy", "sad"):
            (folder / part / name).mkdir(parents=True)
            for number in range(8):
                save_noise(folder / part / name / f"{part}{number}.png", (90, 120, 150), draw)
    pixels = np.kron(draw.integers(0, 256, (6, 6, 1)), np.ones((8, 8, 3))).astype(np.uint8)
    image = Image.fromarray(pixels)
    image.save(folder / "train" / "happy" / "a.png")
    image.save(folder / "train" / "happy" / "a again.png", compress_level=0)
    image.save(folder / "train" / "sad" / "a sad.png", compress_level=1)
    image.save(folder / "test" / "happy" / "a test.bmp")
    Image.fromarray(np.clip(pixels + 2.0, 0, 255).astype(np.uint8)).save(folder / "train" / "sad" / "b.png")
    save_noise(folder / "test" / "sad" / "c.png", (10, 20, 30), draw)
    (folder / "validation" / "sad" / "c again.png").write_bytes((folder / "test" / "sad" / "c.png").read_bytes())
    return folder


def test_same_pixels_share_a_fold_and_are_counted(tmp_path):
    dataset = fetch_dataset(tmp_path, write_faces(tmp_path / "faces"))
    same = [number for number, file in enumerate(dataset.ids) if "/a" in file]
    assert len(same) == 3
    assert len(set(dataset.folds.numbers[same])) == 1
    summary = summarise(dataset, every_image(dataset, Silent()))
    assert summary["kind"] == "multiclass"
    assert summary["folds"] == 5
    assert summary["values"] == {}
    assert summary["train"]["duplicates"] == 2
    found = summary["same"]
    assert {name: found[name] for name in ("groups", "across", "conflicting")} == {
        "groups": 2,
        "across": 2,
        "conflicting": 1,
    }
    first, second = found["members"]
    assert {(each["part"], each["label"]) for each in first} == {
        ("train", "happy"),
        ("train", "sad"),
        ("test", "happy"),
    }
    assert {(each["part"], each["label"]) for each in second} == {("validation", "sad"), ("test", "sad")}


def test_near_images_are_found_once(tmp_path):
    dataset = fetch_dataset(tmp_path, write_faces(tmp_path / "faces"))
    images = every_image(dataset, Silent())
    found = summarise(dataset, images)
    pairs = found["near"]
    named = [{image["file"].rpartition("/")[2] for image in pair["images"]} for pair in pairs]
    assert {"a.png", "b.png"} in named or {"a again.png", "b.png"} in named
    assert pairs[0]["distance"] <= 4
    assert not any({"a.png", "a again.png"} == each for each in named)
    paths = draw(dataset.competition, images, found, tmp_path / "pictures")
    assert [path.name for path in paths] == ["classes.png", "fits.png", "same.png", "labels.png", "near.png"]
    assert all(min(Image.open(path).size) > 200 for path in paths)


def test_rows_of_another_usage_are_parts_of_their_own(tmp_path):
    draw = np.random.default_rng(0)
    rows = [draw.integers(0, 256, 36) for _ in range(14)]
    usages = ["Training"] * 12 + ["PublicTest", "PrivateTest"]
    rows[12], rows[13] = rows[0], rows[12]
    lines = [f"{n % 2},{' '.join(map(str, row))},{usages[n]}" for n, row in enumerate(rows)]
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "faces.csv").write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    dataset = fetch_dataset(tmp_path, tmp_path / "faces")
    found = summarise(dataset, every_image(dataset, Silent()))["same"]
    assert (found["groups"], found["across"], found["conflicting"]) == (1, 1, 0)
    assert [(each["part"], each["label"]) for each in found["members"][0]] == [("train", "0"), ("PublicTest", "0")]


def test_a_thousand_equal_hashes_do_not_make_a_million_pairs():
    hashes = np.array([5] * 1000 + [0] * 1000 + [7, 2**64 - 1], np.uint64)
    looks = Looks(hashes, np.zeros(len(hashes), bool), np.zeros((len(hashes), 256), np.uint8))
    pairs = near_pairs(looks, np.arange(len(hashes)))
    assert len(pairs) == 1000
    assert pairs[0] == (0, 0, 1)
    assert pairs[-1] == (1, 0, 2000)


def test_one_colour_is_like_no_other(tmp_path):
    colours = ("red", "white", "navy")
    for colour in colours:
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{colour}.png")
    looks = find_looks(tmp_path, [f"{colour}.png" for colour in colours], tmp_path / "cache", Silent())
    assert near_pairs(looks, np.arange(3)) == []


def test_a_large_jpeg_is_found_as_a_png(tmp_path):
    """It is decoded at full size: at half its size its pixels differ."""
    pixels = np.random.default_rng(0).integers(0, 256, (600, 700, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg")
    Image.fromarray(decode_whole(tmp_path / "a.jpg")).save(tmp_path / "b.png")
    found = inspect(tmp_path, ["a.jpg", "b.png"], tmp_path / "cache", Silent())
    assert same_pixels(found).tolist() == [0, 0]


def test_a_name_that_is_not_unicode_is_refused(tmp_path):
    source = write_faces(tmp_path / "faces")
    (source / "train" / "sad" / os.fsdecode(b"bad\xff.png")).write_bytes((source / "train/sad/b.png").read_bytes())
    with pytest.raises(KcnnError, match="UTF-8"):
        fetch_dataset(tmp_path, source)


def test_a_regression_has_values_and_no_classes(tmp_path):
    source = tmp_path / "pets"
    (source / "train").mkdir(parents=True)
    draw = np.random.default_rng(0)
    for number in range(12):
        save_noise(source / "train" / f"{number}.png", (90, 120, 150), draw)
    (source / "test").mkdir()
    (source / "test" / "12.png").write_bytes((source / "train" / "3.png").read_bytes())
    rows = "".join(f"{number},{number}.5\n" for number in range(12))
    (source / "train.csv").write_text(f"Id,Pawpularity\n{rows}")
    (source / "sample_submission.csv").write_text("Id,Pawpularity\n12,0.5\n")
    dataset = fetch_dataset(tmp_path, source)
    summary = summarise(dataset, every_image(dataset, Silent()))
    assert summary["kind"] == "regression"
    assert summary["classes"] == {}
    assert summary["values"] == {"Pawpularity": {"count": 12, "min": 0.5, "mean": 6.0, "max": 11.5}}
    assert {each["label"] for each in summary["same"]["members"][0]} == {"3.5", ""}


@pytest.mark.parametrize(
    ("kind", "values", "cell", "label"),
    [
        ("multiclass", ("0", "1"), "1", "cat tree"),
        ("multiclass", (), "cat tree", "cat tree"),
        ("multilabel", ("0", "1"), "1 0", "dog, cat tree"),
        ("multilabel", (), "", ""),
        ("regression", (), "3.50", "3.5"),
        ("regression", (), "unknown", "unknown"),
    ],
)
def test_labels_of_a_solution_are_spelled_as_those_of_training(tmp_path, kind, values, cell, label):
    competition = Competition(
        folder=tmp_path,
        name="pets",
        host="local",
        source="",
        layout="table",
        classes=("dog", "cat tree"),
        kind=kind,
        label_values=values,
    )
    assert spell_label(competition, cell) == label
