"""Several images of one id: folders and beginnings of names; the mean of their predictions, or channels of one."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import dataset_in, in_this_process
from PIL import Image

from kaggle_cnn.competition.listing import Spellings, group_names, join_images, split_images
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.workspace import Workspace


def save(path, values, draw, shape=(20, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(np.array(values) + draw.integers(-30, 30, (*shape, np.size(values))), 0, 255).astype(np.uint8)
    Image.fromarray(pixels.squeeze()).save(path)


def test_names_of_several_images():
    images = ["train/a_1/x.png", "train/a_1/y.png", "train/b_2_red.png", "train/b_2_blue.png", "train/c.png"]
    groups = group_names(images, "train")
    assert groups["a_1"] == images[:2]
    assert groups["b_2"] == groups["b"] == images[2:4]
    assert groups.get("a") is None  # a folder is its whole name
    joined = join_images(images[:2])
    assert joined == "train/a_1/x.png|y.png"
    assert split_images(joined) == images[:2]
    apart = ["train/p/1/x.png", "train/p/2/y.png"]
    assert split_images(join_images(apart)) == apart
    assert split_images("train/c.png") == ["train/c.png"]
    found = Spellings(images, "train", grouped=True)
    assert found.find("b_2") == "train/b_2_red.png|b_2_blue.png"
    assert found.find("c.png") == "train/c.png"
    assert Spellings(images, "train").find("b_2") is None


def write_tables(folder, rows, header, asked, cells):
    """The labels, the solution, and a sample with the columns `asked` and the same `cells` in each row."""
    for file, part in (("train.csv", "train"), ("solution.csv", "test")):
        (folder / file).write_text("\n".join([header, *rows[part]]) + "\n")
    sample = [f"{row.partition(',')[0]},{cells}" for row in rows["test"]]
    (folder / "sample_submission.csv").write_text("\n".join([asked, *sample]) + "\n")


@pytest.fixture
def cells(tmp_path):
    """As the Human Protein Atlas: four grey files an id; the class is in the fourth one alone."""
    folder, draw = tmp_path / "cells", np.random.default_rng(0)
    rows = {"train": [], "test": []}
    for number in range(56):
        part, name = ("train" if number < 40 else "test"), f"{number:03}-bad0"
        grade = number % 2
        for colour in ("blue", "green", "red", "yellow"):
            level = (60, 190)[grade] if colour == "yellow" else int(draw.integers(40, 210))
            save(folder / part / f"{name}_{colour}.png", [level], draw)
        rows[part].append(f"{name},{('dark', 'bright')[grade]}")
    write_tables(folder, rows, "Id,Target", "Id,Target", "dark")
    return folder


@pytest.fixture
def slides(tmp_path):
    """As Mayo's strokes: a folder of one to four images for each patient; half of them show nothing."""
    folder, draw = tmp_path / "slides", np.random.default_rng(0)
    rows = {"train": [], "test": []}
    for number in range(48):
        part, name, grade = ("train" if number < 36 else "test"), f"{number:04}", number % 2
        count = 1 + number % 4
        for tile in range(count):
            empty = count > 1 and tile % 2 == 1
            colour = (120, 120, 120) if empty else ((200, 40, 40), (40, 40, 200))[grade]
            save(folder / part / name / f"{tile}.png", colour, draw)
        rows[part].append(f"{name},{('CE', 'LAA')[grade]}")
    write_tables(folder, rows, "patient_id,label", "patient_id,CE,LAA", "0.5,0.5")
    return folder


@pytest.mark.usefixtures("keras", "eager")
def test_files_of_an_id_are_the_channels_of_one_image(cells, work, begin):
    assert "cells: 40 training images of 2 classes, 16 test images" in begin(cells)
    assert 'several_images = "stack"' in (work / "data" / "cells" / "competition.toml").read_text()
    assert json.loads(in_this_process("look", "--json"))["train"]["images"] == 40
    in_this_process("train", "recipes/tiny.py", "--set", "epochs=12", "--set", "learning_rate=0.02")
    run = work / "runs" / "cells" / "tiny-001"
    assert json.loads((run / "run.json").read_text())["channels"] == 4
    assert json.loads(in_this_process("evaluate", "--json"))["scores"]["accuracy"] > 0.8
    assert float(in_this_process("submit", "--yes").split("public score")[1]) > 0.8
    for kind in (["mistakes"], ["samples"], ["augmentation"], ["gradcam", "040-bad0"], ["activations", "040-bad0"]):
        with_run = [] if kind[0] == "samples" else ["tiny-001"]
        try:
            assert in_this_process("show", *kind, *with_run)
        except Exception as error:
            assert "has no mistakes" in str(error)  # noqa: PT017
    assert in_this_process("report")


@pytest.mark.usefixtures("keras", "eager")
def test_predictions_of_an_id_are_the_mean_of_its_images(slides, work, begin):
    assert "slides: 90 training images of 2 classes, 12 test images" in begin(slides)
    assert 'several_images = "mean"' in (work / "data" / "slides" / "competition.toml").read_text()
    dataset = dataset_in(Workspace(work))
    assert len(dataset.test_images[0]) == 30
    for owner in np.unique(dataset.owners):  # images of a patient stay in one fold
        assert len(np.unique(dataset.folds.numbers[dataset.owners == owner])) == 1
    in_this_process("train", "recipes/tiny.py", "--folds", "all", "--set", "epochs=2", "--set", "learning_rate=0.02")
    run = work / "runs" / "slides" / "tiny-001"
    oof, test = (Predictions.read(run / f"{part}.npz") for part in ("oof", "test"))
    assert len(oof.ids) == 36
    assert set(oof.ids) == {dataset.ids[np.flatnonzero(dataset.owners == owner)[0]] for owner in range(36)}
    assert test.ids.tolist() == dataset.test_ids.tolist()
    assert json.loads(in_this_process("evaluate", "--json"))["images"] == 36

    import keras

    from kaggle_cnn.learn.model import cut_head
    from kaggle_cnn.learn.predict import load_test_images, predict_views
    from kaggle_cnn.progress import Silent

    images, owners = load_test_images(dataset, 20, "crop", 3, Silent()), dataset.test_images[1]
    made = []
    for fold in range(5):
        model = cut_head(keras.models.load_model(run / f"fold-{fold}" / "model.keras"), dataset.task)
        made.append(predict_views(model, images.pixels, np.arange(30), ("centre",), 16)[:, 0])
    single = np.mean(made, axis=0)
    expected = [single[owners == row].mean(axis=0) for row in range(12)]
    assert np.allclose(test.logits[:, test.views.index("centre")], expected, atol=1e-4)
    written = pd.read_csv(work / "submissions" / "slides" / "tiny-001.csv", dtype={"patient_id": str})
    assert written["patient_id"].tolist() == [f"{number:04}" for number in range(36, 48)]
    assert in_this_process("submit", "--yes")


def test_an_image_is_that_of_the_longest_id():
    """Where 7 and 7_1 are both ids, 7_1_red.png is of 7_1 alone."""
    images = ["t/7_blue.png", "t/7_red.png", "t/7_1_blue.png", "t/7_1_red.png"]
    found = Spellings(images, "t", grouped=True)
    assert len(split_images(found.find("7"))) == 4
    narrowed = found.narrow(["7", "7_1"])
    assert split_images(narrowed.find("7")) == images[:2]
    assert split_images(narrowed.find("7_1")) == images[2:]
    assert found.narrow(["7"]).find("7") == found.find("7")
