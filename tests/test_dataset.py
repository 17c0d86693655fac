import shutil

import numpy as np
import pytest

from kaggle_cnn.competition.competition import open_competition
from kaggle_cnn.data.dataset import draw_folds, load_dataset, small_classes
from kaggle_cnn.errors import KcnnError


def test_folds_are_stratified_and_the_same_every_time():
    labels = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], [50, 23, 7]))
    folds = draw_folds(labels, np.arange(80))
    assert (folds == draw_folds(labels, np.arange(80))).all()
    for label, count in enumerate([50, 23, 7]):
        in_each = np.bincount(folds[labels == label], minlength=5)
        assert in_each.min() >= count // 5
        assert in_each.max() <= count // 5 + 1
    assert np.ptp(np.bincount(folds, minlength=5)) <= 2


def test_copies_stay_together_and_spread_evenly():
    labels = np.zeros(60, int)
    groups = np.repeat(np.arange(20), 3)
    folds = draw_folds(labels, groups)
    assert all(len(set(folds[groups == group])) == 1 for group in range(20))
    assert set(np.bincount(folds)) == {12}


def test_a_class_smaller_than_the_folds_is_trained_on_in_fold_0():
    labels = np.array([0] * 20 + [1] * 3 + [2])
    folds = draw_folds(labels, np.arange(24))
    assert sorted(folds[labels == 1]) == [2, 3, 4]
    assert folds[labels == 2] == [4]
    assert small_classes(np.eye(3, dtype=np.uint8)[labels], ("many", "few", "one"))[0].endswith("'few' (3), 'one' (1)")


def test_folds_are_drawn_once(tiny_workspace):
    folder = tiny_workspace.data("colours")
    first = load_dataset(open_competition(tiny_workspace, "colours"))
    text = (folder / "folds.csv").read_text(encoding="utf-8")
    (folder / "folds.csv").write_text(text.replace(",0\n", ",3\n"), encoding="utf-8")
    assert 0 not in load_dataset(open_competition(tiny_workspace, "colours")).folds
    (folder / first.ids[0]).unlink()
    assert len(load_dataset(open_competition(tiny_workspace, "colours")).ids) == len(first.ids) - 1
    shutil.copy(folder / first.ids[1], folder / first.ids[1].replace("pic_", "new_"))
    with pytest.raises(KcnnError, match="1 training images are not in"):
        load_dataset(open_competition(tiny_workspace, "colours"))


def test_identical_files_share_a_fold(tiny_workspace):
    folder = tiny_workspace.data("colours") / "train" / "colours-3"
    originals = sorted((folder / "blue").iterdir())
    for path in originals:
        shutil.copy(path, path.with_name(f"copy_{path.name}"))
    shutil.copy(originals[0], folder / "grün" / "mislabelled.jpg")
    dataset = load_dataset(open_competition(tiny_workspace, "colours"))
    fold = dict(zip(dataset.ids, dataset.folds, strict=True))
    for path in originals:
        assert fold[f"train/colours-3/blue/copy_{path.name}"] == fold[f"train/colours-3/blue/{path.name}"]
    assert fold["train/colours-3/grün/mislabelled.jpg"] == fold[f"train/colours-3/blue/{originals[0].name}"]


def test_ids_are_joined_to_files_as_the_sample_spells_them(tiny_workspace):
    folder = tiny_workspace.data("colours")
    dataset = load_dataset(open_competition(tiny_workspace, "colours"))
    assert list(dataset.test_ids) == ["6", "5", "4", "3", "2", "1"]
    assert dataset.test_files[0] == "test/test/6.jpg"
    for ids, files, notes in [
        (["1.jpg", "2.jpg"], ["test/test/1.jpg", "test/test/2.jpg"], ["4 test images are not named"]),
        (["test/3"], ["test/test/3.jpg"], ["5 test images are not named"]),
        (["1", "0001"], ["test/test/1.jpg", ""], ["1 of the sample's 2 ids have no image", "5 test images"]),
    ]:
        (folder / "sample_submission.csv").write_text("id,character\n" + "".join(f"{name},x\n" for name in ids))
        dataset = load_dataset(open_competition(tiny_workspace, "colours"))
        assert list(dataset.test_ids) == ids
        assert list(dataset.test_files) == files
        assert [note.startswith(start) for note, start in zip(dataset.notes, notes, strict=True)] == [True] * len(notes)
