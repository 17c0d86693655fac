import unicodedata

import pytest

from kaggle_cnn.competition.layout import guess
from kaggle_cnn.errors import KcnnError


def tree(folder, *paths, **texts):
    for name in paths:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("paths", "train", "test", "classes"),
    [
        (["cat/1.png", "dog/2.JPG"], "", "", ("cat", "dog")),
        (["pets/cat/1.png", "pets/dog/2.jpeg"], "pets", "", ("cat", "dog")),
        (["train/cat/1.png", "train/dog/2.gif", "test/1.png"], "train", "test", ("cat", "dog")),
        (["train/characters-20/a b/1.bmp", "train/characters-20/ç/2.tif", "test/test/1.webp"],
         "train/characters-20", "test", ("a b", "ç")),
        (["x/train/train/10/1.tiff", "x/train/train/9/1.png", "x/test1/1.png"],
         "x/train/train", "x/test1", ("9", "10")),
        (["Train/cat/1.png", "Train/dog/1.png", "Testing/1.png"], "Train", "Testing", ("cat", "dog")),
        (["training_set/a/1.png", "training_set/b/1.png", "test_set/1.png"], "training_set", "test_set", ("a", "b")),
        (["train/a/1.png", "train/b/deep/er/1.png"], "train", "", ("a", "b")),
        (["train/a/1.png", "train/b/1.png", "validation/a/1.png", "test/a/1.png"], "train", "test", ("a", "b")),
        (["test/a/1.png", "test/b/1.png"], "test", "", ("a", "b")),
        (["a/1.png", "b/1.png", ".hidden/1.png", "__MACOSX/a/._1.png", "a/._1.png"], "", "", ("a", "b")),
    ],
)  # fmt: skip
def test_where_the_classes_are(tmp_path, paths, train, test, classes):
    found = guess(tree(tmp_path, *paths))
    assert (found["train"], found["test"], found["classes"]) == (train, test, classes)


def test_accents_spelled_as_mac_zips_spell_them(tmp_path):
    found = guess(tree(tmp_path, f"{unicodedata.normalize('NFD', 'café')}/1.png", "thé/1.png"))
    assert found["classes"] == ("café", "thé")


def test_class_list_gives_the_order(tmp_path):
    assert guess(tree(tmp_path, "a/1.png", "b/1.png", classes__txt="b\n\na\n"))["classes"] == ("b", "a")
    assert guess(tree(tmp_path, notes__txt="b\na\nc\n"))["classes"] == ("b", "a")


@pytest.mark.parametrize("name", ["sampleSubmission.csv", "sample_submission_v2.csv", "kaggle_sample_submission.CSV"])
def test_the_sample_is_found(tmp_path, name):
    tree(tmp_path, "train/a/1.png", "train/b/1.png", "test/1.png")
    (tmp_path / "other.csv").write_text("x,y\n")
    (tmp_path / name).write_bytes("\ufeffid,character\r\n1,a\r\n".encode())
    found = guess(tmp_path)
    assert (found["sample"], found["id_column"], found["label_column"]) == (name, "id", "character")


@pytest.mark.parametrize(
    ("paths", "error"),
    [
        (["readme.txt"], "no images"),
        (["train/a/1.png", "test/1.png"], "one class, 'a'"),
        (["1.png", "2.png"], "images that lie in no class folder"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(tmp_path, paths, error):
    with pytest.raises(KcnnError, match=error):
        guess(tree(tmp_path, *paths))
