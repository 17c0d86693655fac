"""competition.toml: commented, short, written after a refusal too; `classes = []` finds the classes."""

import re
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from conftest import save_greys
from PIL import Image

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts.recognise import guess
from kaggle_cnn.competition.opening import open_competition
from kaggle_cnn.data.dataset import load_dataset
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Silent
from kaggle_cnn.workspace import Workspace


def opened(folder):
    competition = Competition(folder=folder, name="x", host="local", source="x", **guess(folder).fields)
    competition.write()
    assert Competition.read(folder) == competition
    return competition


def test_every_line_has_a_comment(folder):
    save_greys(folder, "a/1.png", "b/2.png")
    opened(folder)
    text = (folder / "competition.toml").read_text()
    lines = text.splitlines()
    keys = [number for number, line in enumerate(lines) if re.match(r"\w+ = ", line)]
    assert len(keys) > 25
    assert all(lines[number - 1].startswith("# ") for number in keys)
    assert max(map(len, lines)) <= 120
    assert "[] finds them in the labels" in text


def test_ninety_nine_classes_are_written_once(folder):
    names = [f"species number {n:02}" for n in range(99)]
    save_greys(folder, *(f"train/{n}.png" for n in range(198)), "test/900.png")
    (folder / "train.csv").write_text("id,species\n" + "".join(f"{n},{names[n % 99]}\n" for n in range(198)))
    head = ",".join(names)
    (folder / "sample_submission.csv").write_text(f"id,{head}\n900{',0.01' * 99}\n")
    competition = opened(folder)
    assert competition.class_columns == competition.prediction_columns == tuple(names)
    text = (folder / "competition.toml").read_text()
    assert text.count("species number 42") == 1
    assert len(text.splitlines()) < 150
    assert tomllib.loads(text)["prediction_columns"] == []


def make_folders(folder):
    save_greys(folder, *(f"train/{name}/{n}.png" for name in ("cat", "dog", "owl") for n in range(4)))


def make_names(folder):
    save_greys(folder, *(f"train/{name}.{n}.png" for name in ("cat", "dog", "owl") for n in range(4)))


def make_table(folder):
    save_greys(folder, *(f"train/{n}.png" for n in range(12)))
    (folder / "train.csv").write_text("id,label\n" + "".join(f"{n},{n % 3}\n" for n in range(12)))
    (folder / "names.json").write_text('{"0": "cat", "1": "dog", "2": "owl"}')


def make_marks(folder):
    save_greys(folder, *(f"train/{n}.png" for n in range(12)))
    rows = "".join(f"{n},{n % 2},{int(n % 3 == 0)},1\n" for n in range(12))
    (folder / "train.csv").write_text(f"id,cat,dog,owl\n{rows}")


def test_the_classes_of_several_targets_are_found_again(folder, tmp_path):
    """As bengaliai-cv19: several columns of more than 0 and 1 are a target each."""
    save_greys(folder, *(f"train/Train_{n}.png" for n in range(12)), "test/Test_0.png")
    rows = "".join(f"Train_{n},{n % 3},{n % 2}\n" for n in range(12))
    (folder / "train.csv").write_text(f"image_id,root,vowel\n{rows}")
    (folder / "sample_submission.csv").write_text("row_id,target\nTest_0_vowel,0\nTest_0_root,0\n")
    Competition(
        folder, "x", "local", "x", "table", (), train="train", test="test", labels="train.csv", label_id="image_id",
        label_columns=("root", "vowel"), sample="sample_submission.csv", id_column="row_id",
        prediction_columns=("target",), submission_format="long", class_columns=("root", "vowel"), kind="multioutput",
    ).write()  # fmt: skip
    workspace = Workspace(tmp_path)
    found = open_competition(workspace, "x")
    assert found.classes == ("root=0", "root=1", "root=2", "vowel=0", "vowel=1")
    assert found.task.heads == (("root", 3), ("vowel", 2))
    assert load_dataset(workspace, found, Silent()).targets.sum(axis=0).tolist() == [4, 4, 4, 6, 6]
    replace(found, kind="multiclass", classes=(), metric="").write()
    with pytest.raises(KcnnError, match='several columns of classes need kind = "multioutput", got "multiclass"'):
        open_competition(workspace, "x")


@pytest.mark.parametrize("make", [make_folders, make_names, make_table, make_marks])
def test_no_classes_means_find_them(folder, make):
    make(folder)
    competition = opened(folder)
    assert competition.classes == ("cat", "dog", "owl")
    path = folder / "competition.toml"
    text = re.sub(r'classes = \["cat", "dog", "owl"\]', "classes = []", path.read_text(), count=1)
    path.write_text(re.sub(r'label_values = \["0", "1", "2"\]', "label_values = []", text))
    workspace = Workspace(folder.parents[1])
    found = open_competition(workspace, "x")
    assert found == competition
    targets = load_dataset(workspace, found, Silent()).targets
    assert (targets == load_dataset(workspace, competition, Silent()).targets).all()
    assert targets.shape == (12, 3)


def test_a_class_more_is_found_without_a_word(folder, tmp_path):
    make_folders(folder)
    opened(folder)
    path = folder / "competition.toml"
    path.write_text(path.read_text().replace('classes = ["cat", "dog", "owl"]', "classes = []"))
    save_greys(folder, "train/pig/1.png")
    assert open_competition(Workspace(tmp_path), "x").classes == ("cat", "dog", "owl", "pig")


def test_a_refused_folder_leaves_a_file_to_fill_in(kcnn, refused, work, tmp_path):
    draw = np.random.default_rng(0)
    source = tmp_path / "odd"
    source.mkdir()
    for n in range(12):
        Image.fromarray(draw.integers(0, 255, (9, 9), dtype=np.uint8)).save(source / f"{n}.png")
    (source / "lists.csv").write_text("a,b\n" + "".join(f"x{n},{'yes' if n % 2 else 'no'}\n" for n in range(12)))
    assert "expected at least two class folders" in refused("fetch", source, cwd=work)
    path = work / "data" / "odd" / "competition.toml"
    text = path.read_text()
    assert 'layout = ""' in text
    assert "layout should be one of folders, table" in refused("look", "-c", "odd", cwd=work)
    assert "expected at least two class folders" in refused("fetch", source, cwd=work)  # nothing was filled in
    other = save_greys(tmp_path / "other", "a/1.png", "b/2.png")
    assert "there is already a competition 'odd'" in refused("fetch", other, "--name", "odd", cwd=work)
    assert path.read_text() == text
    rows = "".join(f"{n}.png,{'yes' if n % 2 else 'no'}\n" for n in range(12))
    (path.parent / "right.csv").write_text(f"image,answer\n{rows}")
    for field in ('layout = "table"', 'labels = "right.csv"', 'label_id = "image"', 'label_columns = ["answer"]'):
        text = re.sub(rf"^{field.split(' =')[0]} = .*$", field, text, flags=re.MULTILINE)
    path.write_text(text)
    assert "classes: no (6), yes (6)" in kcnn("fetch", source, cwd=work).stdout
