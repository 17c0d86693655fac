"""Whatever bytes come: a value or a KcnnError, in time, and nothing outside the folder. `make fuzz` runs these for 20
minutes, with other seeds and more examples."""

import bz2
import faulthandler
import gzip
import io
import json
import lzma
import os
import string
import tarfile
import tempfile
import zipfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import py7zr
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from kaggle_cnn.competition import submission
from kaggle_cnn.competition.archive import unpack, unpack_nested
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts.arrays import list_arrays, read_array
from kaggle_cnn.competition.layouts.recognise import NO_CHOICES, guess, read
from kaggle_cnn.competition.table import as_csv, read_table, write_table
from kaggle_cnn.data.decode import decode_square, decode_whole, read_header
from kaggle_cnn.data.image_cache import attempt, ignore_warnings
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight.printing import CONTROL, HALVES, clean
from kaggle_cnn.progress import Silent
from kaggle_cnn.runs.run import read_run

LONGEST_SECONDS = 10
# In the suite few examples, the same ones each time; `make fuzz` sets the profile fuzz (tests/fuzz.py).
settings.register_profile(
    "suite", max_examples=25, derandomize=True, deadline=LONGEST_SECONDS * 1000, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
settings.register_profile(
    "fuzz", max_examples=2000, deadline=LONGEST_SECONDS * 1000, database=None, print_blob=True,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(autouse=True)
def no_hang():
    """A hang that no deadline ends: show where, and end."""
    faulthandler.dump_traceback_later(600, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@st.composite
def damaged(draw, originals):
    """One of `originals`, name -> bytes, with some bytes changed, cut out, doubled or put in."""
    name = draw(st.sampled_from(sorted(originals)))
    content = bytearray(originals[name])
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "set", "cut", "insert", "repeat", "end"]))
        if kind == "flip" and content:
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set":
            content[place : place + 4] = draw(
                st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\0\0\0\1"])
            )
        elif kind == "cut":
            del content[place : place + draw(st.integers(1, 64))]
        elif kind == "insert":
            content[place:place] = draw(st.binary(max_size=16))
        elif kind == "repeat":
            content[place:place] = content[place : place + draw(st.integers(1, 200))]
        else:
            del content[place:]
    return name, bytes(content)


@cache
def archives() -> dict[str, bytes]:
    files = {"train/a/1.png": b"1" * 700, "train/b/ü 2.png": b"2" * 300, "sample.csv": b"id,label\n1,a\n"}
    plain, packed, seven = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(plain, "w") as target, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as other:
        for name, content in files.items():
            target.writestr(name, content)
            other.writestr(name, content)
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as nested:
            nested.writestr("x/1.txt", b"x")
        other.writestr("test.zip", inner.getvalue())
    with py7zr.SevenZipFile(seven, "w") as target:
        for name, content in files.items():
            target.writestr(content, name)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as target:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("again.png")
        link.type, link.linkname = tarfile.LNKTYPE, "train/a/1.png"
        target.addfile(link)
    tars = {"a.tar": tar.getvalue(), "a.tar.gz": gzip.compress(tar.getvalue(), mtime=0)}
    tars |= {"a.tar.bz2": bz2.compress(tar.getvalue()), "a.tar.xz": lzma.compress(tar.getvalue())}
    return {"a.zip": plain.getvalue(), "b.zip": packed.getvalue(), "a.7z": seven.getvalue(), **tars}


@given(damaged(archives()))
def test_any_archive_is_unpacked_or_refused(made):
    name, content = made
    with tempfile.TemporaryDirectory() as folder:
        archive, out = Path(folder, "in", name), Path(folder, "out")
        archive.parent.mkdir()
        out.mkdir()
        archive.write_bytes(content)
        try:
            room = unpack(archive, out, Silent())
            unpack_nested(out, Silent(), room)
        except KcnnError:
            pass
        assert sorted(path.name for path in Path(folder).iterdir()) == ["in", "out"]
        assert [path.name for path in archive.parent.iterdir()] == [name]
        assert not any(path.is_symlink() for path in out.rglob("*"))


@cache
def images() -> dict[str, bytes]:
    draw = np.random.default_rng(0)
    colours = Image.fromarray(draw.integers(0, 256, (33, 47, 3), dtype=np.uint8))
    grey = Image.fromarray(draw.integers(0, 65536, (33, 47)).astype(np.uint16))
    made = {}
    for name, image, kind, options in [
        ("a.jpg", colours, "JPEG", {}),
        ("b.jpg", colours, "JPEG", {"progressive": True}),
        ("c.jpg", colours.convert("CMYK"), "JPEG", {}),
        ("a.png", colours, "PNG", {}),
        ("b.png", grey, "PNG", {}),
        ("c.png", colours.quantize(16), "PNG", {"transparency": 3}),
        ("a.gif", colours, "GIF", {}),
        ("a.bmp", colours, "BMP", {}),
        ("a.webp", colours, "WEBP", {}),
        ("a.tif", colours, "TIFF", {"compression": "tiff_lzw"}),
        ("b.tif", grey, "TIFF", {}),
        ("a.avif", colours, "AVIF", {}),
    ]:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        made[name] = stream.getvalue()
    return made


@given(damaged(images()))
def test_any_image_is_decoded_or_has_a_reason(made):
    name, content = made
    with tempfile.TemporaryDirectory() as folder, ignore_warnings():
        path = Path(folder, name)
        path.write_bytes(content)
        pixels, reason = attempt(lambda: decode_square(path, 16, 3))
        assert (pixels is None) == (reason != "")
        assert pixels is None or (pixels.shape, pixels.dtype) == ((16, 16, 3), np.uint8)
        whole, _ = attempt(lambda: decode_whole(path))
        assert whole is None or (whole.ndim == 3 and whole.dtype == np.uint8)
        attempt(lambda: read_header(path))


TABLES = {
    "train.csv": b"id,label\n" + b"".join(b"%d,%s\n" % (n, [b"cat", b"dog"][n % 2]) for n in range(8)),
    "a.csv": b'id,a,b\n"1",1,0\n2,0,1\n"3, or ""4""",1,0\n',
    "b.csv": b"label," + b",".join(b"pixel%d" % n for n in range(36)) + b"\n" + b"\n".join([b"1" + b",7" * 36] * 4),
    "c.csv": "\ufeffimage,labels\r\n0.png,x y\r\n1.png,\r\n".encode(),
    "d.csv": b"id,label,\n0,a,\n1,b,\n",
}


@given(damaged(TABLES))
def test_any_table_is_read_or_refused(made):
    name, content = made
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / name).write_bytes(content)
        for number in range(8):
            Image.new("L", (4, 4), number).save(folder / f"{number}.png")
        try:
            table = read_table(folder / name, bad_rows=[])
            assert all(isinstance(cell, str) for cell in table.to_numpy().ravel())
        except KcnnError:
            pass
        try:
            fields = guess(folder, "", NO_CHOICES).fields
            known = {"folder": folder, "name": "x", "host": "local", "source": "", "classes": ()}
            read(Competition(**{**known, **fields}))
        except KcnnError:
            pass


@cache
def arrays() -> dict[str, bytes]:
    digits = np.random.default_rng(0).integers(0, 256, (4, 6, 6), dtype=np.uint8)
    npz, npy = io.BytesIO(), io.BytesIO()
    np.savez_compressed(npz, x_train=digits, y_train=np.arange(4))
    np.save(npy, digits)
    idx = b"\0\0\x08\x03" + np.array([4, 6, 6], ">i4").tobytes() + digits.tobytes()
    return {"a.npz": npz.getvalue(), "a.npy": npy.getvalue(), "a-ubyte": idx, "a-idx3-ubyte.gz": gzip.compress(idx)}


@given(damaged(arrays()))
def test_any_array_is_read_or_refused(made):
    name, content = made
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / name).write_bytes(content)
        for each in {name, *list_arrays(folder)}:
            with suppress(KcnnError):
                assert isinstance(read_array(folder / each), np.ndarray)


RECORD = {
    "format": 2, "kind": "training", "recipe": "tiny", "competition": "x", "created": "2026-11-21", "commit": None,
    "set": {}, "settings": {"size": 16, "margin": 4, "epochs": 2, "width": 4}, "tta": "flip", "channels": 3,
    "task": {"kind": "multiclass", "classes": ["a", "b"], "metric": "accuracy"}, "parameters": 9, "device": "CPU",
    "folds": {"file": "folds.csv", "digest": "0", "numbers": [0]}, "precision": "float32", "versions": {},
    "backend": "tensorflow", "members": [],
}  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_any_record_of_a_run_is_read_or_refused(data):
    record = json.loads(json.dumps(RECORD))
    place, field = record, data.draw(st.sampled_from(sorted(record)))
    if isinstance(record[field], dict) and record[field] and data.draw(st.booleans()):
        place, field = record[field], data.draw(st.sampled_from(sorted(record[field])))
    place[field] = data.draw(VALUES)
    with tempfile.TemporaryDirectory() as text:
        (Path(text) / "run.json").write_text(json.dumps(record))
        try:
            run = read_run(Path(text))
        except KcnnError:
            return
        assert (run.size > 0, run.policy != "", len(run.folds) > 0) == (True, True, True)
        assert run.seconds == 0
        assert run.histories() == []


IDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)


@given(st.lists(IDS, min_size=1, max_size=12, unique=True), st.data())
def test_a_submission_has_exactly_the_ids_of_the_sample(ids, data):
    """Of any ids, in any order: it is parsed back as it was made, byte for byte in its ids."""
    assume(any(name.strip() for name in ids))
    classes = ("cat", 'dog , or"\n two', "ä")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        write_table(folder / "sample.csv", pd.DataFrame({"id": ids, "label": "cat", "Usage": ""}))
        competition = Competition(
            folder, "x", "local", "", "table", classes, submission_format="class_name", id_column="id",
            prediction_columns=("label",), sample="sample.csv",
        )  # fmt: skip
        sample = submission.read_sample(competition)
        assert sample["id"].tolist() == ids
        shuffled = data.draw(st.permutations(ids))
        decisions = np.array([data.draw(st.integers(0, 2)) for _ in ids])
        scores = np.eye(3)[decisions]
        made = submission.make(competition, np.array(shuffled, object), scores, decisions)
        (folder / "mine.csv").write_bytes(as_csv(made))
        again = submission.respell_ids(competition, read_table(folder / "mine.csv", exact="id"))
        submission.check(competition, again, np.array(ids, object))
        assert again["id"].tolist() == ids
        parsed = submission.parse(competition, again)
        by_id = dict(zip(shuffled, decisions, strict=True))
        assert parsed.decisions.tolist() == [by_id[name] for name in ids]


@given(st.text(st.characters() | st.sampled_from(["\x1b", "\x9b", "\u202e", "\udc80"]), max_size=40))
def test_nothing_that_a_terminal_obeys_is_left(text):
    printed = clean(text)
    assert not CONTROL.search(printed)
    assert not HALVES.search(printed)
    assert "".join(letter for letter in text if letter in string.printable[:95]) == "".join(
        letter for letter in printed if letter in string.printable[:95]
    )
