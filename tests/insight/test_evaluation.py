"""Tables and lines of text: what they contain is right, and they fit the terminal."""

import contextlib
import io
import re
from itertools import takewhile

import numpy as np
import pandas as pd
import pytest
from rich.cells import cell_len
from rich.console import Console
from sklearn.metrics import f1_score

from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.insight import tables
from kaggle_cnn.insight.evaluation import abbreviations, class_table, confusion_table, measures, summary_table
from kaggle_cnn.insight.measures import measure
from kaggle_cnn.insight.progress import ConsoleProgress
from kaggle_cnn.runs.compare import compare
from kaggle_cnn.runs.decision import Decision
from kaggle_cnn.runs.fit_decision import fit_decision

SIMPSONS = [
    "abraham_grampa_simpson", "agnes_skinner", "apu_nahasapeemapetilon", "barney_gumble", "bart_simpson",
    "carl_carlson", "charles_montgomery_burns", "chief_wiggum", "cletus_spuckler", "comic_book_guy", "disco_stu",
    "edna_krabappel", "fat_tony", "gil", "groundskeeper_willie", "homer_simpson", "kent_brockman", "krusty_the_clown",
    "lenny_leonard", "lionel_hutz",
]  # fmt: skip


def drawn(value, width):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(value)
    return console.file.getvalue().rstrip("\n").split("\n")


def predictions(classes, per_class, seed=0):
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    return labels, draw.dirichlet(np.full(classes, 0.3), len(labels)) + 0.1 * np.eye(classes)[labels]


def measure_classes(labels, probabilities, classes, metric="accuracy"):
    task = Task("multiclass", tuple(classes), find_metric(metric))
    return measure(task, labels, probabilities, Decision("argmax"))


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("count", [2, 5, 10, 20, 50, 99])
@pytest.mark.parametrize("names", ["simpsons", "wide", "long", "markup"])
def test_every_row_is_one_line_that_fits(width, count, names):
    make = {
        "simpsons": lambda k: SIMPSONS[k % 20] + str(k // 20) * (k > 19),
        "wide": lambda k: f"電車{k}号線",
        "long": lambda k: f"class number {k} with a name that has no end",
        "markup": lambda k: f"[bold]{k}[/]",
    }[names]
    classes = [make(k) for k in range(count)]
    numbers = measure_classes(*predictions(count, 30), classes)
    lines = drawn(confusion_table(numbers["confusion"], classes, width), width)
    assert max(map(cell_len, lines)) <= width
    assert set(lines[1]) == {"─"}  # one line of headings, then the rule, then a line a class
    body = list(takewhile(lambda line: is_cell(line.split(" ")[-1]), lines[2:]))
    assert len(body) >= min(count, 12)
    for row in body:  # as many cells as rows: nothing cut off on the right
        assert all(map(is_cell, row.split()[-len(body) :]))
    if len(body) < count:
        assert any(f"the {len(body)} of {count} classes with the most errors" in line for line in lines)
    if count >= 5:
        assert sum("predicted as" in line for line in lines) == (15 if count > 30 else 5)


def is_cell(text):
    return text in ("·", "✓") or text.isdecimal()


def test_twenty_classes_in_a_hundred_columns():
    labels, probabilities = predictions(20, 500)
    numbers = measure_classes(labels, probabilities, SIMPSONS)
    lines = drawn(confusion_table(numbers["confusion"], SIMPSONS, 100), 100)
    heads = lines[0].split()[-20:]
    assert len(set(heads)) == 20
    for head, name, row in zip(heads, SIMPSONS, lines[2:22], strict=True):
        assert row.startswith(head)
        assert any(f"{head} {name}" in line for line in lines[22:])  # the legend


def test_counts_too_wide_for_the_terminal_become_percentages():
    confusion = (np.full((20, 20), 10) + 4000 * np.eye(20, dtype=int)).tolist()
    confusion[1] = [0, 50, *[0] * 18]
    for width in (80, 100):
        lines = drawn(confusion_table(confusion, SIMPSONS, width), width)
        assert lines[2].split()[-20:] == ["95", *["0"] * 19]
        assert lines[3].split()[-20:] == ["·", "✓", *["·"] * 18]
        assert any(line.startswith("in percent of the row") for line in lines)


def test_short_names_stand_whole_over_their_columns():
    lines = drawn(confusion_table([[5, 1], [0, 7]], ["cat", "dog"], 80), 80)
    assert lines[0].split() == ["true", "cat", "dog"]
    assert lines[2].split() == ["cat", "5", "1"]
    assert "  1 of 6 cat predicted as dog (17%)" in lines


def test_no_errors_and_an_empty_class():
    lines = drawn(confusion_table([[5, 0], [0, 0]], ["cat", "dog"], 80), 80)
    assert lines[-1] == "no errors"


def test_abbreviations_differ():
    for names in (SIMPSONS, [f"class {k}" for k in range(120)], ["!", "?", "a", "A", ""], ["same"] * 12):
        for length in (2, 3):
            short = abbreviations(names, length)
            assert len(set(short)) == len(names)
            assert {cell_len(name) <= length for name in short} == {True}


def test_abbreviations_are_of_what_differs():
    assert abbreviations(["Acer_Capillipes", "Acer_Circinatum", "Acer_Mono", "Quercus_Rubra"], 3) == [
        *("ACa", "ACi", "AMo"),
        "Que",
    ]
    assert abbreviations(["n02085620-Chihuahua", "n02085782-Japanese_spaniel", "n02085936-Maltese_dog"], 3) == [
        *("Chi", "Jap", "Mal"),
    ]
    assert abbreviations([f"class_{number:03}" for number in range(3)], 3) == ["000", "001", "002"]
    assert abbreviations(["cat", "dog"], 3) == ["cat", "dog"]


def test_of_many_classes_the_worst_are_first_and_the_whole_on_request():
    classes = [f"class {number}" for number in range(99)]
    labels, probabilities = predictions(99, 10)
    numbers = measure_classes(labels, probabilities, classes)
    lines = drawn(measures({"none": numbers}, classes, 80, "accuracy", "none"), 80)
    assert len(lines) < 60
    pairs = [line for line in lines if "predicted as" in line]
    assert len(pairs) == 15
    counts = [int(line.split()[0]) for line in pairs]
    confusion = np.array(numbers["confusion"])
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == (confusion - np.diag(np.diag(confusion))).max()
    assert "the 15 of 99 classes with the lowest F1; kcnn evaluate --all shows every one" in lines
    rows = [line.split() for line in lines if line.startswith("class ") and len(line.split()) == 6]
    scores = sorted(f1_score(labels, probabilities.argmax(axis=1), average=None))
    assert [float(row[4]) for row in rows] == pytest.approx(scores[:15], abs=6e-4)
    every = drawn(measures({"none": numbers}, classes, 80, "accuracy", "none", whole=True), 80)
    assert sum(line.startswith("class ") and len(line.split()) == 6 for line in every) == 99
    assert any("confusion matrix" in line for line in every)
    few = drawn(measures({"none": numbers}, classes, 80, "accuracy", "none"), 80)
    assert not any("confusion matrix" in line for line in few)


@pytest.mark.parametrize("width", [80, 120])
def test_class_table_and_summary_fit(width):
    numbers = measure_classes(*predictions(20, 10), SIMPSONS)
    lines = drawn(class_table(numbers, width), width)
    assert max(map(cell_len, lines)) <= width
    assert len([line for line in lines if line.strip()]) == 2 + 20 + 2
    assert "macro average" in lines[-2]
    assert f"{numbers['scores']['macro_f1']:.3f}" in lines[-2]
    lines = drawn(summary_table({"none": numbers, "shift-unmirrored": numbers}, "log_loss"), width)
    assert max(map(cell_len, lines)) <= width
    assert lines[-1].split()[:2] == ["shift-unmirrored", f"{numbers['scores']['log_loss']:.4f}"]
    assert re.split(r"\s{2,}|(?<=tta) ", lines[0].strip())[0] == "tta"


def test_an_evaluation_names_metric_and_policy_first():
    classes = ["cat", "dog", "owl"]
    by_policy = {
        policy: measure_classes(*predictions(3, 20, seed), classes, "macro_f1")
        for seed, policy in enumerate(("none", "flip"))
    }
    lines = drawn(measures(by_policy, classes, 100, "macro_f1", "none"), 100)
    score = by_policy["none"]["scores"]["macro_f1"]
    assert lines[0] == f"macro F1 {score:.4f} on 60 validation images, tta none"
    shown = [line.split()[1:] for line in lines if line.split()[:1] == ["cat"]]
    assert shown[0] == [str(count or "·") for count in by_policy["none"]["confusion"][0]]
    assert [line.split()[0] for line in lines[-2:]] == ["none", "flip"]
    assert " ".join(lines[-4].split()) == "tta macro F1 accuracy log loss"


def test_an_evaluation_of_several_labels():
    task = Task("multilabel", ("red", "round"), find_metric("samples_f1"))
    targets = np.array([[1, 0], [0, 1], [1, 1], [0, 1]], np.uint8)
    scores = np.array([[0.9, 0.2], [0.3, 0.8], [0.6, 0.7], [0.1, 0.9]], np.float32)
    numbers = measure(task, targets, scores, fit_decision(task, targets, scores))
    lines = drawn(measures({"flip": numbers}, task.classes, 80, "samples_f1", "flip"), 80)
    assert lines[0] == "samples F1 1.0000 on 4 validation images, tta flip"
    assert any("several labels: each is predicted from a probability of 0.50, the most" in line for line in lines)
    assert sum(line.startswith(("red ", "round ")) for line in lines) == 2


def test_an_evaluation_of_a_regression_has_a_row_for_each_value():
    task = Task("regression", ("age", "a value with a name that has no end, and goes on"), find_metric("mae"))
    targets = np.array([[1, 10], [2, 20], [4, 40]], np.float32)
    numbers = measure(task, targets, targets + np.array([1, 0], np.float32), Decision("value"))
    for width in (80, 100):
        lines = drawn(measures({"flip": numbers}, task.classes, width, "mae", "flip"), width)
        assert max(map(cell_len, lines)) <= width
        assert lines[0] == "MAE 0.5000 on 3 validation images, tta flip"
        assert lines[2].split() == ["value", "RMSE", "MAE", "R2", "support"]
        assert lines[4].split() == ["age", "1.0000", "1.0000", f"{1 - 3 / (14 / 3):.4f}", "3"]
        assert lines[5].split()[-4:] == ["0.0000", "0.0000", "1.0000", "3"]
        assert not any("predicted" in line for line in lines)


def run_row(name, score, **changed):
    scores = {} if score is None else {"log_loss": score, "accuracy": 0.9, "macro_f1": 0.8, "auc": 0.7}
    row = {
        "id": name, "kind": "training", "score": score, "scores": scores, "tta": "flip", "folds": [0, 1], "epochs": 12,
        "seconds": 1234.5, "status": "finished", "created": "2026-11-21T10:05:00", "history": [0.5, 0.3, 0.4],
    }  # fmt: skip
    return {**row, **changed}


def test_runs_show_the_metric_and_two_other_scores():
    rows = [
        run_row("vgg-001", 0.25),
        run_row("vgg-002", None, status="training", tta="", history=[]),
        run_row("blend-003", 0.2, kind="blend", epochs=None, history=[float("nan")]),
    ]
    for width in (91, 92):
        lines = drawn(tables.runs_table(rows, width, "log_loss"), width)
        dated = ["begun", "(UTC)"] if width == 92 else []
        heads = ["run", "log", "loss", "accuracy", "macro", "F1", "by", "epoch", "tta", "folds", "epochs", "trained"]
        assert lines[0].split() == heads + dated
        first = ["vgg-001", "0.2500", "0.9000", "0.8000", "█▁▄", "flip", "2", "12", "1,234", "s"]
        assert lines[2].split() == first + (["11-21", "10:05"] if width == 92 else [])
        assert lines[3].split()[:4] == ["vgg-002", "2", "12", "training"]
        assert max(map(cell_len, lines)) <= width
    assert drawn(tables.runs_table(rows, 91, "accuracy"), 91)[0].split()[1:6] == [
        "accuracy",
        "macro",
        "F1",
        "log",
        "loss",
    ]


def test_submissions_leave_out_empty_columns():
    names = ["date", "ref", "file", "run", "tta", "metric", "validation", "public", "private", "status", "message"]
    entry = dict.fromkeys(names, "")
    entry |= {"date": "2026-11-21 10:05:33", "tta": "flip", "metric": "log_loss", "validation": "0.25000"}
    lines = drawn(tables.submissions_table([entry]), 100)
    assert lines[0].split() == ["date", "tta", "metric", "validation"]
    assert lines[2].split() == ["2026-11-21", "10:05", "flip", "log_loss", "0.25000"]
    assert drawn(tables.submissions_table([]), 120)[0].split() == names


def test_the_best_epoch_follows_the_direction_of_the_metric():
    history = pd.DataFrame({"epoch": [1, 2, 3], "val_log_loss": [0.3, 0.1, 0.2], "val_auc": [np.nan, 0.5, 0.5]})
    assert tables.find_best_row(history, "val_log_loss", False)["epoch"] == 2
    assert tables.find_best_row(history, "val_log_loss", True)["epoch"] == 1
    assert tables.find_best_row(history, "val_auc", True)["epoch"] == 2
    lines = drawn(tables.curves_table({"vgg-001": [history, history]}, "val_log_loss", False), 100)
    assert lines[0].split() == ["run", "validation", "log", "loss", "best", "epoch", "last"]
    assert lines[2].split() == ["vgg-001", "█▁▄", "0.1000", "2", "of", "3", "0.2000"]
    assert lines[3].split()[0] == "█▁▄"


def overview(**changed):
    problems = {f"{n}.png": "it is not an image" for n in range(22)}
    part = {"images": 4, "grey": 1, "colour": 2, "corrupt": 1, "duplicates": 3,
            "width": (8, 9, 64), "height": (9, 9, 9), "problems": problems}  # fmt: skip
    members = [[{"file": "a.png", "part": "train", "label": "cat"}, {"file": "b.png", "part": "test", "label": "dog"}]]
    found = {
        "layout": "folders", "kind": "multiclass", "folds": 5, "submission": "id,label", "notes": ["a note"],
        "advice": ["kcnn train resnet"],
        "classes": {"cat": {"train": 3, "share": 0.75}, "dog": {"train": 1, "share": 0.25}}, "values": {},
        "train": part, "test": {**part, "images": 0, "problems": {}},
        "near": [], "kept_together": "same", "same": {"groups": 1, "across": 1, "conflicting": 1, "members": members},
    }  # fmt: skip
    return {**found, **changed}


def test_overview_shows_classes_images_and_duplicates():
    lines = [line for part in tables.overview_tables(overview()) for line in drawn(part, 100)]
    assert lines[2].split() == ["cat", "3", "75.0%"]
    assert "train      4    1      2       1          3    8 to 64 (9)               9" in lines
    assert not any(line.startswith("test ") for line in lines)
    assert "layout folders, kind multiclass, folds 5" in lines
    assert "groups of duplicates: 1, of these 1 across parts, 1 with different labels" in lines
    assert "  a.png (cat) = b.png (dog)" in lines
    assert "advice: kcnn train resnet" in lines
    assert lines[-1] == "corrupt: and 2 more, see --json"


def test_a_path_in_a_table_is_never_broken():
    path = "some/folders/below/others/train_000123.jpg"
    labels = ", ".join(f"label {number}" for number in range(9))
    lines = drawn(tables.plain_table(["image", "true", "predicted"], [[path, labels, labels]]), 80)
    assert any(line.startswith(f"{path} ") for line in lines)
    assert max(map(cell_len, lines)) <= 80
    assert all(
        f"label {number}" in " ".join(" ".join(line[len(path) :].split()) for line in lines) for number in (0, 8)
    )


def test_many_classes_are_listed_in_columns():
    classes = {f"class {number}": {"train": number, "share": 0.1} for number in range(99)}
    lines = drawn(tables.overview_tables(overview(classes=classes))[0], 100)
    assert len(lines) < 40
    assert all(f"class {number} {number}" in " ".join(lines) for number in range(99))


def test_overview_shows_the_values_of_a_regression():
    found = overview(kind="regression", classes={}, values={"age": {"count": 1200, "min": 0.5, "mean": 6, "max": 11.5}})
    lines = drawn(tables.overview_tables(found)[0], 100)
    assert lines[0].split() == ["value", "images", "min", "mean", "max"]
    assert lines[2].split() == ["age", "1,200", "0.5", "6", "11.5"]


def test_a_comparison_names_the_better_run():
    targets = np.repeat(np.arange(3), 40)
    good, bad = np.eye(3)[targets] * 0.8 + 0.05, np.full((120, 3), 1 / 3)
    task = Task("multiclass", ("cat", "dog", "owl"), find_metric("log_loss"))
    entries = [{"name": "a.png", "true": "dog", "said": [("cat", 0.4), ("dog", 0.9)]}]
    numbers = compare(task, targets, [bad, good], [bad.argmax(1), good.argmax(1)])
    lines = drawn(tables.comparison(["bad-001", "good-002"], numbers, entries), 100)
    assert lines[0] == "120 validation images"
    row = next(line.split() for line in lines if line.startswith("log loss"))
    assert row[2:5] == [f"{np.log(3):.4f}", f"{-np.log(0.85 / 0.95):.4f}", f"{-np.log(0.85 / 0.95) - np.log(3):+.4f}"]
    assert any(line.startswith("correct only in bad-001: 0, only in good-002: 80; McNemar") for line in lines)
    assert "good-002 is better in log loss, beyond noise" in lines
    assert lines[-1].split() == ["a.png", "dog", "cat", "40%", "dog", "90%"]
    lines = drawn(tables.comparison(["a", "b"], compare(task, targets, [bad, bad], [bad.argmax(1)] * 2), []), 100)
    assert lines[-1] == "the difference is within noise"


def test_a_comparison_of_regressions_has_no_test_of_counts():
    task = Task("regression", ("age",), find_metric("rmse"))
    targets = np.arange(40.0)[:, None]
    scores = [targets + 1, targets + 2]
    lines = drawn(tables.comparison(["a", "b"], compare(task, targets, scores, scores), []), 100)
    assert lines[-1] == "a is better in RMSE, beyond noise"
    assert not any("McNemar" in line for line in lines)


def test_progress_without_a_terminal_is_lines():
    console = Console(file=io.StringIO(), width=120, color_system=None)
    with ConsoleProgress(console, ("log_loss", "log loss")) as progress:
        assert list(progress.track(iter([1, 2]), "few", 2)) == [1, 2]
        assert len(list(progress.track(range(1000), "decoding", 1000))) == 1000
        with progress.transfer("downloading") as show, progress.wait("connecting"):
            show(1, None)
        progress.fold(1, 1234, 10, 12, 3)
        progress.step(3, 1, {"loss": 1.0, "accuracy": 0.5})
        row = {"epoch": 4, "accuracy": 0.5, "loss": 1.25, "val_loss": 0.5, "val_log_loss": 0.25, "learning_rate": 0.1}
        progress.epoch(row, True, 2.34)
        progress.metric_name, progress.metric_title = "auc", "AUC"
        progress.epoch({**row, "epoch": 12}, False, 123.4)
    lines = console.file.getvalue().splitlines()
    assert lines[:3] == [
        "decoding: 1,000 items", "connecting", "fold 1: training on 1,234 images, 12 x 10 steps, going on after epoch 3"
    ]  # fmt: skip
    expected = r"epoch  4/12  loss 1\.2500  accuracy 0\.5000  validation log loss 0\.2500  2\.3 s, 0:00 left"
    assert re.fullmatch(expected, lines[3])
    assert lines[4] == "epoch 12/12  loss 1.2500  accuracy 0.5000  validation loss 0.5000  123 s"


def test_progress_on_a_terminal_removes_its_bars():
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    row = {"epoch": 1, "loss": 1.0, "top_accuracy": 0.5, "val_loss": 0.5, "val_accuracy": 0.75}
    with contextlib.suppress(KeyboardInterrupt), ConsoleProgress(console) as progress:
        progress.fold(0, 100, 10, 2, 0)
        progress.step(0, 5, row)
        assert list(progress.track("ab", "[red]", 2)) == ["a", "b"]
        with progress.wait("[blue]"), progress.transfer("x") as show:
            show(1, 2)
        progress.epoch(row, True, 1.0)
        assert progress.bar.live.is_started
        raise KeyboardInterrupt
    assert not progress.bar.live.is_started
    written = console.file.getvalue()
    assert "top accuracy 0.5000" in written
    assert "\x1b[1;32mvalidation accuracy 0.7500" in written
    assert {"[red]", "[blue]"} <= set(re.findall(r"\[[a-z]+\]", written))
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h")  # the cursor is shown again
