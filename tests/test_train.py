"""Real training on tiny images, in this process; what needs a killed process stands in test_resume.py."""

import json
import shutil

import numpy as np
import pytest
from conftest import Quiet

from kaggle_cnn import KcnnError
from kaggle_cnn.learn.predictions import Predictions


def weights_of(keras, run, fold=0):
    return keras.models.load_model(run.fold_folder(fold) / "model.keras", compile=False).get_weights()


def test_a_run_has_all_it_needs(train_tiny, tiny_workspace):
    progress = Quiet()
    run = train_tiny(progress=progress)
    assert run.id == "tiny-001"
    assert [row["epoch"] for row in progress.rows] == [1, 2]
    assert sorted(path.name for path in run.folder.rglob("*") if path.is_file()) == sorted(
        [
            "recipe.py",
            "run.json",
            "validation.npz",
            "test.npz",
            "model.keras",
            "history.csv",
            "validation.npz",
            "test.npz",
        ]
    )
    record = json.loads((run.folder / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["knobs"]["width"] == 4
    assert record["backend"] == "tensorflow"
    assert record["device"].startswith("CPU")
    assert (run.folder / "recipe.py").read_text() == (tiny_workspace.root / "recipes" / "tiny.py").read_text()
    header, *rows = (run.fold_folder(0) / "history.csv").read_text().splitlines()
    assert header.split(",") == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss", "learning_rate"]
    assert [row.split(",")[0] for row in rows] == ["1", "2"]
    assert float(rows[1].split(",")[-1]) == pytest.approx(0, abs=1e-6)  # the cosine has come to its end
    validation, test = (Predictions.read(run.folder / f"{part}.npz") for part in ("validation", "test"))
    assert len(validation.ids) == 9
    assert sorted(validation.probabilities) == [1, 2, 10]
    assert list(test.ids) == ["6", "5", "4", "3", "2", "1"]
    for part in (validation, test):
        for values in part.probabilities.values():
            assert np.allclose(values.sum(axis=1), 1, atol=1e-5)


def test_it_learns(train_tiny):
    """Three colours in noise: 20 epochs and a model that learns anything at all gets nearly every image right."""
    run = train_tiny(epochs=20, width=8)
    predictions = Predictions.read(run.folder / "validation.npz")
    assert (predictions.best()[1].argmax(axis=1) == predictions.labels).mean() > 0.85


def test_the_same_seed_gives_the_same_weights(train_tiny, keras):
    first, second, other = train_tiny(seed=5), train_tiny(seed=5), train_tiny(seed=6)
    for one, two in zip(weights_of(keras, first), weights_of(keras, second), strict=True):
        assert (one == two).all()
    assert any((one != two).any() for one, two in zip(weights_of(keras, first), weights_of(keras, other), strict=True))
    history = [(run.fold_folder(0) / "history.csv").read_text() for run in (first, second, other)]
    assert history[0] == history[1] != history[2]


def test_the_best_epoch_is_kept(train_tiny):
    progress = Quiet()
    run = train_tiny(epochs=6, learning_rate=0.05, progress=progress)
    best = max(row["val_accuracy"] for row in progress.rows)
    centre = Predictions.read(run.folder / "validation.npz").probabilities[1]
    labels = Predictions.read(run.folder / "validation.npz").labels
    assert (centre.argmax(axis=1) == labels).mean() == pytest.approx(best, abs=1e-6)


def test_all_folds(train_tiny):
    run = train_tiny(folds=range(5), epochs=1)
    validation = Predictions.read(run.folder / "validation.npz")
    assert len(set(validation.ids)) == 45
    each = [Predictions.read(run.fold_folder(fold) / "test.npz").probabilities[10] for fold in range(5)]
    assert np.allclose(Predictions.read(run.folder / "test.npz").probabilities[10], np.mean(each, axis=0))
    models = [run.fold_folder(fold) / "model.keras" for fold in range(5)]
    assert run.models == models


def test_unreadable_images_are_left_out_or_get_the_priors(train_tiny, tiny_workspace):
    folder = tiny_workspace.data("colours")
    blue = sorted((folder / "train" / "colours-3" / "blue").iterdir())
    for path in [*blue[:5], folder / "test" / "test" / "2.jpg"]:
        path.unlink()  # the file itself may be a hard link to the user's own
        path.write_bytes(b"\xff\xd8 not a jpeg")
    progress = Quiet()
    run = train_tiny(progress=progress, epochs=1)
    said = "\n".join(progress.said)
    assert f"left out: train/colours-3/blue/{blue[0].name} cannot be read" in said
    assert "2.jpg cannot be read" in said
    assert "gets the class priors" in said
    validation, test = (Predictions.read(run.folder / f"{part}.npz") for part in ("validation", "test"))
    assert not {f"train/colours-3/blue/{path.name}" for path in blue[:5]} & set(validation.ids)
    assert list(test.ids) == ["6", "5", "4", "3", "2", "1"]
    assert np.allclose(test.probabilities[10][4], 1 / 3)
    assert not np.allclose(test.probabilities[10][3], 1 / 3)


def test_no_test_images_is_fine(train_tiny, tiny_workspace):
    folder = tiny_workspace.data("colours")
    text = (
        (folder / "competition.toml")
        .read_text()
        .replace('test = "test"', 'test = ""')
        .replace('"sample_submission.csv"', '""')
    )
    (folder / "competition.toml").write_text(text)
    shutil.rmtree(folder / "test")
    run = train_tiny(epochs=1)
    assert run.finished
    assert len(Predictions.read(run.folder / "test.npz").ids) == 0


def recipe_with(workspace, name, body):
    text = (workspace.root / "recipes" / "tiny.py").read_text()
    start, end = text.index("    inputs ="), text.index("def falling")
    (workspace.root / "recipes" / name).write_text(text[:start] + body + "\n\n\n" + text[end:])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("    i = Input(shape, dtype='uint8'); return Model(i, layers.Dense(7)(layers.Flatten()(i)))",
         r"should give \(None, 3\), got \(None, 7\)"),
        ("    i = Input((9, 9, 3)); return Model(i, layers.Dense(classes)(layers.Flatten()(i)))",
         r"should take \(None, 16, 16, 3\), got \(None, 9, 9, 3\)"),
        ("    return None", "should return a keras.Model, got NoneType"),
        ("    return Model(1 / 0)", "cannot be built.*ZeroDivisionError"),
        ("    i = Input(shape); return Model(i, layers.Conv2D(2, 99)(i))", "cannot be built.*ValueError"),
    ],
)  # fmt: skip
def test_a_model_that_does_not_fit_makes_no_run(train_tiny, tiny_workspace, body, error):
    recipe_with(tiny_workspace, "wrong.py", body)
    with pytest.raises(KcnnError, match=error):
        train_tiny(recipe="wrong.py")
    assert not (tiny_workspace.root / "runs").exists()


def test_a_loss_that_is_no_number_stops(train_tiny, tiny_workspace):
    recipe_with(
        tiny_workspace,
        "nan.py",
        "    i = Input(shape, dtype='uint8')\n"
        "    x = layers.Rescaling(1e30)(layers.Flatten()(i))\n"
        "    return Model(i, layers.Dense(classes, activation='softmax')(layers.Rescaling(1e30)(x)))",
    )
    with pytest.raises(KcnnError, match="the loss became nan in epoch 1") as caught:
        train_tiny(recipe="nan.py")
    assert "learning_rate" in caught.value.hint
    assert not list((tiny_workspace.root / "runs").rglob("model.keras"))


@pytest.mark.parametrize("epoch", [1, 3])
def test_interrupted_and_resumed_is_as_never_interrupted(train_tiny, tiny_workspace, keras, epoch):
    from kaggle_cnn.learn.run import open_unfinished

    class Stopped(Quiet):
        def epoch(self, row, better, seconds):
            if row["epoch"] == epoch:
                raise KeyboardInterrupt

    whole = train_tiny(epochs=3)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(epochs=3, progress=Stopped())
    stopped = open_unfinished(tiny_workspace, "colours", "tiny")
    assert (stopped.fold_folder(0) / "model.keras").is_file()
    progress = Quiet()
    resumed = train_tiny(epochs=3, run=stopped, progress=progress)
    assert f"fold 0 from epoch {epoch}" in progress.said
    assert resumed.id == stopped.id
    for one, two in zip(weights_of(keras, whole), weights_of(keras, resumed), strict=True):
        assert (one == two).all()
    histories = [(run.fold_folder(0) / "history.csv").read_text() for run in (whole, resumed)]
    assert histories[0] == histories[1]
    for part in ("validation", "test"):
        one, two = (Predictions.read(run.folder / f"{part}.npz").probabilities[10] for run in (whole, resumed))
        assert (one == two).all()


def test_logs_for_tensorboard_say_what_the_history_says(train_tiny):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train_tiny(epochs=2, tensorboard=True)
    shown = {}
    for part in ("train", "validation"):
        events = EventAccumulator(str(run.fold_folder(0) / "tensorboard" / part), size_guidance={"tensors": 0}).Reload()
        for tag in events.Tags()["tensors"]:
            values = [float(event.tensor_proto.float_val[0]) for event in events.Tensors(tag)]
            shown[part, tag] = ([event.step for event in events.Tensors(tag)], values)
    [history] = run.histories()
    names = {("train", "epoch_loss"): "loss", ("validation", "epoch_accuracy"): "val_accuracy",
             ("train", "epoch_learning_rate"): "learning_rate"}  # fmt: skip
    for key, name in names.items():
        assert shown[key][0] == [1, 2]
        assert shown[key][1] == pytest.approx(history[name].tolist(), rel=1e-5)
