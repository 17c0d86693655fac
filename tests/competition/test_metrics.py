"""Metrics: each against scikit-learn or a loop, weights, directions, names and Kaggle's words; the numbers of a run."""

import numpy as np
import pytest
import sklearn.metrics as sk

from kaggle_cnn.competition.metrics import DEFAULTS, METRICS, find_metric, recognise_metric
from kaggle_cnn.competition.task import KINDS, Task
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight.evaluation import confused_pairs
from kaggle_cnn.insight.measures import measure
from kaggle_cnn.runs.decision import Decision

IMAGES, CLASSES = 200, 7
DRAW = np.random.default_rng(0)
LABELS = (DRAW.random((IMAGES, CLASSES)) < 0.3).astype(np.uint8)
GIVEN = {
    "multiclass": (DRAW.integers(0, CLASSES, IMAGES), DRAW.dirichlet(np.ones(CLASSES), IMAGES)),
    "multilabel": (LABELS, 0.45 * LABELS + 0.55 * DRAW.random((IMAGES, CLASSES))),
    "regression": (DRAW.normal(5, 2, (IMAGES, 3)), DRAW.normal(5, 2, (IMAGES, 3))),
}
GIVEN["ordinal"] = GIVEN["multiclass"]
DECIDED = {
    "multiclass": GIVEN["multiclass"][1].argmax(axis=1),
    "ordinal": Decision("rounding").decide(GIVEN["ordinal"][1]),
    "multilabel": (GIVEN["multilabel"][1] >= 0.5).astype(np.uint8),
    "regression": GIVEN["regression"][1],
}
ONE_HOT = np.eye(CLASSES, dtype=int)[GIVEN["multiclass"][0]]


def average_precision_by_loop(true, ranked, k):
    """Kaggle's definition: the precision at each rank of a hit, over as many hits as there could be."""
    hits, total = 0, 0.0
    for rank, label in enumerate(ranked[:k], 1):
        if label in true:
            hits += 1
            total += hits / rank
    return total / min(len(true), k) if true else 0.0


def map_by_loop(kind, k):
    targets, scores = GIVEN[kind]
    sets = [{label} for label in targets] if targets.ndim == 1 else [set(np.flatnonzero(row)) for row in targets]
    ranked = [sorted(range(CLASSES), key=lambda label: -row[label]) for row in scores]
    return np.mean([average_precision_by_loop(true, row, k) for true, row in zip(sets, ranked, strict=True)])


def expected(name, kind):
    """The metric by scikit-learn, or by a loop where it has none."""
    targets, scores = GIVEN[kind]
    decided = DECIDED[kind]
    columns = ONE_HOT if targets.ndim == 1 else targets
    by = {
        "accuracy": lambda: sk.accuracy_score(targets, decided),
        "balanced_accuracy": lambda: sk.balanced_accuracy_score(targets, decided),
        "macro_recall": lambda: sk.recall_score(targets, decided, average="macro"),
        "macro_f1": lambda: sk.f1_score(targets, decided, average="macro"),
        "micro_f1": lambda: sk.f1_score(targets, decided, average="micro"),
        "weighted_f1": lambda: sk.f1_score(targets, decided, average="weighted"),
        "log_loss": lambda: sk.log_loss(targets, scores) if targets.ndim == 1 else column_log_loss(columns, scores),
        "mean_column_log_loss": lambda: column_log_loss(columns, scores),
        "auc": lambda: np.mean([sk.roc_auc_score(columns[:, n], scores[:, n]) for n in range(CLASSES)]),
        "mean_column_auc": lambda: sk.roc_auc_score(columns, scores, average="macro"),
        "quadratic_weighted_kappa": lambda: sk.cohen_kappa_score(targets, decided, weights="quadratic"),
        "matthews_correlation": lambda: sk.matthews_corrcoef(targets, decided),
        "rmse": lambda: np.sqrt(sk.mean_squared_error(targets, scores)),
        "mae": lambda: sk.mean_absolute_error(targets, scores),
        "r2": lambda: sk.r2_score(targets, scores),
        "top_1_accuracy": lambda: sk.accuracy_score(targets, scores.argmax(axis=1)),
        "top_3_accuracy": lambda: sk.top_k_accuracy_score(targets, scores, k=3),
        "top_20_accuracy": lambda: 1.0,
        "map_at_1": lambda: map_by_loop(kind, 1),
        "map_at_3": lambda: map_by_loop(kind, 3),
        "map_at_20": lambda: map_by_loop(kind, 20),
        "samples_f1": lambda: sk.f1_score(targets, decided, average="samples", zero_division=1),
        "samples_f2": lambda: sk.fbeta_score(targets, decided, beta=2, average="samples", zero_division=1),
        "samples_f0.5": lambda: sk.fbeta_score(targets, decided, beta=0.5, average="samples", zero_division=1),
    }
    return by[name]()


def column_log_loss(columns, scores):
    return np.mean([sk.log_loss(columns[:, n], scores[:, n]) for n in range(columns.shape[1])])


NUMBERED = ["top_1_accuracy", "top_3_accuracy", "top_20_accuracy", "map_at_1", "map_at_3", "map_at_20", "samples_f1",
            "samples_f2", "samples_f0.5"]  # fmt: skip
PAIRS = [(name, kind) for name in [*METRICS, *NUMBERED] for kind in find_metric(name).kinds]


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_every_metric_is_that_of_scikit_learn_or_of_a_loop(name, kind):
    targets, scores = GIVEN[kind]
    assert find_metric(name).score(targets, scores, DECIDED[kind], None) == pytest.approx(
        expected(name, kind), rel=1e-9
    )


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_metrics_read_only_what_they_need(name, kind):
    metric, (targets, scores) = find_metric(name), GIVEN[kind]
    whole = metric.score(targets, scores, DECIDED[kind], None)
    scores_only, decisions_only = (targets, scores, None, None), (targets, None, DECIDED[kind], None)
    assert metric.score(*(scores_only if metric.needs == "scores" else decisions_only)) == whole


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_weights_are_as_good_as_repeated_rows(name, kind):
    metric, (targets, scores), decided = find_metric(name), GIVEN[kind], DECIDED[kind]
    weights = np.arange(IMAGES) % 4  # 0 leaves a row out
    weights[0] = 1  # scikit-learn's labels of rows without weight: every class has a row with some
    rows = np.repeat(np.arange(IMAGES), weights)
    weighted = metric.score(targets, scores, decided, weights)
    assert weighted == pytest.approx(metric.score(targets[rows], scores[rows], decided[rows], None), rel=1e-9)
    assert weighted != pytest.approx(metric.score(targets, scores, decided, None), rel=1e-9) or name in ALWAYS_ONE


ALWAYS_ONE = {"top_20_accuracy"}  # of fewer than 20 classes


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_the_values_of_the_images_average_to_the_score(name, kind):
    metric, (targets, scores), decided = find_metric(name), GIVEN[kind], DECIDED[kind]
    means = {"accuracy", "log_loss", "mean_column_log_loss", "rmse", "mae", *NUMBERED}
    assert (metric.each is not None) == (name in means)
    if metric.each is not None:
        each = metric.each(targets, scores, decided)
        assert each.shape == (IMAGES,)
        assert metric.finish(each.mean()) == pytest.approx(metric.score(targets, scores, decided, None), rel=1e-12)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_a_metric_is_best_where_all_is_right_in_its_direction(name, kind):
    metric, (targets, scores), decided = find_metric(name), GIVEN[kind], DECIDED[kind]
    right = targets.astype(float) if targets.ndim == 2 else ONE_HOT.astype(float)
    best, usual = metric.score(targets, right, targets, None), metric.score(targets, scores, decided, None)
    assert metric.higher_is_better == (name not in {"log_loss", "mean_column_log_loss", "rmse", "mae"})
    assert metric.is_better(best, usual) or name in ALWAYS_ONE
    assert not metric.is_better(usual, best)
    assert metric.merit(best) >= metric.merit(usual)
    if name == "map_at_1" and kind == "multilabel":  # images without a label count as 0, as in Kaggle's own
        assert best == pytest.approx(targets.any(axis=1).mean())
    elif not (name.startswith("map_at") and kind == "multilabel"):
        assert best == pytest.approx(1 if metric.higher_is_better else 0, abs=1e-6)


def test_a_score_that_is_not_a_number_is_never_better():
    for name in ("accuracy", "log_loss"):
        metric, nan = find_metric(name), float("nan")
        assert metric.is_better(0.5, nan)
        assert not metric.is_better(nan, 0.5)
        assert not metric.is_better(nan, nan)
        assert not metric.is_better(0.5, 0.5)
        assert metric.merit(nan) == -np.inf
    assert find_metric("accuracy").is_better(0.6, 0.5)
    assert find_metric("log_loss").is_better(0.5, 0.6)


@pytest.mark.parametrize("classes", [2, 40])  # of 40 some are only true, some only predicted, some neither
@pytest.mark.parametrize("weighted", [False, True])
def test_macro_recall_is_that_of_scikit_learn(classes, weighted):
    draw = np.random.default_rng(classes)
    true, given = draw.integers(classes, size=(2, 60))
    weights = draw.uniform(0.1, 3, 60) if weighted else None
    expected = sk.recall_score(true, given, average="macro", zero_division=0, sample_weight=weights)
    assert find_metric("macro_recall").score(true, None, given, weights) == pytest.approx(expected)


def test_a_class_that_is_not_drawn_does_not_count_in_macro_recall():
    true, given, drawn = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]), np.array([2.0, 1, 0, 1])
    assert find_metric("macro_recall").score(true, None, given, drawn) == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert find_metric("macro_recall").score(true, None, given, np.array([1.0, 1, 1, 0])) == pytest.approx(
        (0.5 + 1) / 2
    )


def test_metrics_by_hand():
    grades, given = np.array([0, 1, 2, 2]), np.array([0, 2, 2, 0])
    chance = sum((a - b) ** 2 for a in grades for b in given) / 4  # the squared distances of 16 pairs, for 4 images
    kappa = find_metric("quadratic_weighted_kappa")
    assert kappa.score(grades, None, given, None) == pytest.approx(1 - 5 / chance)
    assert kappa.score(np.array([2, 2]), None, np.array([2, 2]), None) == 1
    assert kappa.score(np.array([2, 2]), None, np.array([2, 0]), None) == 0
    # Two of three labels found with one too many: F2 = 5 * 2 / (4 * 3 + 3).
    labels, chosen = np.array([[1, 1, 1, 0]], np.uint8), np.array([[1, 1, 0, 1]], np.uint8)
    assert find_metric("samples_f2").score(labels, None, chosen, None) == pytest.approx(10 / 15)
    nothing = np.zeros((1, 4), np.uint8)
    assert find_metric("samples_f2").score(nothing, None, nothing, None) == 1
    assert find_metric("samples_f2").score(labels, None, nothing, None) == 0
    # The class is third: 1/3 of MAP@5 and MAP@3, nothing of MAP@2.
    scores = np.array([[0.1, 0.5, 0.15, 0.25]])
    assert [find_metric(f"map_at_{k}").score(np.array([2]), scores, None, None) for k in (5, 3, 2)] == [1 / 3, 1 / 3, 0]
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    off = values + np.array([[1.0, 0.0], [0.0, -3.0]])
    assert find_metric("rmse").score(values, off, None, None) == pytest.approx(np.sqrt(10 / 4))
    assert find_metric("mae").score(values, off, None, None) == 1


def test_log_loss_is_finite_and_scales_rows():
    targets, log_loss = np.array([0, 1]), find_metric("log_loss")
    wrong = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert log_loss.score(targets, wrong, None, None) == pytest.approx(-np.log(1e-15), rel=1e-3)
    scaled = log_loss.score(targets, np.array([[2.0, 2.0], [0.2, 0.6]]), None, None)
    assert scaled == pytest.approx(-np.log([0.5, 0.75]).mean())
    for name in ("log_loss", "mean_column_log_loss"):
        worst = find_metric(name).score(np.array([[1, 0]], np.uint8), np.array([[0.0, 1.0]]), None, None)
        assert 10 < worst < 40


def test_log_loss_of_two_classes_is_that_of_one_probability():
    targets = DRAW.integers(0, 2, 50)
    second = DRAW.random(50)
    scores = np.stack([1 - second, second], axis=1)
    for name in ("log_loss", "mean_column_log_loss"):
        assert find_metric(name).score(targets, scores, None, None) == pytest.approx(sk.log_loss(targets, second))
    assert find_metric("auc").score(targets, scores, None, None) == pytest.approx(sk.roc_auc_score(targets, second))
    assert find_metric("auc").score(targets, 10 * scores, None, None) == pytest.approx(
        sk.roc_auc_score(targets, second)
    )


def test_columns_without_both_values_are_not_in_the_auc():
    targets = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 1]], np.uint8)
    scores = np.array([[0.9, 0.1, 0.2], [0.2, 0.3, 0.1], [0.1, 0.2, 0.8]])
    first = sk.roc_auc_score(targets[:, 0], scores[:, 0])
    last = sk.roc_auc_score(targets[:, 2], scores[:, 2])
    assert find_metric("mean_column_auc").score(targets, scores, None, None) == pytest.approx((first + last) / 2)
    assert np.isnan(find_metric("mean_column_auc").score(np.zeros((3, 3), np.uint8), scores, None, None))
    assert np.isnan(find_metric("auc").score(targets, scores, None, np.array([1.0, 0, 0])))


def test_ties_go_to_the_first_class_as_a_submission_writes_it():
    even = np.full((1, 4), 0.25)
    assert find_metric("top_2_accuracy").score(np.array([1]), even, None, None) == 1
    assert find_metric("top_2_accuracy").score(np.array([2]), even, None, None) == 0
    assert find_metric("map_at_5").score(np.array([3]), even, None, None) == 1 / 4


def test_a_class_that_is_not_listed_has_no_rank():
    listed = np.array([[-np.inf, 0.5, -np.inf, 1.0]])
    assert find_metric("map_at_3").score(np.array([1]), listed, None, None) == 1 / 2
    assert find_metric("map_at_3").score(np.array([0]), listed, None, None) == 0
    assert find_metric("top_3_accuracy").score(np.array([0]), listed, None, None) == 0


@pytest.mark.parametrize(
    "name", ["", "Accuracy", "log loss", "map_at_0", "map_at_", "map_at_K", "top_0_accuracy", "top_99999_accuracy",
             "samples_f0", "samples_f", "samples_f2.55", "f2", "accuracy\n"]
)  # fmt: skip
def test_names_that_are_not_metrics(name):
    with pytest.raises(KcnnError, match="there is no metric") as caught:
        find_metric(name)
    assert "log_loss" in caught.value.hint
    assert "map_at_K" in caught.value.hint


@pytest.mark.parametrize(("name", "title"), [("map_at_12", "MAP@12"), ("top_5_accuracy", "top-5 accuracy"),
                                             ("samples_f1.5", "samples F1.5"), ("rmse", "RMSE")])  # fmt: skip
def test_metrics_have_names_and_titles(name, title):
    assert (find_metric(name).name, find_metric(name).title) == (name, title)


def test_the_metrics_of_a_task_begin_with_its_own():
    for kind in KINDS:
        assert kind in find_metric(DEFAULTS[kind], [2] if kind == "multioutput" else []).kinds
        for outputs in (2, 5, 6):
            heads = [1, outputs - 1] if kind == "multioutput" else []
            names = metrics_of(kind, DEFAULTS[kind], outputs)
            assert names[0] == DEFAULTS[kind]
            assert len(names) == len(set(names)) >= 3
            assert all(kind in find_metric(name, heads).kinds for name in names)
    assert metrics_of("multiclass", "map_at_5", 2)[:2] == ["map_at_5", "accuracy"]
    assert "auc" in metrics_of("multiclass", "accuracy", 2)
    assert "top_5_accuracy" not in metrics_of("multiclass", "accuracy", 5)


def metrics_of(kind, primary, outputs):
    heads = (("one", 1), ("rest", outputs - 1)) if kind == "multioutput" else ()
    metric = find_metric(primary, [count for _, count in heads])
    return [each.name for each in Task(kind, tuple(map(str, range(outputs))), metric, heads).metrics]


def test_several_targets_have_a_metric_each_and_weights():
    """bengaliai-cv19: the weighted mean of the targets' macro recalls, as its evaluation page has it."""
    draw = np.random.default_rng(0)
    true, given = draw.integers(0, 4, (200, 3)), draw.integers(0, 4, (200, 3))
    given[:150, 0], given[:60, 1] = true[:150, 0], true[:60, 1]
    chances = draw.dirichlet(np.ones(4), (200, 3)).reshape(200, 12)
    marks = [np.concatenate(list(np.eye(4, dtype=np.uint8)[each].transpose(1, 0, 2)), axis=1) for each in (true, given)]
    recalls = [sk.recall_score(true[:, n], given[:, n], average="macro") for n in range(3)]
    for name, weights in (("macro_recall", [1, 1, 1]), ("2*macro_recall macro_recall macro_recall", [2, 1, 1])):
        metric = find_metric(name, [4, 4, 4])
        assert metric.score(marks[0], chances, marks[1], None) == pytest.approx(np.average(recalls, weights=weights))
    mixed = find_metric("accuracy 3*macro_recall quadratic_weighted_kappa", [4, 4, 4])
    expected = [sk.accuracy_score(true[:, 0], given[:, 0]), recalls[1],
                sk.cohen_kappa_score(true[:, 2], given[:, 2], weights="quadratic")]  # fmt: skip
    assert mixed.score(marks[0], None, marks[1], None) == pytest.approx(np.average(expected, weights=[1, 3, 1]))
    losses = [sk.log_loss(true[:, n], chances[:, 4 * n : 4 * n + 4], labels=range(4)) for n in range(3)]
    assert find_metric("log_loss", [4, 4, 4]).score(marks[0], chances, None, None) == pytest.approx(np.mean(losses))
    assert mixed.title == "weighted accuracy and macro recall and quadratic weighted kappa"
    assert find_metric("2*macro_recall macro_recall").title == "weighted macro recall"


@pytest.mark.parametrize(("name", "heads", "message"), [
    ("macro_recall accuracy", [2, 2, 2], "expected one metric, or 3 of one direction, got 'macro_recall accuracy'"),
    ("accuracy log_loss", [2, 2], "expected one metric, or 2 of one direction"),
    ("x*accuracy accuracy", [2, 2], "expected a number above 0 before the .* got 'x'"),
    ("0*accuracy accuracy", [2, 2], "expected a number above 0 before the .* got '0'"),
    ("rmse", [2, 2], "rmse does not fit a target with classes"),
    ("2*nothing", [2, 2], "there is no metric 'nothing'"),
])  # fmt: skip
def test_a_metric_that_does_not_fit_the_targets_is_refused(name, heads, message):
    with pytest.raises(KcnnError, match=message):
        find_metric(name, heads)


BOTH, SINGLE, SEVERAL, VALUES = (
    ("multiclass", "multilabel"),
    ("multiclass", "ordinal"),
    ("multilabel",),
    ("regression",),
)
UNKNOWN = ("multiclass", "ordinal", "multilabel", "regression")


@pytest.mark.parametrize(
    ("words", "kinds", "name"),
    [
        ("Categorization Accuracy", BOTH, "accuracy"),
        ("CategorizationAccuracy", BOTH, "accuracy"),
        ("Accuracy Score", BOTH, "accuracy"),
        ("Top-1 accuracy", SINGLE, "accuracy"),
        ("Top-5 Accuracy", SINGLE, "top_5_accuracy"),
        ("Balanced Accuracy", SINGLE, "balanced_accuracy"),
        ("Area Under Receiver Operating Characteristic Curve", SINGLE, "auc"),
        ("Area Under Receiver Operating Characteristic Curve", SEVERAL, "mean_column_auc"),
        ("AUC", SINGLE, "auc"),
        ("Roc Auc Score", SINGLE, "auc"),
        ("AreaUnderROCCurve", SINGLE, "auc"),
        ("Mean Column-Wise AUC", BOTH, "mean_column_auc"),
        ("Mean Columnwise Area Under Receiver Operating Characteristic Curve", BOTH, "mean_column_auc"),
        ("MCAUC", BOTH, "mean_column_auc"),
        ("Multiclass Loss", SINGLE, "log_loss"),
        ("MulticlassLoss", SINGLE, "log_loss"),
        ("Multi Class Log Loss", SINGLE, "log_loss"),
        ("Log Loss", SINGLE, "log_loss"),
        ("LogLoss", SINGLE, "log_loss"),
        ("Logarithmic Loss", SINGLE, "log_loss"),
        ("Categorical Crossentropy", SINGLE, "log_loss"),
        ("Log Loss", SEVERAL, "mean_column_log_loss"),
        ("Mean Columnwise Log Loss", BOTH, "mean_column_log_loss"),
        ("MeanFScore", SINGLE, "micro_f1"),
        ("Mean F-Score", SINGLE, "micro_f1"),
        ("Mean F-Score", SEVERAL, "samples_f1"),
        ("Mean F1-Score", SEVERAL, "samples_f1"),
        ("MeanFScoreBeta1", SEVERAL, "samples_f1"),
        ("F1 Score", SEVERAL, "samples_f1"),
        ("F1 Score", SINGLE, ""),  # of the second class, or an average: it does not say
        ("F_{Beta} Macro", UNKNOWN, ""),  # without its beta
        ("MeanFScoreBeta", UNKNOWN, ""),
        ("Macro F-Score", BOTH, "macro_f1"),
        ("MacroFScore", BOTH, "macro_f1"),
        ("F1 (macro)", BOTH, "macro_f1"),
        ("Micro-averaged F1-Score", BOTH, "micro_f1"),
        ("Weighted F1", BOTH, "weighted_f1"),
        ("F2", SEVERAL, "samples_f2"),
        ("Mean F2-Score", SEVERAL, "samples_f2"),
        ("F-Score (beta = 2)", SEVERAL, "samples_f2"),
        ("F_beta score with beta=0.5", SEVERAL, "samples_f0.5"),
        ("F2", SINGLE, ""),
        ("Macro F2", UNKNOWN, ""),
        ("Quadratic Weighted Kappa", SINGLE, "quadratic_weighted_kappa"),
        ("QuadraticWeightedKappa", SINGLE, "quadratic_weighted_kappa"),
        ("Quadratic Weighted Kappa", SEVERAL, ""),
        ("Cohen's Kappa", UNKNOWN, ""),
        ("Matthews Correlation Coefficient", SINGLE, "matthews_correlation"),
        ("MAP@5", BOTH, "map_at_5"),
        ("Mean Average Precision @ 12 (MAP@12)", BOTH, "map_at_12"),
        ("MAP@{K}", UNKNOWN, ""),  # without a sample that shows K
        ("mAP@0.5", UNKNOWN, ""),
        ("Mean Average Precision at different Intersection over Union thresholds", UNKNOWN, ""),
        ("Root Mean Squared Error", VALUES, "rmse"),
        ("RMSE", VALUES, "rmse"),
        ("RMSE", SINGLE, ""),
        ("Mean Absolute Error", VALUES, "mae"),
        ("R2 Score", VALUES, "r2"),
        ("R^2", VALUES, "r2"),
        ("Categorization Accuracy", VALUES, ""),
        ("Root Mean Squared Logarithmic Error", UNKNOWN, ""),
        ("RMSLE", UNKNOWN, ""),
        ("Mean Columnwise Root Mean Squared Error", UNKNOWN, ""),  # the mean of the columns' own
        ("MCRMSE", UNKNOWN, ""),
        ("Normalized Weighted Mean Absolute Error", UNKNOWN, ""),
        ("Weighted Multiclass Loss", UNKNOWN, ""),
        ("Alaska weighted AUC", UNKNOWN, ""),
        ("Partial AUC above 80% TPR", UNKNOWN, ""),
        ("Area Under the Precision-Recall Curve", UNKNOWN, ""),
        ("Probabilistic F-score (pF1)", UNKNOWN, ""),
        ("Top-5 error", UNKNOWN, ""),
        ("Mean Best Error At K", UNKNOWN, ""),
        ("Hierarchical macro-averaged recall", UNKNOWN, ""),
        ("Normalized Gini Index", UNKNOWN, ""),
        ("Dice", UNKNOWN, ""),
        ("PostProcessorKernelDesc", UNKNOWN, ""),
        ("", UNKNOWN, ""),
    ],
)
def test_kaggles_words_for_metrics(words, kinds, name):
    for kind in kinds:
        assert recognise_metric(words, kind) == name, kind


def test_the_sample_says_what_k_is():
    assert recognise_metric("MAP@{K}", "multiclass", 5) == "map_at_5"
    assert recognise_metric("MAP@{K}", "multiclass", 3) == "map_at_3"
    assert recognise_metric("MAP@5", "multiclass", 3) == "map_at_5"


def task(kind, classes, metric=""):
    return Task(kind, tuple(classes), find_metric(metric or DEFAULTS[kind]))


def test_measures_by_hand():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.3, 0.7, 0], [0.1, 0.4, 0.5]], np.float32)
    numbers = measure(task("multiclass", "abc"), labels, probabilities, Decision("argmax"))
    assert numbers["images"] == 4
    assert list(numbers["scores"]) == ["accuracy", "macro_f1", "log_loss"]
    assert numbers["scores"]["accuracy"] == 0.5
    assert numbers["confusion"] == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert numbers["per_class"]["a"] == pytest.approx({"precision": 1, "recall": 0.5, "f1": 2 / 3, "support": 2})
    assert numbers["per_class"]["b"] == pytest.approx({"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2})
    assert numbers["per_class"]["c"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}
    macro = {"precision": 0.75, "recall": 0.5, "f1": (2 / 3 + 0.5) / 2, "support": 4}
    assert numbers["averages"]["macro"] == pytest.approx(macro)  # c has no images: it is in no average
    assert numbers["averages"]["weighted"] == pytest.approx(macro)
    assert numbers["scores"]["macro_f1"] == pytest.approx((2 / 3 + 0.5) / 3)  # as Kaggle: c was predicted
    assert numbers["scores"]["log_loss"] == pytest.approx(-np.log([0.9, 0.2, 0.7, 0.4]).mean(), rel=1e-6)
    assert confused_pairs(numbers["confusion"], 5) == [(0, 1, 1), (1, 2, 1)]


def test_measures_are_those_of_scikit_learn():
    labels, probabilities = np.arange(400) % 20, DRAW.dirichlet(np.ones(20), 400).astype(np.float32)
    numbers = measure(task("multiclass", map(str, range(20))), labels, probabilities, Decision("argmax"))
    decided = probabilities.argmax(axis=1)
    assert numbers["scores"]["macro_f1"] == pytest.approx(sk.f1_score(labels, decided, average="macro"))
    assert numbers["averages"]["macro"]["f1"] == pytest.approx(sk.f1_score(labels, decided, average="macro"))
    assert numbers["scores"]["log_loss"] == pytest.approx(sk.log_loss(labels, probabilities.astype(float)), rel=1e-5)
    assert numbers["scores"]["top_5_accuracy"] == pytest.approx(sk.top_k_accuracy_score(labels, probabilities, k=5))
    assert numbers["confusion"] == sk.confusion_matrix(labels, decided).tolist()
    each = sk.precision_recall_fscore_support(labels, decided, zero_division=0)
    assert [row["recall"] for row in numbers["per_class"].values()] == pytest.approx(each[1].tolist())


def test_measures_of_several_labels():
    targets, scores = GIVEN["multilabel"]
    numbers = measure(task("multilabel", "abcdefg", "samples_f2"), targets, scores, Decision("threshold", 0.4))
    chosen = Decision("threshold", 0.4).decide(scores)
    assert next(iter(numbers["scores"])) == "samples_f2"
    assert numbers["scores"]["samples_f2"] == pytest.approx(
        sk.fbeta_score(targets, chosen, beta=2, average="samples", zero_division=1)
    )
    assert numbers["threshold"] == 0.4
    assert "confusion" not in numbers
    assert numbers["per_class"]["c"]["f1"] == pytest.approx(sk.f1_score(targets[:, 2], chosen[:, 2]))
    assert numbers["per_class"]["c"]["support"] == targets[:, 2].sum()
    assert numbers["averages"]["weighted"]["precision"] == pytest.approx(
        sk.precision_score(targets, chosen, average="weighted")
    )


def test_measures_of_a_regression():
    targets, scores = GIVEN["regression"]
    numbers = measure(task("regression", ["x", "y", "z"]), targets, scores, Decision("value"))
    assert numbers["scores"] == pytest.approx(
        {name: expected(name, "regression") for name in ("rmse", "mae", "r2")}, rel=1e-9
    )
    assert numbers["per_value"]["y"] == pytest.approx(
        {
            "rmse": np.sqrt(sk.mean_squared_error(targets[:, 1], scores[:, 1])),
            "mae": sk.mean_absolute_error(targets[:, 1], scores[:, 1]),
            "r2": sk.r2_score(targets[:, 1], scores[:, 1]),
            "support": IMAGES,
        }
    )


def test_measures_of_grades_use_the_decision():
    targets, scores = GIVEN["ordinal"]
    numbers = measure(task("ordinal", map(str, range(CLASSES))), targets, scores, Decision("rounding"))
    assert next(iter(numbers["scores"])) == "quadratic_weighted_kappa"
    assert numbers["scores"]["accuracy"] == pytest.approx(sk.accuracy_score(targets, DECIDED["ordinal"]))
    assert numbers["confusion"] == sk.confusion_matrix(targets, DECIDED["ordinal"], labels=range(CLASSES)).tolist()
