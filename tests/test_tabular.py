"""Columns beside the images: found, joined by id, made features; a run on them, and its mean with a network's."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import dataset_in, in_this_process
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import StandardScaler

from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.data.columns import Columns, centre, make_features, read_columns
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.learn.tabular import list_models
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.workspace import Workspace

IMAGES, TESTS = 200, 50
DIGITS = load_digits(n_class=4)  # gradient boosting fits trees for each class
DRAW = np.random.default_rng(0)


@pytest.fixture
def digits(tmp_path):
    """Handwritten digits, their images nearly lost in noise; the pixels are columns, with a site, a gap and an id."""
    folder = tmp_path / "digits"
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True)
    chosen = DIGITS.data[: IMAGES + TESTS]
    for number, row in enumerate(chosen):
        pixels = 0.3 * row.reshape(8, 8) * 16 + DRAW.integers(0, 180, (8, 8))
        large = np.kron(np.clip(pixels, 0, 255), np.ones((3, 3))).astype(np.uint8)
        Image.fromarray(large).save(folder / ("train" if number < IMAGES else "test") / f"{number}.png")
    names = [f"p{column}" for column in range(0, 64, 2)]
    table = pd.DataFrame(chosen[:, ::2].astype(int), columns=names).astype(str)
    table.insert(0, "id", [str(number) for number in range(len(table))])
    table["site"] = np.where(DIGITS.target[: len(table)] % 2, "north", "south")
    table["patient"] = [f"patient {number}" for number in range(len(table))]
    table.loc[3, "p4"] = ""
    shuffled = table[IMAGES:].sample(frac=1, random_state=0)
    table[:IMAGES].assign(label=DIGITS.target[:IMAGES]).to_csv(folder / "train.csv", index=False)
    shuffled.to_csv(folder / "test.csv", index=False)
    sample = pd.DataFrame({"id": table["id"][IMAGES:], "label": 0})
    sample.to_csv(folder / "sample_submission.csv", index=False)
    sample.assign(label=DIGITS.target[IMAGES : IMAGES + TESTS]).to_csv(folder / "solution.csv", index=False)
    return folder


@pytest.mark.usefixtures("keras", "eager")
def test_columns_are_fitted_and_averaged_with_a_network(digits, work, begin):
    begin(digits)
    seen = json.loads(in_this_process("look", "--json"))
    assert {"p2", "p4", "site"} <= set(seen["columns"])
    assert "patient" not in seen["columns"]
    assert any("columns beside the images in train.csv and test.csv" in text for text in seen["advice"])
    printed = in_this_process("tabular")
    run = work / "runs" / "digits" / "tabular-001"
    oof, test = (Predictions.read(run / f"{part}.npz") for part in ("oof", "test"))
    dataset = dataset_in(Workspace(work))
    scores = json.loads(in_this_process("evaluate", "tabular-001", "--json"))["tta"]["none"]["scores"]
    assert f"{scores['accuracy']:.4f}" in printed
    assert scores["accuracy"] > 0.9

    columns = read_columns(dataset)
    names = ["site=north", "site=south"]
    assert set(names) <= set(columns.names)
    given = columns.train[:, columns.names.index("p2")]
    assert (given == DIGITS.data[:IMAGES, 2][[int(name[6:-4]) for name in dataset.ids]]).all()
    held = columns.test[:, columns.names.index("p2")]
    assert (held == DIGITS.data[:, 2][[int(name) for name in dataset.test_ids]]).all()  # whatever the order of test.csv
    model = json.loads((run / "run.json").read_text())["settings"]["model"]
    strength = float(model.rpartition(" ")[2])
    fold = dataset.folds.numbers == 0
    scaler = StandardScaler().fit(columns.train[~fold])
    fitted = LogisticRegression(C=strength, tol=1e-6, max_iter=2000).fit(
        scaler.transform(columns.train[~fold]), dataset.targets[~fold].argmax(axis=1)
    )
    expected = fitted.predict_proba(scaler.transform(columns.train[fold]))
    mine = dataset.task.activate(oof.logits[oof.fold == 0][:, 0])
    place = {name: row for row, name in enumerate(dataset.ids[fold])}
    assert np.abs(mine - expected[[place[name] for name in oof.ids[oof.fold == 0]]]).max() < 0.02

    in_this_process("train", "recipes/tiny.py", "--set", "epochs=1", "--folds", "all")
    both = json.loads(in_this_process("evaluate", "tabular-001", "tiny-001", "--json"))
    assert set(both["members"]) == {"tabular-001", "tiny-001"}
    turned = json.loads(in_this_process("evaluate", "tiny-001", "tabular-001", "--json"))
    assert both["primary"] == turned["primary"] == "ten-crop"  # that of the network
    assert both["scores"]["accuracy"] == turned["scores"]["accuracy"]
    assert json.loads(in_this_process("evaluate", "tabular-001", "--crop", "8", "--json"))["scores"] == scores
    assert in_this_process("predict", "tabular-001", "tiny-001").strip().endswith("tabular-001+tiny-001.csv")
    in_this_process("predict", "tabular-001")
    score = float(in_this_process("submit", "--yes").split("public score")[1])
    written = pd.read_csv(work / "submissions" / "digits" / "tabular-001.csv")
    assert score == pytest.approx(accuracy_score(DIGITS.target[IMAGES : IMAGES + TESTS], written["label"]), abs=1e-4)
    assert score > 0.8
    assert "tabular-001" in in_this_process("runs")
    assert in_this_process("show", "confusion", "tabular-001")
    assert in_this_process("report", "tabular-001")
    assert test.ids.tolist() == dataset.test_ids.tolist()


BESIDE = '''"""Mean colour, and what is beside the image."""
from keras import Input, Model, layers

from kaggle_cnn import Recipe


def beside(shape, outputs, metadata=None, wrong=False):
    images = Input(shape, dtype="uint8")
    x = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(images))
    if metadata is None:
        return Model(images, layers.Dense(outputs)(x))
    given = Input((metadata + wrong,))
    x = layers.Concatenate()([x, layers.Dense(32, activation="relu")(given)])
    return Model([images, given], layers.Dense(outputs)(x))


recipe = Recipe(model=beside, size=16, margin=4, learning_rate=0.03, epochs=8, batch=16, seed=1)
'''


@pytest.mark.usefixtures("keras", "eager")
def test_a_recipe_may_take_the_columns_as_a_second_input(digits, work, begin, keras):
    """They are standardised in the network, joined by id for training and test images, and kept by name."""
    begin(digits, beside=BESIDE)
    in_this_process("train", "recipes/beside.py", "--folds", "0,1")
    run = work / "runs" / "digits" / "beside-001"
    numbers = json.loads(in_this_process("evaluate", "--tta", "none", "--tta", "five-crop", "--json"))
    assert min(each["scores"]["accuracy"] for each in numbers["tta"].values()) > 0.75  # the images are lost in noise
    dataset = dataset_in(Workspace(work))
    columns = read_columns(dataset)
    train, held = centre(columns)
    assert json.loads((run / "run.json").read_text())["metadata"] == columns.names
    model = keras.models.load_model(run / "fold-0" / "model.keras", compile=False)
    scaling = next(layer for layer in model.layers if isinstance(layer, keras.layers.Rescaling))
    trained = train[dataset.folds.numbers != 0]
    standard = np.asarray(scaling(trained))
    assert np.allclose(standard.mean(axis=0), 0, atol=1e-3)
    varies = trained.std(axis=0) > 0
    assert np.allclose(standard.std(axis=0)[varies], 1, atol=1e-3)

    from kaggle_cnn.learn.predict import load_test_images, load_train_images
    from kaggle_cnn.progress import Silent

    oof, test = (Predictions.read(run / f"{part}.npz") for part in ("oof", "test"))
    images = load_train_images(dataset, 20, "crop", Silent()).pixels[:, 2:18, 2:18]
    rows = [dataset.ids.tolist().index(name) for name in oof.ids[oof.fold == 0]]
    expected = np.asarray(model([images[rows], train[rows]]))
    given = dataset.task.activate(oof.logits[oof.fold == 0][:, oof.views.index("centre")])
    assert np.allclose(given, expected, atol=1e-4)
    tests = load_test_images(dataset, 20, "crop", 1, Silent()).pixels[:, 2:18, 2:18]
    models = [keras.models.load_model(run / f"fold-{fold}" / "model.keras", compile=False) for fold in (0, 1)]
    logits = np.mean([np.log(np.asarray(each([tests, held]))) for each in models], axis=0)
    mine = dataset.task.activate(test.logits[:, test.views.index("centre")])
    assert np.allclose(mine, dataset.task.activate(logits), atol=1e-3)

    for error, *command in (
        ("takes metadata beside the images", "show", "gradcam", "3"),
        (r"should take images \(None, 16, 16, 1\) and metadata", "train", "recipes/beside.py", "--set", "wrong=true"),
        ("takes metadata cannot mix images", "train", "recipes/beside.py", "--set", "mixup=0.2"),
    ):
        with pytest.raises(KcnnError, match=error):
            in_this_process(*command)
    table = pd.read_csv(work / "data" / "digits" / "test.csv", dtype=str)
    table.drop(columns="p2").to_csv(work / "data" / "digits" / "test.csv", index=False)
    with pytest.raises(KcnnError, match=f"the network was trained on {len(columns.names)} features beside the images"):
        in_this_process("predict", "beside-001", "--tta", "shift")


@pytest.mark.usefixtures("eager")
def test_without_columns_the_recipe_has_one_input(train_tiny, tiny_workspace):
    (tiny_workspace.root / "recipes" / "beside.py").write_text(BESIDE)
    run = train_tiny(recipe="beside.py", epochs=1)
    assert "metadata" not in run.record


def test_without_columns_there_is_no_tabular_run(tiny_workspace, monkeypatch):
    monkeypatch.chdir(tiny_workspace.root)
    with pytest.raises(KcnnError, match="'colours' has no columns that its labels and a table"):
        in_this_process("tabular")


def test_large_numbers_keep_what_differs():
    """A date in seconds: float32 has steps of 128 there."""
    seconds = 1_600_000_000 + 20 * np.arange(200) + DRAW.integers(0, 5, 200)
    targets = ((seconds - 1_600_000_000) / 20).astype(np.float32)[:, None]
    order = DRAW.permutation(200)
    task = Task("regression", ("x",), find_metric("rmse"))
    columns = Columns(["unix"], seconds[:, None].astype(float), seconds[:, None].astype(float), ("", ""))
    fit = list_models(task)["ridge regression, strength 1"]
    given = fit(columns.train[order[:150]], targets[order[:150]])(columns.train[order[150:]])
    assert np.abs(given - targets[order[150:]]).max() < 2
    train, _ = centre(columns)
    assert len(np.unique(train)) == len(np.unique(seconds))


def test_columns_become_features():
    def features(train, test):
        names, one, other = make_features(pd.Series(train, dtype=str), pd.Series(test, dtype=str))
        return names, one.tolist(), other.tolist()

    assert features(["1", "3", "NA"], ["", "5"]) == ([""], [[1], [3], [2]], [[2], [5]])
    assert features(["a", "b", "a", "a"], ["b", "new"]) == (
        ["a", "b"], [[1, 0], [0, 1], [1, 0], [1, 0]], [[0, 1], [0, 0]]
    )  # fmt: skip
    assert features(["7", "7"], ["7", "8"])[0] == []  # tells nothing
    assert features(["1", "inf", "3"], ["-inf"]) == ([""], [[1], [2], [3]], [[2]])  # as one that is missing
    assert features([f"text {n}" for n in range(40)], ["text 1"])[0] == []
    assert features(["1", "x", "1", "x"], ["1"])[0] == ["1", "x"]


@pytest.mark.parametrize("kind", ["regression", "multilabel", "multioutput", "ordinal"])
def test_every_model_serves_every_kind(kind):
    features = DRAW.normal(size=(400, 5)).astype(np.float32)
    hidden = np.stack([features[:, 0] + features[:, 1], 2 * features[:, 2]], axis=1)
    heads = (("one", 2), ("two", 2)) if kind == "multioutput" else ()
    if kind == "regression":
        targets = (100 + 10 * hidden).astype(np.float32)
    elif kind == "multilabel":
        targets = (hidden > 0).astype(np.float32)
    elif kind == "ordinal":
        targets = np.eye(3, dtype=np.float32)[np.digitize(hidden[:, 0], [-0.7, 0.7])]
    else:
        targets = np.concatenate([np.eye(2)[(column > 0).astype(int)] for column in hidden.T], axis=1)
    metric = (
        find_metric("macro_recall", [2, 2]) if heads else find_metric("rmse" if kind == "regression" else "macro_f1")
    )
    task = Task(kind, tuple(map(str, range(targets.shape[1]))), metric, heads)
    models = list_models(task)
    assert len(models) == 6
    for name, fit in models.items():
        if float(name.rpartition(" ")[2] if "strength" in name else 1) < 0.1:
            continue  # close to the mean, or the priors
        given = task.activate(fit(features[:300], targets[:300])(features[300:]))
        if kind == "regression":
            assert r2_score(targets[300:], given) > 0.8, name
        elif kind == "ordinal":
            assert (given.argmax(axis=1) == targets[300:].argmax(axis=1)).mean() > 0.75, name
        else:
            assert ((given > 0.5) == targets[300:]).mean() > 0.85, name
