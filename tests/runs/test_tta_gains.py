"""What test-time augmentation gains, and weights of views that are searched."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import dataset_in, in_this_process
from sklearn.metrics import accuracy_score
from synthetic import make_run

from kaggle_cnn import tta
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import SEARCHED, read_run

VIEWS = tta.views_of("none", "ten-crop")


@pytest.fixture
def here(tiny_workspace, monkeypatch):
    monkeypatch.chdir(tiny_workspace.root)
    return tiny_workspace


def spoil(run, view, scale):
    """Multiplies the noise of one view, in all predictions of a run."""
    draw = np.random.default_rng(9)
    for path in [run.folder / "oof.npz", run.folder / "test.npz"]:
        made = Predictions.read(path)
        made.logits[:, made.views.index(view)] += draw.normal(0, scale, made.logits[:, 0].shape)
        made.write(path)


def test_each_policy_has_its_gain_and_its_cost(here):
    run, task = make_run(here, "one", 0.8, views=VIEWS), dataset_in(here).task
    found = json.loads(in_this_process("tta", "one", "--json"))
    assert [(each["policy"], each["passes"]) for each in found["policies"]] == [
        ("none", 1), ("flip", 2), ("five-crop", 5), ("ten-crop", 10)]  # fmt: skip
    oof = Predictions.read(run.folder / "oof.npz")
    scores = {name: accuracy_score(oof.true, oof.scores(task, name).argmax(axis=1)) for name in oof.policies}
    for each in found["policies"]:
        assert each["score"] == pytest.approx(scores[each["policy"]])
        if each["policy"] != "none":
            assert each["gain"]["difference"] == pytest.approx(scores[each["policy"]] - scores["none"])
            assert each["gain"]["low"] <= each["gain"]["difference"] <= each["gain"]["high"]
    assert found["policies"][-1]["gain"]["difference"] > 0
    printed = in_this_process("tta")
    assert [line.split()[0] for line in printed.splitlines() if line.strip()][2:] == list(scores)


def test_searched_weights_are_kept_where_they_gain_and_used(here):
    """The centre view is noise: the recipe's own policy has half of it, the search leaves it out."""
    run, task = make_run(here, "one", 2.5, views=VIEWS), dataset_in(here).task
    spoil(run, "centre", 20)
    before = json.loads(in_this_process("evaluate", "one", "--json"))
    assert before["primary"] == "flip"
    printed = in_this_process("tta", "one", "--search")
    assert "nested; kept" in printed
    policy = read_run(run.folder).policy
    weights = dict(tta.find_policy(policy))
    assert weights.get("centre", 0) < 0.03
    assert sum(weights.values()) == pytest.approx(1)
    oof, test = (Predictions.read(run.folder / f"{part}.npz") for part in ("oof", "test"))
    mean = sum(weight * oof.logits[:, oof.views.index(view)] for view, weight in weights.items())
    expected = accuracy_score(oof.true, mean.argmax(axis=1))
    after = json.loads(in_this_process("evaluate", "one", "--json"))
    assert after["primary"] == policy
    assert after["scores"]["accuracy"] == pytest.approx(expected)
    assert expected > before["scores"]["accuracy"] + 0.2
    assert "searched" in in_this_process("evaluate", "one")
    assert "searched" in in_this_process("runs")
    path = in_this_process("predict", "one").strip().splitlines()[-1]
    assert path.endswith("one-001.csv")
    written = pd.read_csv(path, dtype=str).set_index("id")["character"]
    assert written[test.ids].tolist() == [task.classes[n] for n in test.scores(task, policy).argmax(axis=1)]
    (run.folder / SEARCHED).unlink()
    assert json.loads(in_this_process("evaluate", "one", "--json"))["primary"] == "flip"


def test_weights_without_a_gain_are_not_kept(here):
    run = make_run(here, "one", 3)
    assert "not kept: the gain is within noise" in in_this_process("tta", "--search")
    assert not (run.folder / SEARCHED).exists()


def test_one_view_cannot_be_weighed(here):
    make_run(here, "one", views=("centre",))
    with pytest.raises(KcnnError, match="run one-001 has predictions of one view: there is nothing to weigh"):
        in_this_process("tta", "--search")


@pytest.mark.parametrize("text", ["0.5*centre", "1.0*middle", "half*centre", "0.5*centre 0.6*centre-mirrored", ""])
def test_a_text_that_is_no_policy(text):
    with pytest.raises(KcnnError, match="tta should be one of"):
        tta.find_policy(text)


def test_a_damaged_file_of_weights_is_named(here):
    run = make_run(here, "one")
    (run.folder / SEARCHED).write_text('{"policy": "2*centre", "over": "flip", "gain": {}}')
    with pytest.raises(KcnnError, match=r"tta.json: policy .*is not weights of views that sum to 1, got '2.centre'"):
        in_this_process("evaluate")
