import shutil

import pytest
from conftest import dataset_in

from kaggle_cnn.errors import KcnnError


def test_folds_are_drawn_once(tiny_workspace):
    folder = tiny_workspace.data("colours")
    first = dataset_in(tiny_workspace)
    path = tiny_workspace.runs("colours") / "folds.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",0\n", ",3\n"), encoding="utf-8")
    assert 0 not in dataset_in(tiny_workspace).folds.numbers
    (folder / first.ids[0]).unlink()
    assert len(dataset_in(tiny_workspace).ids) == len(first.ids) - 1
    shutil.copy(folder / first.ids[1], folder / first.ids[1].replace("pic_", "new_"))
    with pytest.raises(KcnnError, match="1 training images are not in"):
        dataset_in(tiny_workspace)


def test_identical_files_share_a_fold(tiny_workspace):
    folder = tiny_workspace.data("colours") / "train" / "colours-3"
    originals = sorted((folder / "blue").iterdir())
    for path in originals:
        shutil.copy(path, path.with_name(f"copy_{path.name}"))
    shutil.copy(originals[0], folder / "grün" / "mislabelled.jpg")
    dataset = dataset_in(tiny_workspace)
    fold = dict(zip(dataset.ids, dataset.folds.numbers, strict=True))
    for path in originals:
        assert fold[f"train/colours-3/blue/copy_{path.name}"] == fold[f"train/colours-3/blue/{path.name}"]
    assert fold["train/colours-3/grün/mislabelled.jpg"] == fold[f"train/colours-3/blue/{originals[0].name}"]


def test_ids_are_joined_to_files_as_the_sample_spells_them(tiny_workspace):
    folder = tiny_workspace.data("colours")
    dataset = dataset_in(tiny_workspace)
    assert list(dataset.test_ids) == ["6", "5", "4", "3", "2", "1"]
    assert dataset.test_files[0] == "test/test/6.jpg"
    for ids, files, notes in [
        (["1.jpg", "2.jpg"], ["test/test/1.jpg", "test/test/2.jpg"], ["4 test images not named"]),
        (["test/3"], ["test/test/3.jpg"], ["5 test images not named"]),
        (["1", "0001"], ["test/test/1.jpg", ""], ["of the sample's 2 ids, 1 without an image", "5 test images"]),
    ]:
        (folder / "sample_submission.csv").write_text("id,character\n" + "".join(f"{name},x\n" for name in ids))
        dataset = dataset_in(tiny_workspace)
        assert list(dataset.test_ids) == ids
        assert list(dataset.test_files) == files
        assert [note.startswith(start) for note, start in zip(dataset.notes, notes, strict=True)] == [True] * len(notes)
