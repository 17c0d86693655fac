"""Stray files never decide; what is there and not read is named; formats that are rare but real are read."""

import base64
import gzip
import os
import shutil
import struct
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from conftest import make_images_in, save_greys
from PIL import Image

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.fetch import fetch
from kaggle_cnn.competition.layouts.recognise import NO_CHOICES, guess
from kaggle_cnn.competition.listing import list_files
from kaggle_cnn.competition.local_host import Score, score
from kaggle_cnn.competition.table import read_table
from kaggle_cnn.data.dataset import load_dataset
from kaggle_cnn.data.decode import decode_square, read_header
from kaggle_cnn.data.image_cache import load_images
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Silent
from kaggle_cnn.workspace import Workspace

HEIC = (  # 16x12 pixels of (200, 40, 40), written by libheif 1.19
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ACJpbG9jAAAAAERAAAEAAQAAAAABoAABAAAAAAAAADQAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRt"
    "AAAAAAABAAAA/GlwcnAAAADcaXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMA"
    "AAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNs"
    "eAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAAAAEAAAAAEAAAAMAAAAAf///9AAAAAC////zAAAAAIAAAAQcGl4"
    "aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYECAwWEAAAAPG1kYXQAAAAwKAGvCchZmNA5I1d//89rH/8oZ6H7xW7Vn8Tr+uxl"
    "OspDn0Sxk847vgyAh4O4Xstw"
)


def opened(folder):
    competition = Competition(folder=folder, name="x", host="local", source="x", **guess(folder).fields)
    competition.write()
    assert Competition.read(folder) == competition
    return load_dataset(Workspace(folder.parents[1]), competition, Silent())


def pixels_of(dataset, names, size):
    return load_images(dataset.competition.folder, list(names), size, None, dataset.cache, Silent()).pixels


def test_jfif_avif_and_heic_are_images(folder):
    for name in ("a/1.jfif", "a/2.avif", "b/3.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        image = Image.new("RGB", (16, 12), (200, 40, 40))
        image.save(folder / name, format="JPEG" if name.endswith(".jfif") else None)
    (folder / "b" / "4.HEIC").write_bytes(base64.b64decode(HEIC))
    dataset = opened(folder)
    assert sorted(dataset.ids) == ["a/1.jfif", "a/2.avif", "b/3.jpg", "b/4.HEIC"]
    for name in dataset.ids:
        assert decode_square(folder / name, 8, 3)[4, 4] == pytest.approx([200, 40, 40], abs=4), name
    images = load_images(folder, dataset.ids.tolist(), 8, None, dataset.cache, Silent())
    assert images.problems == {}
    assert images.pixels.shape == (4, 8, 8, 3)


def test_heic_under_another_name(folder):
    """As phones send it on: its header and its pixels are read, whatever the file is called."""
    for name in ("a/1.jpg", "b/2.jpg"):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(base64.b64decode(HEIC))
    assert read_header(folder / "a" / "1.jpg")[:2] == (16, 12)
    assert decode_square(folder / "b" / "2.jpg", 8, 3)[4, 4] == pytest.approx([200, 40, 40], abs=4)


def idx(path, values, pack=False):
    """As LeCun's page describes it: two zeros, the type (8 is uint8), the number of sides, the sides, the values."""
    head = struct.pack(f">BBBB{values.ndim}i", 0, 0, 8, values.ndim, *values.shape)
    content = head + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if pack else content)


@pytest.mark.parametrize("pack", [False, True])
def test_idx_files_as_mnist_has_them(folder, pack):
    images, labels = np.arange(20 * 36).reshape(20, 6, 6) % 256, np.arange(20) % 4
    ending = ".gz" if pack else ""
    idx(folder / f"train-images-idx3-ubyte{ending}", images, pack)
    idx(folder / f"train-labels-idx1-ubyte{ending}", labels, pack)
    idx(folder / f"t10k-images-idx3-ubyte{ending}", images[:6], pack)
    idx(folder / f"t10k-labels-idx1-ubyte{ending}", labels[:6], pack)
    dataset = opened(folder)
    competition = dataset.competition
    assert (competition.layout, competition.classes) == ("arrays", ("0", "1", "2", "3"))
    assert competition.train == f"train-images-idx3-ubyte{ending}"
    assert dataset.ids[7] == f"train-images-idx3-ubyte{ending}#7"
    assert dataset.targets.argmax(axis=1).tolist() == labels.tolist()
    assert (pixels_of(dataset, dataset.ids, 6)[..., 0] == images).all()
    assert dataset.test_ids.tolist() == ["1", "2", "3", "4", "5", "6"]
    assert dataset.notes == []  # nothing is there that is not read

    import pandas as pd

    right = pd.DataFrame({"id": dataset.test_ids, "label": labels[:6].astype(str)})
    assert score(competition, right) == Score(1)
    assert score(competition, right.assign(label=["0"] * 6)).public == pytest.approx(2 / 6)


@pytest.mark.parametrize("form", ["whole", "fractions", "one-hot", "channels first"])
def test_npz_files_as_keras_has_them(folder, form):
    draw = np.random.default_rng(0)
    images, labels = draw.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8), np.arange(30) % 3
    given, targets = images, labels[:, None]
    if form == "fractions":
        given = images / 255
    if form == "one-hot":
        targets = np.eye(3)[labels]
    if form == "channels first":
        given = images.transpose(0, 3, 1, 2)
    np.savez(folder / "all.npz", x_train=given[:24], y_train=targets[:24], x_test=given[24:], y_test=targets[24:])
    dataset = opened(folder)
    assert (dataset.competition.train, dataset.competition.labels) == ("all.npz[x_train]", "all.npz[y_train]")
    assert (pixels_of(dataset, dataset.ids, 8) == images[:24]).all()
    assert (pixels_of(dataset, dataset.test_files, 8) == images[24:]).all()
    assert dataset.targets.argmax(axis=1).tolist() == labels[:24].tolist()


def test_a_damaged_array_is_refused_in_one_line(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0")
    with pytest.raises(KcnnError, match="no images found"):
        guess(folder)


@pytest.mark.parametrize("colour", [False, True])
def test_a_csv_of_pixels_without_a_header(folder, colour):
    count = 36 * (3 if colour else 1)
    rows = [[n % 3, *((n * 7 + 3 * np.arange(count)) % 256)] for n in range(20)]
    (folder / "mnist_train.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    (folder / "mnist_test.csv").write_text("".join(",".join(map(str, row[1:])) + "\n" for row in rows[:5]))
    dataset = opened(folder)
    assert (dataset.competition.layout, dataset.competition.label_columns) == ("pixels", ("label",))
    assert len(dataset.ids) == 20  # the first row is an image, too
    assert dataset.targets.argmax(axis=1).tolist() == [n % 3 for n in range(20)]
    first = pixels_of(dataset, dataset.ids, 6)[3]
    assert first.reshape(-1).tolist() == rows[3][1:]
    assert len(dataset.test_ids) == 5


def test_a_picture_beside_csvs_of_pixels(folder):
    head = ",".join(f"pixel{n}" for n in range(36))
    (folder / "train.csv").write_text(
        f"label,{head}\n" + "".join(f"{n % 2},{','.join(['9'] * 36)}\n" for n in range(12))
    )
    save_greys(folder, "american_sign_language.png", "amer_sign2.png")
    assert opened(folder).competition.layout == "pixels"


def test_one_image_beside_the_class_folders(folder):
    save_greys(
        folder, *(f"pets/{name}/{n}.png" for name in ("cat", "dog") for n in range(3)), "banner.png", "pets/x.png"
    )
    dataset = opened(folder)
    assert dataset.competition.classes == ("cat", "dog")
    assert dataset.notes[0] == "2 images not used: outside the class folders and the test folder"


def test_a_row_with_too_many_cells_is_counted_and_named(folder):
    save_greys(folder, *(f"train/{n}.png" for n in range(10)))
    rows = [f"{n},{'cat' if n % 2 else 'dog'}" for n in range(10)]
    rows[4] += ",oh,no"
    (folder / "train.csv").write_text("id,label\n" + "\n".join(rows) + "\n")
    dataset = opened(folder)
    assert len(dataset.ids) == 9
    assert "1 row of train.csv left out, with too many cells: 4,dog,oh,no" in dataset.notes


def test_what_is_not_read_is_named(folder):
    save_greys(folder, *(f"images/{n}.png" for n in range(12)))
    columns = ",".join(f"margin{n}" for n in range(192))
    rows = "".join(f"{n},{'ab'[n % 2]}{',0.5' * 192}\n" for n in range(12))
    (folder / "train.csv").write_text(f"id,species,{columns}\n{rows}")
    for name in ("scans/1.nii", "scans/2.nii", "weights.h5", "README.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    notes = opened(folder).notes
    assert "not read: 2 files .nii, 1 file .h5" in notes
    assert "192 columns of numbers in train.csv are beside the images: see kcnn look" in notes


def test_12_bits_in_a_16_bit_image_are_stretched(tmp_path):
    values = np.linspace(0, 4095, 64).reshape(8, 8).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "twelve.png")
    assert decode_square(tmp_path / "twelve.png", 8, 1).max() == 255
    Image.fromarray(values * 16).save(tmp_path / "sixteen.png")
    found = [decode_square(tmp_path / f"{name}.png", 8, 1).astype(int) for name in ("twelve", "sixteen")]
    assert abs(found[0] - found[1]).max() <= 1


def test_loops_dangling_links_and_pipes_are_passed_over(kcnn, tmp_path):
    source = make_images_in(tmp_path / "colours", 6)
    blue = source / "train" / "colours-3" / "blue"
    (blue / "again").symlink_to(source, target_is_directory=True)
    (blue / "round.jpg").symlink_to(blue / "round.jpg")
    (blue / "nothing.jpg").symlink_to(tmp_path / "nothing.jpg")
    (blue / "linked.jpg").symlink_to(blue / "pic_0001.jpg")
    os.mkfifo(blue / "pipe.jpg")
    done = kcnn("fetch", source, timeout=60)
    assert "colours: 19 training images of 3 classes, 6 test images" in done.stdout


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    source = make_images_in(tmp_path / "colours", 3)
    scan = os.scandir

    def forbid(path):
        if str(path).endswith("blue"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", forbid)
    with pytest.raises(KcnnError, match=r"cannot read the folder .*blue: permission denied"):
        list_files(source)


@pytest.mark.parametrize("packed", [False, True])
def test_somebodys_files_may_be_called_as_those_of_kcnn(kcnn, tmp_path, packed):
    source = make_images_in(tmp_path / "colours", 6)
    (source / "competition.toml").write_text("layout = 'none of yours'\n")
    (source / "folds.csv").write_text("id,fold\nx,one\n")
    (source / ".cache").mkdir()
    (source / ".cache" / "images.npy").write_bytes(b"x")
    if packed:
        shutil.make_archive(str(source), "zip", source)
    done = kcnn("fetch", f"{source}.zip" if packed else source, "--name", "mine")
    assert "18 training images" in done.stdout
    assert "18 training images" in kcnn("fetch").stdout  # read again, by kcnn's own competition.toml
    assert (source / "competition.toml").read_text() == "layout = 'none of yours'\n"
    assert (tmp_path / "data" / "mine" / "_competition.toml").read_text() == "layout = 'none of yours'\n"


@pytest.mark.parametrize("name", [f"train{'1' * 40}x", f"test{'-2024' * 9}!", f"{'2024-01-01' * 12}_a"])
def test_folders_called_by_long_numbers_take_no_time(tmp_path, name):
    """A regular expression of nested repeats took 18 seconds for 30 digits."""
    for label in ("a", "b"):
        save_greys(tmp_path / "mine", *(f"{name}/{label}/{number}.png" for number in range(6)))
    begun = time.process_time()
    guess(tmp_path / "mine", "", NO_CHOICES)
    assert time.process_time() - begun < 2


def test_rows_that_end_in_a_comma_are_not_moved(folder):
    save_greys(folder, *(f"train/{n}.png" for n in range(10)))
    rows = [f"{n},{'cat' if n % 2 else 'dog'}," for n in range(10)]
    for some in (rows, [row if number % 3 else row[:-1] for number, row in enumerate(rows)]):
        (folder / "train.csv").write_text("id,label\n" + "\n".join(some) + "\n")
        assert read_table(folder / "train.csv")["id"].tolist() == [str(n) for n in range(10)]
        dataset = opened(folder)
        assert dataset.competition.classes == ("cat", "dog")
        assert len(dataset.ids) == 10


def test_names_with_accents_as_a_mac_writes_them_and_ids_with_spaces(folder):
    for number in range(12):
        save_greys(folder, unicodedata.normalize("NFD", f"train/{'é' if number % 2 else 'ü'}/{number}.png"))
    names = [f"é{number}" for number in range(3)]
    save_greys(folder, *(unicodedata.normalize("NFD", f"test/{name}.png") for name in names))
    (folder / "sample_submission.csv").write_text("id,label\n" + "".join(f" {name} ,é\n" for name in names))
    dataset = opened(folder)
    assert dataset.test_ids.tolist() == [f" {name} " for name in names]
    assert all(dataset.test_files)


def write_arrays(folder, **changed):
    draw = np.random.default_rng(0)
    digits = draw.integers(0, 256, (20, 8, 8), dtype=np.uint8)
    parts = {"x_train": digits, "y_train": np.arange(20) % 2, "x_test": digits[:4], "y_test": np.arange(4) % 2}
    np.savez(folder / "data.npz", **{**parts, **changed})


def test_a_damaged_array_does_not_swap_training_and_test_images(folder):
    write_arrays(folder)
    content = bytearray((folder / "data.npz").read_bytes())
    content[300] ^= 1  # among the pixels of x_train
    (folder / "data.npz").write_bytes(content)
    with pytest.raises(KcnnError, match=r"data\.npz\[x_train\] cannot be read"):
        opened(folder)


@pytest.mark.parametrize("wrong", [np.full((20, 8, 8), np.nan), np.zeros((20, 0, 8), np.uint8)])
def test_arrays_that_hold_no_images(folder, wrong):
    write_arrays(folder, x_train=wrong)
    with pytest.raises(KcnnError, match=r"has values from nan|has the shape"):
        opened(folder)


def test_wide_tables_take_no_minutes(folder):
    """48x48 pixels in colour, a column each."""
    columns = ",".join(f"pixel{number}" for number in range(6_912))
    rows = "".join(f"{number % 2}{',7' * 6_912}\n" for number in range(12))
    (folder / "train.csv").write_text(f"label,{columns}\n{rows}")
    begun = time.process_time()
    assert len(opened(folder).ids) == 12
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("sample_submission.csv", "id,Usage\n0,Public\n1,Private\n"),
        ("sample_submission.csv", "id,Usage\n"),
        ("classes.json", "[" * 100_000),
        ("labels.json", '{"a":' * 20_000),
        ("classes.json", '{"a": "\\ud800", "b": "y"}'),
        ("notes.csv", "x" * 200_000 + ",b\n1,2\n"),
        ("notes.csv", "a,b\n1,\0\n"),
    ],
)
def test_files_beside_the_data_that_are_not_what_they_are_called(tmp_path, name, content):
    source = save_greys(tmp_path / "mine", *(f"train/{label}/{n}.png" for label in "ab" for n in range(6)))
    save_greys(source, "test/0.png", "test/1.png")
    (source / name).write_text(content)
    workspace, refusal = Workspace(tmp_path / "work"), ""
    try:
        competition, _ = fetch(str(source), workspace, Silent())
        assert len(load_dataset(workspace, competition, Silent()).ids) == 12
    except KcnnError as error:
        refusal = error.message
    expected = "not valid Unicode" if "ud800" in content else "the sample" if "Usage" in content else ""
    assert expected in refusal
    assert bool(expected) == bool(refusal)


@pytest.mark.parametrize("number", range(6))
def test_a_fetch_that_is_stopped_at_any_rename_is_whole_the_next_time(tmp_path, monkeypatch, number):
    """Before the rename, and after it: six in all, of an archive with an archive in it."""
    source = save_greys(tmp_path / "mine", *(f"train/{label}/{n}.png" for label in "ab" for n in range(6)))
    shutil.make_archive(str(tmp_path / "inner" / "train"), "zip", source / "train")
    shutil.make_archive(str(tmp_path / "outer"), "zip", tmp_path / "inner")
    count, replace, rename = [0], os.replace, Path.rename

    def stop_at(move):
        def moved(*arguments, **options):
            count[0] += 1
            if count[0] == number // 2 + 1 and number % 2 == 0:
                raise KeyboardInterrupt
            made = move(*arguments, **options)
            if count[0] == number // 2 + 1:
                raise KeyboardInterrupt
            return made

        return moved

    workspace = Workspace(tmp_path / "work")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop_at(replace))
        patch.setattr(Path, "rename", stop_at(rename))
        with pytest.raises(KeyboardInterrupt):
            fetch(str(tmp_path / "outer.zip"), workspace, Silent())
    competition, _ = fetch(str(tmp_path / "outer.zip"), workspace, Silent())
    assert len(load_dataset(workspace, competition, Silent()).ids) == 12
    assert not list((workspace.root / "data").glob(".*"))


def test_a_class_column_without_any_1(folder):
    save_greys(folder, *(f"train/{n}.png" for n in range(12)), "test/0.png", "test/1.png")
    rows = "".join(f"{n},{n % 2},{1 - n % 2},0\n" for n in range(12))
    (folder / "train.csv").write_text(f"id,healthy,rust,scab\n{rows}")
    (folder / "sample_submission.csv").write_text("id,healthy,rust,scab\n0,0,0,0\n1,0,0,0\n")
    dataset = opened(folder)
    assert dataset.competition.classes == ("healthy", "rust", "scab")
    assert dataset.competition.prediction_columns == ("healthy", "rust", "scab")
    assert dataset.targets.sum(axis=0).tolist() == [6, 6, 0]
