"""Folds: balanced, the same every time, groups in one piece."""

import numpy as np
import pandas as pd
import pytest
from conftest import dataset_in, edit_competition, in_this_process

from kaggle_cnn.data.dataset import note_small_classes
from kaggle_cnn.data.folds import draw_folds, join_groups, read_folds, write_folds
from kaggle_cnn.errors import KcnnError


def mean_deviation(targets, folds, count=5):
    """Of a class's count in a fold from its share, as a part of that share; the mean over folds and classes."""
    found = []
    for column in targets.T:
        share = column.sum() / count
        found += [abs(column[folds == fold].sum() / share - 1) for fold in range(count)]
    return np.mean(found)


def labels_of(counts, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


@pytest.mark.parametrize(
    ("counts", "most"),
    [([600] * 10, 0.011), ([400] * 7, 0.011), ((2000 / np.arange(1, 41) ** 1.3).astype(int), 0.15)],
)
@pytest.mark.parametrize("groups", ["alone", "copies", "patients"])
def test_classes_are_spread_evenly(counts, most, groups):
    targets = np.eye(len(counts), dtype=np.float32)[labels_of(counts)]
    draw, rows = np.random.default_rng(1), np.arange(len(targets))
    group = {
        "alone": rows,
        "copies": np.where(draw.random(len(rows)) < 0.05, np.maximum(rows - 1, 0), rows),
        "patients": draw.integers(0, len(rows) // 8, len(rows)),
    }[groups]
    folds = draw_folds("multiclass", targets, group)
    assert (folds == draw_folds("multiclass", targets, group)).all()
    assert sorted(set(folds)) == [0, 1, 2, 3, 4]
    assert mean_deviation(targets, folds) <= most
    assert pd.Series(folds).groupby(group).nunique().max() == 1


def test_several_labels_are_spread_evenly():
    draw = np.random.default_rng(0)
    targets = (draw.random((3000, 15)) < 0.6 / np.arange(1, 16) ** 0.9).astype(np.float32)
    groups = np.arange(3000)
    groups[1::10] = groups[::10]  # a tenth are copies
    folds = draw_folds("multilabel", targets, groups)
    assert mean_deviation(targets, folds) <= 0.05
    assert pd.Series(folds).groupby(groups).nunique().max() == 1


def test_numbers_are_spread_over_their_range():
    values = np.random.default_rng(0).lognormal(size=(1000, 1)).astype(np.float32)
    folds = draw_folds("regression", values, np.arange(1000))
    means = [values[folds == fold].mean() for fold in range(5)]
    assert np.std(means) < 0.1 * values.mean()
    assert np.ptp(np.bincount(folds)) <= 10


def test_as_many_folds_as_asked():
    targets = np.eye(2, dtype=np.float32)[labels_of([60, 40])]
    assert np.bincount(draw_folds("multiclass", targets, np.arange(100), 10)).tolist() == [10] * 10


def test_a_class_smaller_than_the_folds_is_trained_on_in_fold_0():
    targets = np.eye(3, dtype=np.float32)[[0] * 20 + [1] * 3 + [2]]
    folds = draw_folds("multiclass", targets, np.arange(24))
    assert 0 not in folds[20:]


@pytest.mark.parametrize(("counts", "groups"), [([2, 1], 3), ([3, 3], 2), ([1, 1, 1, 1, 1, 1], 6)])
def test_a_handful_of_images_still_get_folds(counts, groups):
    targets = np.eye(len(counts), dtype=np.float32)[labels_of(counts)]
    folds = draw_folds("multiclass", targets, np.arange(len(targets)) % groups)
    assert len(folds) == len(targets)
    assert folds.max() < 5


def test_groups_that_share_an_image_are_joined():
    joined = join_groups(np.array([0, 0, 2, 3, 4]), np.array([0, 1, 1, 3, 4]))
    assert joined[0] == joined[1] == joined[2]
    assert len(set(joined)) == 3


def test_folds_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "folds.csv"
    write_folds(path, ["a", "b", "c"], ["x", "y", "x"], np.array([0, 1, 2]))
    folds = read_folds(path, ["c", "a"])
    assert folds.numbers.tolist() == [2, 0]
    assert (folds.file, folds.count) == ("folds.csv", 3)
    assert read_folds(path, ["a"]).digest == folds.digest
    path.write_text(path.read_text().replace("c,x,2", "c,x,1"))
    assert read_folds(path, ["a"]).digest != folds.digest
    with pytest.raises(KcnnError, match="1 training images are not in"):
        read_folds(path, ["a", "d"])
    path.write_text("id,fold\na,first\n")
    with pytest.raises(KcnnError, match="a fold should be a whole number from 0, found 'first'"):
        read_folds(path, ["a"])
    path.write_text("name,part\na,1\n")
    with pytest.raises(KcnnError, match="should have the columns id and fold"):
        read_folds(path, ["a"])


def test_small_classes_are_named(tiny_workspace):
    competition = dataset_in(tiny_workspace).competition
    targets = np.eye(3, dtype=np.float32)[[0] * 20 + [1] * 3 + [2]]
    [note] = note_small_classes(competition, targets, 5)
    assert note.startswith("2 classes have fewer images than the 5 folds")
    assert note.endswith("'grün' (3), 'red one' (1)")


def test_ten_folds_and_a_group_from_the_command_line(tmp_path, make_images, monkeypatch):
    source = make_images(tmp_path / "colours")
    files = sorted(source.glob("train/colours-3/*/*.jpg"))
    table = [
        f"{path.relative_to(source).as_posix()},{path.parent.name},{number // 3}" for number, path in enumerate(files)
    ]
    (source / "labels.csv").write_text("image,label,plant\n" + "\n".join(table) + "\n", encoding="utf-8")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    in_this_process("fetch", str(source))
    work = tmp_path / "work"
    first = pd.read_csv(work / "runs" / "colours" / "folds.csv")
    assert sorted(first["fold"].unique()) == [0, 1, 2, 3, 4]
    in_this_process("fetch", str(source), "--folds", "10")
    ten = pd.read_csv(work / "runs" / "colours" / "folds-10.csv")
    assert sorted(ten["fold"].unique()) == list(range(10))
    assert pd.read_csv(work / "runs" / "colours" / "folds.csv").equals(first)
    with pytest.raises(KcnnError, match="the labels of 'colours' are not in a table"):
        in_this_process("fetch", str(source), "--group", "plant")


def test_a_group_of_the_table_stays_in_one_fold(tmp_path, monkeypatch):
    from conftest import save_noise

    source = tmp_path / "plants"
    (source / "train").mkdir(parents=True)
    draw = np.random.default_rng(0)
    rows = []
    for number in range(60):
        save_noise(source / "train" / f"{number}.jpg", (100, 50, 200), draw)
        rows.append(f"{number}.jpg,{'rose' if number % 2 else 'ivy'},p{number // 4}")
    (source / "train.csv").write_text("image,label,plant\n" + "\n".join(rows) + "\n")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    in_this_process("fetch", str(source), "--group", "plant")
    folds = pd.read_csv(tmp_path / "work" / "runs" / "plants" / "folds-plant.csv")
    plant = folds["id"].str.extract(r"(\d+)\.jpg", expand=False).astype(int) // 4
    assert folds.groupby(plant)["fold"].nunique().max() == 1
    with pytest.raises(KcnnError, match=r"train\.csv has no column 'pot' to group by"):
        in_this_process("fetch", str(source), "--group", "pot")


def test_the_folds_file_of_the_competition_is_used(tiny_workspace):
    first = dataset_in(tiny_workspace).folds
    path = tiny_workspace.runs("colours") / "mine.csv"
    ids = dataset_in(tiny_workspace).ids.tolist()
    write_folds(path, ids, ["x"] * len(ids), np.arange(len(ids)) % 3)
    edit_competition(tiny_workspace, folds="mine.csv")
    folds = dataset_in(tiny_workspace).folds
    assert (folds.file, folds.count) == ("mine.csv", 3)
    assert folds.digest != first.digest
