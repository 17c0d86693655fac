"""What `kcnn look` finds: images of the same pixels, between the parts and with different labels; near ones."""

import os

import numpy as np
import pytest
from conftest import save_noise, untracked
from PIL import Image

from kaggle_cnn.competition.fetch import fetch
from kaggle_cnn.data.dataset import load_dataset
from kaggle_cnn.data.decode import picture
from kaggle_cnn.data.inspection import inspect, near_pairs, perceptual_hashes, same_pixels
from kaggle_cnn.data.survey import every_image, near, survey
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight.overview import draw
from kaggle_cnn.insight.progress import Talk
from kaggle_cnn.workspace import Workspace


def fetched(folder, source):
    from rich.console import Console

    workspace = Workspace(folder / "work")
    competition, _ = fetch(str(source), workspace, Talk(Console(stderr=True)))
    return load_dataset(competition)


def faces(folder):
    """train/, validation/ and test/ of two classes. a.png of `happy` stands again as other bytes in `happy`, in `sad`
    and in test; its mirror image nowhere; b.png is nearly a.png."""
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


def test_same_pixels_share_a_fold_and_are_told(tmp_path):
    dataset = fetched(tmp_path, faces(tmp_path / "faces"))
    same = [number for number, file in enumerate(dataset.ids) if "/a" in file]
    assert len(same) == 3
    assert len(set(dataset.folds[same])) == 1
    found = survey(dataset, every_image(dataset, untracked))["same"]
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
    dataset = fetched(tmp_path, faces(tmp_path / "faces"))
    images = every_image(dataset, untracked)
    pairs = near(dataset, images, untracked)
    named = [{image["file"].rpartition("/")[2] for image in pair["images"]} for pair in pairs]
    assert {"a.png", "b.png"} in named or {"a again.png", "b.png"} in named
    assert pairs[0]["distance"] <= 4
    assert not any({"a.png", "a again.png"} == each for each in named)
    found = {**survey(dataset, images), "near": pairs}
    paths = draw(dataset.competition, images, found, tmp_path / "pictures")
    assert [path.name for path in paths] == ["classes.png", "same.png", "labels.png", "near.png"]
    assert all(min(Image.open(path).size) > 200 for path in paths)


def test_rows_of_another_usage_are_parts_of_their_own(tmp_path):
    draw = np.random.default_rng(0)
    rows = [draw.integers(0, 256, 36) for _ in range(14)]
    usages = ["Training"] * 12 + ["PublicTest", "PrivateTest"]
    rows[12], rows[13] = rows[0], rows[12]
    lines = [f"{n % 2},{' '.join(map(str, row))},{usages[n]}" for n, row in enumerate(rows)]
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "faces.csv").write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    dataset = fetched(tmp_path, tmp_path / "faces")
    found = survey(dataset, every_image(dataset, untracked))["same"]
    assert (found["groups"], found["across"], found["conflicting"]) == (1, 1, 0)
    assert [(each["part"], each["label"]) for each in found["members"][0]] == [("train", "0"), ("PublicTest", "0")]


def test_a_thousand_that_look_alike_are_no_million_pairs():
    hashes = np.array([5] * 1000 + [0] * 1000 + [7, 2**64 - 1], np.uint64)
    pairs = near_pairs(hashes, np.arange(len(hashes)))
    assert len(pairs) == 1000
    assert pairs[0] == (0, 0, 1)
    assert pairs[-1] == (1, 0, 2000)


def test_one_colour_is_like_no_other(tmp_path):
    files = [tmp_path / f"{colour}.png" for colour in ("red", "white", "navy")]
    for path in files:
        Image.new("RGB", (40, 40), path.stem).save(path)
    hashes = perceptual_hashes(files, tmp_path / "cache", untracked)
    assert near_pairs(hashes, np.arange(3)) == []


def test_a_large_jpeg_is_found_as_a_png(tmp_path):
    """Decoded whole: at a half of its size it would be another picture."""
    pixels = np.random.default_rng(0).integers(0, 256, (600, 700, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg")
    Image.fromarray(picture(tmp_path / "a.jpg")).save(tmp_path / "b.png")
    found = inspect([tmp_path / "a.jpg", tmp_path / "b.png"], tmp_path / "cache", untracked)
    assert same_pixels(found).tolist() == [0, 0]


def test_a_name_that_is_no_unicode_is_refused(tmp_path):
    source = faces(tmp_path / "faces")
    (source / "train" / "sad" / os.fsdecode(b"bad\xff.png")).write_bytes((source / "train/sad/b.png").read_bytes())
    with pytest.raises(KcnnError, match="no UTF-8"):
        fetched(tmp_path, source)
