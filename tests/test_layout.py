import unicodedata

import numpy as np
import pytest
from conftest import untracked
from PIL import Image

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layout import guess
from kaggle_cnn.data.dataset import load_dataset
from kaggle_cnn.data.images import load_images
from kaggle_cnn.data.pixels import read_rows
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
    assert (found["sample"], found["id_column"], found["answer_columns"][0]) == (name, "id", "character")


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


def images(folder, *names, seed=0):
    """PNGs of noise, each another."""
    draw = np.random.default_rng(seed)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(folder / name)


def opened(folder, metric=""):
    """The competition and dataset of the files in `folder`."""
    competition = Competition(folder=folder, name="x", host="local", source="x", **guess(folder, metric))
    competition.write()
    assert Competition.read(folder) == competition
    return competition, load_dataset(competition)


def names_of(dataset):
    """Image -> class names."""
    classes = dataset.competition.classes
    return {
        name: " ".join(classes[place] for place in np.flatnonzero(row))
        for name, row in zip(dataset.ids, dataset.targets, strict=True)
    }


def test_table_of_ids_without_suffix(tmp_path):
    """As cifar-10: train/1.png and test/1.png, trainLabels.csv, ids that are numbers; CRLF and BOM."""
    images(tmp_path, *(f"train/{n}.png" for n in range(1, 13)), *(f"test/{n}.png" for n in range(1, 4)))
    rows = "".join(f"{n},{'cat' if n % 2 else 'big dog'}\r\n" for n in range(1, 13))
    (tmp_path / "trainLabels.csv").write_bytes(b"\xef\xbb\xbfid,label\r\n" + rows.encode())
    (tmp_path / "sampleSubmission.csv").write_bytes(b"id,label\r\n3,cat\r\n1,cat\r\n2,cat\r\n")
    competition, dataset = opened(tmp_path)
    assert (competition.layout, competition.answer, competition.classes) == ("table", "name", ("big dog", "cat"))
    assert names_of(dataset)["train/1.png"] == "cat"
    assert names_of(dataset)["train/2.png"] == "big dog"
    assert dataset.test_files.tolist() == ["test/3.png", "test/1.png", "test/2.png"]
    assert dataset.notes == []


def test_table_with_everything_that_is_odd(tmp_path):
    """Ids with leading zeros and suffix, an unnamed first column, extra columns, spaces, an empty label column in the
    sample, hashed folders, names without a file and files without a name."""
    images(tmp_path, *(f"images/{n // 10}/{n % 10}/{n:04}.jpg" for n in range(30)))
    (tmp_path / "train.csv").write_text(
        ",image_id,variety,label,age\n"
        + "".join(f"{n},{n:04}.jpg,v{n}, {'sugar beet' if n % 3 else 'maize'} ,{n}\n" for n in range(20))
        + "20,0999.jpg,v,maize,3\n"
    )
    (tmp_path / "test.csv").write_text("image_id,variety\n" + "".join(f"{n:04}.jpg,x\n" for n in range(20, 28)))
    (tmp_path / "sample_submission.csv").write_text(
        "image_id,label\n" + "".join(f"{n:04}.jpg,\n" for n in range(20, 28))
    )
    competition, dataset = opened(tmp_path)
    assert (competition.layout, competition.label_columns) == ("table", ("label",))
    assert competition.classes == ("maize", "sugar beet")
    assert (names_of(dataset)["images/0/3/0003.jpg"], names_of(dataset)["images/1/1/0011.jpg"]) == (
        "maize",
        "sugar beet",
    )
    assert len(dataset.ids) == 20
    assert dataset.test_ids[0] == "0020.jpg"
    assert dataset.test_files[0] == "images/2/0/0020.jpg"
    assert dataset.notes == [
        "1 ids in train.csv have no image, the first is '0999.jpg'",
        "2 test images are not named in the sample and get no row",
    ]


def test_class_folders_go_before_a_table_that_says_the_same_or_nothing(tmp_path):
    images(tmp_path, *(f"train/{name}/{n}.png" for name in ("a", "b") for n in range(4)))
    (tmp_path / "train.csv").write_text("file,label\n" + "".join(f"{n}.png,{'a'}\n" for n in range(4)) + "3.png,b\n")
    assert guess(tmp_path)["layout"] == "folders"
    (tmp_path / "train.csv").write_text("file,photographer\n" + "".join(f"{n}.png,p{n % 2}\n" for n in range(4)))
    assert guess(tmp_path)["layout"] == "folders"


def test_one_hot_columns_are_one_class_each(tmp_path):
    """As plant-pathology-2020: the images of both parts in one folder."""
    images(tmp_path, *(f"images/Train_{n}.jpg" for n in range(9)), *(f"images/Test_{n}.jpg" for n in range(3)))
    hot = ["1,0,0", "0,1,0", "0,0,1"]
    (tmp_path / "train.csv").write_text(
        "image_id,healthy,rust,scab\n" + "".join(f"Train_{n},{hot[n % 3]}\n" for n in range(9))
    )
    (tmp_path / "test.csv").write_text("image_id\nTest_0\nTest_1\nTest_2\n")
    (tmp_path / "sample_submission.csv").write_text(
        "image_id,scab,healthy,rust\nTest_2,.3,.3,.3\nTest_0,.3,.3,.3\nTest_1,.3,.3,.3\n"
    )
    competition, dataset = opened(tmp_path)
    assert (competition.answer, competition.multi_label) == ("probabilities", False)
    assert competition.class_columns == ("scab", "healthy", "rust")
    assert names_of(dataset)["images/Train_1.jpg"] == "rust"
    assert dataset.test_files.tolist() == ["images/Test_2.jpg", "images/Test_0.jpg", "images/Test_1.jpg"]


def test_columns_that_exclude_each_other_not_are_labels(tmp_path):
    images(tmp_path, *(f"train/{n}.png" for n in range(12)))
    (tmp_path / "train.csv").write_text("uid,a,b\n" + "".join(f"{n},{n % 2},{n % 3 // 2}\n" for n in range(12)))
    competition, dataset = opened(tmp_path)
    assert competition.multi_label
    assert dataset.labels.sum(axis=0).tolist() == [6, 4]
    assert names_of(dataset)["train/5.png"] == "a b"


def test_labels_in_one_cell(tmp_path):
    images(tmp_path, *(f"train/{n}.jpg" for n in range(12)), "test/t.jpg")
    cells = ["rust", "scab", "rust scab", "scab rust", "complex", "scab complex"]
    (tmp_path / "train.csv").write_text("image,labels\n" + "".join(f"{n}.jpg,{cells[n % 6]}\n" for n in range(12)))
    (tmp_path / "sample_submission.csv").write_text("image,labels\nt.jpg,rust\n")
    competition, dataset = opened(tmp_path)
    assert (competition.answer, competition.multi_label, competition.classes) == (
        "labels",
        True,
        ("complex", "rust", "scab"),
    )
    assert names_of(dataset)["train/5.jpg"] == "complex scab"
    assert dataset.labels.shape == (12, 3)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("label_num_to_disease_map.json", '{"1": "Brown Streak", "0": "Blight", "2": "Healthy"}'),
        ("map.json", '{"Brown Streak": 1, "Blight": 0, "Healthy": 2}'),
        ("labels.csv", "attribute_id,attribute_name\n0,Blight\n1,Brown Streak\n2,Healthy\n"),
        ("classes.txt", "Blight\nBrown Streak\nHealthy\n"),
    ],
)
def test_numbers_get_their_names(tmp_path, name, text):
    images(tmp_path, *(f"train_images/{n}.jpg" for n in range(9)), "test_images/9.jpg")
    (tmp_path / "train.csv").write_text("image_id,label\n" + "".join(f"{n}.jpg,{n % 3}\n" for n in range(9)))
    (tmp_path / "sample_submission.csv").write_text("image_id,label\n9.jpg,2\n")
    (tmp_path / name).write_text(text)
    competition, dataset = opened(tmp_path)
    assert competition.classes == ("Blight", "Brown Streak", "Healthy")
    assert (competition.codes, competition.answer) == (("0", "1", "2"), "index")
    assert names_of(dataset)["train_images/4.jpg"] == "Brown Streak"


def test_class_folders_and_a_sample_of_numbers(tmp_path):
    images(tmp_path, "train/cat/1.png", "train/dog/1.png", "train/owl/1.png", "test/9.png")
    (tmp_path / "sample_submission.csv").write_text("id,label\n9,0\n")
    competition, dataset = opened(tmp_path)
    assert (competition.answer, competition.codes) == ("index", ("0", "1", "2"))
    assert names_of(dataset)["train/dog/1.png"] == "dog"


def test_rows_for_each_image_and_class(tmp_path):
    """As rsna-intracranial-hemorrhage: labels and sample both have a row for each image and label."""
    images(tmp_path, *(f"train/ID_{n}.png" for n in range(10)), *(f"test/ID_{n}.png" for n in range(10, 12)))
    long = "".join(
        f"ID_{n}_{part},{int(n % 3 == k or (k == 0 and n < 5))}\n"
        for n in range(10)
        for k, part in enumerate(("any", "epi_dural"))
    )
    (tmp_path / "stage_2_train.csv").write_text(f"ID,Label\n{long}")
    (tmp_path / "stage_2_sample_submission.csv").write_text(
        "ID,Label\n" + "".join(f"ID_{n}_{part},0.5\n" for n in (11, 10) for part in ("any", "epi_dural"))
    )
    competition, dataset = opened(tmp_path)
    assert (competition.answer, competition.multi_label) == ("rows", True)
    assert names_of(dataset)["train/ID_4.png"] == "any epi_dural"
    assert dataset.test_ids.tolist() == ["ID_11", "ID_10"]
    assert dataset.test_files.tolist() == ["test/ID_11.png", "test/ID_10.png"]


def test_the_class_in_the_name(tmp_path):
    """As dogs-vs-cats: train/cat.0.jpg, test/1.jpg, one score."""
    images(
        tmp_path, *(f"train/{name}.{n}.jpg" for name in ("cat", "dog") for n in range(5)), "test/1.jpg", "test/2.jpg"
    )
    (tmp_path / "sample_submission.csv").write_text("id,label\n1,0.5\n2,0.5\n")
    competition, dataset = opened(tmp_path)
    assert (competition.layout, competition.answer, competition.positive) == ("names", "score", "dog")
    assert names_of(dataset)["train/dog.3.jpg"] == "dog"
    images(tmp_path / "other", *(f"{name}_{n}.png" for name in ("sea lion", "owl") for n in range(3)))
    assert guess(tmp_path / "other")["classes"] == ("owl", "sea lion")


def square(number, side=6):
    """Pixels from which the number can be told again."""
    return [number] * (side * side - 1) + [255]


def test_pixels_in_columns(tmp_path):
    """As digit-recognizer: label,pixel0..; test rows without label; ids by row number from 1."""
    head = ",".join(f"pixel{n}" for n in range(36))
    (tmp_path / "train.csv").write_text(
        f"label,{head}\n" + "".join(f"{n % 3},{','.join(map(str, square(n)))}\n" for n in range(15))
    )
    (tmp_path / "test.csv").write_text(
        f"{head}\n" + "".join(f"{','.join(map(str, square(100 + n)))}\n" for n in range(4))
    )
    (tmp_path / "sample_submission.csv").write_text("ImageId,Label\n1,0\n2,0\n3,0\n4,0\n")
    competition, dataset = opened(tmp_path)
    assert (competition.layout, competition.answer, competition.classes) == ("pixels", "index", ("0", "1", "2"))
    assert names_of(dataset)["train.csv#4"] == "1"
    assert dataset.test_files.tolist() == [f"test.csv#{n}" for n in range(4)]
    files = [tmp_path / name for name in dataset.test_files]
    pixels = load_images(files, 6, None, tmp_path / ".cache", untracked).pixels
    assert pixels.shape == (4, 6, 6, 1)
    assert pixels[:, 0, 0, 0].tolist() == [100, 101, 102, 103]
    assert pixels[0, 5, 5, 0] == 255


def test_pixels_in_one_cell_with_usage(tmp_path):
    """As fer2013.csv: emotion,pixels,Usage; the rows that are not for training are the tests."""
    uses = ["Training"] * 12 + ["PublicTest"] * 2 + ["PrivateTest"]
    rows = "".join(f"{n % 3},{' '.join(map(str, square(n)))},{use}\n" for n, use in enumerate(uses))
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n{rows}")
    competition, dataset = opened(tmp_path)
    assert (competition.layout, competition.train, competition.test) == ("pixels", "fer2013.csv", "fer2013.csv")
    assert len(dataset.ids) == 12
    assert dataset.test_files.tolist() == [f"fer2013.csv#{n}" for n in (12, 13, 14)]
    assert dataset.test_ids.tolist() == ["1", "2", "3"]


def test_copies_among_rows_of_pixels_share_a_fold(tmp_path):
    rows = "".join(f"{n % 2},{' '.join(map(str, square(n // 4)))}\n" for n in range(40))
    (tmp_path / "train.csv").write_text(f"label,pixels\n{rows}")
    _, dataset = opened(tmp_path)
    for group in range(10):
        assert len(set(dataset.folds[group * 4 : group * 4 + 4])) == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("label,pixels\n0," + " ".join(["1"] * 37), "37 pixels a row, which make no square"),
        ("label,pixels\n0," + " ".join(["1"] * 36) + "\n1," + " ".join(["1"] * 35), "rows of unequal length"),
        ("label,pixels\n0," + " ".join(["300"] * 36) + "\n1," + " ".join(["1"] * 36), "values from 1 to 300"),
    ],
)
def test_rows_that_are_no_images(tmp_path, text, error):
    (tmp_path / "train.csv").write_text(text + "\n1," + " ".join(["1"] * text.split("\n")[1].count(" ")) + " 1\n")
    with pytest.raises(KcnnError, match=error):
        read_rows(tmp_path / "train.csv")


def test_measures_are_refused(tmp_path):
    images(tmp_path, *(f"train/{n}.jpg" for n in range(9)))
    (tmp_path / "train.csv").write_text("Id,Pawpularity\n" + "".join(f"{n},{n}.5\n" for n in range(9)))
    with pytest.raises(KcnnError, match=r"no classification: the column 'Pawpularity' holds measures such as 0.5"):
        guess(tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"PK\x03\x04abc", "zip or Excel"),
    ],
)
def test_a_sample_that_is_something_else(tmp_path, content, what):
    images(tmp_path, "train/a/1.png", "train/b/1.png", "test/1.png")
    (tmp_path / "sample_submission.csv").write_bytes(content)
    with pytest.raises(KcnnError, match=what):
        guess(tmp_path)


def test_a_table_that_cannot_be_read_matters_only_if_it_is_needed(tmp_path):
    images(tmp_path, "train/a/1.png", "train/b/1.png")
    (tmp_path / "notes.csv").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert guess(tmp_path)["layout"] == "folders"
    images(tmp_path / "flat", "1.png", "2.png")
    (tmp_path / "notes.csv").rename(tmp_path / "flat" / "train.csv")
    with pytest.raises(KcnnError, match="git-lfs"):
        guess(tmp_path / "flat")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('answer = "guess"', "answer should be one of name, index"),
        ('answer = "probabilities"', "class_columns should be as answer_columns"),
        ('answer = "score"\npositive = "c"', "positive should be one of the classes"),
        ('codes = ["1"]', "codes should be empty or 2 long"),
        ('layout = "heap"', "layout should be one of folders"),
        ('train = ["a"]', "train should be a str"),
        ('classes = "a"', "classes should be a list"),
        ('colour = "red"', "unexpected keyword argument 'colour'"),
    ],
)
def test_what_was_corrected_wrongly_is_said(tmp_path, line, error):
    images(tmp_path, "train/a/1.png", "train/b/1.png")
    opened(tmp_path)
    path = tmp_path / "competition.toml"
    names = {each.split(" = ")[0] for each in line.splitlines()}
    lines = path.read_text().replace('[\n    "a",\n    "b",\n]', '["a", "b"]').splitlines()
    path.write_text("\n".join([each for each in lines if each.split(" = ")[0] not in names] + [line]))
    with pytest.raises(KcnnError, match=error):
        Competition.read(tmp_path)


def test_ids_that_are_paths(tmp_path):
    images(tmp_path, *(f"train/{n}.png" for n in range(8)), "test/8.png", "test/9.png")
    (tmp_path / "train.csv").write_text("path,label\n" + "".join(f"train/{n}.png,{n % 2}\n" for n in range(8)))
    (tmp_path / "sample_submission.csv").write_text("path,label\ntest/9.png,0\ntest/8.png,0\n")
    competition, dataset = opened(tmp_path)
    assert (competition.layout, len(dataset.ids)) == ("table", 8)
    assert dataset.test_files.tolist() == ["test/9.png", "test/8.png"]
    (tmp_path / "sample_submission.csv").write_text("path,label\npatient_a,0\npatient_b,0\n")
    dataset = load_dataset(competition)
    assert len(dataset.test_ids) == 0
    assert "none of the sample's 2 ids is that of a test image, such as 'patient_a'" in dataset.notes[-1]


def test_an_index_without_a_name_is_no_id(tmp_path):
    images(tmp_path, *(f"train/{n}.png" for n in range(8)), "test/8.png")
    rows = "".join(f"{7 - n},{n}.png,{'ash' if n % 2 else 'oak'}\n" for n in range(8))
    (tmp_path / "train.csv").write_text(f",file,label\n{rows}")
    (tmp_path / "sample_submission.csv").write_text(",file,label\n0,8.png,ash\n")
    competition, dataset = opened(tmp_path)
    assert (competition.label_id, competition.classes) == ("file", ("ash", "oak"))
    assert names_of(dataset)["train/3.png"] == "ash"
    (tmp_path / "sample_submission.csv").write_text(",label\n8,ash\n")
    competition, dataset = opened(tmp_path)
    assert (competition.id_column, competition.answer_columns) == ("", ("label",))
    assert dataset.test_files.tolist() == ["test/8.png"]


def test_a_class_called_nan(tmp_path):
    images(tmp_path, *(f"{n}.png" for n in range(9)))
    (tmp_path / "train.csv").write_text("id,label\n" + "".join(f"{n},{'nan' if n % 3 else 'inf'}\n" for n in range(9)))
    assert guess(tmp_path)["classes"] == ("inf", "nan")
