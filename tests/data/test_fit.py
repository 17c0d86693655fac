"""`fit`: how an image that is not a square becomes one, in training, prediction, advice and pictures."""

import json

import numpy as np
import pytest
from conftest import in_this_process
from PIL import Image

from kaggle_cnn.data.decode import decode_square
from kaggle_cnn.data.image_cache import fingerprint

RED, GREY, BLUE = (230, 20, 30), (120, 120, 120), (20, 30, 230)


def long_image(height, width):
    """Return an image whose first tenth, along the longer side, is red, and whose last tenth is blue."""
    pixels = np.full((height, width, 3), GREY, np.uint8)
    along = pixels if height > width else pixels.swapaxes(0, 1)
    tenth = max(height, width) // 10
    along[:tenth], along[-tenth:] = RED, BLUE
    return Image.fromarray(pixels)


def shares(pixels):
    """Return which share of the pixels is red, and which is blue."""
    values = pixels.reshape(-1, 3).astype(int)
    return [float((np.abs(values - colour).max(axis=1) < 40).mean()) for colour in (RED, BLUE)]


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize(("height", "width"), [(400, 100), (100, 400)])
def test_crop_loses_the_ends_and_the_others_keep_them(tmp_path, suffix, height, width):
    path = tmp_path / f"a.{suffix}"
    long_image(height, width).save(path, **({"quality": 95} if suffix == "jpg" else {}))
    for size in (40, 64, 300):  # smaller and larger than the image
        cropped, padded, squashed = (decode_square(path, size, 3, fit) for fit in ("crop", "pad", "squash"))
        assert shares(cropped) == [0, 0]
        assert shares(squashed) == pytest.approx([0.1, 0.1], abs=0.04)
        assert shares(padded) == pytest.approx([0.025, 0.025], abs=0.012)  # a quarter of the square is image
        assert padded.shape == squashed.shape == (size, size, 3)


@pytest.mark.parametrize("background", [0, 255])
def test_the_bars_have_the_colour_of_the_border(tmp_path, background):
    pixels = np.full((30, 90), background, np.uint8)
    pixels[10:20, 30:60] = 128
    Image.fromarray(pixels).save(tmp_path / "a.png")
    padded = decode_square(tmp_path / "a.png", 90, 1, "pad")[..., 0]
    assert (padded[:25] == background).all()
    assert (padded[65:] == background).all()
    assert padded[45, 45] == 128


def test_one_pixel_and_a_line(tmp_path):
    for name, sides in (("point", (1, 1)), ("line", (900, 1))):
        Image.new("RGB", sides, RED).save(tmp_path / f"{name}.png")
        for fit in ("crop", "pad", "squash"):
            assert (decode_square(tmp_path / f"{name}.png", 8, 3, fit) == RED).all()


def test_the_orientation_is_applied_before(tmp_path):
    """A camera's portrait: the pixels lie on their side, and the EXIF orientation says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    long_image(100, 400).save(tmp_path / "a.jpg", exif=exif, quality=95)
    long_image(100, 400).rotate(-90, expand=True).save(tmp_path / "b.png")
    for fit in ("pad", "squash"):
        turned, right = (decode_square(tmp_path / name, 40, 3, fit).astype(int) for name in ("a.jpg", "b.png"))
        assert np.abs(turned - right).mean() < 4


def test_each_fit_has_a_cache_of_its_own(tmp_path):
    Image.new("L", (3, 9)).save(tmp_path / "a.png")
    assert len({fingerprint(tmp_path, ["a.png"], 8, 1, fit) for fit in ("crop", "pad", "squash")}) == 3


@pytest.fixture
def banners(work, tmp_path, kcnn):
    """A competition of images 72x18 that are told apart by their ends alone: red at the left, or at the right."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 20), ("test", 4)):
        for name in ("left", "right"):
            (tmp_path / "banners" / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(90, 150, (18, 72, 3)).astype(np.uint8)
                pixels[:, slice(0, 12) if name == "left" else slice(60, 72)] = RED
                Image.fromarray(pixels).save(tmp_path / "banners" / part / name / f"{number}.png")
    kcnn("fetch", tmp_path / "banners", cwd=work)
    return work


def test_look_says_when_cutting_loses_much_and_draws_it(kcnn, banners):
    looked = kcnn("look", "--pictures", cwd=banners).stdout
    words = " ".join(looked.split())
    assert "the central square leaves out 75% of the median image, and a quarter or more of 40 images" in words
    assert "--set fit=pad or fit=squash" in words
    picture = next(line for line in looked.split("\n") if line.endswith("fits.png"))
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    # Each image is there whole, cropped, padded and squashed, 134 pixels from one to the next; 20 are the margin.
    red = (np.abs(pixels.astype(int) - RED).max(axis=2) < 30).any(axis=0)
    columns = np.split(red[-20 - 4 * 134 : -20], 4)
    assert [bool(column.any()) for column in columns] == [True, False, True, True]
    assert json.loads(kcnn("look", "--json", cwd=banners).stdout)["train"]["cut"] == {"median": 0.75, "much": 40}


@pytest.mark.usefixtures("eager")
def test_a_run_sees_what_fit_keeps_and_predicts_with_the_same(kcnn, banners, monkeypatch):
    monkeypatch.chdir(banners)
    settings = ("--set", "epochs=6", "--set", "mirror=false", "--set", "margin=0", "--set", "tta=none")
    (banners / "recipes" / "ends.py").write_text(
        '''"""Ends: for tests."""
from keras import Input, Model, layers

from kaggle_cnn import Recipe


def ends(shape, outputs):
    inputs = Input(shape, dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    return Model(inputs, layers.Dense(outputs)(layers.Flatten()(layers.AveragePooling2D(4)(x))))


recipe = Recipe(model=ends, size=16, learning_rate=0.05, epochs=6, batch=8, tta="none")
'''
    )
    for fit in ("pad", "crop"):
        in_this_process("train", "ends", "--set", f"fit={fit}", *settings)
    found = [json.loads(in_this_process("evaluate", f"ends-00{n}", "--json")) for n in (1, 2)]
    assert found[0]["scores"]["accuracy"] == 1
    assert found[1]["scores"]["accuracy"] < 1
    # What the models say of the test images is right too where these were read with the run's own fit.
    rows = [np.load(banners / "runs" / "banners" / f"ends-00{n}" / "test.npz") for n in (1, 2)]
    said = rows[0]["logits"][:, 0].argmax(axis=1)
    assert [int(f"{name}".split("/")[-2] == "right") for name in rows[0]["ids"]] == said.tolist()
    refused = kcnn("train", "ends", "--set", "fit=stretch", cwd=banners, code=1)
    assert "fit should be one of crop, pad, squash, got 'stretch'" in refused.stderr
