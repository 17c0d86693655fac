"""Scores from a solution on this disk: of every kind of task and submission format, as scikit-learn has them."""

import re
from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as sk

from kaggle_cnn.competition import local_host, submission
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.table import read_table, write_table
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.decision import Decision

CLASSES = ("ash", "sea lion", "oak", "yew")
IMAGES = 40
IDS = np.array([f"{number:03}" for number in range(IMAGES)])
DRAW = np.random.default_rng(0)
TRUE = {
    "multiclass": DRAW.integers(0, 4, IMAGES),
    "multilabel": (DRAW.random((IMAGES, 4)) < 0.4).astype(np.uint8),
    "regression": DRAW.normal(50, 20, (IMAGES, 2)),
}
TRUE["multilabel"][TRUE["multilabel"].sum(axis=1) == 0, 0] = 1
TRUE["ordinal"] = TRUE["multiclass"]
PAIRS = DRAW.integers(0, 2, (2, IMAGES))
TRUE["multioutput"] = np.eye(4, dtype=np.uint8)[PAIRS[0]] + np.eye(4, dtype=np.uint8)[2 + PAIRS[1]]
SCORES = {
    "multiclass": DRAW.dirichlet(np.ones(4), IMAGES) * 0.8 + 0.2 * np.eye(4)[TRUE["multiclass"]],
    "multilabel": 0.4 * TRUE["multilabel"] + 0.6 * DRAW.random((IMAGES, 4)),
    "regression": TRUE["regression"] + DRAW.normal(0, 9, (IMAGES, 2)),
}
SCORES["ordinal"] = SCORES["multiclass"]
SCORES["multioutput"] = 0.3 * TRUE["multioutput"] + 0.6 * DRAW.random((IMAGES, 4))
RULES = {
    "multiclass": Decision("argmax"),
    "ordinal": Decision("rounding"),
    "multilabel": Decision("threshold", 0.45),
    "multioutput": Decision("argmax", heads=[2, 2]),
    "regression": Decision("value"),
}


def make_competition(folder, kind, **fields):
    """A competition whose sample asks for the images in another order than that of the predictions."""
    form, columns = fields["submission_format"], fields.get("prediction_columns", ("label",))
    if form == "long":
        joint = "__" if kind == "regression" else "_"
        rows = [f"{name}{joint}{part}" for name in IDS[::-1] for part in fields["class_columns"]]
    else:
        rows = list(IDS[::-1])
    lines = "".join(f"{row}{',0' * len(columns)}\n" for row in rows)
    (folder / "sample.csv").write_text(f"id,{','.join(columns)}\n{lines}")
    base = {"name": "x", "host": "local", "source": "x", "layout": "table", "classes": CLASSES, "sample": "sample.csv"}
    competition = Competition(folder=folder, kind=kind, solution="solution.csv", **{**base, **fields})
    competition.write()
    return Competition.read(folder)


def write_solution(competition, lines, columns=None):
    """Write a solution whose rows are in an order of its own, with Kaggle's column of parts."""
    order = np.random.default_rng(1).permutation(len(lines))
    header = ",".join(["id", *(columns or competition.prediction_columns), "Usage"])
    images = {name: number for number, name in enumerate(IDS)}
    places = [images[min((name for name in images if re.match(f"{name}[_,]", line)), key=len)] for line in lines]
    text = "".join(f"{lines[row]},{'Public' if places[row] % 3 else 'Private'}\n" for row in order)
    (competition.folder / "solution.csv").write_text(f"{header}\n{text}")


def score(competition):
    """The score of the submission that kcnn makes, by way of the disk."""
    kind = competition.kind
    scores = SCORES[kind][:, : len(competition.classes)]
    if kind in ("multiclass", "ordinal"):
        scores = scores / scores.sum(axis=1, keepdims=True)
    made = submission.make(competition, IDS, scores.astype(np.float32), RULES[kind].decide(scores))
    write_table(competition.folder / "made.csv", made)
    table = read_table(competition.folder / "made.csv")
    submission.check(competition, table, IDS)
    both = local_host.score(competition, table)
    path = competition.folder / "solution.csv"
    whole = read_table(path)
    if "Usage" in whole:  # each part scores what a solution of just its rows does
        for part, found in (("Public", both.public), ("Private", both.private)):
            write_table(path, whole[whole["Usage"] == part].drop(columns="Usage"))
            assert found == pytest.approx(local_host.score(competition, table).public)
        write_table(path, whole.drop(columns="Usage"))
    alone = local_host.score(competition, table)
    assert alone.private is None
    return alone.public


def names_of(competition, true):
    """The labels of each image in words."""
    if true.ndim == 1:
        return [competition.classes[label] for label in true]
    joint = competition.separator or " "
    return [joint.join(competition.classes[label] for label in np.flatnonzero(row)) for row in true]


def by_name(competition):
    """Solution lines with class names."""
    true = TRUE[competition.kind]
    return [f"{name},{label}" for name, label in zip(IDS, names_of(competition, true), strict=True)]


ARGMAX = SCORES["multiclass"].argmax(axis=1)
ROUNDED = RULES["ordinal"].decide(SCORES["ordinal"])
CHOSEN = RULES["multilabel"].decide(SCORES["multilabel"])


def test_class_names(tmp_path):
    competition = make_competition(tmp_path, "multiclass", submission_format="class_name", metric="macro_f1")
    write_solution(competition, by_name(competition))
    assert score(competition) == pytest.approx(sk.f1_score(TRUE["multiclass"], ARGMAX, average="macro"))
    accuracy = score(replace(competition, metric="accuracy"))
    assert accuracy == pytest.approx(sk.accuracy_score(TRUE["multiclass"], ARGMAX))
    assert 0.4 < accuracy < 1


@pytest.mark.parametrize("words", ["label values", "names"])
def test_class_numbers(tmp_path, words):
    """Label values that are class names of others, to tell the two apart: 1-based numbers of classes 0, 1, 2, 3."""
    competition = make_competition(
        tmp_path, "ordinal", submission_format="class_id", classes=("0", "1", "2", "3"),
        label_values=("1", "2", "3", "4"), metric="quadratic_weighted_kappa",
    )  # fmt: skip
    values = competition.label_values
    if words == "names":
        competition = replace(competition, classes=("no", "mild", "severe", "proliferative"))
        values = competition.classes
    write_solution(competition, [f"{name},{values[label]}" for name, label in zip(IDS, TRUE["ordinal"], strict=True)])
    kappa = sk.cohen_kappa_score(TRUE["ordinal"], ROUNDED, weights="quadratic")
    assert score(competition) == pytest.approx(kappa)
    assert (ROUNDED != ARGMAX).any()


@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("form", ["numbers", "names"])
def test_one_probability(tmp_path, positive, form):
    competition = make_competition(
        tmp_path, "multiclass", submission_format="probability", classes=CLASSES[:2], positive=CLASSES[positive],
        metric="auc",
    )  # fmt: skip
    true = np.array(TRUE["multiclass"] % 2)
    words = [int(label == positive) if form == "numbers" else CLASSES[label] for label in true]
    write_solution(competition, [f"{name},{word}" for name, word in zip(IDS, words, strict=True)])
    pair = SCORES["multiclass"][:, :2]
    share = (pair / pair.sum(axis=1, keepdims=True))[:, 1]
    assert score(competition) == pytest.approx(sk.roc_auc_score(true, share), abs=1e-6)
    assert score(replace(competition, metric="log_loss")) == pytest.approx(sk.log_loss(true, share), abs=1e-5)
    assert score(replace(competition, metric="accuracy")) == pytest.approx(sk.accuracy_score(true, share > 0.5))


COLUMNS = {"prediction_columns": ("Yew", "Ash", "Sea_lion", "Oak"), "class_columns": ("yew", "ash", "sea lion", "oak")}
PLACES = [CLASSES.index(name) for name in COLUMNS["class_columns"]]


@pytest.mark.parametrize("form", ["columns", "names"])
@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_columns_of_probabilities(tmp_path, kind, form):
    separator = "|" if kind == "multilabel" else ""  # a class name has a space
    competition = make_competition(
        tmp_path,
        kind,
        submission_format="probability_columns",
        metric="mean_column_auc",
        separator=separator,
        **COLUMNS,
    )
    marks = TRUE[kind] if kind == "multilabel" else np.eye(4, dtype=int)[TRUE[kind]]
    if form == "columns":
        rows = [f"{name},{','.join(map(str, row[PLACES]))}" for name, row in zip(IDS, marks, strict=True)]
        write_solution(competition, rows)
    else:
        write_solution(competition, by_name(competition), ["labels"])
    scores = SCORES[kind]
    assert score(competition) == pytest.approx(sk.roc_auc_score(marks, scores, average="macro"), abs=1e-6)
    if kind == "multiclass":
        competition = replace(competition, metric="log_loss")
        assert score(competition) == pytest.approx(sk.log_loss(TRUE[kind], scores), abs=1e-5)
    else:
        competition = replace(competition, metric="mean_column_log_loss")
        losses = [sk.log_loss(marks[:, n], scores[:, n]) for n in range(4)]
        assert score(competition) == pytest.approx(np.mean(losses), abs=1e-5)


@pytest.mark.parametrize("separator", ["|", ""])
def test_labels_in_one_cell(tmp_path, separator):
    fields = {"separator": separator} if separator else {"label_values": ("7", "8", "9", "10")}
    competition = make_competition(
        tmp_path, "multilabel", submission_format="multi_label", metric="samples_f2", **fields
    )
    words = competition.label_values or competition.classes
    cells = [(separator or " ").join(words[n] for n in np.flatnonzero(row)) for row in TRUE["multilabel"]]
    write_solution(competition, [f"{name},{cell}" for name, cell in zip(IDS, cells, strict=True)])
    f2 = sk.fbeta_score(TRUE["multilabel"], CHOSEN, beta=2, average="samples")
    assert score(competition) == pytest.approx(f2)
    macro = score(replace(competition, metric="macro_f1"))
    assert macro == pytest.approx(sk.f1_score(TRUE["multilabel"], CHOSEN, average="macro"))
    assert 0.4 < f2 < 1


def test_the_most_probable_classes(tmp_path):
    competition = make_competition(
        tmp_path, "multiclass", submission_format="top_k", top_k=2, metric="map_at_2",
        label_values=("w_a", "w_b", "w_c", "w_d"),
    )  # fmt: skip
    values = competition.label_values
    write_solution(
        competition, [f"{name},{values[label]}" for name, label in zip(IDS, TRUE["multiclass"], strict=True)]
    )
    order = np.argsort(-SCORES["multiclass"], axis=1)
    ranks = [row.tolist().index(label) + 1 for row, label in zip(order, TRUE["multiclass"], strict=True)]
    assert max(ranks) > 2  # an image whose class is not among the two
    assert score(competition) == pytest.approx(np.mean([1 / rank if rank <= 2 else 0 for rank in ranks]))
    top = sk.top_k_accuracy_score(TRUE["multiclass"], SCORES["multiclass"], k=2)
    assert score(replace(competition, metric="top_2_accuracy")) == pytest.approx(top)
    assert score(replace(competition, metric="accuracy")) == pytest.approx(
        sk.accuracy_score(TRUE["multiclass"], ARGMAX)
    )
    # Classes beyond those that are listed have no rank, whatever K is.
    assert score(replace(competition, metric="map_at_4")) == score(competition)
    with pytest.raises(KcnnError, match="log loss needs probabilities, and this submission holds top_k"):
        score(replace(competition, metric="log_loss"))


@pytest.mark.parametrize("form", ["rows", "names"])
def test_a_row_for_each_image_and_class(tmp_path, form):
    competition = make_competition(
        tmp_path, "multilabel", submission_format="long", class_columns=("oak", "ash", "yew", "sea lion"),
        metric="mean_column_log_loss", separator="|",
    )  # fmt: skip
    true, scores = TRUE["multilabel"], SCORES["multilabel"]
    if form == "rows":
        lines = [
            f"{name}_{part},{true[row, CLASSES.index(part)]}"
            for row, name in enumerate(IDS)
            for part in competition.class_columns
        ]
        write_solution(competition, lines)
    else:
        write_solution(competition, by_name(competition))
    losses = [sk.log_loss(true[:, n], scores[:, n]) for n in range(4)]
    assert score(competition) == pytest.approx(np.mean(losses), abs=1e-5)
    f1 = sk.f1_score(true, scores >= 0.5, average="macro")
    assert score(replace(competition, metric="macro_f1")) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        ("rmse", lambda *both: np.sqrt(sk.mean_squared_error(*both))),
        ("mae", sk.mean_absolute_error),
        ("r2", sk.r2_score),
    ],
)
def test_numbers(tmp_path, metric, function):
    competition = make_competition(
        tmp_path, "regression", submission_format="value", classes=("length", "width"),
        prediction_columns=("Width", "Length"), class_columns=("width", "length"), metric=metric,
    )  # fmt: skip
    true = TRUE["regression"]
    write_solution(competition, [f"{name},{row[1]},{row[0]}" for name, row in zip(IDS, true, strict=True)])
    assert score(competition) == pytest.approx(function(true, SCORES["regression"]), rel=1e-5)


def test_one_number_in_a_column_of_another_name(tmp_path):
    competition = make_competition(
        tmp_path, "regression", submission_format="value", classes=("age",), class_columns=("age",),
        prediction_columns=("Predicted",), metric="mae",
    )  # fmt: skip
    true = TRUE["regression"][:, :1]
    write_solution(competition, [f"{name},{row[0]}" for name, row in zip(IDS, true, strict=True)], ["age"])
    assert score(competition) == pytest.approx(sk.mean_absolute_error(true, SCORES["regression"][:, :1]), rel=1e-5)


TARGETS = {"tree": ["ash", "oak"], "hue": ["red", "grey blue"]}


@pytest.mark.parametrize("form", ["target_columns", "long"])
def test_several_targets(tmp_path, form):
    """A column for each target, in another order than the labels', or a row for each."""
    columns = ("hue", "tree") if form == "target_columns" else ("label",)
    classes = tuple(f"{target}={name}" for target, names in TARGETS.items() for name in names)
    competition = make_competition(
        tmp_path, "multioutput", submission_format=form, metric="3*accuracy quadratic_weighted_kappa", classes=classes,
        label_columns=tuple(TARGETS), prediction_columns=columns, class_columns=("hue", "tree"),
    )  # fmt: skip
    true, given = TRUE["multioutput"], RULES["multioutput"].decide(SCORES["multioutput"])
    cells = [[TARGETS["hue"][row[2:].argmax()], TARGETS["tree"][row[:2].argmax()]] for row in true]
    if form == "long":
        lines = [f"{name}_{target},{cell}" for name, row in zip(IDS, cells, strict=True)
                 for target, cell in zip(("hue", "tree"), row, strict=True)]  # fmt: skip
    else:
        lines = [f"{name},{','.join(row)}" for name, row in zip(IDS, cells, strict=True)]
    write_solution(competition, lines)
    accuracy = (true[:, :2].argmax(axis=1) == given[:, :2].argmax(axis=1)).mean()
    kappa = sk.cohen_kappa_score(true[:, 2:].argmax(axis=1), given[:, 2:].argmax(axis=1), weights="quadratic")
    assert score(competition) == pytest.approx((3 * accuracy + kappa) / 4)


def test_several_numbers_in_a_row_each(tmp_path):
    """As csiro-biomass: its ids have two underscores."""
    competition = make_competition(
        tmp_path, "regression", submission_format="long", metric="r2", classes=("dry_g", "green_g"),
        class_columns=("green_g", "dry_g"),
    )  # fmt: skip
    true = TRUE["regression"]
    write_solution(competition, [f"{name}__{part},{row[place]}" for name, row in zip(IDS, true, strict=True)
                                 for place, part in enumerate(("dry_g", "green_g"))])  # fmt: skip
    assert score(competition) == pytest.approx(sk.r2_score(true, SCORES["regression"]), rel=1e-5)


def test_a_solution_of_some_of_the_images_is_scored_on_these(tmp_path):
    competition = make_competition(tmp_path, "multiclass", submission_format="class_name", metric="accuracy")
    write_solution(competition, by_name(competition)[:10])
    assert score(competition) == pytest.approx(sk.accuracy_score(TRUE["multiclass"][:10], ARGMAX[:10]))


@pytest.fixture
def named(tmp_path):
    competition = make_competition(tmp_path, "multiclass", submission_format="class_name", metric="accuracy")
    write_solution(competition, by_name(competition))
    return competition


def test_without_a_solution_there_is_no_score(named):
    with pytest.raises(KcnnError, match="has no solution here to score against") as caught:
        score(replace(named, solution=""))
    assert "set `solution` in" in caught.value.hint
    (named.folder / "solution.csv").unlink()
    with pytest.raises(KcnnError, match=r"there is no .*solution\.csv"):
        score(named)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("name,label\n000,ash\n", "the solution has no column 'id', only name, label"),
        ("id,a,b\n000,1,2\n", "the solution has no column 'label'"),
        ("id,Usage\n000,Public\n", "the solution has no column 'label'"),
        ("id,label\n000,ash\n0,ash\n1,oak\n", "2 of the 3 ids of the solution are not in the submission"),
        ("id,label\n000,elm\n", "the solution has a cell that is not a label of this competition: 'elm'"),
        ("id,label\n000,\n", "the solution has a cell that is not a label of this competition: ''"),
    ],
)
def test_solutions_that_do_not_fit(named, text, error):
    (named.folder / "solution.csv").write_text(text)
    with pytest.raises(KcnnError, match=error) as caught:
        score(named)
    assert "\n" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("kind", "fields", "text", "error"),
    [
        ("regression", {"submission_format": "value", "classes": ("x", "y"), "prediction_columns": ("x", "y"),
                        "class_columns": ("x", "y")}, "id,z\n000,1\n", "the solution has no column 'x'"),
        ("regression", {"submission_format": "value", "classes": ("x",), "prediction_columns": ("x",),
                        "class_columns": ("x",)}, "id,x\n000,tall\n", "not a label .*'tall'"),
        ("multiclass", {"submission_format": "top_k", "label_values": ("5", "6", "7", "8")},
         "id,label\n000,\n", "not a label .*''"),
        ("multiclass", {"submission_format": "probability_columns", **COLUMNS}, "id,Yew,Ash\n000,1,0\n",
         "the solution has no column 'Sea_lion'"),
    ],
)  # fmt: skip
def test_solutions_of_other_forms_that_do_not_fit(tmp_path, kind, fields, text, error):
    competition = make_competition(tmp_path, kind, **fields)
    (tmp_path / "solution.csv").write_text(text)
    with pytest.raises(KcnnError, match=error):
        score(competition)


@pytest.mark.parametrize(("metric", "title"), [("log_loss", "log loss"), ("auc", "AUC"), ("map_at_5", "MAP@5")])
def test_a_metric_of_probabilities_needs_them(named, metric, title):
    with pytest.raises(KcnnError, match=f"{title} needs probabilities, and this submission holds class_name"):
        score(replace(named, metric=metric))


def test_an_unknown_metric_is_said_and_another_stands_in(named):
    unknown = replace(named, metric="", metric_words="Alaska weighted AUC")
    assert "kcnn does not know the metric 'Alaska weighted AUC': accuracy stands in" in unknown.notes[0]
    assert score(unknown) == pytest.approx(sk.accuracy_score(TRUE["multiclass"], ARGMAX))
    columns = {"submission_format": "probability_columns", **COLUMNS}
    unknown = make_competition(named.folder, "multiclass", metric_words="Weighted Multiclass Loss", **columns)
    assert "kcnn does not know the metric 'Weighted Multiclass Loss': log loss stands in" in unknown.notes[0]
    write_solution(unknown, by_name(unknown), ["label"])
    assert score(unknown) == pytest.approx(sk.log_loss(TRUE["multiclass"], SCORES["multiclass"]), abs=1e-5)


def usage_scores(named, usages):
    rows = by_name(named)
    text = "".join(f"{row},{usages[number % len(usages)]}\n" for number, row in enumerate(rows))
    (named.folder / "solution.csv").write_text(f"id,label,Usage\n{text}")
    made = submission.make(named, IDS, SCORES["multiclass"].astype(np.float32), ARGMAX)
    return local_host.score(named, made)


def test_rows_of_another_usage_do_not_count(named):
    right = TRUE["multiclass"] == ARGMAX
    found = usage_scores(named, ["Public", "Ignored"])
    assert (found.public, found.private) == (pytest.approx(right[::2].mean()), None)
    assert usage_scores(named, ["Private", ""]).public == pytest.approx(right[::2].mean())
    three = usage_scores(named, ["Public", "Private", "Ignored"])
    assert (three.public, three.private) == (pytest.approx(right[::3].mean()), pytest.approx(right[1::3].mean()))
    assert usage_scores(named, ["foo", "bar"]).public == pytest.approx(right.mean())
    with pytest.raises(KcnnError, match="no row of the solution counts"):
        usage_scores(named, ["Ignored"])


@pytest.mark.parametrize(("text", "error"), [
    ("id,label\n", "the solution has no rows"),
    ("id,label\n000,ash\n000,oak\n", "the solution has two different rows of the id '000'"),
])  # fmt: skip
def test_a_solution_of_no_rows_or_of_two_for_an_id_is_refused(named, text, error):
    (named.folder / "solution.csv").write_text(text)
    made = submission.make(named, IDS, SCORES["multiclass"].astype(np.float32), ARGMAX)
    with pytest.raises(KcnnError, match=error):
        local_host.score(named, made)
