"""The linear probe: fitted as scikit-learn fits, for every form of output; a run like any other; features kept."""

import json

import numpy as np
import pytest
from conftest import REPOSITORY, Recorder, dataset_in, in_this_process
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from kaggle_cnn import KcnnError
from kaggle_cnn.learn.linear import NEVER, fit_linear
from kaggle_cnn.runs.predictions import Predictions

DRAW = np.random.default_rng(0)
FEATURES = DRAW.normal(3, [1, 5, 0.1, 1], (300, 4)).astype(np.float32)
FEATURES[:, 3] = 7  # does not vary
SCALED = StandardScaler().fit_transform(FEATURES[:, :3])
LABELS = np.digitize(SCALED @ [1, -1, 0.5] + DRAW.normal(0, 0.5, 300), [-1, 1])


def test_classes_as_by_logistic_regression():
    linear = fit_linear("classes", FEATURES, np.eye(3, dtype=np.float32)[LABELS], 0.01)
    model = LogisticRegression(C=0.01, tol=1e-6, max_iter=1000).fit(SCALED, LABELS)
    given = np.exp(FEATURES @ linear.kernel + linear.bias)
    assert np.allclose(given / given.sum(axis=1, keepdims=True), model.predict_proba(SCALED), atol=2e-3)


def test_two_classes_and_one_that_no_image_has():
    marks = np.zeros((300, 3), np.float32)
    marks[np.arange(300), np.where(LABELS > 0, 2, 0)] = 1
    linear = fit_linear("classes", FEATURES, marks, 0.1)
    model = LogisticRegression(C=0.1, tol=1e-6).fit(SCALED, LABELS > 0)
    raw = FEATURES @ linear.kernel + linear.bias
    assert np.allclose(raw[:, 2] - raw[:, 0], model.decision_function(SCALED), atol=5e-3)
    assert (raw[:, 1] == NEVER).all()


def test_labels_and_several_targets():
    marks = np.stack([LABELS > 0, LABELS > 1, np.ones(300)], axis=1).astype(np.float32)
    linear = fit_linear("labels", FEATURES, marks, 0.1)
    raw = FEATURES @ linear.kernel + linear.bias
    for column in (0, 1):
        model = LogisticRegression(C=0.1, tol=1e-6).fit(SCALED, marks[:, column])
        assert np.allclose(raw[:, column], model.decision_function(SCALED), atol=5e-3)
    assert (raw[:, 2] > 20).all()
    pairs = np.concatenate([np.eye(3)[LABELS], np.eye(2)[(LABELS > 0).astype(int)]], axis=1).astype(np.float32)
    both = fit_linear("classes", FEATURES, pairs, 0.1, [3, 2])
    alone = fit_linear("classes", FEATURES, pairs[:, :3], 0.1)
    assert np.allclose(both.kernel[:, :3], alone.kernel)
    assert both.kernel.shape == (4, 5)


def test_values_as_by_ridge():
    targets = np.stack([SCALED @ [1, 2, 3], SCALED[:, 0]], axis=1).astype(np.float32)
    for wanted in (targets, targets[:, :1]):
        linear = fit_linear("values", FEATURES, wanted, 0.01)
        model = Ridge(alpha=100).fit(SCALED, wanted)
        assert np.allclose(
            FEATURES @ linear.kernel + linear.bias, model.predict(SCALED).reshape(wanted.shape), atol=1e-3
        )


@pytest.fixture
def probe(train_tiny, tiny_workspace, monkeypatch, eager):
    """Probes the run tiny-001; returns the run and what was shown."""
    from kaggle_cnn import training

    monkeypatch.chdir(tiny_workspace.root)
    train_tiny(epochs=1, folds=range(5))

    def run(**settings):
        shown = Recorder()
        given = {"size": 16, "margin": 4, **settings}
        made = training.probe("run:tiny-001", given, None, None, tiny_workspace, shown)
        return made, shown

    return run


def test_a_probe_is_a_run_like_any_other(probe, tiny_workspace, keras):
    """Its models give what is in its predictions: the weights that were fitted are in them."""
    from kaggle_cnn.learn.predict import complete_predictions

    run, _ = probe()
    assert (run.id, run.record["kind"], run.finished) == ("probe-001", "probe", True)
    dataset = dataset_in(tiny_workspace)
    oof = Predictions.read(run.folder / "oof.npz")
    assert run.folds == list(range(dataset.folds.count))
    assert sorted(oof.ids) == sorted(dataset.ids)
    assert oof.views == ("centre", "centre-mirrored")
    place = {name: row for row, name in enumerate(dataset.ids)}
    assert (oof.fold == dataset.folds.numbers[[place[name] for name in oof.ids]]).all()
    kept = run.folder / "oof.npz"
    kept.rename(run.folder / "moved.npz")
    again = complete_predictions(run, dataset, "oof", oof.views, run.size, Recorder())
    (run.folder / "moved.npz").rename(kept)
    assert again.ids.tolist() == oof.ids.tolist()
    assert np.allclose(again.logits, oof.logits, atol=1e-3)
    numbers = json.loads(in_this_process("evaluate", "probe-001", "--tta", "flip", "--tta", "five-crop", "--json"))
    assert numbers["tta"]["flip"]["scores"]["accuracy"] > 0.9  # the classes are colours
    averaged = json.loads(in_this_process("evaluate", "probe-001", "tiny-001", "--json"))
    assert set(averaged["members"]) == {"probe-001", "tiny-001"}
    assert "probe-001" in in_this_process("runs")
    assert in_this_process("predict", "probe-001").strip().endswith("probe-001.csv")


def test_features_are_computed_once(probe, tiny_workspace):
    first, shown = probe()
    assert any("predicting" in text for text in shown.tracked)
    second, shown = probe()
    assert not any("predicting" in text for text in shown.tracked)
    one, two = (Predictions.read(run.folder / "oof.npz").logits for run in (first, second))
    assert (one == two).all()
    kept, *others = sorted(tiny_workspace.cache("colours").glob("features-*.npz"))
    assert len(others) == 4  # the backbone is a run of the same competition: a model for each fold
    whole = dict(np.load(kept))
    with kept.open("wb") as stream:  # of the right length, and another shape
        np.savez(stream, **{**whole, "train": whole["train"][:, :, :2]})
    assert any("predicting" in text for text in probe()[1].tracked)
    kept.write_bytes(b"damaged")
    third, shown = probe()
    assert any("predicting" in text for text in shown.tracked)
    assert np.allclose(Predictions.read(third.folder / "oof.npz").logits, one, atol=1e-4)
    probe(tta="none")  # other views are other features
    assert len(list(tiny_workspace.cache("colours").glob("features-*.npz"))) == 10


def test_what_a_probe_cannot_do(probe, tiny_workspace):
    run, _ = probe()
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.pictures import curves

    with pytest.raises(KcnnError, match="probe-001 has no epochs: it is fitted by scikit-learn"):
        curves.draw(tiny_workspace, open_competition(tiny_workspace, "colours"), [run])
    path = tiny_workspace.root / "recipes"
    shipped = (REPOSITORY / "recipes" / "pretrained.py").read_text()
    (path / "pretrained.py").write_text(shipped.replace('name="head"', 'name="last"'))
    with pytest.raises(KcnnError, match="has no last layer Dense"):
        probe()
