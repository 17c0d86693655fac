"""Labels that may be wrong: found by a run's predictions, listed in a CSV, and left out or changed in training."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import Recorder, dataset_in, in_this_process, save_noise
from PIL import Image
from synthetic import make_run

from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.data.image_cache import Images
from kaggle_cnn.data.label_edits import read_edits
from kaggle_cnn.data.training_set import training_set
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.labels import edit_labels
from kaggle_cnn.runs.label_errors import find_confused, find_label_errors, find_outliers
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import read_run


def draw_wrong(kind="multiclass", images=2000, share=0.05):
    """Probabilities that know the true classes, labels of which a share is wrong, and which are."""
    draw = np.random.default_rng(0)
    true, wrong = draw.integers(0, 5, images), draw.random(images) < share
    given = np.where(wrong, (true + draw.integers(1, 5, images)) % 5, true)
    task = Task(kind, tuple("abcde"), find_metric("accuracy"))
    return task, true, given, wrong, task.activate(6 * np.eye(5)[true] + draw.normal(0, 1, (images, 5)))


def test_planted_errors_are_found_the_surest_first():
    task, true, given, wrong, scores = draw_wrong()
    found = find_label_errors(task, given, scores)
    rows = [suspect.row for suspect in found]
    assert wrong[rows].sum() >= 0.8 * wrong.sum()
    assert wrong[rows].mean() >= 0.5
    assert [suspect.trust for suspect in found] == sorted(suspect.trust for suspect in found)
    assert found[0].trust == pytest.approx(scores[rows[0], given[rows[0]]])
    right = [suspect.suggested == true[suspect.row] for suspect in found if wrong[suspect.row]]
    assert np.mean(right) > 0.95


def test_labels_and_targets_are_judged_one_by_one():
    draw = np.random.default_rng(0)
    labels = Task("multilabel", tuple("abc"), find_metric("samples_f1"))
    marks = (draw.random((1500, 3)) < 0.4).astype(np.uint8)
    scores = labels.activate(12 * (marks - 0.5) + draw.normal(0, 1, marks.shape))
    wrong = draw.choice(1500, 60, replace=False)
    given = marks.copy()
    given[wrong, 1] ^= 1
    found = find_label_errors(labels, given, scores)
    assert len(set(wrong) & {suspect.row for suspect in found}) > 0.8 * 60
    first = found[0]
    assert first.row in wrong
    assert first.suggested.tolist() == marks[first.row].tolist()
    heads = Task("multioutput", tuple("abcde"), find_metric("accuracy", [2, 3]), (("one", 2), ("two", 3)))
    true = np.concatenate([np.eye(2)[draw.integers(0, 2, 1500)], np.eye(3)[draw.integers(0, 3, 1500)]], axis=1)
    scores = heads.activate(8 * true + draw.normal(0, 1, true.shape))
    given = true.astype(np.uint8)
    given[wrong, 2:] = np.roll(given[wrong, 2:], 1, axis=1)
    found = find_label_errors(heads, given, scores)
    assert len(set(wrong) & {suspect.row for suspect in found}) > 0.8 * 60
    assert found[0].suggested.tolist() == true[found[0].row].astype(int).tolist()


def test_images_that_are_like_no_class_are_outliers():
    task, _, given, _, scores = draw_wrong(share=0.0)
    scores = task.activate(np.log(scores) + 6 * np.eye(5)[given])  # sure of all
    scores[[7, 99]] = 0.2  # but of two
    assert {suspect.row for suspect in find_outliers(task, given, scores)} >= {7, 99}
    assert find_outliers(task, given, scores)[0].why == "outlier: the most probable class has 20%"


def test_classes_that_are_confused_both_ways():
    task = Task("multiclass", tuple("abc"), find_metric("accuracy"))
    targets = np.repeat([0, 1, 2], [10, 20, 10])
    decided = targets.copy()
    decided[:4], decided[10:12], decided[30:39] = 1, 0, 0
    [pair] = find_confused(task, targets, decided)  # a is never predicted as c
    assert ({pair.one, pair.other}, pair.share) == ({"a", "b"}, 0.1)
    assert sorted(zip(pair.images, pair.confused, strict=True)) == [(10, 4), (20, 2)]


@pytest.fixture
def here(tiny_workspace, monkeypatch):
    monkeypatch.chdir(tiny_workspace.root)
    return tiny_workspace


def test_the_csv_of_a_run(here):
    """Copies of one image with two labels are listed too, and what the user decided stays when it is written again."""
    folder, names = here.root / "data" / "colours", dataset_in(here).ids.tolist()
    one, other = names[0], names[-1]
    draw = np.random.default_rng(1)
    Image.fromarray(draw.integers(0, 255, (80, 80, 3), dtype=np.uint8)).save(folder / one)
    (folder / other).write_bytes((folder / one).read_bytes())
    run = make_run(here, "one", 6)
    made = Predictions.read(run.folder / "oof.npz")  # of one image it is sure that it has another label
    made.logits[5] = np.where(np.arange(made.logits.shape[2]) == made.targets[5], -9, [9, 0, 0])
    if made.targets[5] == 0:
        made.logits[5] = [-9, 9, 0]
    made.write(run.folder / "oof.npz")
    printed = in_this_process("doctor", "one")
    path = run.folder / "doctor.csv"
    assert str(path) in printed
    assert (run.folder / "pictures" / "label-errors.png").is_file()
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert list(table.columns) == ["image", "given", "suggested", "why", "keep"]
    copies = table[table.why.str.startswith("duplicate of")]
    assert set(copies.image) <= {one, other}
    assert set(copies.keep) == {"yes"}
    assert set(table[table.why.str.startswith("the label is")].keep) == {"no"}
    table.loc[0, "keep"] = "yes"
    table.to_csv(path, index=False)
    in_this_process("doctor", "one")
    assert pd.read_csv(path, dtype=str).keep[0] == "yes"
    numbers = json.loads(in_this_process("doctor", "--json"))
    assert numbers["images"] == len(names)
    assert [row["image"] for row in numbers["suspects"]] == table.image.tolist()


def write(path, *lines):
    path.write_text("\n".join(["image,given,suggested,why,keep", *lines]) + "\n", encoding="utf-8")
    return path


def test_decisions_change_training_sets_alone(here):
    dataset = dataset_in(here)
    names, images = dataset.ids.tolist(), Images(np.zeros((len(dataset.ids), 4, 4, 3), np.uint8), {})
    classes = list(dataset.competition.classes)
    other = classes[-1] if dataset.targets[3].argmax() == 0 else classes[0]
    path = write(here.root / "doctor.csv", f"{names[3]},,{other},,no", f"{names[4]},,{other},,yes", f"{names[5]},,,,NO")
    left = edit_labels(dataset, {"exclude": path}, Recorder())
    changed = edit_labels(dataset, {"relabel": path}, Recorder())
    for fold in range(dataset.folds.count):
        usual = training_set(dataset, images, fold)
        own = training_set(left, images, fold)
        assert set(usual.rows) - set(own.rows) == {3, 5} & set(usual.rows)
        again = training_set(changed, images, fold)
        assert again.rows.tolist() == usual.rows.tolist()
        differing = usual.rows[(again.targets != usual.targets).any(axis=1)]
        assert set(differing) == {3} & set(usual.rows)
        assert all(again.targets[again.rows.tolist().index(row)].argmax() == classes.index(other) for row in differing)
    assert (left.targets == dataset.targets).all()
    assert (left.folds.numbers == dataset.folds.numbers).all()


def test_a_run_records_and_repeats_its_decisions(here, keras):
    """--exclude and --relabel together; the run keeps copies, validation has every image with its given label, and a
    run that is resumed needs the files no more."""
    names = dataset_in(here).ids.tolist()
    exclude = write(here.root / "wrong.csv", *(f"{name},,,,no" for name in names[:6]))
    relabel = write(here.root / "other.csv", f"{names[-1]},,{dataset_in(here).competition.classes[0]},,no")
    given = ["train", "tiny", "--set", "epochs=1", "--exclude", str(exclude), "--relabel", str(relabel)]
    in_this_process(*given)
    run = read_run(here.root / "runs" / "colours" / "tiny-001")
    assert run.record["edits"] == {"exclude": str(exclude), "relabel": str(relabel)}
    assert (run.folder / "exclude.csv").read_text() == exclude.read_text()
    with np.load(run.folder / "oof.npz") as oof:
        own = {name: int(target) for name, target in zip(oof["ids"], oof["targets"], strict=True)}
    dataset = dataset_in(here)
    for row in np.flatnonzero(dataset.folds.numbers == 0):
        assert own[names[row]] == dataset.targets[row].argmax()
    exclude.unlink()
    (run.folder / "decision.json").unlink()
    in_this_process("train", "tiny", "--resume")
    (run.folder / "decision.json").unlink()
    with pytest.raises(KcnnError, match="a run that is resumed keeps its labels"):
        in_this_process("train", "tiny", "--resume", "--relabel", str(relabel))


@pytest.mark.parametrize(("line", "relabel", "message"), [
    ("nowhere.png,,blue,,no", False, "line 2: there is no training image 'nowhere.png'"),
    ("{name},,pink,,no", True, "line 2: 'pink' is not a class"),
    ("{name},,blue,,perhaps", False, "line 2: keep should be yes or no, got 'perhaps'"),
])  # fmt: skip
def test_decisions_that_cannot_be_read(here, line, relabel, message):
    dataset = dataset_in(here)
    path = write(here.root / "doctor.csv", line.format(name=dataset.ids[0]))
    with pytest.raises(KcnnError, match=message):
        read_edits(path, dataset.ids, dataset.task, relabel)


def test_files_that_hold_no_decisions(here, tmp_path):
    dataset = dataset_in(here)
    with pytest.raises(KcnnError, match=r"--exclude expects a CSV, and .*no.csv is not there"):
        read_edits(tmp_path / "no.csv", dataset.ids, dataset.task, False)
    (tmp_path / "list.csv").write_text(f"image\n{dataset.ids[2]}\n")
    assert read_edits(tmp_path / "list.csv", dataset.ids, dataset.task, False).excluded.tolist() == [2]
    with pytest.raises(KcnnError, match="should have a column 'suggested', found image"):
        read_edits(tmp_path / "list.csv", dataset.ids, dataset.task, True)


def test_numbers_have_no_labels(tmp_path, begin):
    folder = tmp_path / "ages"
    (folder / "train").mkdir(parents=True)
    draw = np.random.default_rng(0)
    for number in range(12):
        save_noise(folder / "train" / f"{number}.jpg", (100, 90, 120), draw)
    rows = "".join(f"{number},{number * 1.5}\n" for number in range(12))
    (folder / "train.csv").write_text(f"id,age\n{rows}")
    (folder / "sample_submission.csv").write_text("id,age\n1,0.0\n")
    begin(folder)
    from kaggle_cnn.workspace import Workspace

    make_run(Workspace.find(), "one", views=("centre",))
    with pytest.raises(KcnnError, match="doctor needs classes or labels, and this task is a regression"):
        in_this_process("doctor")
