"""Several labels for an image: scores, tables, pictures and the report say which labels are missed and which false."""

import json
import re

import numpy as np
import pytest
from conftest import in_this_process, save_noise
from PIL import Image
from test_kinds import RECIPE

from kaggle_cnn.competition.fetch import fetch
from kaggle_cnn.competition.layouts.label_table import find_separator
from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.data.dataset import load_dataset
from kaggle_cnn.insight import charts
from kaggle_cnn.insight.measures import find_label_mistakes, measure
from kaggle_cnn.progress import Silent
from kaggle_cnn.runs.decision import Decision
from kaggle_cnn.runs.fit_decision import fit_decision
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.workspace import Workspace

TARGETS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], np.uint8)
SCORES = np.array([[0.9, 0.1, 0.2], [0.1, 0.8, 0.7], [0.6, 0.1, 0.3], [0.2, 0.1, 0.3]], np.float32)
RULE = Decision("threshold", 0.5, always=False)
TASK = Task("multilabel", ("red", "round", "sweet"), find_metric("samples_f1"))


def test_what_is_right_missed_and_false_is_counted():
    numbers = measure(TASK, TARGETS, SCORES, RULE)
    assert numbers["outcomes"] == {
        "red": {"right": 1, "missed": 1, "false": 1, "absent": 1},
        "round": {"right": 1, "missed": 0, "false": 0, "absent": 3},
        "sweet": {"right": 0, "missed": 1, "false": 1, "absent": 2},
    }
    # In the second image red is missed and sweet is false; in the third it is the other way round.
    assert numbers["exchanged"] == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    for name, counts in numbers["outcomes"].items():
        assert counts["right"] + counts["missed"] == numbers["per_class"][name]["support"]
        assert sum(counts.values()) == numbers["images"]


def test_the_surest_mistakes_come_first():
    decided = RULE.decide(SCORES)
    assert find_label_mistakes(TARGETS, SCORES, decided).tolist() == [1, 2]  # red 10 % missed; sweet 30 % missed
    assert find_label_mistakes(TARGETS, SCORES, decided, missed=2).tolist() == [2]
    assert find_label_mistakes(TARGETS, SCORES, decided, false=2).tolist() == [1]
    assert find_label_mistakes(TARGETS, SCORES, decided, missed=0, false=2).tolist() == [1]
    assert find_label_mistakes(TARGETS, SCORES, decided, missed=0, false=0).tolist() == []


def test_no_label_is_predicted_only_where_images_may_have_none():
    """The fourth image has no label: to predict its most probable one is wrong."""
    scores = np.array([[0.9, 0.1, 0.2], [0.8, 0.9, 0.1], [0.1, 0.1, 0.9], [0.2, 0.1, 0.1]], np.float32)
    rule = fit_decision(TASK, TARGETS, scores)
    assert not rule.always
    assert (rule.decide(scores) == TARGETS).all()
    labelled = TARGETS.copy()
    labelled[3, 0] = 1
    rule = fit_decision(TASK, labelled, scores)
    assert rule.always
    assert (rule.decide(scores) == labelled).all()
    assert Decision(rule="threshold", threshold=0.3).always  # a decision.json of before


def test_bars_are_as_long_as_the_counts():
    drawn = charts.outcomes(measure(TASK, TARGETS, SCORES, RULE)["outcomes"], "made-001")
    boxes = [(patch.get_facecolor()[:3], patch.get_width()) for patch in drawn.axes[0].patches]
    assert len(boxes) == 6  # three parts of red, one of round, two of sweet
    lengths = [width for _, width in boxes]
    assert lengths == pytest.approx([520 / 3] * 6)
    assert len({colour for colour, _ in boxes}) == 3


def test_gradcam_names_what_reaches_the_threshold():
    from kaggle_cnn.pictures.gradcam import choose_outputs

    scores = np.array([0.9, 0.2, 0.6], np.float32)
    marks = np.array([1, 1, 0])
    said = {TASK.classes[n]: what for n, (what, _) in choose_outputs(TASK, scores, marks, [0, 2]).items()}
    assert said == {"red": "predicted", "sweet": "predicted", "round": "true, not predicted"}
    said = {TASK.classes[n]: what for n, (what, _) in choose_outputs(TASK, scores, None, []).items()}
    assert said == {"red": "below the threshold"}
    one = Task("multiclass", TASK.classes, find_metric("accuracy"))
    said = {TASK.classes[n]: what for n, (what, _) in choose_outputs(one, scores, np.array([0, 1, 0]), [0]).items()}
    assert said == {"red": "predicted", "round": "true"}


@pytest.mark.parametrize("separator", [" ", ", ", ",", ";", "; ", "|", " | "])
def test_whatever_stands_between_labels(separator):
    cells = {separator.join(names) for names in (["rust"], ["scab"], ["rust", "scab"])}
    assert find_separator(cells) == separator


def test_a_comma_and_a_space_between_labels(tmp_path):
    draw, names = np.random.default_rng(0), ["rust", "scab", "frog eye"]
    (tmp_path / "leaves" / "train").mkdir(parents=True)
    rows = []
    for number in range(30):
        save_noise(tmp_path / "leaves" / "train" / f"{number}.jpg", (90, 90, 90), draw)
        rows.append(
            f'{number}.jpg,"{", ".join(name for place, name in enumerate(names) if (number + 1) >> place & 1)}"'
        )
    (tmp_path / "leaves" / "train.csv").write_text("image,labels\n" + "\n".join(rows) + "\n")
    competition, _ = fetch(str(tmp_path / "leaves"), Workspace(tmp_path / "work"), Silent())
    assert (competition.kind, competition.separator) == ("multilabel", ", ")
    assert set(competition.classes) == set(names)


def test_columns_of_true_and_false(tmp_path):
    """As pandas writes them."""
    draw = np.random.default_rng(0)
    (tmp_path / "leaves" / "train").mkdir(parents=True)
    rows = ["image,rust,scab,mildew"]
    for number in range(30):
        save_noise(tmp_path / "leaves" / "train" / f"{number}.jpg", (90, 90, 90), draw)
        rows.append(f"{number}.jpg,{number % 2 == 0},{number % 3 == 0},{number % 5 == 0}")
    (tmp_path / "leaves" / "train.csv").write_text("\n".join(rows) + "\n")
    workspace = Workspace(tmp_path / "work")
    competition, _ = fetch(str(tmp_path / "leaves"), workspace, Silent())
    assert competition.kind == "multilabel"
    dataset = load_dataset(workspace, competition)
    counts = dict(zip(competition.classes, dataset.targets.sum(axis=0).tolist(), strict=True))
    assert counts == {"rust": 15, "scab": 10, "mildew": 6}


CONVOLUTION = RECIPE.replace(
    "    x = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 64, offset=-2)(inputs))\n",
    """    x = layers.Rescaling(1 / 64, offset=-2)(inputs)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu")(x))
""",
)


@pytest.fixture
def trained(tmp_path, monkeypatch, keras):
    """A workspace with two runs on images that are red, green, blue, several of these, or none."""
    folder, work = tmp_path / "lights", tmp_path / "work"
    draw, rows = np.random.default_rng(0), []
    for part, count in (("train", 120), ("test", 6)):
        (folder / part).mkdir(parents=True)
        for number in range(count):
            colour = np.where(draw.random(3) < 0.45, 200, 40)
            save_noise(folder / part / f"{number}.jpg", tuple(colour), draw)
            names = [name for name, value in zip(("red", "green", "blue"), colour, strict=True) if value > 100]
            if draw.random() < 0.15:  # a wrong label, so that there are mistakes
                names = names[1:] or ["red", "blue"]
            rows.append((part, number, " ".join(names)))
    for part, file in (("train", "train.csv"), ("test", "sample_submission.csv")):
        lines = [f"{number},{names}" for where, number, names in rows if where == part]
        (folder / file).write_text("\n".join(["id,lights", *lines]) + "\n")
    (work / "recipes").mkdir(parents=True)
    (work / "recipes" / "mean.py").write_text(CONVOLUTION)
    monkeypatch.chdir(work)
    in_this_process("fetch", str(folder))
    said = in_this_process("train", "recipes/mean.py", "--set", "epochs=12")
    in_this_process("train", "recipes/mean.py", "--set", "epochs=1")
    return work / "runs" / "lights", said


def test_from_training_to_the_report(trained, capsys):
    runs, printed = trained
    numbers = json.loads(in_this_process("evaluate", "mean-001", "--json"))
    score = numbers["scores"]["samples_f1"]
    assert re.search(rf"^samples F1 {score:.4f} on", printed, re.MULTILINE)
    assert not numbers["always"]
    history = (runs / "mean-001" / "fold-0" / "history.csv").read_text().split("\n")[0].split(",")
    assert "val_samples_f1" in history
    assert not any("accuracy" in name for name in history)  # 0.9 says nothing where most labels are absent

    oof, rule = Predictions.read(runs / "mean-001" / "oof.npz"), Decision.read(runs / "mean-001" / "decision.json")
    decided = rule.decide(oof.scores(TASK, "flip"))
    wrong = (decided != oof.true).any(axis=1)
    confused = in_this_process("show", "confusion", "mean-001")
    red = next(line for line in confused.split("\n") if line.startswith("red ")).split()
    classes = numbers["classes"]
    place = classes.index("red")
    counts = [(oof.true[:, place] > decided[:, place]).sum(), (oof.true[:, place] < decided[:, place]).sum()]
    assert red[-2:] == [str(count) for count in counts]

    mistakes = in_this_process("show", "mistakes", "mean-001", "-n", "200").strip().split("\n")
    assert sum(".jpg" in line for line in mistakes) == wrong.sum()
    name = mistakes[2].split()[0]
    row = oof.ids.tolist().index(f"train/{name}")
    assert wrong[row]
    shown = in_this_process("show", "predictions", "mean-001", "--image", f"train/{name}")
    best = classes[int(oof.scores(TASK, "flip")[row].argmax())]
    assert shown.split("\n")[2].split(best)[-1].split()[0].endswith("%") or best in shown
    seen = in_this_process("show", "gradcam", f"train/{name}", "mean-001")
    assert seen.startswith(("predicted: ", "true, not predicted: ", "no label reaches the threshold"))

    compared = json.loads(in_this_process("compare", "mean-002", "mean-001", "--json"))
    assert compared["only_one"] + compared["only_other"] == len(compared["disagreements"])
    first = compared["disagreements"][0]
    assert {round(share, 6) for _, share in first["said"]} <= {0, 0.5, 0.666667, 0.8, 1, 0.4}
    assert sum(first["right"]) == 1
    assert "better labels only in mean-002" in in_this_process("compare", "mean-002", "mean-001")

    html = (runs / "mean-001" / "report.html").read_text() if in_this_process("report", "mean-001") else ""
    data = json.loads(html.partition('id="data">')[2].partition("</script>")[0])
    assert data["several"]
    by_id = {each[0]: each for each in data["images"]}
    assert len(by_id) == len(oof.ids)
    given = [classes[label] for label in by_id[f"train/{name}"][2]]
    assert given == [classes[label] for label in np.flatnonzero(decided[row])]
    assert f'data-label="{place}" data-outcome="missed">{counts[0]}<' in html or not counts[0]
    assert html.count("<figure>") == min(24, wrong.sum())
    for path in sorted((runs / "mean-001" / "pictures").glob("*.png")):
        assert min(Image.open(path).size) > 60
