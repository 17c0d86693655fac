"""DICOM files and TIFFs of many bands: decoded as their authors meant them, trained on, and refused in one line."""

import json

import numpy as np
import pydicom
import pytest
import tifffile
from conftest import in_this_process
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from kaggle_cnn.data.bands import scale_bits
from kaggle_cnn.data.decode import decode_square, decode_whole, read_header
from kaggle_cnn.data.image_cache import attempt, count_channels, load_images, most_bits
from kaggle_cnn.progress import Silent

DRAW = np.random.default_rng(0)


def save_dicom(path, pixels, photometric="MONOCHROME2", **fields):
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.Rows, data.Columns = pixels.shape[-3:-1] if photometric == "RGB" else pixels.shape[-2:]
    data.SamplesPerPixel = 3 if photometric == "RGB" else 1
    data.PhotometricInterpretation = photometric
    data.BitsAllocated = data.BitsStored = 8 * pixels.dtype.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, 0
    if photometric == "RGB":
        data.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        data.NumberOfFrames = len(pixels)
    for name, value in fields.items():
        setattr(data, name, value)
    data.PixelData = pixels.tobytes()
    data.save_as(path, enforce_file_format=True)


def test_a_dicom_has_its_window_and_white_is_bright(tmp_path):
    values = np.linspace(0, 4000, 16 * 20).reshape(16, 20).astype(np.uint16)
    window = {"WindowCenter": 1000, "WindowWidth": 1000, "RescaleSlope": 1, "RescaleIntercept": -500}
    save_dicom(tmp_path / "a.dcm", values, **window)
    pixels = decode_whole(tmp_path / "a.dcm")[..., 0].astype(int)
    expected = np.clip((values.astype(float) - 500 - 500) / 1000, 0, 1) * 255  # the window, to a level
    assert np.abs(pixels - expected).max() <= 1.5
    save_dicom(tmp_path / "b.dcm", values, "MONOCHROME1", **window)
    assert np.abs(decode_whole(tmp_path / "b.dcm")[..., 0] - (255 - expected)).max() <= 1.5
    save_dicom(tmp_path / "c.dcm", values)
    assert np.abs(decode_whole(tmp_path / "c.dcm")[..., 0] - values / 4000 * 255).max() <= 1
    assert read_header(tmp_path / "c.dcm") == (20, 16, "L")


def test_a_dicom_of_colours_and_of_frames(tmp_path):
    colours = DRAW.integers(0, 256, (16, 20, 3), dtype=np.uint8)
    save_dicom(tmp_path / "a.dcm", colours, "RGB")
    assert (decode_whole(tmp_path / "a.dcm") == colours).all()
    assert count_channels([tmp_path / "a.dcm"]) == 3
    frames = np.stack([np.full((16, 20), level, np.uint8) for level in (10, 90, 200)])
    save_dicom(tmp_path / "b.dcm", frames)
    assert (decode_whole(tmp_path / "b.dcm") == 90).all()
    assert decode_square(tmp_path / "b.dcm", 8, 1).shape == (8, 8, 1)


@pytest.mark.parametrize("axes", ["pixels first", "bands first"])
def test_a_tiff_of_many_bands(tmp_path, axes):
    values = DRAW.integers(0, 4000, (20, 24, 13)).astype(np.uint16)
    values[0, 0, 0] = 4000
    if axes == "bands first":
        tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(values, 2, 0), photometric="minisblack")
    else:
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig")
    assert read_header(tmp_path / "a.tif") == (24, 20, "13 bands")
    assert count_channels([tmp_path / "a.tif"]) == 13
    square = decode_square(tmp_path / "a.tif", 20, 13)
    expected = (values[:, 2:22] * (255 / 4095)).round()  # 12 bits hold 4000
    assert np.abs(square - expected).max() <= 1
    assert (decode_whole(tmp_path / "a.tif") == scale_bits(values)[..., :3]).all()
    pixels, reason = attempt(lambda: decode_square(tmp_path / "a.tif", 20, 3))
    assert (pixels, reason) == (None, "an image of 13 bands, expected 3")


def test_a_tiff_of_colours_in_16_bits(tmp_path):
    values = DRAW.integers(0, 60000, (20, 20, 3)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb")
    assert np.abs(decode_square(tmp_path / "a.tif", 20, 3) - values / 65535 * 255).max() <= 1
    usual = DRAW.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "b.tif", usual, photometric="rgb")
    assert (decode_whole(tmp_path / "b.tif") == usual).all()


def test_the_same_value_is_as_bright_in_every_file(tmp_path):
    """One bright pixel, or one bright image, changes no other: the bits are those of all training images."""
    for number, most in enumerate((900, 2000, 4000)):
        values = np.full((12, 12, 5), 800, np.uint16)
        values[0, 0, 0] = most
        tifffile.imwrite(tmp_path / f"{number}.tif", values, photometric="minisblack", planarconfig="contig")
    names = [f"{number}.tif" for number in range(3)]
    assert most_bits(tmp_path, names) == 12
    assert most_bits(tmp_path, names[:1]) == 10
    images = load_images(tmp_path, names, 12, None, tmp_path / "cache", Silent(), "crop", 12)
    assert (images.pixels[:, 1:] == round(800 * 255 / 4095)).all()
    bright = np.full((12, 12, 5), 60000, np.uint16)
    tifffile.imwrite(tmp_path / "test.tif", bright, photometric="minisblack", planarconfig="contig")
    tests = load_images(tmp_path, ["test.tif"], 12, 5, tmp_path / "cache", Silent(), "crop", 12)
    assert (tests.pixels == 255).all()  # beyond what training has


def test_what_is_not_a_number_is_the_least_and_axes_are_those_of_the_file(tmp_path):
    values = np.linspace(1000, 1100, 400).reshape(20, 20).astype(np.float32)
    values[3, 3] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", values)
    pixels = decode_whole(tmp_path / "a.tif")[..., 0]
    assert (pixels.min(), pixels.max(), pixels[3, 3]) == (0, 255, 0)
    assert abs(int(pixels[10, 0]) - 255 * (values[10, 0] - 1000) / 100) <= 1
    planes = DRAW.integers(0, 256, (13, 12, 12)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "b.tif", planes, photometric="minisblack", planarconfig="separate")
    assert (decode_square(tmp_path / "b.tif", 12, 13) == np.moveaxis(planes, 0, 2)).all()
    save_dicom(tmp_path / "c.dcm", np.arange(256, dtype=np.uint8).reshape(16, 16), WindowCenter="", WindowWidth="")
    assert (decode_whole(tmp_path / "c.dcm")[..., 0] == np.arange(256).reshape(16, 16)).all()


def test_damaged_ones_are_listed(tmp_path):
    values = DRAW.integers(0, 4000, (20, 24)).astype(np.uint16)
    save_dicom(tmp_path / "a.dcm", values)
    whole = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[:-300])
    (tmp_path / "text.dcm").write_text("no scan")
    empty = pydicom.dcmread(tmp_path / "a.dcm")
    del empty.PixelData
    empty.save_as(tmp_path / "empty.dcm")
    empty.Rows = empty.Columns = 60000
    empty.add_new(0x7FE00010, "OW", b"\0\0")
    empty.save_as(tmp_path / "large.dcm")
    many = DRAW.integers(0, 255, (20, 24, 13)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", many, photometric="minisblack", planarconfig="contig")
    (tmp_path / "cut.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:2000])
    reasons = {name: attempt(lambda name=name: decode_square(tmp_path / name, 8, 1))[1]
               for name in ("cut.dcm", "text.dcm", "empty.dcm", "large.dcm", "cut.tif")}  # fmt: skip
    assert all(reasons.values()), reasons
    assert reasons["empty.dcm"] == "a DICOM file without an image"
    assert reasons["large.dcm"].startswith("60000x60000 pixels, more than")
    assert reasons["text.dcm"] == "it is not an image"


@pytest.mark.usefixtures("keras", "eager")
@pytest.mark.parametrize("kind", ["dcm", "tif"])
def test_they_are_trained_on(tmp_path, work, begin, kind):
    """The class is how bright a band, or a scan, is."""
    folder, draw = tmp_path / "scans", np.random.default_rng(0)
    for number in range(50):
        part, bright = ("train" if number < 40 else "test"), number % 2
        level = draw.integers(1500, 1800) if bright else draw.integers(300, 600)
        if kind == "dcm":
            values = (level + draw.integers(0, 200, (20, 20))).astype(np.uint16)
            save_dicom(folder / part / f"{number}.dcm", values, WindowCenter=1000, WindowWidth=2000)
        else:
            (folder / part).mkdir(parents=True, exist_ok=True)
            values = draw.integers(0, 2000, (20, 20, 6)).astype(np.uint16)
            values[..., 4] = level
            tifffile.imwrite(folder / part / f"{number}.tif", values, photometric="minisblack", planarconfig="contig")
    (folder / "train.csv").write_text("id,label\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(40)))
    (folder / "sample_submission.csv").write_text("id,label\n" + "".join(f"{n},a\n" for n in range(40, 50)))
    assert "scans: 40 training images of 2 classes, 10 test images" in begin(folder)
    in_this_process("train", "recipes/tiny.py", "--set", "epochs=16", "--set", "learning_rate=0.03")
    assert json.loads(in_this_process("evaluate", "--json"))["scores"]["accuracy"] > 0.8
    record = json.loads((work / "runs" / "scans" / "tiny-001" / "run.json").read_text())
    assert record["channels"] == (1 if kind == "dcm" else 6)
