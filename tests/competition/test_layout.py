"""Every layout of labels is recognised from the files alone, and read into a dataset."""

import unicodedata

import numpy as np
import pytest
from conftest import save_greys
from PIL import Image

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts import recognise
from kaggle_cnn.data.dataset import load_dataset
from kaggle_cnn.data.image_cache import load_images
from kaggle_cnn.data.pixel_tables import read_rows
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Silent
from kaggle_cnn.workspace import Workspace


def guess(folder, metric_words="", **choices):
    return recognise.guess(folder, metric_words, recognise.Choices(**choices)).fields


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
def test_where_the_classes_are(folder, paths, train, test, classes):
    found = guess(tree(folder, *paths))
    assert (found["train"], found["test"], found["classes"]) == (train, test, classes)


def test_accents_spelled_as_mac_zips_spell_them(folder):
    found = guess(tree(folder, f"{unicodedata.normalize('NFD', 'café')}/1.png", "thé/1.png"))
    assert found["classes"] == ("café", "thé")


def test_class_list_gives_the_order(folder):
    assert guess(tree(folder, "a/1.png", "b/1.png", classes__txt="b\n\na\n"))["classes"] == ("b", "a")
    assert guess(tree(folder, notes__txt="b\na\nc\n"))["classes"] == ("b", "a")


@pytest.mark.parametrize("name", ["sampleSubmission.csv", "sample_submission_v2.csv", "kaggle_sample_submission.CSV"])
def test_the_sample_is_found(folder, name):
    tree(folder, "train/a/1.png", "train/b/1.png", "test/1.png")
    (folder / "other.csv").write_text("x,y\n")
    (folder / name).write_bytes("\ufeffid,character\r\n1,a\r\n".encode())
    found = guess(folder)
    assert (found["sample"], found["id_column"], found["prediction_columns"][0]) == (name, "id", "character")


@pytest.mark.parametrize(
    ("paths", "error"),
    [
        (["readme.txt"], "no images"),
        (["train/a/1.png", "test/1.png"], "one class, 'a'"),
        (["1.png", "2.png"], "images that are not in a class folder"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(folder, paths, error):
    with pytest.raises(KcnnError, match=error):
        guess(tree(folder, *paths))


def images(folder, *names, seed=0):
    """PNGs of noise, each another."""
    draw = np.random.default_rng(seed)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(folder / name)


def opened(folder, metric_words=""):
    """The competition and dataset of the files in `folder`."""
    guessed = guess(folder, metric_words)
    competition = Competition(folder=folder, name="x", host="local", source="x", metric_words=metric_words, **guessed)
    competition.write()
    assert Competition.read(folder) == competition
    return competition, load_dataset(Workspace(folder.parents[1]), competition, Silent())


def names_of(dataset):
    """Image -> class names."""
    classes = dataset.competition.classes
    return {
        name: " ".join(classes[place] for place in np.flatnonzero(row))
        for name, row in zip(dataset.ids, dataset.targets, strict=True)
    }


def test_table_of_ids_without_suffix(folder):
    """As cifar-10: train/1.png and test/1.png, trainLabels.csv, ids that are numbers; CRLF and BOM."""
    images(folder, *(f"train/{n}.png" for n in range(1, 13)), *(f"test/{n}.png" for n in range(1, 4)))
    rows = "".join(f"{n},{'cat' if n % 2 else 'big dog'}\r\n" for n in range(1, 13))
    (folder / "trainLabels.csv").write_bytes(b"\xef\xbb\xbfid,label\r\n" + rows.encode())
    (folder / "sampleSubmission.csv").write_bytes(b"id,label\r\n3,cat\r\n1,cat\r\n2,cat\r\n")
    competition, dataset = opened(folder)
    assert (competition.layout, competition.submission_format, competition.classes) == (
        "table",
        "class_name",
        ("big dog", "cat"),
    )
    assert names_of(dataset)["train/1.png"] == "cat"
    assert names_of(dataset)["train/2.png"] == "big dog"
    assert dataset.test_files.tolist() == ["test/3.png", "test/1.png", "test/2.png"]
    assert dataset.notes == []


def test_table_with_everything_that_is_odd(folder):
    """Ids with leading zeros and suffix, an unnamed first column, extra columns, spaces, an empty label column in the
    sample, hashed folders, names without a file and files without a name."""
    images(folder, *(f"images/{n // 10}/{n % 10}/{n:04}.jpg" for n in range(30)))
    (folder / "train.csv").write_text(
        ",image_id,variety,label,age\n"
        + "".join(f"{n},{n:04}.jpg,v{n}, {'sugar beet' if n % 3 else 'maize'} ,{n}\n" for n in range(20))
        + "20,0999.jpg,v,maize,3\n"
    )
    (folder / "test.csv").write_text("image_id,variety\n" + "".join(f"{n:04}.jpg,x\n" for n in range(20, 28)))
    (folder / "sample_submission.csv").write_text("image_id,label\n" + "".join(f"{n:04}.jpg,\n" for n in range(20, 28)))
    competition, dataset = opened(folder)
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
        "1 id without an image in train.csv, the first is '0999.jpg'",
        "2 test images not named in the sample, without a row",
    ]


def test_class_folders_go_before_a_table_that_says_the_same_or_nothing(folder):
    images(folder, *(f"train/{name}/{n}.png" for name in ("a", "b") for n in range(4)))
    (folder / "train.csv").write_text("file,label\n" + "".join(f"{n}.png,{'a'}\n" for n in range(4)) + "3.png,b\n")
    assert guess(folder)["layout"] == "folders"
    (folder / "train.csv").write_text("file,photographer\n" + "".join(f"{n}.png,p{n % 2}\n" for n in range(4)))
    assert guess(folder)["layout"] == "folders"


def test_one_hot_columns_are_one_class_each(folder):
    """As plant-pathology-2020: the images of both parts in one folder."""
    images(folder, *(f"images/Train_{n}.jpg" for n in range(9)), *(f"images/Test_{n}.jpg" for n in range(3)))
    hot = ["1,0,0", "0,1,0", "0,0,1"]
    (folder / "train.csv").write_text(
        "image_id,healthy,rust,scab\n" + "".join(f"Train_{n},{hot[n % 3]}\n" for n in range(9))
    )
    (folder / "test.csv").write_text("image_id\nTest_0\nTest_1\nTest_2\n")
    (folder / "sample_submission.csv").write_text(
        "image_id,scab,healthy,rust\nTest_2,.3,.3,.3\nTest_0,.3,.3,.3\nTest_1,.3,.3,.3\n"
    )
    competition, dataset = opened(folder)
    assert (competition.submission_format, competition.kind, competition.metric) == (
        "probability_columns",
        "multiclass",
        "log_loss",
    )
    assert competition.class_columns == ("scab", "healthy", "rust")
    assert names_of(dataset)["images/Train_1.jpg"] == "rust"
    assert dataset.test_files.tolist() == ["images/Test_2.jpg", "images/Test_0.jpg", "images/Test_1.jpg"]


def test_columns_that_exclude_each_other_not_are_labels(folder):
    images(folder, *(f"train/{n}.png" for n in range(12)))
    (folder / "train.csv").write_text("uid,a,b\n" + "".join(f"{n},{n % 2},{n % 3 // 2}\n" for n in range(12)))
    competition, dataset = opened(folder)
    assert (competition.kind, competition.metric) == ("multilabel", "samples_f1")
    assert dataset.targets.sum(axis=0).tolist() == [6, 4]
    assert names_of(dataset)["train/5.png"] == "a b"


def test_labels_in_one_cell(folder):
    images(folder, *(f"train/{n}.jpg" for n in range(12)), "test/t.jpg")
    cells = ["rust", "scab", "rust scab", "scab rust", "complex", "scab complex"]
    (folder / "train.csv").write_text("image,labels\n" + "".join(f"{n}.jpg,{cells[n % 6]}\n" for n in range(12)))
    (folder / "sample_submission.csv").write_text("image,labels\nt.jpg,rust\n")
    competition, dataset = opened(folder)
    assert (competition.submission_format, competition.kind, competition.classes) == (
        "multi_label",
        "multilabel",
        ("complex", "rust", "scab"),
    )
    assert names_of(dataset)["train/5.jpg"] == "complex scab"
    assert (dataset.targets.shape, dataset.targets.dtype) == ((12, 3), np.float32)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("label_num_to_disease_map.json", '{"1": "Brown Streak", "0": "Blight", "2": "Healthy"}'),
        ("map.json", '{"Brown Streak": 1, "Blight": 0, "Healthy": 2}'),
        ("labels.csv", "attribute_id,attribute_name\n0,Blight\n1,Brown Streak\n2,Healthy\n"),
        ("classes.txt", "Blight\nBrown Streak\nHealthy\n"),
    ],
)
def test_numbers_get_their_names(folder, name, text):
    images(folder, *(f"train_images/{n}.jpg" for n in range(9)), "test_images/9.jpg")
    (folder / "train.csv").write_text("image_id,label\n" + "".join(f"{n}.jpg,{n % 3}\n" for n in range(9)))
    (folder / "sample_submission.csv").write_text("image_id,label\n9.jpg,2\n")
    (folder / name).write_text(text)
    competition, dataset = opened(folder)
    assert competition.classes == ("Blight", "Brown Streak", "Healthy")
    assert (competition.label_values, competition.submission_format) == (("0", "1", "2"), "class_id")
    assert names_of(dataset)["train_images/4.jpg"] == "Brown Streak"


def test_class_folders_and_a_sample_of_numbers(folder):
    images(folder, "train/cat/1.png", "train/dog/1.png", "train/owl/1.png", "test/9.png")
    (folder / "sample_submission.csv").write_text("id,label\n9,0\n")
    competition, dataset = opened(folder)
    assert (competition.submission_format, competition.label_values) == ("class_id", ("0", "1", "2"))
    assert names_of(dataset)["train/dog/1.png"] == "dog"


def test_rows_for_each_image_and_class(folder):
    """As rsna-intracranial-hemorrhage: labels and sample both have a row for each image and label."""
    images(folder, *(f"train/ID_{n}.png" for n in range(10)), *(f"test/ID_{n}.png" for n in range(10, 12)))
    long = "".join(
        f"ID_{n}_{part},{int(n % 3 == k or (k == 0 and n < 5))}\n"
        for n in range(10)
        for k, part in enumerate(("any", "epi_dural"))
    )
    (folder / "stage_2_train.csv").write_text(f"ID,Label\n{long}")
    (folder / "stage_2_sample_submission.csv").write_text(
        "ID,Label\n" + "".join(f"ID_{n}_{part},0.5\n" for n in (11, 10) for part in ("any", "epi_dural"))
    )
    competition, dataset = opened(folder)
    assert (competition.submission_format, competition.kind, competition.metric) == (
        "long",
        "multilabel",
        "mean_column_log_loss",
    )
    assert competition.class_columns == ("any", "epi_dural")
    assert names_of(dataset)["train/ID_4.png"] == "any epi_dural"
    assert dataset.test_ids.tolist() == ["ID_11", "ID_10"]
    assert dataset.test_files.tolist() == ["test/ID_11.png", "test/ID_10.png"]


def test_the_class_in_the_name(folder):
    """As dogs-vs-cats: train/cat.0.jpg, test/1.jpg, one score."""
    images(folder, *(f"train/{name}.{n}.jpg" for name in ("cat", "dog") for n in range(5)), "test/1.jpg", "test/2.jpg")
    (folder / "sample_submission.csv").write_text("id,label\n1,0.5\n2,0.5\n")
    competition, dataset = opened(folder)
    assert (competition.layout, competition.submission_format, competition.positive) == ("names", "probability", "dog")
    assert competition.metric == "log_loss"
    assert names_of(dataset)["train/dog.3.jpg"] == "dog"
    images(folder / "other", *(f"{name}_{n}.png" for name in ("sea lion", "owl") for n in range(3)))
    assert guess(folder / "other")["classes"] == ("owl", "sea lion")


def square(number, side=6):
    """Pixels from which the number can be read again."""
    return [number] * (side * side - 1) + [255]


def test_pixels_in_columns(folder):
    """As digit-recognizer: label,pixel0..; test rows without label; ids by row number from 1."""
    head = ",".join(f"pixel{n}" for n in range(36))
    (folder / "train.csv").write_text(
        f"label,{head}\n" + "".join(f"{n % 3},{','.join(map(str, square(n)))}\n" for n in range(15))
    )
    (folder / "test.csv").write_text(
        f"{head}\n" + "".join(f"{','.join(map(str, square(100 + n)))}\n" for n in range(4))
    )
    (folder / "sample_submission.csv").write_text("ImageId,Label\n1,0\n2,0\n3,0\n4,0\n")
    competition, dataset = opened(folder)
    assert (competition.layout, competition.submission_format, competition.classes) == (
        "pixels",
        "class_id",
        ("0", "1", "2"),
    )
    assert names_of(dataset)["train.csv#4"] == "1"
    assert dataset.test_files.tolist() == [f"test.csv#{n}" for n in range(4)]
    pixels = load_images(folder, list(dataset.test_files), 6, None, dataset.cache, Silent()).pixels
    assert pixels.shape == (4, 6, 6, 1)
    assert pixels[:, 0, 0, 0].tolist() == [100, 101, 102, 103]
    assert pixels[0, 5, 5, 0] == 255


def test_pixels_in_one_cell_with_usage(folder):
    """As fer2013.csv: emotion,pixels,Usage; the rows that are not for training are the tests."""
    uses = ["Training"] * 12 + ["PublicTest"] * 2 + ["PrivateTest"]
    rows = "".join(f"{n % 3},{' '.join(map(str, square(n)))},{use}\n" for n, use in enumerate(uses))
    (folder / "fer2013.csv").write_text(f"emotion,pixels,Usage\n{rows}")
    competition, dataset = opened(folder)
    assert (competition.layout, competition.train, competition.test) == ("pixels", "fer2013.csv", "fer2013.csv")
    assert len(dataset.ids) == 12
    assert dataset.test_files.tolist() == [f"fer2013.csv#{n}" for n in (12, 13, 14)]
    assert dataset.test_ids.tolist() == ["1", "2", "3"]


def test_copies_among_rows_of_pixels_share_a_fold(folder):
    rows = "".join(f"{n % 2},{' '.join(map(str, square(n // 4)))}\n" for n in range(40))
    (folder / "train.csv").write_text(f"label,pixels\n{rows}")
    _, dataset = opened(folder)
    for group in range(10):
        assert len(set(dataset.folds.numbers[group * 4 : group * 4 + 4])) == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("label,pixels\n0," + " ".join(["1"] * 37), "37 values in each row, which do not form a square image"),
        ("label,pixels\n0," + " ".join(["1"] * 36) + "\n1," + " ".join(["1"] * 35), "rows of different lengths"),
        ("label,pixels\n0," + " ".join(["300"] * 36) + "\n1," + " ".join(["1"] * 36), "values from 1 to 300"),
    ],
)
def test_rows_that_are_not_images(folder, text, error):
    (folder / "train.csv").write_text(text + "\n1," + " ".join(["1"] * text.split("\n")[1].count(" ")) + " 1\n")
    with pytest.raises(KcnnError, match=error):
        read_rows(folder / "train.csv")


def test_whole_numbers_are_a_regression_where_the_sample_asks_for_fractions(folder):
    """As petfinder-pawpularity-score: labels from 1 to 100, a sample of 64.06, columns that are not labels."""
    images(folder, *(f"train/{n:03}.jpg" for n in range(30)), "test/a.jpg", "test/b.jpg")
    rows = "".join(f"{n:03},{n % 2},{n % 3 // 2},{n + 1}\n" for n in range(30))
    (folder / "train.csv").write_text(f"Id,Eyes,Blur,Pawpularity\n{rows}")
    (folder / "test.csv").write_text("Id,Eyes,Blur\na,1,0\nb,0,1\n")
    (folder / "sample_submission.csv").write_text("Id,Pawpularity\nb,64.06\na,65.88\n")
    competition, dataset = opened(folder)
    assert (competition.layout, competition.kind, competition.metric) == ("table", "regression", "rmse")
    assert (competition.submission_format, competition.classes) == ("value", ("Pawpularity",))
    assert (competition.prediction_columns, competition.class_columns) == (("Pawpularity",), ("Pawpularity",))
    assert (competition.label_columns, competition.label_values) == (("Pawpularity",), ())
    assert (dataset.targets.shape, dataset.targets.dtype) == ((30, 1), np.float32)
    assert dict(zip(dataset.ids, dataset.targets[:, 0], strict=True))["train/004.jpg"] == 5
    assert dataset.test_files.tolist() == ["test/b.jpg", "test/a.jpg"]
    assert sorted(np.bincount(dataset.folds.numbers)) == [6] * 5


@pytest.mark.parametrize(("words", "metric"), [("Root Mean Squared Error", "rmse"), ("Mean Absolute Error", "mae")])
def test_whole_numbers_are_a_regression_where_the_metric_is_one_of_numbers(folder, words, metric):
    images(folder, *(f"train/{n}.jpg" for n in range(20)), "test/a.jpg")
    (folder / "train.csv").write_text("id,age\n" + "".join(f"{n},{n % 7}\n" for n in range(19)) + "19,\n")
    (folder / "sample_submission.csv").write_text("id,age\na,0\n")
    assert guess(folder)["kind"] == "multiclass"
    competition, dataset = opened(folder, words)
    assert (competition.kind, competition.metric, competition.submission_format) == ("regression", metric, "value")
    assert len(dataset.ids) == 19
    assert dataset.notes == ["1 image not used: no label in train.csv"]


@pytest.mark.parametrize("whole", [False, True])
def test_numbers_in_several_columns(folder, whole):
    """As galaxy-zoo: a share for each question, in another order than the sample's; whole numbers need a metric."""
    images(folder, *(f"train/{n}.jpg" for n in range(20)), "test/7001.jpg")
    values = np.random.default_rng(0).integers(0, 900, (20, 3)) / (1 if whole else 1000)
    rows = "".join(f"{n},{','.join(f'{value:g}' for value in row)}\n" for n, row in enumerate(values))
    (folder / "training_solutions_rev1.csv").write_text(f"GalaxyID,Class1.1,Class1.2,Class1.3\n{rows}")
    (folder / "sample_submission.csv").write_text("GalaxyID,Class1.2,Class1.1,Class1.3\n7001,0,0,0\n")
    competition, dataset = opened(folder, "Root Mean Squared Error" if whole else "")
    assert (competition.kind, competition.metric, competition.submission_format) == ("regression", "rmse", "value")
    assert set(competition.classes) == {"Class1.1", "Class1.2", "Class1.3"}
    assert competition.prediction_columns == ("Class1.2", "Class1.1", "Class1.3")
    assert competition.class_columns == competition.prediction_columns
    first = competition.classes.index("Class1.1")
    found = dict(zip(dataset.ids, dataset.targets[:, first], strict=True))
    assert [found[f"train/{n}.jpg"] for n in range(20)] == pytest.approx(values[:, 0].tolist())


def test_without_a_sample_fractions_are_a_regression(folder):
    images(folder, *(f"train/{n}.jpg" for n in range(9)))
    (folder / "train.csv").write_text("Id,Pawpularity\n" + "".join(f"{n},{n}.5\n" for n in range(9)))
    competition, dataset = opened(folder)
    assert (competition.kind, competition.submission_format) == ("regression", "value")
    assert (competition.prediction_columns, competition.class_columns) == (("Pawpularity",), ("Pawpularity",))
    assert sorted(dataset.targets[:, 0]) == [n + 0.5 for n in range(9)]


def test_a_number_that_is_not_one_is_named(folder):
    images(folder, *(f"train/{n}.jpg" for n in range(9)))
    (folder / "train.csv").write_text("Id,Age\n" + "".join(f"{n},{n}.5\n" for n in range(8)) + "8,old\n")
    with pytest.raises(KcnnError, match=r"the column 'Age' of train\.csv should hold numbers, found 'old'"):
        guess(folder)


@pytest.mark.parametrize("named", [False, True])
def test_grades_judged_by_kappa_are_ordinal(folder, named):
    """As aptos2019-blindness-detection; a file may name the grades."""
    images(folder, *(f"train_images/{n}.png" for n in range(20)), "test_images/20.png")
    (folder / "train.csv").write_text("id_code,diagnosis\n" + "".join(f"{n},{n % 5}\n" for n in range(20)))
    (folder / "sample_submission.csv").write_text("id_code,diagnosis\n20,0\n")
    if named:
        (folder / "grades.json").write_text('{"0": "none", "1": "mild", "2": "middle", "3": "severe", "4": "worst"}')
    competition, dataset = opened(folder, "QuadraticWeightedKappa")
    assert (competition.kind, competition.metric) == ("ordinal", "quadratic_weighted_kappa")
    assert competition.submission_format == "class_id"
    assert dataset.task.targets_of(dataset.targets).tolist() == [int(name[13:-4]) % 5 for name in dataset.ids]
    assert guess(folder)["kind"] == "multiclass"


def test_k_is_read_off_the_sample(folder):
    images(folder, *(f"train/{n}.jpg" for n in range(20)), "test/a.jpg")
    (folder / "train.csv").write_text("Image,Id\n" + "".join(f"{n}.jpg,w_{n % 5}\n" for n in range(20)))
    (folder / "sample_submission.csv").write_text("Image,Id\na.jpg,w_0 w_1 w_2\n")
    competition, _ = opened(folder, "MAP@{K}")
    assert (competition.submission_format, competition.top_k, competition.metric) == ("top_k", 3, "map_at_3")
    assert guess(folder)["metric"] == "map_at_3"


def test_a_metric_that_kcnn_does_not_have_is_noted(folder):
    images(folder, *(f"train/{name}.{n}.jpg" for name in ("cat", "dog") for n in range(5)), "test/1.jpg")
    (folder / "sample_submission.csv").write_text("id,label\n1,0.5\n")
    competition, dataset = opened(folder, "Alaska weighted AUC")
    assert (competition.metric, competition.task.metric.name) == ("", "log_loss")
    assert dataset.notes[0].startswith("kcnn does not know the metric 'Alaska weighted AUC': log loss stands in")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"PK\x03\x04abc", "zip or Excel"),
    ],
)
def test_a_sample_that_is_something_else(folder, content, what):
    images(folder, "train/a/1.png", "train/b/1.png", "test/1.png")
    (folder / "sample_submission.csv").write_bytes(content)
    with pytest.raises(KcnnError, match=what):
        guess(folder)


def test_a_table_that_cannot_be_read_matters_only_if_it_is_needed(folder):
    images(folder, "train/a/1.png", "train/b/1.png")
    (folder / "notes.csv").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert guess(folder)["layout"] == "folders"
    images(folder / "flat", "1.png", "2.png")
    (folder / "notes.csv").rename(folder / "flat" / "train.csv")
    with pytest.raises(KcnnError, match="git-lfs"):
        guess(folder / "flat")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('submission_format = "guess"', "submission_format should be one of class_name, class_id"),
        ('submission_format = "probability_columns"', "class_columns should be one of classes for each of"),
        ('submission_format = "probability"\npositive = "c"', "positive should be one of the classes"),
        ('label_values = ["1"]', "label_values should be empty or a list of 2"),
        ('kind = "regression"', "metric should be a metric for regression"),
        ('layout = "heap"', "layout should be one of folders"),
        ('train = ["a"]', "train should be a str"),
        ('classes = "a"', "classes should be a list"),
        ('colour = "red"', "unexpected keyword argument 'colour'"),
    ],
)
def test_what_was_corrected_wrongly_is_said(folder, line, error):
    images(folder, "train/a/1.png", "train/b/1.png")
    opened(folder)
    path = folder / "competition.toml"
    names = {each.split(" = ")[0] for each in line.splitlines()}
    lines = path.read_text().replace('[\n    "a",\n    "b",\n]', '["a", "b"]').splitlines()
    path.write_text("\n".join([each for each in lines if each.split(" = ")[0] not in names] + [line]))
    with pytest.raises(KcnnError, match=error):
        Competition.read(folder)


def test_ids_that_are_paths(folder):
    images(folder, *(f"train/{n}.png" for n in range(8)), "test/8.png", "test/9.png")
    (folder / "train.csv").write_text("path,label\n" + "".join(f"train/{n}.png,{n % 2}\n" for n in range(8)))
    (folder / "sample_submission.csv").write_text("path,label\ntest/9.png,0\ntest/8.png,0\n")
    competition, dataset = opened(folder)
    assert (competition.layout, len(dataset.ids)) == ("table", 8)
    assert dataset.test_files.tolist() == ["test/9.png", "test/8.png"]
    (folder / "sample_submission.csv").write_text("path,label\npatient_a,0\npatient_b,0\n")
    dataset = load_dataset(Workspace(folder.parents[1]), competition)
    assert len(dataset.test_ids) == 0
    assert "none of the sample's 2 ids belongs to a test image, the first is 'patient_a'" in dataset.notes[-1]


def test_an_index_without_a_name_is_not_an_id(folder):
    images(folder, *(f"train/{n}.png" for n in range(8)), "test/8.png")
    rows = "".join(f"{7 - n},{n}.png,{'ash' if n % 2 else 'oak'}\n" for n in range(8))
    (folder / "train.csv").write_text(f",file,label\n{rows}")
    (folder / "sample_submission.csv").write_text(",file,label\n0,8.png,ash\n")
    competition, dataset = opened(folder)
    assert (competition.label_id, competition.classes) == ("file", ("ash", "oak"))
    assert names_of(dataset)["train/3.png"] == "ash"
    (folder / "sample_submission.csv").write_text(",label\n8,ash\n")
    competition, dataset = opened(folder)
    assert (competition.id_column, competition.prediction_columns) == ("", ("label",))
    assert dataset.test_files.tolist() == ["test/8.png"]


def test_a_class_called_nan(folder):
    images(folder, *(f"{n}.png" for n in range(9)))
    (folder / "train.csv").write_text("id,label\n" + "".join(f"{n},{'nan' if n % 3 else 'inf'}\n" for n in range(9)))
    assert guess(folder)["classes"] == ("inf", "nan")


def several(folder, rows, sample, header="image_id,root,vowel"):
    save_greys(folder, *(f"train/Train_{n}.png" for n in range(24)), "test/Test_0.png", "test/Test_1.png")
    (folder / "train.csv").write_text(f"{header}\n" + "".join(rows))
    (folder / "sample_submission.csv").write_text(sample)
    return guess(folder)


LONG = "row_id,target\nTest_0_root,0\nTest_0_vowel,0\nTest_1_root,0\n"  # a row is missing


def test_a_sample_of_several_targets_may_lack_a_row(folder):
    fields = several(folder, [f"Train_{n},{n % 3},{n % 2}\n" for n in range(24)], LONG)
    assert (fields["kind"], fields["submission_format"]) == ("multioutput", "long")
    assert fields["label_columns"] == ("root", "vowel")


def test_a_target_of_one_class_is_named(folder):
    with pytest.raises(KcnnError, match="expected at least two classes of the target 'vowel', found one, '1'"):
        several(folder, [f"Train_{n},{n % 3},1\n" for n in range(24)], LONG)


def test_whole_numbers_of_many_values_are_a_regression(folder):
    """As in csiro-biomass, with a row that is missing."""
    rows = [f"train/Train_{n}.png,{name},{n * (3 + place)}\n" for n in range(24) for place, name in enumerate("ab")]
    sample = "sample_id,target\nTest_0__a,0\nTest_0__b,0\nTest_1__a,0\nTest_1__b,0\n"
    fields = several(folder, rows[:-1], sample, "image_path,target_name,target")
    assert (fields["kind"], fields["classes"]) == ("regression", ("a", "b"))
    assert fields["submission_format"] == "long"


def test_a_column_of_the_sample_that_no_image_has_is_the_new_class(folder):
    save_greys(folder, *(f"train/{n}.png" for n in range(12)), "test/20.png")
    (folder / "train.csv").write_text("id,label\n" + "".join(f"{n},w_{n % 2}\n" for n in range(12)))
    (folder / "sample_submission.csv").write_text("id,w_0,w_1,unknown\n20,0.5,0.5,0\n")
    fields = guess(folder)
    assert (fields["new_class"], fields["classes"]) == ("unknown", ("w_0", "w_1", "unknown"))
