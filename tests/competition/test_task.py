"""Tasks, decision rules, and what a competition.toml may say of them."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, fbeta_score

from kaggle_cnn.competition.competition import Competition, usual_metric
from kaggle_cnn.competition.metrics import DEFAULTS, find_metric
from kaggle_cnn.competition.task import KINDS, Task, are_characters
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.decision import Decision, usual_decision
from kaggle_cnn.runs.fit_decision import fit_decision

DRAW = np.random.default_rng(0)


def task(kind, outputs=4, metric=""):
    heads = (("one", outputs // 2), ("other", outputs - outputs // 2)) if kind == "multioutput" else ()
    found = find_metric(metric or DEFAULTS[kind], [count for _, count in heads])
    return Task(kind, tuple("abcdefgh"[:outputs]), found, heads)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(50, 4), (50, 3, 4)])  # of images, and of several views of each
def test_scores_and_logits_are_inverses(kind, shape):
    logits = DRAW.normal(0, 2, shape).astype(np.float32)
    scores = task(kind).activate(logits)
    assert (scores.shape, scores.dtype) == (shape, np.float32)
    back = task(kind).deactivate(scores)
    assert (back.shape, back.dtype) == (shape, np.float32)
    assert np.allclose(task(kind).activate(back), scores, atol=1e-6)
    if kind in ("multilabel", "regression"):
        assert np.allclose(back, logits, atol=1e-3)
    elif kind == "multioutput":
        for place in (slice(0, 2), slice(2, 4)):
            assert np.allclose(np.diff(back[..., place]), np.diff(logits[..., place]), atol=1e-3)
            assert np.allclose(scores[..., place].sum(axis=-1), 1)
    else:  # logits of one class an image have a constant of their own
        assert np.allclose(back - back.mean(axis=-1, keepdims=True), logits - logits.mean(axis=-1, keepdims=True),
                           atol=1e-3)  # fmt: skip


def test_what_logits_mean():
    logits = np.array([[0.0, np.log(3)]])
    assert task("multiclass", 2).activate(logits)[0] == pytest.approx([0.25, 0.75])
    assert task("ordinal", 2).activate(logits)[0] == pytest.approx([0.25, 0.75])
    assert task("multilabel", 2).activate(logits)[0] == pytest.approx([0.5, 0.75])
    assert task("regression", 2).activate(logits)[0] == pytest.approx(logits[0])


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_numbers_stay_finite(kind):
    with np.errstate(over="ignore"):  # a sigmoid of -1000 is 0
        scores = task(kind, 2).activate(np.array([[1000.0, -1000.0]], np.float32))
    assert np.isfinite(scores).all()
    assert np.isfinite(task(kind, 2).deactivate(np.array([[1.0, 0.0]], np.float32))).all()


def test_targets_have_the_form_that_metrics_take():
    soft = np.array([[0, 1, 0], [0, 0, 1]], np.float32)
    assert task("multiclass", 3).targets_of(soft).tolist() == [1, 2]
    assert task("ordinal", 3).targets_of(soft).tolist() == [1, 2]
    labels = task("multilabel", 3).targets_of(soft)
    assert (labels.dtype, labels.tolist()) == (np.uint8, [[0, 1, 0], [0, 0, 1]])
    assert task("regression", 3).targets_of(soft + 0.5).tolist() == [[0.5, 1.5, 0.5], [0.5, 0.5, 1.5]]
    assert task("regression", 3).outputs == 3


def labelled(images=2000):
    """Labels, and scores that are their probabilities."""
    draw = np.random.default_rng(1)
    scores = draw.random((images, 5)) ** 1.5
    return (draw.random((images, 5)) < scores).astype(np.uint8), scores.astype(np.float32)


def test_the_threshold_is_fitted_on_the_metric_of_the_task():
    targets, scores = labelled()
    fitted = {}
    for beta in (0.5, 1, 2):
        rule = fit_decision(task("multilabel", 5, f"samples_f{beta:g}"), targets, scores)
        assert rule.rule == "threshold"
        by_hand = {}
        for threshold in np.arange(0.05, 0.96, 0.05).round(2):
            chosen = (scores >= np.float32(threshold)).astype(int)
            chosen[np.arange(len(chosen)), scores.argmax(axis=1)] = 1
            by_hand[threshold] = fbeta_score(targets, chosen, beta=beta, average="samples", zero_division=1)
        assert by_hand[round(rule.threshold, 2)] == pytest.approx(max(by_hand.values()))
        fitted[beta] = rule.threshold
    assert fitted[2] < fitted[1] < fitted[0.5]


def test_a_metric_of_probabilities_leaves_the_threshold_to_the_mean_f1():
    targets, scores = labelled()
    own = fit_decision(task("multilabel", 5, "mean_column_auc"), targets, scores)
    assert own == usual_decision(task("multilabel", 5, "samples_f1"), targets, scores)


def test_of_equal_thresholds_the_nearest_to_a_half_is_taken():
    targets = np.array([[1, 0], [0, 1]], np.uint8)
    scores = np.array([[0.97, 0.01], [0.01, 0.97]], np.float32)
    assert fit_decision(task("multilabel", 2), targets, scores) == Decision("threshold", 0.5)


@pytest.mark.parametrize(("kind", "rule"), [("multiclass", "argmax"), ("ordinal", "rounding"), ("regression", "value")])
def test_the_rule_of_a_kind(kind, rule):
    targets = DRAW.random((9, 4)) if kind == "regression" else DRAW.integers(0, 4, 9)
    assert fit_decision(task(kind), targets, DRAW.random((9, 4))).rule == rule


def grades(images, shrink, seed=0):
    """Targets 0 to 4, most of them 0, and scores whose expected grade is the true one shrunk to the mean and noisy."""
    draw = np.random.default_rng(seed)
    true = draw.choice(5, images, p=[0.5, 0.1, 0.25, 0.05, 0.1])
    value = 1.15 + (true - 1.15) * shrink + draw.normal(0, 0.45, images)
    return true, task("ordinal", 5).activate(-((value[:, None] - np.arange(5)) ** 2) / 0.98)


def test_cut_points_are_fitted_where_they_gain_and_judged_by_images_that_they_were_not_fitted_on():
    """A network keeps to the mean, so that the halves are the wrong cut points: fitted ones gain, and as much on images
    that were never seen."""
    true, scores = grades(2000, 0.6)
    rule = fit_decision(task("ordinal", 5), true, scores)
    assert rule.rule == "cuts"
    assert rule.cuts == sorted(rule.cuts)
    others, other_scores = grades(20000, 0.6, seed=1)
    kappas = [cohen_kappa_score(others, each.decide(other_scores), weights="quadratic")
              for each in (Decision("rounding"), rule)]  # fmt: skip
    assert rule.gain.low > 0.02
    assert rule.gain.low <= kappas[1] - kappas[0] <= rule.gain.high
    fitted = cohen_kappa_score(true, rule.decide(scores), weights="quadratic")
    rounded = cohen_kappa_score(true, Decision("rounding").decide(scores), weights="quadratic")
    assert rule.gain.difference < fitted - rounded + 1e-3  # on the images that they were fitted on it is more


def test_rounding_is_kept_where_cut_points_gain_no_more_than_noise():
    true, scores = grades(300, 1.0)
    rule = fit_decision(task("ordinal", 5), true, scores)
    assert rule.rule == "rounding"
    assert rule.gain.low < 0
    assert fit_decision(task("ordinal", 5), true[:40], scores[:40]) == Decision("rounding")  # too few to fit on


def test_decisions_by_hand(tmp_path):
    scores = np.array([[0.1, 0.5, 0.4], [0.4, 0.1, 0.5], [0.45, 0.1, 0.45], [0.5, 0.5, 0.0]], np.float32)
    assert Decision("argmax").decide(scores).tolist() == [1, 2, 0, 0]
    assert Decision("rounding").decide(scores).tolist() == [1, 1, 1, 1]  # 1.3, 1.1, 1.0 and 0.5
    assert Decision("rounding").decide(np.array([[0.0, 0.45, 0.55]])).tolist() == [2]
    assert Decision("threshold", 0.42).decide(scores).tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 0]]
    assert Decision("threshold", 0.9).decide(scores).sum(axis=1).tolist() == [1, 1, 1, 1]  # the most probable, always
    assert Decision("threshold", 0.9).decide(scores).dtype == np.uint8
    assert Decision("value").decide(scores) is scores
    assert Decision("cuts", cuts=[0.2, 1.3]).decide(scores).tolist() == [2, 1, 1, 1]  # 1.3, 1.1, 1.0 and 0.5
    assert Decision("argmax", heads=[1, 2]).decide(scores).tolist() == [[1, 1, 0], [1, 0, 1], [1, 0, 1], [1, 1, 0]]
    Decision("threshold", 0.35).write(tmp_path / "decision.json")
    assert Decision.read(tmp_path / "decision.json") == Decision("threshold", 0.35)
    (tmp_path / "decision.json").write_text('{"rule": ')
    with pytest.raises(KcnnError, match="cannot be read"):
        Decision.read(tmp_path / "decision.json")


@pytest.fixture
def sound(tmp_path):
    return Competition(
        folder=tmp_path,
        name="x",
        host="local",
        source="x",
        layout="folders",
        classes=("a", "b", "c"),
        metric="accuracy",
    )


TARGETS = {"kind": "multioutput", "metric": "", "submission_format": "target_columns", "label_columns": ("a", "b"),
           "classes": ("a=1", "a=2", "b=1", "b=2"), "prediction_columns": ()}  # fmt: skip


def test_what_is_written_is_read(sound):
    for competition in (
        sound,
        replace(sound, kind="multilabel", metric="samples_f2", submission_format="multi_label", separator="|"),
        replace(sound, kind="ordinal", metric="", label_values=("0", "1", "2"), submission_format="class_id"),
        replace(sound, kind="regression", metric="mae", classes=("x",), submission_format="value",
                prediction_columns=("value",), class_columns=("x",)),
        replace(sound, submission_format="probability_columns", prediction_columns=("B", "A"),
                class_columns=("b", "a")),
        replace(sound, **TARGETS, metric_words="mean").with_columns(),
    ):  # fmt: skip
        competition.write()
        assert Competition.read(sound.folder) == competition


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"kind": "detection"}, "kind should be one of multiclass, multilabel, .*, got 'detection'"),
        ({"layout": "heap"}, "layout should be one of folders, table, pixels, names, arrays, got 'heap'"),
        ({"submission_format": "guess"}, "submission_format should be one of class_name, class_id, .*, got 'guess'"),
        ({"metric": "rmse"}, r"metric should be a metric for multiclass \(rmse is for regression\), got 'rmse'"),
        ({"metric": "samples_f2"}, r"a metric for multiclass \(samples_f2 is for multilabel\)"),
        ({"kind": "regression", "metric": "mae"}, "submission_format should be for kind regression one of long, value"),
        ({"submission_format": "value"}, "submission_format should be for kind multiclass one of class_id, class_name"),
        ({"kind": "regression", "metric": "", "submission_format": "value"}, "class_columns should be one of classes"),
        ({"metric": "acuracy"}, "there is no metric 'acuracy'"),
        ({"classes": ("a",)}, r"classes should be at least 2 different names, or \[\], got \('a',\)"),
        ({"classes": ("a", "b", "a")}, "classes should be at least 2 different names"),
        ({"label_values": ("0", "1")}, "label_values should be empty or a list of 3"),
        ({"prediction_columns": ()}, "prediction_columns should be at least one name"),
        ({"submission_format": "probability_columns"}, "class_columns should be one of classes for each of"),
        ({"submission_format": "probability_columns", "class_columns": ("d",)}, "class_columns should be one of"),
        ({"submission_format": "probability", "positive": "d"}, "positive should be one of the classes, got 'd'"),
        ({"submission_format": "long"}, "class_columns should be the endings of the row ids"),
        ({"submission_format": "long", "class_columns": ("d",)}, "class_columns should be the endings of the row ids"),
        ({"kind": "multioutput", "metric": ""}, "submission_format should be for kind multioutput one of long, target"),
        ({**TARGETS, "classes": ("a=1", "b=1", "b=2")}, "classes should be target=class for two classes or more"),
        ({**TARGETS, "classes": ("b=1", "b=2", "a=1", "a=2")}, "classes should be target=class for two classes"),
        ({**TARGETS, "metric": "macro_recall accuracy accuracy"}, "expected one metric, or 2 of one direction"),
        ({**TARGETS, "prediction_columns": ("a", "c")}, "class_columns should be one of classes for each"),
        ({"metric": "2*accuracy"}, "metric should be one metric for multiclass, without a weight, got '2.accuracy'"),
        ({"submission_format": "top_k", "top_k": 0}, "top_k should be at least 1, got 0"),
        ({"top_k": "5"}, "top_k should be a int, got '5'"),
        ({"classes": "abc"}, "classes should be a list, got 'abc'"),
        ({"train": ("a",)}, "train should be a str"),
    ],
)  # fmt: skip
def test_fields_that_do_not_fit_together_are_refused_in_one_line(sound, fields, error):
    replace(sound, **fields).write()
    with pytest.raises(KcnnError, match=error) as caught:
        Competition.read(sound.folder)
    assert "\n" not in caught.value.message + caught.value.hint
    assert caught.value.hint


def test_a_file_that_is_not_a_competition_is_refused_in_one_line(sound):
    with pytest.raises(KcnnError, match=r"there is no .*competition\.toml"):
        Competition.read(sound.folder)
    sound.write()
    path = sound.folder / "competition.toml"
    whole = path.read_text()
    for text, error in (
        (f'{whole}colour = "red"\n', "unexpected keyword argument 'colour'"),
        (whole.replace('layout = "folders"\n', ""), "missing 1 required positional argument: 'layout'"),
        ("layout = ", "competition.toml"),
    ):
        path.write_text(text)
        with pytest.raises(KcnnError, match=error) as caught:
            Competition.read(sound.folder)
        assert "\n" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("kind", "form", "name"),
    [
        ("multiclass", "class_name", "accuracy"),
        ("multiclass", "probability", "log_loss"),
        ("multiclass", "probability_columns", "log_loss"),
        ("multiclass", "top_k", "map_at_3"),
        ("multilabel", "multi_label", "samples_f1"),
        ("multilabel", "long", "mean_column_log_loss"),
        ("multilabel", "probability_columns", "mean_column_log_loss"),
        ("ordinal", "class_id", "quadratic_weighted_kappa"),
        ("regression", "value", "rmse"),
    ],
)
def test_the_usual_metric(kind, form, name):
    assert usual_metric(kind, form, 3) == name
    assert kind in find_metric(name).kinds


def test_a_metric_that_kcnn_does_not_have_is_said(sound):
    assert sound.notes == []
    assert replace(sound, metric="", metric_words="").notes == []
    unknown = replace(sound, metric="", metric_words="Alaska weighted AUC")
    assert unknown.task.metric.name == "accuracy"
    assert len(unknown.notes) == 1
    assert "does not know the metric 'Alaska weighted AUC': accuracy stands in" in unknown.notes[0]
    probability = replace(unknown, submission_format="probability", positive="a")
    assert probability.task.metric.name == "log_loss"
    assert "log loss stands in" in probability.notes[0]
    assert replace(unknown, metric="auc").notes == []


@pytest.mark.parametrize(
    ("classes", "characters"),
    [
        ("0123456789", True),
        ("ABCDEFGHIJ", True),
        (["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], True),
        ([*"abcdefghijklmnopqrstuvwxyz", "space", "del", "nothing"], True),
        ("あいうえおかきくけこ", True),
        ("01234", False),  # grades
        ("fm", False),
        (["10", "11", *"0123456789"], True),
        ([f"class {number}" for number in range(10)], False),
        ([*"0123456789", "cat", "dog", "horse"], False),
        ([], False),
    ],
)
def test_which_classes_are_characters(classes, characters):
    assert are_characters(tuple(classes)) == characters
