"""Decode every format, cache the pixels, and handle broken files."""

import os
import shutil
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from conftest import error_of
from PIL import Image, ImageOps

from kaggle_cnn.data import image_cache
from kaggle_cnn.data.decode import decode_square
from kaggle_cnn.data.duplicates import inspect, same_pixels
from kaggle_cnn.data.image_cache import fingerprint, load_images
from kaggle_cnn.progress import Silent

RED, HALF = (230, 20, 30), slice(0, 16)


def red_left(height=32, width=32):
    """Return an image whose left half is red and whose right half is blue."""
    pixels = np.full((height, width, 3), (20, 30, 230), np.uint8)
    pixels[:, : width // 2] = RED
    return Image.fromarray(pixels)


def near(pixels, colour, within=12):
    return np.abs(pixels.reshape(-1, 3).mean(axis=0) - colour).max() < within


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "png", "bmp", "gif", "webp", "tif"])
def test_every_format(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    red_left().save(path, **({"quality": 95} if suffix in ("jpg", "JPEG", "webp") else {}))
    pixels = decode_square(path, 32, 3)
    assert pixels.dtype == np.uint8
    assert near(pixels[:, 2:14], RED)
    assert near(pixels[:, 18:30], (20, 30, 230))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode(tmp_path, mode):
    """In every mode the left is white and the right is black, decoded as colour and as grey."""
    ramp = np.zeros((8, 8), np.uint8)
    ramp[:, :4] = 255
    if mode in ("I;16", "I", "F"):
        path = tmp_path / "a.tif"
        Image.fromarray(
            (ramp.astype(np.float64) * 257).astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode])
        ).save(path)
    else:
        path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
        Image.fromarray(ramp).convert("RGB").convert(mode).save(path)
    for channels in (1, 3):
        pixels = decode_square(path, 8, channels)
        assert pixels.shape == (8, 8, channels)
        assert pixels[:, :4].min() > 250
        assert pixels[:, 4:].max() < 5


def test_sixteen_bit_png_and_jpeg_cmyk(tmp_path):
    Image.fromarray(np.full((8, 8), 32768, np.uint16)).save(tmp_path / "a.png")
    assert set(decode_square(tmp_path / "a.png", 8, 1).ravel()) == {128}
    red_left().convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert near(decode_square(tmp_path / "a.jpg", 32, 3)[:, 2:14], RED)


def test_transparent_lies_on_white(tmp_path):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, 4:] = (*RED, 255)
    Image.fromarray(pixels).save(tmp_path / "rgba.png")
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([0, 0, 0, *RED])
    palette.paste(1, (4, 0, 8, 8))
    palette.save(tmp_path / "palette.png", transparency=0)
    for name in ("rgba.png", "palette.png"):
        read = decode_square(tmp_path / name, 8, 3)
        assert (read[:, :4] == 255).all()
        assert (read[:, 4:] == RED).all()


def test_exif_rotation(tmp_path):
    """Orientation 6 means a quarter turn to the right, so the left of the file is the top of the image."""
    exif = Image.Exif()
    exif[0x0112] = 6
    red_left(32, 48).save(tmp_path / "a.jpg", exif=exif, quality=95)
    pixels = decode_square(tmp_path / "a.jpg", 32, 3)
    assert near(pixels[4:12], RED)
    looked = inspect(tmp_path, ["a.jpg"], tmp_path / "cache", Silent())
    assert looked[["width", "height", "grey", "reason"]].to_numpy().tolist() == [[32, 48, False, ""]]


def test_shorter_side_then_centre(tmp_path):
    pixels = np.zeros((30, 90, 3), np.uint8)
    pixels[:, 30:60] = RED
    for image, name in [
        (Image.fromarray(pixels), "wide.png"),
        (Image.fromarray(pixels.transpose(1, 0, 2)), "high.png"),
    ]:
        image.save(tmp_path / name)
        assert (decode_square(tmp_path / name, 30, 3) == RED).all()
        assert near(decode_square(tmp_path / name, 10, 3), RED, 30)


def test_large_jpeg_is_read_as_well_scaled(tmp_path):
    """Scaled decoding of a JPEG does not shift or blur the image."""
    cells = np.random.default_rng(0).integers(0, 255, (12, 9, 3), dtype=np.uint8)
    Image.fromarray(cells).resize((750, 1000), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg", quality=95)
    Image.open(tmp_path / "a.jpg").save(tmp_path / "a.png")  # decoded whole, then kept without loss
    difference = decode_square(tmp_path / "a.jpg", 64, 3).astype(int) - decode_square(tmp_path / "a.png", 64, 3)
    assert np.abs(difference).mean() < 2


@pytest.mark.parametrize("shape", [(333, 500), (751, 998), (40, 61), (1600, 300)])
@pytest.mark.parametrize("size", [48, 90, 128])
def test_a_scaled_jpeg_keeps_its_place(tmp_path, shape, size):
    """The centre is shifted by less than half a pixel against Pillow, also where sizes are not multiples."""
    cells = np.random.default_rng(1).integers(0, 255, (6, 6), dtype=np.uint8)
    Image.fromarray(cells).resize(shape, Image.Resampling.BICUBIC).save(tmp_path / "a.jpg", quality=98)
    Image.open(tmp_path / "a.jpg").save(tmp_path / "a.png")
    pixels, whole = (decode_square(tmp_path / f"a.{kind}", size, 1)[:, :, 0].astype(float) for kind in ("jpg", "png"))
    middle = slice(size // 4, -(size // 4))
    error = np.abs(pixels - whole)[middle, middle].mean()
    half_a_pixel = [np.abs(whole - (whole + np.roll(whole, 1, axis)) / 2)[middle, middle].mean() for axis in (0, 1)]
    assert error < min(half_a_pixel)


def test_every_exif_orientation_as_pillow_turns_it(tmp_path):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = Image.fromarray(np.random.default_rng(2).integers(0, 255, (4, 6, 3), dtype=np.uint8))
        path = tmp_path / f"{orientation}.jpg"
        image.resize((96, 64), Image.Resampling.BICUBIC).save(path, exif=exif, quality=95)
        with Image.open(path) as image:
            turned = np.asarray(ImageOps.fit(ImageOps.exif_transpose(image), (64, 64)))
        assert np.abs(decode_square(path, 64, 3).astype(int) - turned).mean() < 4, orientation


def test_the_same_pixels_on_any_number_of_cores(tmp_path, monkeypatch):
    for number in range(70):
        red_left(50 + number, 80).save(tmp_path / f"{number:02}.jpg")
    names, decoded = sorted(path.name for path in tmp_path.glob("*.jpg")), []
    for cores in (1, 2, 7):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        decoded.append(load_images(tmp_path, names, 24, 3, tmp_path / f"cache{cores}", Silent()).pixels)
    assert (decoded[0] == decoded[1]).all()
    assert (decoded[0] == decoded[2]).all()


def test_a_jpeg_that_claims_to_be_enormous_is_a_problem(tmp_path):
    """The header says 65,500 x 65,500, which would take 13 GB."""
    red_left().save(tmp_path / "a.jpg")
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = (65500).to_bytes(2, "big") * 2
    (tmp_path / "a.jpg").write_bytes(content)
    assert list(load_images(tmp_path, ["a.jpg"], 16, 3, tmp_path / "cache", Silent()).problems) == [0]


def write_broken_files(folder):
    """Write a good file and four that cannot be read. Return the names of the five."""
    red_left().save(folder / "0 good.jpg")
    (folder / "1 empty.jpg").write_bytes(b"")
    red_left(200, 200).save(folder / "whole.png")
    (folder / "2 short.png").write_bytes((folder / "whole.png").read_bytes()[:200])
    (folder / "3 text.png").write_text("this is not an image")
    red_left(300, 300).save(folder / "whole.jpg")
    (folder / "4 short.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:1500])
    return sorted(path.name for path in folder.glob("[0-9]*"))


def test_broken_files_are_listed_not_fatal(tmp_path):
    names = write_broken_files(tmp_path)
    images = load_images(tmp_path, names, 16, None, tmp_path / "cache", Silent())
    assert sorted(images.problems) == [1, 2, 3, 4]
    assert images.problems[1] == "the file is empty"
    assert images.problems[3] == "it is not an image"
    assert images.pixels[0].any()
    assert not images.pixels[1:].any()
    looked = inspect(tmp_path, names, tmp_path / "cache", Silent())
    assert (looked["reason"] != "").tolist() == [False, True, True, True, True]
    assert same_pixels(looked).tolist() == [0, 1, 2, 3, 4]


def test_cache_is_used_and_renewed(tmp_path):
    red_left().convert("L").save(tmp_path / "a.png")
    cache = tmp_path / "cache"
    first = load_images(tmp_path, ["a.png"], 16, None, cache, Silent())
    assert first.pixels.shape == (1, 16, 16, 1)  # all grey: one channel
    assert isinstance(first.pixels, np.memmap)
    written = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    load_images(tmp_path, ["a.png"], 16, None, cache, Silent())
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == written
    red_left().save(tmp_path / "a.png")  # another file of the same name
    os.utime(tmp_path / "a.png", ns=(1, 1))
    assert load_images(tmp_path, ["a.png"], 16, None, cache, Silent()).pixels.shape == (1, 16, 16, 3)
    assert load_images(tmp_path, ["a.png"], 8, 1, cache, Silent()).pixels.shape == (1, 8, 8, 1)
    assert load_images(tmp_path, [], 8, 1, cache, Silent()).pixels.shape == (0, 8, 8, 1)


@pytest.fixture
def decoded(monkeypatch):
    """Give a list of the paths that `load_images` decodes."""
    paths = []

    def decode(path, size, channels, fit, bits):
        paths.append(path)
        return decode_square(path, size, channels, fit, bits)

    monkeypatch.setattr(image_cache, "decode_square", decode)
    return paths


def write_workspace(root):
    """Write two images below data/colours, one of them in a subfolder, and return their folder and names."""
    folder = root / "data" / "colours"
    (folder / "train" / "red").mkdir(parents=True)
    red_left().save(folder / "train" / "red" / "1.png")
    red_left(40, 60).save(folder / "2.jpg")
    return folder, ["train/red/1.png", "2.jpg"]


def test_a_moved_workspace_keeps_its_cache(tmp_path, decoded):
    folder, names = write_workspace(tmp_path / "before")
    key = fingerprint(folder, names, 16, 3)
    first = load_images(folder, names, 16, 3, tmp_path / "before" / "cache", Silent()).pixels.copy()
    inspect(folder, names, tmp_path / "before" / "cache", Silent())
    assert len(decoded) == 2
    shutil.move(tmp_path / "before", tmp_path / "elsewhere")
    folder, cache = tmp_path / "elsewhere" / "data" / "colours", tmp_path / "elsewhere" / "cache"
    files = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert fingerprint(folder, names, 16, 3) == key
    assert (load_images(folder, names, 16, 3, cache, Silent()).pixels == first).all()
    inspect(folder, names, cache, Silent())
    assert len(decoded) == 2
    assert {path.name: path.stat().st_mtime_ns for path in cache.iterdir()} == files


def test_a_changed_modification_time_does_not_keep_the_cache(tmp_path, decoded):
    folder, names = write_workspace(tmp_path)
    key = fingerprint(folder, names, 16, 3)
    load_images(folder, names, 16, 3, tmp_path / "cache", Silent())
    os.utime(folder / "2.jpg", ns=(1, 1))
    assert fingerprint(folder, names, 16, 3) != key
    load_images(folder, names, 16, 3, tmp_path / "cache", Silent())
    assert len(decoded) == 4


def test_rows_of_a_csv_are_cached_by_their_file(tmp_path):
    rows = "".join(f"{number % 2},{' '.join([str(number)] * 36)}\n" for number in range(4))
    (tmp_path / "train.csv").write_text(f"label,pixels\n{rows}")
    names = ["train.csv#3", "train.csv#0"]
    images = load_images(tmp_path, names, 6, None, tmp_path / "cache", Silent())
    assert images.pixels.shape == (2, 6, 6, 1)
    assert images.pixels[:, 0, 0, 0].tolist() == [3, 0]
    assert fingerprint(tmp_path, names, 6, 1) != fingerprint(tmp_path, names[::-1], 6, 1)


def test_an_interrupted_decode_leaves_nothing(tmp_path):
    names = write_broken_files(tmp_path) * 10

    class Interrupted(Silent):
        def track(self, items, description, total):
            for number, item in enumerate(items):
                if number == 20:
                    raise KeyboardInterrupt
                yield item

    with pytest.raises(KeyboardInterrupt):
        load_images(tmp_path, names, 16, 3, tmp_path / "cache", Interrupted())
    assert not list((tmp_path / "cache").iterdir())


def test_a_full_disk_is_an_error_and_leaves_nothing(tiny_workspace, kcnn):
    """A limit on file sizes replaces the full disk: a write beyond it fails in the same way."""
    command = ["train", "recipes/tiny.py", "--set", "size=200"]
    error, hint = error_of(kcnn(*command, cwd=tiny_workspace.root, code=1, file_limit=2_000_000))
    assert error.startswith("no room left to write")
    assert hint.startswith("make room")
    cached = [path.name for path in tiny_workspace.cache("colours").iterdir()]
    assert len(cached) == 1, cached
    assert cached[0].startswith("inspection-")  # complete: the folds needed it
    assert not list(tiny_workspace.root.glob("runs/*/*/run.json"))


def test_only_documented_formats_are_opened(tmp_path, monkeypatch):
    """Pillow would start Ghostscript for an EPS, whatever it is called."""
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("a program was started"))
    image = Image.new("RGB", (9, 9), "red")
    for number, kind in enumerate(("EPS", "PCX", "PPM", "TGA", "ICO", "SGI")):
        image.save(tmp_path / f"{number}.png", kind)
    names = [path.name for path in sorted(tmp_path.glob("*.png"))]
    problems = load_images(tmp_path, names, 8, 3, tmp_path / "cache", Silent()).problems
    assert problems == dict.fromkeys(range(6), "it is not an image")


def test_a_jpeg_with_a_second_image_is_read(tmp_path):
    """As some phones write it; Pillow calls it MPO."""
    one, other = Image.new("RGB", (32, 32), (200, 40, 40)), Image.new("RGB", (32, 32), "blue")
    one.save(tmp_path / "1.jpg", "MPO", save_all=True, append_images=[other])
    assert abs(decode_square(tmp_path / "1.jpg", 8, 3).astype(int) - (200, 40, 40)).max() < 4


def test_an_image_that_takes_minutes_or_gigabytes_is_refused(tmp_path):
    progressive = BytesIO()
    Image.effect_noise((64, 64), 50).save(progressive, "jpeg", progressive=True)
    content = progressive.getvalue()
    last = content[content.rindex(b"\xff\xda") : -2]
    (tmp_path / "scans.jpg").write_bytes(content[:-2] + 300 * last + content[-2:])
    Image.new("1", (20_000, 5_000)).save(tmp_path / "wide.png")
    ihdr = struct.pack(">IIBBBBB", 1, 89_478_485, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", ihdr), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    sized = [
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part)) for kind, part in parts
    ]
    (tmp_path / "tall.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(sized))
    names = ["scans.jpg", "wide.png", "tall.png"]
    problems = load_images(tmp_path, names, 8, 3, tmp_path / "cache", Silent()).problems
    assert problems[2].startswith("1x89478485 pixels")
    assert problems[0].startswith("a JPEG of 3")
    assert problems[1] == "20000x5000 pixels, more than 89,478,485 in all, or 65,500 a side"


def test_an_image_that_cannot_be_read_for_a_moment_is_read_the_next_time(tmp_path, monkeypatch):
    folder, names = write_workspace(tmp_path)
    read = Path.open

    def refuse(path, *arguments, **options):
        if path.name == names[1]:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        problems = load_images(folder, names, 16, 3, tmp_path / "cache", Silent()).problems
        assert problems == {1: "not readable now: permission denied"}
        assert inspect(folder, names, tmp_path / "cache", Silent())["reason"][1] == problems[1]
    assert load_images(folder, names, 16, 3, tmp_path / "cache", Silent()).problems == {}
    assert inspect(folder, names, tmp_path / "cache", Silent())["reason"].tolist() == ["", ""]
