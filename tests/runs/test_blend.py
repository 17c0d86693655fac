"""Blends: weights that are the true ones, gains that are honest, and a run like any other."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import dataset_in, edit_competition, in_this_process
from scipy.stats import rankdata
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from synthetic import make_run

from kaggle_cnn import api
from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.blend import Blend, judge_blend
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import list_runs

TASK = Task("multiclass", tuple("abcde"), find_metric("accuracy"))


def find(blend, targets, scores):
    return blend.fit(targets, scores).weights


@pytest.mark.parametrize("weights", [[0.5, 0.3, 0.2], [0.61, 0.25, 0.14, 0, 0], [0.9, 0.1], [0.25] * 4 + [0] * 3])
def test_hill_climbing_finds_the_weights_that_are_known(weights):
    """Classes are drawn from the weighted mean of the members' probabilities."""
    draw = np.random.default_rng(0)
    scores = TASK.activate(draw.normal(0, 1.5, (len(weights), 20_000, 5)))
    chances = np.tensordot(weights, scores, axes=1)
    targets = (draw.random(20_000)[:, None] > chances.cumsum(axis=1)).sum(axis=1).clip(0, 4)
    assert find(Blend(TASK), targets, scores) == pytest.approx(weights, abs=0.02)


def test_labels_values_and_logits_have_weights_too():
    draw = np.random.default_rng(0)
    labels = Task("multilabel", tuple("abc"), find_metric("samples_f1"))
    scores = labels.activate(draw.normal(0, 1.5, (3, 8000, 3)))
    marks = (draw.random((8000, 3)) < np.tensordot([0.6, 0.4, 0], scores, axes=1)).astype(np.uint8)
    assert find(Blend(labels), marks, scores) == pytest.approx([0.6, 0.4, 0], abs=0.03)
    values = Task("regression", ("x", "y"), find_metric("rmse"))
    guesses = draw.normal(0, [1, 50], (3, 8000, 2))
    true = np.tensordot([0.2, 0.7, 0.1], guesses, axes=1) + draw.normal(0, [0.1, 5], (8000, 2))
    assert find(Blend(values), true, guesses) == pytest.approx([0.2, 0.7, 0.1], abs=0.02)
    targets = draw.integers(0, 5, 4000)
    logits = np.stack([2 * np.eye(5)[targets] + draw.normal(0, 1, (4000, 5)) for _ in range(2)])
    assert find(Blend(TASK, "logits"), targets, TASK.activate(logits)) == pytest.approx([0.5, 0.5], abs=0.05)
    heads = Task("multioutput", tuple("abcde"), find_metric("accuracy", [2, 3]), (("one", 2), ("two", 3)))
    scores = heads.activate(draw.normal(0, 1.5, (2, 8000, 5)))
    chances = np.tensordot([0.7, 0.3], scores, axes=1)
    luck = draw.random((8000, 2))
    drawn = [
        (luck[:, [n]] > chances[:, at].cumsum(axis=1)).sum(axis=1) for n, (_, at) in enumerate(heads.split_heads())
    ]
    marks = np.concatenate([np.eye(2)[drawn[0].clip(0, 1)], np.eye(3)[drawn[1].clip(0, 2)]], axis=1).astype(np.uint8)
    assert find(Blend(heads), marks, scores) == pytest.approx([0.7, 0.3], abs=0.03)


def test_calibrated_members_count_by_what_they_know():
    """Two that know as much, of which one has its logits divided by 3, as label smoothing does: the same weight."""
    draw = np.random.default_rng(0)
    targets = draw.integers(0, 5, 4000)
    logits = np.stack([2 * np.eye(5)[targets] + draw.normal(0, 1, (4000, 5)) for _ in range(2)])
    scores = TASK.activate(logits / np.array([1, 3])[:, None, None])
    assert find(Blend(TASK), targets, scores)[1] < 0.2
    fitted = Blend(TASK, "calibrated").fit(targets, scores)
    assert fitted.weights == pytest.approx([0.5, 0.5], abs=0.06)
    assert fitted.temperatures[0] / fitted.temperatures[1] == pytest.approx(3, rel=0.1)
    pairs = zip(scores, fitted.temperatures, strict=True)
    mean = np.mean([TASK.activate(np.log(each) / warmth) for each, warmth in pairs], axis=0)
    assert np.allclose(replace(fitted, weights=np.array([0.5, 0.5])).average(scores), mean, atol=1e-4)


def draw_noise(seed, images=200, members=4):
    draw = np.random.default_rng(seed)
    return draw.integers(0, 5, images), TASK.activate(draw.normal(0, 1, (members, images, 5)))


def test_the_nested_gain_of_noise_is_nothing():
    """Members that know nothing: the interval of the gain holds 0 in 95 of 100 draws; hill climbing on the metric shows
    a gain on the images that it climbed on, which is why gains are nested."""
    judged = [judge_blend(Blend(TASK), *draw_noise(seed)) for seed in range(100)]
    held = sum(each["gains"]["blend"].low <= 0 <= each["gains"]["blend"].high for each in judged)
    assert held >= 95, held
    judged = [judge_blend(Blend(TASK, weights="metric"), *draw_noise(seed)) for seed in range(20)]
    same = [each["scores"]["blend"]["same"] - each["scores"]["best"]["same"] for each in judged]
    assert np.mean(same) > 0.03
    assert min(same) > 0
    assert abs(np.mean([each["gains"]["blend"].difference for each in judged])) < 0.02


def test_members_that_know_more_together():
    draw = np.random.default_rng(0)
    targets = draw.integers(0, 5, 1500)
    scores = TASK.activate(np.stack([1.3 * np.eye(5)[targets] + draw.normal(0, 1, (1500, 5)) for _ in range(4)]))
    found = judge_blend(Blend(TASK), targets, scores)
    assert found["gains"]["blend"].low > 0.1
    assert abs(found["gains"]["blend over mean"].difference) < 0.02
    assert found["scores"]["best"]["same"] == max(accuracy_score(targets, each.argmax(axis=1)) for each in scores)
    assert found["scores"]["mean"]["same"] == accuracy_score(targets, scores.mean(axis=0).argmax(axis=1))
    assert found["members"][1]["loss"] == pytest.approx(log_loss(targets, scores[1]), rel=1e-5)
    wrong = [each.argmax(axis=1) != targets for each in scores]
    assert np.array(found["correlation"])[0, 1] == pytest.approx(np.corrcoef(wrong[0], wrong[1])[0, 1])


@pytest.fixture
def here(tiny_workspace, monkeypatch):
    monkeypatch.chdir(tiny_workspace.root)
    return tiny_workspace


def test_a_blend_is_a_run_like_any_other(here):
    dataset = dataset_in(here)
    runs = [make_run(here, "one", 1.5, 0), make_run(here, "two", 1.2, 1), make_run(here, "three", 0.4, 2)]
    printed = in_this_process("blend", "one", "two-001", "three")
    [made] = [run for run in list_runs(here, "colours") if run.id == "blend-001"]
    members = made.record["members"]
    assert [each["run"] for each in members] == [run.id for run in runs]
    assert sum(each["weight"] for each in members) == pytest.approx(1)
    assert members[2]["weight"] < 0.2 < members[1]["weight"] < members[0]["weight"]
    assert made.record["kind"] == "blend"
    assert made.status == "finished"
    task = dataset.task
    for part in ("oof", "test"):
        parts = [Predictions.read(run.folder / f"{part}.npz") for run in runs]
        mean = sum(each["weight"] * own.scores(task, "flip") for each, own in zip(members, parts, strict=True))
        mixed = Predictions.read(made.folder / f"{part}.npz")
        assert mixed.ids.tolist() == parts[0].ids.tolist()
        assert np.allclose(mixed.scores(task, "ten-crop"), mean, atol=1e-5)
    written = pd.read_csv(here.submissions("colours") / "blend-001.csv", dtype=str).set_index("id")["character"]
    assert written[mixed.ids].tolist() == [task.classes[n] for n in mean.argmax(axis=1)]
    for line in ("best member", "plain mean", "the blend is", "blend-001"):
        assert line in printed
    numbers = json.loads(in_this_process("evaluate", "blend-001", "--json"))
    oof = Predictions.read(made.folder / "oof.npz")
    assert numbers["scores"]["accuracy"] == accuracy_score(oof.true, oof.scores(task, "none").argmax(axis=1))
    assert "blend-001" in in_this_process("compare", "one", "blend-001")
    assert "blend" in in_this_process("runs")
    assert in_this_process("predict", "blend-001").strip().endswith("blend-001.csv")
    assert "blend-001+one-001" in in_this_process("predict", "blend-001", "one-001")
    submission = here.submissions("colours") / "blend-001.csv"
    pd.read_csv(submission, dtype=str).to_csv(here.root / "solution.csv", index=False)
    edit_competition(here, solution=str(here.root / "solution.csv"))
    assert "1.0000" in in_this_process("submit", "--yes", str(submission))
    in_this_process("report", "blend-001")
    again = json.loads(in_this_process("blend", "blend-001", "three", "--json"))
    assert again["id"] == "blend-002"
    assert [each["run"] for each in again["members"]] == ["blend-001", "three-001"]
    with pytest.raises(KcnnError, match="run blend-001 has no network: it is a blend of other runs"):
        in_this_process("show", "filters", "blend-001")


def test_each_fold_has_the_blend_of_its_own_models(here):
    runs = [make_run(here, "one", 1.5, 0), make_run(here, "two", 1.2, 1)]
    made = api.blend(["one", "two"], weights="equal", workspace=here)
    task = dataset_in(here).task
    for fold in made.folds:
        parts = [Predictions.read(run.fold_folder(fold) / "test.npz").scores(task, "flip") for run in runs]
        mixed = Predictions.read(made.fold_folder(fold) / "test.npz").scores(task, "none")
        assert np.allclose(mixed, np.mean(parts, axis=0), atol=1e-5)


def test_forms_are_logits_and_ranks(here):
    edit_competition(here, metric="auc", classes=dataset_in(here).competition.classes)
    runs = [make_run(here, "one", 1.5, 0), make_run(here, "two", 1.2, 1)]
    task = dataset_in(here).task
    parts = [Predictions.read(run.folder / "oof.npz") for run in runs]
    made = api.blend(["one", "two"], "equal", "logits", workspace=here)
    mean = np.mean([np.log(part.scores(task, "flip")) for part in parts], axis=0)
    assert np.allclose(Predictions.read(made.folder / "oof.npz").scores(task, "none"), task.activate(mean), atol=1e-4)
    two = Task("multiclass", ("a", "b"), find_metric("auc"))
    draw = np.random.default_rng(0)
    targets = draw.integers(0, 2, 100)
    scores = two.activate(np.stack([scale * (np.eye(2)[targets] + draw.normal(0, 1, (100, 2))) for scale in (1, 9)]))
    blend = Blend(two, "ranks", "equal")
    found = judge_blend(blend, targets, scores)
    ranks = sum(weight * rankdata(own[:, 1]) for weight, own in zip(found["weights"], scores, strict=True))
    assert found["scores"]["blend"]["same"] == pytest.approx(
        roc_auc_score(targets, ranks), abs=2e-4
    )  # float32 has ties


@pytest.mark.parametrize(("options", "message"), [
    (["one"], "a blend needs two different runs or more, got one-001"),
    (["one", "one-001"], "a blend needs two different runs or more, got one-001, one-001"),
    (["one", "few"], "one-001 and few-001 validated different images: 45 .folds 0, 1, 2, 3, 4. and 9 .folds 0."),
    (["one", "two", "--form", "ranks", "--weights", "equal"], "ranks are for two classes or several labels"),
    (["one", "two", "--form", "mean"], "form should be one of probabilities, calibrated, logits, ranks, got 'mean'"),
    (["one", "two", "--weights", "best"], "weights should be one of loss, metric, equal, got 'best'"),
])  # fmt: skip
def test_what_cannot_be_blended_is_refused(here, options, message):
    make_run(here, "one")
    make_run(here, "two", seed=1)
    make_run(here, "few", folds=[0])
    with pytest.raises(KcnnError, match=message):
        in_this_process("blend", *options)
    assert not [run for run in list_runs(here, "colours") if run.record["kind"] == "blend"]


def test_runs_of_other_folds_are_refused(here):
    make_run(here, "one")
    edit_competition(here, folds="folds-3.csv")
    make_run(here, "two")
    with pytest.raises(KcnnError, match="one-001 and two-001 were trained on different folds"):
        api.blend(["one", "two"], workspace=here)


def test_nothing_is_there_before_a_blend_is_whole(here, monkeypatch):
    make_run(here, "one")
    make_run(here, "two", seed=1)
    from kaggle_cnn.runs import blend

    class Killed(BaseException):
        pass

    def kill(*given):
        raise Killed

    monkeypatch.setattr(blend, "fit_decision", kill)
    with pytest.raises(Killed):
        api.blend(["one", "two"], workspace=here)
    assert [run.id for run in list_runs(here, "colours")] == ["one-001", "two-001"]
    monkeypatch.undo()
    monkeypatch.chdir(here.root)
    assert api.blend(["one", "two"], workspace=here).id == "blend-001"
