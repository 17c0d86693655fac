"""docs/layouts.md is true: each row's files are made, of real images, and read as its last column says."""

import re
import tomllib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts.recognise import guess
from kaggle_cnn.data.dataset import load_dataset
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Silent
from kaggle_cnn.workspace import Workspace

PAGE = (Path(__file__).parents[2] / "docs" / "layouts.md").read_text(encoding="utf-8")


def rows(columns):
    """The cells of the rows of the page's tables that have so many columns."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return [each for each in cells if len(each) == columns and set(each[0]) != {"-"} and each[-2] != "files"]


def expand(pattern):
    """`{a,b}/1..2.jpg` as a/1.jpg, a/2.jpg, b/1.jpg and b/2.jpg."""
    parts = re.split(r"(\{[^}]*\}|\d+\.\.\d+)", pattern)
    choices = []
    for part in parts:
        if part.startswith("{"):
            choices.append(part[1:-1].split(","))
        elif match := re.fullmatch(r"(\d+)\.\.(\d+)", part):
            choices.append([str(number) for number in range(int(match[1]), int(match[2]) + 1)])
        else:
            choices.append([part])
    return ["".join(each) for each in product(*choices)]


def make(folder, cell):
    """Make the files of a cell: `images`, or `name`: `content`. An image is drawn by its name alone."""
    folder.mkdir(parents=True)
    for pattern, content in re.findall(r"`([^`]+)`(?:: `([^`]*)`)?", cell):
        for name in expand(pattern):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content:
                path.write_text(content.replace("; ", "\n") + "\n")
            else:
                draw = np.random.default_rng(sum(map(ord, path.name)))
                Image.fromarray(draw.integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(path)
    return folder


def test_the_page_has_rows():
    assert len(rows(3)) >= 20
    assert len(rows(2)) >= 5


@pytest.mark.parametrize(("name", "files", "fields"), rows(3), ids=[row[0] for row in rows(3)])
def test_what_is_recognised(tmp_path, name, files, fields):
    folder = make(tmp_path / "data" / "x", files)
    expected = tomllib.loads("\n".join(re.findall(r"`([^`]+)`", fields)))
    found = guess(folder).fields
    competition = Competition(folder=folder, name="x", host="local", source="x", **found)
    plain = Competition(folder, "x", "local", "x", "folders", ("a", "b"), metric="accuracy")
    for key, value in vars(competition).items():
        value = list(value) if isinstance(value, tuple) else value
        default = getattr(plain, key)
        if key in expected or key not in ("classes", "positive", "id_column"):
            assert value == expected.get(key, list(default) if isinstance(default, tuple) else default), key
    dataset = load_dataset(Workspace(tmp_path), competition, Silent())
    assert len(dataset.ids) >= 4
    assert set(dataset.targets.sum(axis=0)) != {0}


@pytest.mark.parametrize(("files", "words"), rows(2), ids=[row[1][:40] for row in rows(2)])
def test_what_is_refused(tmp_path, files, words):
    with pytest.raises(KcnnError, match=re.escape(words)):
        guess(make(tmp_path / "x", files))
