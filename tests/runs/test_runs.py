"""What a run leaves, and what is derived from it."""

import json

import numpy as np
import pytest
from conftest import dataset_in, edit_competition, in_this_process
from sklearn.metrics import log_loss

from kaggle_cnn import KcnnError, tta
from kaggle_cnn.competition.opening import open_competition
from kaggle_cnn.runs.predictions import Predictions, average_folds, join_folds
from kaggle_cnn.runs.run import open_run, open_runs, require_same_folds
from kaggle_cnn.runs.scores import best_scores, merit


def softmax(values):
    values = np.exp(values - values.max(axis=-1, keepdims=True))
    return values / values.sum(axis=-1, keepdims=True)


pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture
def run(train_tiny):
    return train_tiny(epochs=1)


def test_each_policy_is_the_softmax_of_its_average_of_the_stored_logits(run, tiny_workspace, monkeypatch):
    monkeypatch.chdir(tiny_workspace.root)
    shown = json.loads(in_this_process("evaluate", "--json"))
    assert list(shown["tta"]) == ["none", "flip", "five-crop", "ten-crop"]
    assert shown["primary"] == "ten-crop"
    with np.load(run.folder / "oof.npz") as arrays:
        logits, views, targets = arrays["logits"].astype(float), arrays["view_names"].tolist(), arrays["targets"]
    for policy, numbers in shown["tta"].items():
        weights = dict(tta.POLICIES[policy])
        averaged = sum(weight * logits[:, views.index(view)] for view, weight in weights.items())
        scores = softmax(averaged)
        assert numbers["scores"]["log_loss"] == pytest.approx(log_loss(targets, scores, labels=[0, 1, 2]), abs=1e-6)
        assert numbers["scores"]["accuracy"] == pytest.approx((scores.argmax(axis=1) == targets).mean(), abs=1e-9)
    assert shown["scores"] == shown["tta"]["ten-crop"]["scores"]
    one = json.loads(in_this_process("evaluate", "--tta", "flip", "--json"))
    assert list(one["tta"]) == ["flip"]
    assert one["tta"]["flip"] == shown["tta"]["flip"]


def test_a_policy_whose_views_are_missing_is_predicted_by_the_models(train_tiny, tiny_workspace, monkeypatch):
    run = train_tiny(epochs=1, tta="none")
    monkeypatch.chdir(tiny_workspace.root)
    assert list(json.loads(in_this_process("evaluate", "--json"))["tta"]) == ["none"]
    before = Predictions.read(run.predictions_path("oof"))
    assert before.views == ("centre",)
    assert list(json.loads(in_this_process("evaluate", "--tta", "shift", "--json"))["tta"]) == ["shift"]
    after = Predictions.read(run.predictions_path("oof"))
    assert set(tta.views_of("shift")) <= set(after.views)
    assert (after.logits[:, 0] == before.logits[:, 0]).all()
    assert list(json.loads(in_this_process("evaluate", "--json"))["tta"]) == [
        "none",
        "flip",
        "shift",
        "shift-unmirrored",
    ]


def test_a_run_of_another_format_is_refused_in_one_line(run, tiny_workspace):
    record = json.loads((run.folder / "run.json").read_text())
    for old, what in (({**record, "format": 1}, "1"), ({k: v for k, v in record.items() if k != "format"}, "1")):
        (run.folder / "run.json").write_text(json.dumps(old))
        with pytest.raises(KcnnError, match=rf"is of format {what}, and this kcnn reads format 2"):
            open_run(tiny_workspace, "colours")


def test_runs_are_found_by_the_beginning_of_their_id(train_tiny, tiny_workspace):
    ids = [train_tiny(epochs=1).id for _ in range(2)]
    assert ids == ["tiny-001", "tiny-002"]
    assert open_run(tiny_workspace, "colours", "tiny-001").id == "tiny-001"
    assert open_run(tiny_workspace, "colours").id == "tiny-002"
    with pytest.raises(KcnnError, match="2 runs begin with 'tiny'"):
        open_run(tiny_workspace, "colours", "tiny")
    with pytest.raises(KcnnError, match="there is no run 'vgg'"):
        open_run(tiny_workspace, "colours", "vgg")


def test_runs_of_different_folds_are_not_joined(train_tiny, tiny_workspace):
    first = train_tiny(epochs=1)
    path = tiny_workspace.runs("colours") / "folds.csv"
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    numbers = [int(line[-1]) for line in lines]
    moved = [f"{line[:-1]}{(number + 1) % 5}" for line, number in zip(lines, numbers, strict=True)]
    (path.parent / "others.csv").write_text("\n".join([header, *moved]) + "\n", encoding="utf-8")
    edit_competition(tiny_workspace, folds="others.csv")
    second = train_tiny(epochs=1)
    assert second.record["folds"]["file"] == "others.csv"
    runs = open_runs(tiny_workspace, open_competition(tiny_workspace, None), [first.id, second.id])
    with pytest.raises(KcnnError, match=r"were trained on different folds \(folds\.csv and others\.csv\)"):
        require_same_folds(runs)


METRICS = [
    ("accuracy", True),
    ("log_loss", False),
    ("auc", True),
    ("macro_f1", True),
    ("quadratic_weighted_kappa", True),
]


def test_order_table_and_scores_follow_the_metric(train_tiny, tiny_workspace, monkeypatch):
    """Two runs, made so that the one with the better accuracy has the worse log loss."""
    monkeypatch.chdir(tiny_workspace.root)
    sure, right = train_tiny(epochs=1), train_tiny(epochs=1)
    oof = Predictions.read(sure.predictions_path("oof"))
    one_hot = np.eye(3, dtype=np.float32)[oof.true]
    wrong = np.eye(3, dtype=np.float32)[(oof.true + 1) % 3]
    few = np.arange(len(oof.true)) == 0
    made = [  # one image wrong, but by all there is; two images wrong by a hair, and all others sure
        (sure, np.where(few[:, None], 40 * wrong, one_hot)),
        (right, np.where((np.arange(len(oof.true)) < 2)[:, None], 0.1 * wrong, 5 * one_hot)),
    ]
    for run, logits in made:
        part = Predictions(oof.ids, np.repeat(logits[:, None], 10, axis=1), oof.views, oof.crop, oof.fold, oof.true)
        part.write(run.predictions_path("oof"))
    for metric, order in (("accuracy", [sure.id, right.id]), ("log_loss", [right.id, sure.id])):
        edit_competition(tiny_workspace, metric=metric)
        task = open_competition(tiny_workspace, None).task
        assert [merit(run, task) for run in (sure, right)] == sorted(
            [merit(run, task) for run in (sure, right)], reverse=order[0] == sure.id
        )
        assert next(iter(best_scores(sure, task)[1])) == metric
        listed = json.loads(in_this_process("runs", "--json"))
        assert [each["id"] for each in listed] == order
        table = in_this_process("runs")
        title = task.metric.title
        assert table.splitlines()[0].split("  ")[0].strip().startswith("run")
        assert title in table.splitlines()[0]
        assert table.index(order[0]) < table.index(order[1])


@pytest.mark.parametrize(("metric", "higher"), METRICS)
def test_every_metric_reaches_the_first_row(train_tiny, tiny_workspace, monkeypatch, metric, higher):
    monkeypatch.chdir(tiny_workspace.root)
    edit_competition(tiny_workspace, metric=metric)
    run = train_tiny(epochs=1)
    task = dataset_in(tiny_workspace).task
    assert task.metric.higher_is_better is higher
    numbers = json.loads(in_this_process("evaluate", "--json"))
    assert numbers["metric"] == metric
    assert next(iter(numbers["scores"])) == metric
    assert best_scores(run, task)[1][metric] == pytest.approx(numbers["scores"][metric])
    history = run.histories()[0]
    assert f"val_{metric}" in history
    assert task.metric.title in in_this_process("evaluate")
    for later, _ in METRICS:  # one that the competition gets after the training: scores are derived
        edit_competition(tiny_workspace, metric=later)
        numbers = json.loads(in_this_process("evaluate", "--json"))
        assert (numbers["metric"], next(iter(numbers["scores"]))) == (later, later)
        scored = best_scores(run, dataset_in(tiny_workspace).task)[1]
        assert scored[later] == pytest.approx(numbers["scores"][later])


def test_joining_and_averaging_folds():
    draw = np.random.default_rng(0)

    def part(ids, views, fold):
        logits = draw.normal(size=(len(ids), len(views), 2)).astype(np.float32)
        return Predictions(np.array(ids), logits, views, 8, np.full(len(ids), fold), np.zeros(len(ids), int))

    one, two = part(["a", "b"], ("centre", "centre-mirrored"), 0), part(["c"], ("centre-mirrored", "centre"), 1)
    joined = join_folds([one, two])
    assert joined.views == one.views
    assert joined.ids.tolist() == ["a", "b", "c"]
    assert joined.fold.tolist() == [0, 0, 1]
    assert (joined.logits[2] == two.logits[0, ::-1]).all()
    again = part(["a", "b"], ("centre",), 1)
    averaged = average_folds([one, again])
    assert averaged.views == ("centre",)
    assert np.allclose(averaged.logits[:, 0], (one.logits[:, 0] + again.logits[:, 0]) / 2)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", None])
def test_broken_predictions_are_named(tmp_path, content):
    path = tmp_path / "oof.npz"
    if content is None:
        np.savez(path, ids=np.array(["a"]), logits=np.zeros((2, 1, 3)), view_names=np.array(["centre"]), crop=3)
    else:
        path.write_bytes(content)
    with pytest.raises(KcnnError, match=r"oof\.npz cannot be read"):
        Predictions.read(path)
