"""The verbs as Python functions, as api.py shows them."""

import numpy as np
import pytest
from conftest import TINY, Recorder, make_images_in, save_noise

import kaggle_cnn
from kaggle_cnn.training import parse_folds

pytestmark = pytest.mark.usefixtures("eager")


def test_from_fetch_to_submit_in_python(keras, tmp_path, monkeypatch):
    work = tmp_path / "work"
    (work / "recipes").mkdir(parents=True)
    (work / "recipes" / "tiny.py").write_text(TINY)
    monkeypatch.chdir(work)
    dataset, new = kaggle_cnn.fetch(str(make_images_in(tmp_path / "colours")))
    assert new
    assert dataset.task.kind == "multiclass"
    run = kaggle_cnn.train("recipes/tiny.py", settings={"epochs": 1}, folds="0,3")
    assert run.finished
    assert (run.folds, run.record["set"]) == ([0, 3], {"epochs": 1})
    numbers = kaggle_cnn.evaluate([run.id])
    assert numbers["tta"]["ten-crop"]["images"] == 18
    other = kaggle_cnn.train("recipes/tiny.py", settings={"epochs": 2})
    assert kaggle_cnn.compare(run.id, other.id)["images"] == 9
    path = kaggle_cnn.predict([run.id, other.id])
    assert path.name == "tiny-001+tiny-002.csv"
    with pytest.raises(kaggle_cnn.KcnnError, match="has no solution here"):
        kaggle_cnn.submit(path)


@pytest.mark.parametrize(("text", "folds"), [("0", [0]), ("4,0, 2", [0, 2, 4]), ("all", [0, 1, 2, 3, 4])])
def test_folds_are_read(text, folds):
    assert parse_folds(text, 5) == folds


@pytest.mark.parametrize("text", ["", "1,1", "-1", "0-3", "a"])
def test_folds_that_are_not_numbers(text):
    with pytest.raises(kaggle_cnn.KcnnError, match="--folds should be numbers or all"):
        parse_folds(text, 5)


def test_digits_are_not_mirrored_unless_asked(keras, tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    for digit in range(10):
        for number in range(5):
            path = tmp_path / "digits" / "train" / str(digit) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            save_noise(path, (20 * digit, 200, 40), draw)
    (tmp_path / "tiny.py").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    kaggle_cnn.fetch("digits")
    shown = Recorder()
    run = kaggle_cnn.train("tiny.py", settings={"epochs": 1}, progress=shown)
    assert [line for line in shown.said if "nothing is mirrored" in line]
    assert run.record["set"] == {"epochs": 1, "mirror": False}
    assert (run.settings["mirror"], run.policy) == (False, "five-crop")
    shown = Recorder()
    run = kaggle_cnn.train("tiny.py", settings={"epochs": 1, "mirror": True}, progress=shown)
    assert not [line for line in shown.said if "mirrored" in line]
    assert (run.settings["mirror"], run.policy) == (True, "ten-crop")
