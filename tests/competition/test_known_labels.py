"""Test parts whose labels are there score submissions at home."""

import numpy as np
import pandas as pd
import pytest
from conftest import in_this_process, save_greys
from PIL import Image

from kaggle_cnn.competition import local_host
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts.recognise import guess
from kaggle_cnn.data.dataset import load_dataset
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Silent
from kaggle_cnn.workspace import Workspace


def opened(folder):
    competition = Competition(folder=folder, name="x", host="local", source="x", **guess(folder).fields)
    return competition, load_dataset(Workspace(folder.parents[1]), competition, Silent())


def score(competition, table):
    found = local_host.score(competition, table)
    assert found.private is None
    return found.public


def submission(competition, dataset, labels):
    return pd.DataFrame({competition.id_column: dataset.test_ids, competition.prediction_columns[0]: labels})


def test_class_folders_in_the_test_part(folder):
    save_greys(folder, *(f"seg_train/{name}/{name}{n}.png" for name in ("cat", "dog") for n in range(5)))
    save_greys(folder, *(f"seg_test/seg_test/{name}/{name}{n}.png" for name in ("cat", "dog") for n in range(50, 54)))
    save_greys(folder, "seg_pred/1.png", "seg_pred/2.png")
    competition, dataset = opened(folder)
    assert competition.solution == "seg_test"
    right = ["cat" if "cat" in name else "dog" for name in dataset.test_ids]
    assert len(right) == 8
    assert score(competition, submission(competition, dataset, right)) == 1
    assert score(competition, submission(competition, dataset, ["cat"] * 8)) == 0.5


def test_the_sample_spells_the_ids(folder):
    save_greys(folder, *(f"train/{name}/{name}{n}.png" for name in ("cat", "dog") for n in range(5)))
    save_greys(folder, "test/cat/901.png", "test/dog/902.png", "test/dog/903.png")
    (folder / "sample_submission.csv").write_text("id,label\n903,cat\n901,cat\n902,cat\n")
    competition, dataset = opened(folder)
    assert dataset.test_ids.tolist() == ["903", "901", "902"]
    assert score(competition, submission(competition, dataset, ["dog", "cat", "dog"])) == 1
    assert score(competition, submission(competition, dataset, ["cat", "cat", "cat"])) == pytest.approx(1 / 3)


def test_a_csv_of_the_test_images(folder):
    """As GTSRB: Train.csv and Test.csv, with Path and ClassId."""
    save_greys(folder, *(f"Train/{n}.png" for n in range(12)), *(f"Test/{n:05}.png" for n in range(6)))
    (folder / "Train.csv").write_text("Width,ClassId,Path\n" + "".join(f"9,{n % 3},Train/{n}.png\n" for n in range(12)))
    (folder / "Test.csv").write_text("Width,ClassId,Path\n" + "".join(f"9,{n % 3},Test/{n:05}.png\n" for n in range(6)))
    competition, dataset = opened(folder)
    assert (competition.labels, competition.solution) == ("Train.csv", "Test.csv")
    assert score(competition, submission(competition, dataset, [str(n % 3) for n in range(6)])) == 1
    assert score(competition, submission(competition, dataset, ["0"] * 6)) == pytest.approx(1 / 3)


def test_rows_with_another_usage(folder):
    uses = ["Training"] * 12 + ["PublicTest"] * 2 + ["PrivateTest"] * 2
    rows = "".join(f"{n % 3},{' '.join(['7'] * 35)} {n},{use}\n" for n, use in enumerate(uses))
    (folder / "fer2013.csv").write_text(f"emotion,pixels,Usage\n{rows}")
    competition, dataset = opened(folder)
    assert competition.solution == "fer2013.csv"
    found = local_host.score(competition, submission(competition, dataset, ["0", "1", "2", "0"]))
    assert (found.public, found.private) == (1, 1)
    found = local_host.score(competition, submission(competition, dataset, ["0", "1", "0", "1"]))
    assert (found.public, found.private) == (1, 0)


def test_numbers_too(folder):
    save_greys(folder, *(f"train/{n}.png" for n in range(10)), *(f"test/{n}.png" for n in range(90, 94)))
    (folder / "train.csv").write_text("id,age\n" + "".join(f"{n},{n}.5\n" for n in range(10)))
    (folder / "test_with_age.csv").write_text("id,age\n" + "".join(f"{n},{n}\n" for n in range(90, 94)))
    competition, dataset = opened(folder)
    assert (competition.kind, competition.solution) == ("regression", "test_with_age.csv")
    found = score(competition, submission(competition, dataset, ["91", "92", "93", "94"]))
    assert found == pytest.approx(1)  # root mean squared error


def test_a_test_part_without_labels_has_no_solution(folder):
    save_greys(folder, *(f"train/{name}/{name}{n}.png" for name in ("cat", "dog") for n in range(5)), "test/1.png")
    competition, dataset = opened(folder)
    assert competition.solution == ""
    with pytest.raises(KcnnError, match="has no solution here"):
        score(competition, submission(competition, dataset, ["cat"]))


@pytest.mark.usefixtures("eager")
def test_submit_shows_the_score(begin, work, tmp_path):
    draw, source = np.random.default_rng(0), tmp_path / "colours"
    for part, count in (("train", 12), ("test", 6)):
        for name, colour in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
            for n in range(count):
                path = source / part / name / f"{part}_{name}{n}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                noise = draw.integers(-30, 30, (16, 16, 3))
                Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(path)
    begin(source)
    in_this_process("train", "tiny", "--set", "epochs=8")
    said = in_this_process("submit", "--yes")
    table = pd.read_csv(work / "submissions" / "colours" / "tiny-001.csv")
    right = np.mean([label in name for name, label in zip(table["id"], table["label"], strict=True)])
    assert f"public score {right:.4f}" in said
