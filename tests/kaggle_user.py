"""Kaggle for the tests: the server in kaggle_server.py with three competitions, and a user of it."""

import csv
import io
import zipfile
from functools import cache

import numpy as np
import pytest
from conftest import make_images_in
from kaggle_server import Kaggle, Task
from PIL import Image

SECRETS = (Kaggle.key, Kaggle.token)


def zipped(folder, prefix=""):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                target.writestr(prefix + path.relative_to(folder).as_posix(), path.read_bytes())
    return buffer.getvalue()


def class_competition(folder) -> Task:
    """Class folders and tests in zips within the zip, as competitions ship them; the sample is zipped too."""
    make_images_in(folder)
    sample = io.BytesIO()
    with zipfile.ZipFile(sample, "w") as target:
        target.writestr("sample_submission.csv", (folder / "sample_submission.csv").read_bytes())
    files = {
        "train.zip": zipped(folder / "train", "train/"),
        "test.zip": zipped(folder / "test"),
        "sample_submission.csv.zip": sample.getvalue(),
    }
    solution = dict(csv.reader(io.StringIO((folder / "truth.csv").read_text(encoding="utf-8"))))
    return Task(files, title="Colours in class", solution=solution, board=[("a", "0.99"), ("b", "0.5"), ("c", "0.1")])


def many_files(count=450) -> Task:
    """Class folders with images of noise in `count` files; PNGs do not shrink, so that there is something to cut."""
    return Task(dict(noise_files(count)))


@cache
def noise_files(count) -> dict[str, bytes]:
    draw, files = np.random.default_rng(0), {}
    for number in range(count):
        buffer = io.BytesIO()
        Image.fromarray(draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(buffer, "png")
        files[f"train/{'cat' if number % 2 else 'dog'}/{number}.png"] = buffer.getvalue()
    return files


@pytest.fixture
def kaggle(tmp_path):
    server = Kaggle(
        colours=class_competition(tmp_path / "source"),
        noise=many_files(),
        closed_to_you=Task({"a.csv": b"x"}, accepted=False),
    )
    yield server
    server.close()


@pytest.fixture
def online(kaggle, kcnn, work):
    """Runs kcnn as a user of that Kaggle; no secret may ever be printed or stay in a file of the workspace."""

    def run(*arguments, **options):
        done = kcnn(*arguments, cwd=work, **kaggle.environment(**options.pop("env", {})), **options)
        for secret in SECRETS:
            assert secret not in done.stdout + done.stderr
        return done

    yield run
    for path in work.rglob("*"):
        if path.is_file():
            assert not any(secret.encode() in path.read_bytes() for secret in SECRETS), path
