"""Real training on tiny images, in this process; what needs a killed process is in cli/test_resume.py."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import Recorder, Stop, dataset_in, edit_competition, environment, in_this_process
from sklearn.metrics import accuracy_score

from kaggle_cnn import KcnnError
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import Run, list_runs, open_unfinished


def weights_of(keras, run, fold=0):
    return keras.models.load_model(run.fold_folder(fold) / "model.keras", compile=False).get_weights()


def predictions_of(run: Run, part: str = "oof") -> Predictions:
    return Predictions.read(run.predictions_path(part))


@pytest.mark.usefixtures("eager")
def test_a_run_has_all_it_needs(train_tiny, tiny_workspace):
    progress = Recorder()
    run = train_tiny(progress=progress, width=5)
    assert run.id == "tiny-001"
    assert [row["epoch"] for row in progress.rows] == [1, 2]
    files = sorted(path.relative_to(run.folder).as_posix() for path in run.folder.rglob("[!.]*") if path.is_file())
    assert files == [
        "decision.json", "fold-0/history.csv", "fold-0/model.keras", "fold-0/oof.npz", "fold-0/result.json",
        "fold-0/test.npz", "oof.npz", "recipe.py", "run.json", "scores.json", "test.npz",
    ]  # fmt: skip
    record = json.loads((run.folder / "run.json").read_text())
    assert (record["format"], record["kind"], record["members"]) == (2, "training", [])
    assert record["set"] == {"width": 5}
    assert (record["settings"]["width"], record["settings"]["epochs"]) == (5, 2)
    assert record["task"] == {"kind": "multiclass", "classes": ["blue", "grün", "red one"], "metric": "accuracy"}
    assert record["folds"] == {"file": "folds.csv", "digest": dataset_in(tiny_workspace).folds.digest, "numbers": [0]}
    assert record["backend"] == "tensorflow"
    assert record["device"].startswith("CPU")
    result = json.loads((run.fold_folder(0) / "result.json").read_text())
    assert (result["status"], result["epochs"]) == ("finished", 2)
    assert result["seconds"] > 0
    assert run.status == "finished"
    assert (run.folder / "recipe.py").read_text() == (tiny_workspace.root / "recipes" / "tiny.py").read_text()
    header, *rows = (run.fold_folder(0) / "history.csv").read_text().splitlines()
    columns = ["epoch", "accuracy", "loss", "val_loss", "val_accuracy", "val_macro_f1", "learning_rate"]
    assert header.split(",") == columns
    assert [row.split(",")[0] for row in rows] == ["1", "2"]
    assert float(rows[1].split(",")[-1]) == pytest.approx(0, abs=1e-6)  # the cosine has come to its end


@pytest.mark.usefixtures("eager")
def test_predictions_keep_every_view_of_every_image(train_tiny, tiny_workspace):
    run = train_tiny(folds=(0, 1), epochs=1)
    dataset = dataset_in(tiny_workspace)
    with np.load(run.folder / "oof.npz") as arrays:
        assert set(arrays.files) == {"ids", "fold", "targets", "logits", "view_names", "crop"}
        assert arrays["logits"].shape == (18, 10, 3)
        assert arrays["logits"].dtype == np.float32
        assert len(set(arrays["view_names"])) == 10
        assert arrays["crop"] == 16
        row = {name: number for number, name in enumerate(dataset.ids)}
        rows = [row[name] for name in arrays["ids"]]
        assert len(set(rows)) == 18
        assert (arrays["fold"] == dataset.folds.numbers[rows]).all()
        assert (arrays["targets"] == dataset.targets[rows].argmax(axis=1)).all()
    test = predictions_of(run, "test")
    assert list(test.ids) == ["6", "5", "4", "3", "2", "1"]
    each = [Predictions.read(run.fold_folder(fold) / "test.npz").logits for fold in (0, 1)]
    assert np.allclose(test.logits, np.mean(each, axis=0), atol=1e-6)
    assert np.allclose(test.scores(dataset.task, "ten-crop").sum(axis=1), 1, atol=1e-6)


ONE_VIEW = """
import sys, numpy as np, keras
model = keras.models.load_model(sys.argv[1])
assert "kaggle_cnn" not in sys.modules
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))
"""


@pytest.mark.usefixtures("eager")
def test_the_saved_model_gives_probabilities_to_plain_keras(train_tiny, tiny_workspace, tmp_path):
    from kaggle_cnn.data.batches import centres
    from kaggle_cnn.learn.predict import load_train_images

    run = train_tiny(epochs=1)
    dataset, oof = dataset_in(tiny_workspace), predictions_of(run)
    images = load_train_images(dataset, run.stored_size, run.fit, Recorder())
    row = {name: number for number, name in enumerate(dataset.ids)}
    np.save(tmp_path / "images.npy", centres(images.pixels, np.array([row[name] for name in oof.ids]), run.size))
    paths = [run.fold_folder(0) / "model.keras", tmp_path / "images.npy", tmp_path / "given.npy"]
    subprocess.run([sys.executable, "-c", ONE_VIEW, *paths], env=environment(), check=True, capture_output=True)
    given = np.load(tmp_path / "given.npy")
    assert np.allclose(given, oof.scores(dataset.task, "none"), atol=1e-5)
    assert np.allclose(given.sum(axis=1), 1, atol=1e-5)


def log_calls(tiny_workspace):
    """Write recipes/counts.py: tiny, which logs when its network is built, and when Python runs through a layer, as
    it does whenever a graph is made of it."""
    text = (tiny_workspace.root / "recipes" / "tiny.py").read_text()
    text = text.replace("    inputs =", "    print('built', file=open(LOG, 'a'))\n    inputs =", 1)
    text = text.replace("layers.Rescaling(1 / 255)", "Logged(1 / 255)", 1)
    text = text.replace(
        "def tiny",
        """import keras

LOG = __file__ + '.log'


@keras.saving.register_keras_serializable()
class Logged(layers.Rescaling):
    def call(self, x):
        print('traced', file=open(LOG, 'a'))
        return super().call(x)


def tiny""",
        1,
    )
    (tiny_workspace.root / "recipes" / "counts.py").write_text(text)
    return tiny_workspace.root / "recipes" / "counts.py.log"


def test_all_folds_are_compiled_once(train_tiny, tiny_workspace):
    log = log_calls(tiny_workspace)
    train_tiny(recipe="counts.py", folds=(0,), epochs=1)
    alone = log.read_text().split()
    log.unlink()
    run = train_tiny(recipe="counts.py", folds=(0, 1, 2), epochs=1)
    assert log.read_text().split() == alone
    assert alone.count("built") == 2  # once more to see that it is the same network each time
    weights = [run.fold_folder(fold) / "model.keras" for fold in range(3)]
    assert len({path.read_bytes() for path in weights}) == 3


@pytest.mark.parametrize("settings", [{}, {"ema": 0.9, "precision": "mixed_float16"}, {"plateau": 1, "epochs": 3}])
def test_a_fold_after_others_is_as_alone(train_tiny, tiny_workspace, keras, settings):
    if "plateau" in settings:
        text = (tiny_workspace.root / "recipes" / "tiny.py").read_text().replace("optimizer=falling, ", "")
        (tiny_workspace.root / "recipes" / "tiny.py").write_text(text)
    alone, after = train_tiny(folds=(2,), **settings), train_tiny(folds=(0, 1, 2), **settings)
    for one, two in zip(weights_of(keras, alone, 2), weights_of(keras, after, 2), strict=True):
        assert (one == two).all()
    history = [(run.fold_folder(2) / "history.csv").read_text() for run in (alone, after)]
    assert history[0] == history[1]
    one, two = (predictions_of(run) for run in (alone, after))
    assert (one.logits == two.logits[two.fold == 2]).all()


def test_it_learns(train_tiny):
    """Three colours in noise: 20 epochs and a model that learns anything at all gets nearly every image right."""
    oof = predictions_of(train_tiny(epochs=20, width=8))
    assert accuracy_score(oof.true, oof.logits.mean(axis=1).argmax(axis=1)) > 0.85


def test_the_same_seed_gives_the_same_weights(train_tiny, keras):
    first, second, other = train_tiny(seed=5), train_tiny(seed=5), train_tiny(seed=6)
    for one, two in zip(weights_of(keras, first), weights_of(keras, second), strict=True):
        assert (one == two).all()
    assert any((one != two).any() for one, two in zip(weights_of(keras, first), weights_of(keras, other), strict=True))
    history = [(run.fold_folder(0) / "history.csv").read_text() for run in (first, second, other)]
    assert history[0] == history[1] != history[2]


@pytest.mark.parametrize(("metric", "best"), [("accuracy", max), ("log_loss", min)])
def test_the_epoch_with_the_best_metric_is_kept(train_tiny, tiny_workspace, metric, best):
    edit_competition(tiny_workspace, metric=metric)
    progress = Recorder()
    run = train_tiny(epochs=6, learning_rate=0.1, progress=progress)
    values = [row[f"val_{metric}"] for row in progress.rows]
    assert len(set(values)) > 1
    task, oof = dataset_in(tiny_workspace).task, predictions_of(run)
    scores = oof.scores(task, "none")
    kept = task.metric.score(oof.true, scores, scores.argmax(axis=1), None)
    assert kept == pytest.approx(best(values), abs=1e-5)
    assert run.result(0)["best_epoch"] == values.index(best(values)) + 1


@pytest.mark.usefixtures("eager")
def test_all_folds(train_tiny):
    run = train_tiny(folds=range(5), epochs=1)
    oof = predictions_of(run)
    assert len(set(oof.ids)) == 45
    assert sorted(set(oof.fold)) == [0, 1, 2, 3, 4]
    assert run.models == [run.fold_folder(fold) / "model.keras" for fold in range(5)]


def test_a_fold_that_does_not_exist(train_tiny, tiny_workspace):
    with pytest.raises(KcnnError, match=r"there is no fold 5: folds\.csv has the folds 0 to 4"):
        train_tiny(folds=(5,))
    assert not list(tiny_workspace.runs("colours").glob("tiny-*"))


@pytest.mark.usefixtures("eager")
def test_unreadable_images_are_left_out_or_get_the_priors(train_tiny, tiny_workspace):
    folder = tiny_workspace.data("colours")
    blue = sorted((folder / "train" / "colours-3" / "blue").iterdir())
    for path in [*blue[:5], folder / "test" / "test" / "2.jpg"]:
        path.unlink()  # the file itself may be a hard link to the user's own
        path.write_bytes(b"\xff\xd8 not a jpeg")
    progress = Recorder()
    run = train_tiny(progress=progress, epochs=1)
    said = "\n".join(progress.said)
    assert f"left out: train/colours-3/blue/{blue[0].name} cannot be read" in said
    assert "2.jpg cannot be read" in said
    assert "gets the class priors" in said
    oof, test = predictions_of(run), predictions_of(run, "test")
    assert not {f"train/colours-3/blue/{path.name}" for path in blue[:5]} & set(oof.ids)
    assert list(test.ids) == ["6", "5", "4", "3", "2", "1"]
    scores = test.scores(dataset_in(tiny_workspace).task, "ten-crop")
    assert np.allclose(scores[4], 1 / 3, atol=1e-5)
    assert not np.allclose(scores[3], 1 / 3, atol=1e-3)


@pytest.mark.usefixtures("eager")
def test_no_test_images_is_fine(train_tiny, tiny_workspace):
    edit_competition(tiny_workspace, test="", sample="")
    shutil.rmtree(tiny_workspace.data("colours") / "test")
    run = train_tiny(epochs=1)
    assert run.finished
    assert len(predictions_of(run, "test").ids) == 0


def recipe_with(workspace, name, body):
    text = (workspace.root / "recipes" / "tiny.py").read_text()
    start, end = text.index("    inputs ="), text.index("def falling")
    (workspace.root / "recipes" / name).write_text(text[:start] + body + "\n\n\n" + text[end:])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("    i = Input(shape, dtype='uint8'); return Model(i, layers.Dense(7)(layers.Flatten()(i)))",
         r"should give \(None, 3\), got \(None, 7\)"),
        ("    i = Input((9, 9, 3)); return Model(i, layers.Dense(outputs)(layers.Flatten()(i)))",
         r"should take \(None, 16, 16, 3\), got \(None, 9, 9, 3\)"),
        ("    return None", "should return a keras.Model.*, got NoneType"),
        ("    return Model(1 / 0)", "cannot be built.*ZeroDivisionError"),
        ("    i = Input(shape); return Model(i, layers.Conv2D(2, 99)(i))", "cannot be built.*ValueError"),
        ("    i = Input(shape); return Model(i, layers.Dense(outputs, activation='softmax')(layers.Flatten()(i)))",
         "should return logits, and it ends in softmax"),
    ],
)  # fmt: skip
def test_a_model_that_does_not_fit_makes_no_run(train_tiny, tiny_workspace, body, error):
    recipe_with(tiny_workspace, "wrong.py", body)
    with pytest.raises(KcnnError, match=error):
        train_tiny(recipe="wrong.py")
    assert not list(tiny_workspace.runs("colours").glob("wrong-*"))


def test_a_loss_that_is_no_number_stops(train_tiny, tiny_workspace):
    """Not that of the first batch, which makes no run: the rate grows later."""
    text = (tiny_workspace.root / "recipes" / "tiny.py").read_text()
    grows = "optimizers.schedules.PiecewiseConstantDecay([5], [0.01, 1e38])"
    text = text.replace("optimizers.schedules.CosineDecay(learning_rate, steps)", grows)
    (tiny_workspace.root / "recipes" / "nan.py").write_text(text)
    with pytest.raises(KcnnError, match=r"the loss became (nan|inf) in epoch [23]") as caught:
        train_tiny(recipe="nan.py", epochs=4)
    assert "learning_rate" in caught.value.hint
    [run] = list_runs(tiny_workspace, "colours")
    assert not run.finished


def test_interrupted_and_resumed_is_as_never_interrupted(train_tiny, tiny_workspace, keras):
    whole = train_tiny(epochs=3)
    for epoch in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            train_tiny(epochs=3, progress=Stop(epoch))
        stopped = open_unfinished(tiny_workspace, "colours", "tiny")
        assert (stopped.fold_folder(0) / "model.keras").is_file()
        assert (stopped.status, stopped.result(0)["epochs"]) == ("training", epoch)
        before = (stopped.folder / "run.json").read_bytes()
        progress = Recorder()
        resumed = train_tiny(epochs=3, run=stopped, progress=progress)
        assert f"fold 0 from epoch {epoch}" in progress.said
        assert resumed.id == stopped.id
        assert (stopped.folder / "run.json").read_bytes() == before
        for one, two in zip(weights_of(keras, whole), weights_of(keras, resumed), strict=True):
            assert (one == two).all()
        histories = [(run.fold_folder(0) / "history.csv").read_text() for run in (whole, resumed)]
        assert histories[0] == histories[1]
        for part in ("oof", "test"):
            assert (predictions_of(whole, part).logits == predictions_of(resumed, part).logits).all()


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("lost", [["oof.npz"], ["test.npz", "decision.json"], ["decision.json", "scores.json"]])
def test_a_run_that_was_killed_before_its_scores_gets_them(train_tiny, tiny_workspace, lost):
    run = train_tiny(epochs=1)
    whole = {name: (run.folder / name).read_bytes() for name in lost if not name.endswith("scores.json")}
    for name in lost:
        (run.folder / name).unlink()
    assert run.status == "training"
    progress = Recorder()
    train_tiny(epochs=1, run=open_unfinished(tiny_workspace, "colours", "tiny"), progress=progress)
    assert run.status == "finished"
    assert not progress.rows  # nothing was trained again
    assert {name: (run.folder / name).read_bytes() for name in whole} == whole


@pytest.mark.usefixtures("eager")
def test_two_processes_share_the_folds_of_a_run(train_tiny, tiny_workspace):
    """One trains fold 0 while the other, which holds fold 1, is at work: the last to end completes the run."""
    from kaggle_cnn.files import one_at_a_time

    with pytest.raises(KeyboardInterrupt):
        train_tiny(folds=(0, 1), epochs=1, progress=Stop(1))
    run = open_unfinished(tiny_workspace, "colours", "tiny")
    progress = Recorder()
    with one_at_a_time(run.fold_folder(1)):
        train_tiny(folds=(0, 1), epochs=1, run=run, progress=progress)
    assert "fold 1: another kcnn is training it" in progress.said
    assert any(text == "the run is complete when these folds are done too: 1" for text in progress.said)
    assert run.status == "training"
    assert not (run.folder / "fold-1").exists()
    train_tiny(folds=(0, 1), epochs=1, run=run)
    assert run.status == "finished"
    assert sorted(set(predictions_of(run).fold)) == [0, 1]


@pytest.mark.usefixtures("eager")
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


def test_seeds_are_models_of_each_fold_whose_predictions_are_averaged(train_tiny):
    """A run of two seeds is the mean of two runs, of one seed each, to the last bit of their weights."""
    both = train_tiny(folds=(0, 1), epochs=1, seeds=2)
    ones = [train_tiny(folds=(0, 1), epochs=1, seed=seed) for seed in (0, 1)]
    assert both.record["seeds"] == 2
    assert both.status == "finished"
    assert sorted(path.name for path in both.folder.glob("fold-*")) == [
        "fold-0", "fold-0-seed-1", "fold-1", "fold-1-seed-1"]  # fmt: skip
    for part in ("oof", "test"):
        mean = np.mean([Predictions.read(run.folder / f"{part}.npz").logits for run in ones], axis=0)
        assert np.allclose(Predictions.read(both.folder / f"{part}.npz").logits, mean, atol=1e-5)
    for own, run in zip(both.by_seed, ones, strict=True):
        made = [np.load(each.fold_folder(1) / "oof.npz")["logits"] for each in (own, run)]
        assert (made[0] == made[1]).all()
    assert len(both.histories()) == 4


def test_seeds_go_on_where_they_were_stopped(train_tiny, tiny_workspace):
    whole = train_tiny(epochs=2, seeds=2)
    stop = Stop(1)
    stop.seen = 0

    def epoch(row, better, seconds):
        stop.seen += 1
        if stop.seen == 3:  # in the first epoch of the second seed
            raise KeyboardInterrupt

    stop.epoch = epoch
    with pytest.raises(KeyboardInterrupt):
        train_tiny(epochs=2, seeds=2, progress=stop)
    [stopped] = [run for run in list_runs(tiny_workspace, "colours") if run.id != whole.id]
    assert stopped.status == "training"
    resumed = train_tiny(epochs=2, run=stopped)
    assert resumed.status == "finished"
    made = [np.load(run.folder / "oof.npz")["logits"] for run in (whole, resumed)]
    assert (made[0] == made[1]).all()


@pytest.mark.parametrize("seeds", ["0", "101"])
def test_a_number_of_seeds_that_is_refused(tiny_workspace, monkeypatch, seeds):
    monkeypatch.chdir(tiny_workspace.root)
    with pytest.raises(KcnnError, match=f"--seeds should be from 1 to 100, got {seeds}"):
        in_this_process("train", "tiny", "--seeds", seeds)
