"""Pseudo-labels: test images in the training set, never with what the validated images would tell."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import Recorder, dataset_in, in_this_process
from synthetic import make_run

from kaggle_cnn import api
from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.data.image_cache import Images
from kaggle_cnn.data.training_set import training_set
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.pseudo_labels import find_sure, label_tests, mark_likely
from kaggle_cnn.runs.run import read_run


@pytest.fixture
def here(tiny_workspace, monkeypatch):
    monkeypatch.chdir(tiny_workspace.root)
    return tiny_workspace


def plant_leak(workspace, run):
    """The test images are copies of training images, whose labels mean nothing. The models of a fold know by heart the
    labels of all that they were trained on, and nothing of what they validate. Returns of which row each is a copy."""
    dataset = dataset_in(workspace)
    rows = np.linspace(0, len(dataset.ids) - 1, len(dataset.test_ids)).astype(int)
    for fold in run.folds:
        known = dataset.folds.numbers[rows] != fold
        logits = np.where(known[:, None], 20 * dataset.targets[rows], 0)
        views = ("centre", "centre-mirrored")
        made = Predictions(dataset.test_ids, np.repeat(logits[:, None], 2, 1).astype(np.float32), views, 16)
        made.write(run.fold_folder(fold) / "test.npz")
    return dataset, rows


def test_a_planted_leak_tells_nothing_of_validated_images(here):
    """No pseudo-label of a fold is of a copy of an image that the fold validates. The mean over all folds' models,
    which `test.npz` of the run is, would tell each of them: so this fails where it is used."""
    run = make_run(here, "one")
    dataset, rows = plant_leak(here, run)
    labels = label_tests(run, dataset, run.folds, 0.95, soft=False)
    for fold in run.folds:
        validated = dataset.folds.numbers[rows] == fold
        assert set(labels[fold].rows) == set(np.flatnonzero(~validated))
        assert (labels[fold].targets == dataset.targets[rows[labels[fold].rows]]).all()
    parts = [Predictions.read(run.fold_folder(fold) / "test.npz") for fold in run.folds]
    mean = replace(parts[0], logits=np.mean([part.logits for part in parts], axis=0)).scores(dataset.task, "flip")
    assert (mean.max(axis=1) > 0.95).all()


def test_a_planted_leak_does_not_raise_validation(here, keras):
    """Really trained, with labels that mean nothing: where a fold's own models label the copies, the training set holds
    nothing of what it validates; the labels of other folds' models are those of the validation."""
    run = make_run(here, "one")
    dataset, rows = plant_leak(here, run)
    own = label_tests(run, dataset, run.folds, 0.95, soft=False)
    images = Images(np.zeros((len(dataset.ids) + len(dataset.test_ids), 4, 4, 3), np.uint8), {})
    chosen = training_set(replace(dataset, pseudo=own), images, 0)
    added = chosen.rows[chosen.rows >= len(dataset.ids)] - len(dataset.ids)
    assert len(added)
    assert not set(rows[added]) & set(np.flatnonzero(dataset.folds.numbers == 0))
    assert len(chosen.targets) == len(chosen.rows)


def test_a_blend_labels_by_the_models_of_each_fold(here):
    runs = [make_run(here, "one"), make_run(here, "two", seed=1)]
    for run in runs:
        dataset, rows = plant_leak(here, run)
    made = api.blend(["one", "two"], weights="equal", workspace=here)
    labels = label_tests(made, dataset, made.folds, 0.95, soft=False)
    for fold in made.folds:
        assert set(labels[fold].rows) == set(np.flatnonzero(dataset.folds.numbers[rows] != fold))


def test_which_images_are_sure():
    scores = np.array([[0.97, 0.03, 0.0], [0.5, 0.4, 0.1], [0.2, 0.01, 0.79]])
    classes = Task("multiclass", tuple("abc"), find_metric("accuracy"))
    assert find_sure(classes, scores, 0.75).tolist() == [True, False, True]
    assert mark_likely(classes, scores).tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
    labels = Task("multilabel", tuple("abc"), find_metric("samples_f1"))
    assert find_sure(labels, scores, 0.75).tolist() == [True, False, True]
    assert mark_likely(labels, scores).tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
    heads = Task("multioutput", tuple("abc"), find_metric("accuracy", [1, 2]), (("one", 1), ("two", 2)))
    assert mark_likely(heads, scores).tolist() == [[1, 1, 0], [1, 1, 0], [1, 0, 1]]
    assert find_sure(heads, np.array([[1, 0.9, 0.1], [1, 0.6, 0.4]]), 0.75).tolist() == [True, False]
    assert find_sure(Task("regression", ("x",), find_metric("rmse")), scores[:, :1], 0.99).all()


def test_a_training_with_pseudo_labels_is_recorded_and_resumed(here, keras):
    truth = [0] * len(dataset_in(here).test_ids)
    make_run(here, "one", 30, truth=truth)
    in_this_process("train", "tiny", "--set", "epochs=1", "--pseudo", "one", "--above", "0.9")
    run = read_run(here.root / "runs" / "colours" / "tiny-001")
    assert run.record["pseudo"] == {"run": "one-001", "above": 0.9, "soft": False}
    (run.folder / "decision.json").unlink()
    in_this_process("train", "tiny", "--resume")
    (run.folder / "decision.json").unlink()
    with pytest.raises(KcnnError, match="a run that is resumed keeps its labels"):
        in_this_process("train", "tiny", "--resume", "--pseudo", "one")


def test_test_images_follow_those_of_the_training(here, keras):
    """Their pixels, with the soft labels of the run, in the training set of each fold."""
    from kaggle_cnn.learn.predict import load_train_images

    dataset = dataset_in(here)
    run = make_run(here, "one")
    labels = label_tests(run, dataset, [0, 1], 0.0, soft=True)
    scores = Predictions.read(run.fold_folder(1) / "test.npz").scores(dataset.task, "flip")
    dataset = replace(dataset, pseudo=labels)
    images = load_train_images(dataset, 16, "crop", Recorder())
    again = load_train_images(dataset, 16, "crop", Recorder())
    chosen = training_set(dataset, images, 1)
    count = len(dataset.ids)
    assert images.pixels.shape[0] == count + len(dataset.test_images[0])
    assert (again.pixels[count:] == images.pixels[count:]).all()
    plain = load_train_images(replace(dataset, pseudo={}), 16, "crop", Recorder())
    assert (images.pixels[:count] == plain.pixels).all()
    extra = chosen.rows >= count
    assert np.allclose(chosen.targets[extra], scores[dataset.test_images[1]])
    assert extra.sum() == len(dataset.test_images[0])
    assert len(training_set(dataset, images, 2).rows) == (dataset.folds.numbers != 2).sum()


@pytest.mark.parametrize(("options", "message"), [
    (["--pseudo", "few"], "few-001 has no model of fold 0, and pseudo-labels come from the fold's own"),
    (["--above", "0.9"], "--above and --soft are for pseudo-labels, and no run gives them"),
    (["--pseudo", "one", "--above", "95"], "--above should be from 0 to 1, got 95"),
    (["--pseudo", "nothing"], "there is no run 'nothing'"),
])  # fmt: skip
def test_pseudo_labels_that_are_refused(here, options, message):
    make_run(here, "one")
    make_run(here, "few", folds=[1])
    with pytest.raises(KcnnError, match=message):
        in_this_process("train", "tiny", *options)
