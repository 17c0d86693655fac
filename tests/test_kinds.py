"""One recipe file, unchanged, for every kind of task: from fetch to a score."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import in_this_process, save_noise
from sklearn.metrics import cohen_kappa_score, f1_score, r2_score, recall_score, root_mean_squared_error

from kaggle_cnn.runs.predictions import Predictions

RECIPE = '''"""Mean colour, then a dense layer: what a network of one image would be."""
from keras import Input, Model, layers, optimizers

from kaggle_cnn import Recipe


def mean_colour(shape, outputs, width=16):
    inputs = Input(shape, dtype="uint8")
    x = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 64, offset=-2)(inputs))
    return Model(inputs, layers.Dense(outputs)(layers.Dense(width, activation="relu")(x)))


def adam(learning_rate, steps):
    return optimizers.Adam(learning_rate)


recipe = Recipe(model=mean_colour, size=16, margin=4, optimizer=adam, learning_rate=0.03, epochs=40, batch=8)
'''


def label(kind: str, colour: np.ndarray) -> str:
    """What the label table says of an image of that colour."""
    red, green, _blue = colour
    if kind == "multiclass":
        return ("red", "green", "blue")[int(np.argmax(colour))]
    if kind == "multilabel":
        return (
            " ".join(name for name, value in zip(("red", "green", "blue"), colour, strict=True) if value > 110)
            or "dark"
        )
    if kind == "ordinal":
        return str(int(red // 64))
    if kind == "multioutput":
        return f"{'warm' if red > 128 else 'cold'},{('green', 'grey', 'violet')[int(green < 160) + int(green < 80)]}"
    return f"{(2 * red - green) / 7 + 1000:.3f}"


@pytest.fixture(params=["multiclass", "multilabel", "multioutput", "ordinal", "regression"])
def made(request, tmp_path):
    """A competition whose labels follow from the mean colour; ten test images with their solution."""
    kind, folder = request.param, tmp_path / request.param
    draw = np.random.default_rng(0)
    (folder / "train").mkdir(parents=True)
    (folder / "test").mkdir()
    rows: dict[str, list[str]] = {"train": [], "test": []}
    for number in range(130):
        part = "train" if number < 100 else "test"
        colour = draw.integers(0, 256, 3)
        save_noise(folder / part / f"{number}.jpg", tuple(colour), draw)
        rows[part].append(f"{number},{label(kind, np.clip(colour, 20, 235))}")
    header = "id,tone,hue\n" if kind == "multioutput" else "id,label\n"
    (folder / "train.csv").write_text(header + "\n".join(rows["train"]) + "\n")
    (folder / "solution.csv").write_text(header + "\n".join(rows["test"]) + "\n")
    first = rows["train"][0].partition(",")[2]
    sample = "".join(f"{row.partition(',')[0]},{first}\n" for row in rows["test"][::-1])
    (folder / "sample_submission.csv").write_text(header + sample)
    return kind, folder


def test_one_recipe_for_every_kind(made, tmp_path, monkeypatch, keras):
    kind, folder = made
    work = tmp_path / "work"
    (work / "recipes").mkdir(parents=True)
    (work / "recipes" / "colour.py").write_text(RECIPE)
    monkeypatch.chdir(work)
    fetched = in_this_process("fetch", str(folder))
    path = work / "data" / kind / "competition.toml"
    if kind == "ordinal":  # Kaggle's words for the metric say so; a folder has none
        text = path.read_text().replace('kind = "multiclass"', 'kind = "ordinal"')
        path.write_text(text.replace('metric = "accuracy"', 'metric = "quadratic_weighted_kappa"'))
    else:
        assert f", {kind}, metric" in fetched
    path.write_text(path.read_text().replace('solution = ""', 'solution = "solution.csv"'))
    assert in_this_process("look", "--json")
    printed = in_this_process("train", "recipes/colour.py")
    run = work / "runs" / kind / "colour-001"
    assert (run / "recipe.py").read_text() == RECIPE
    numbers = json.loads(in_this_process("evaluate", "--json"))
    first, value = next(iter(numbers["scores"].items()))
    expected = {"multiclass": "accuracy", "multilabel": "samples_f1", "multioutput": "macro_recall",
                "ordinal": "quadratic_weighted_kappa", "regression": "rmse"}  # fmt: skip
    assert first == expected[kind]
    assert f"{value:.4f}" in printed
    oof, rule = Predictions.read(run / "oof.npz"), json.loads((run / "decision.json").read_text())["rule"]
    mean = oof.logits.mean(axis=1)
    if kind == "regression":
        assert rule == "value"
        assert value == pytest.approx(root_mean_squared_error(oof.true, mean), rel=1e-5)
        assert oof.true.mean() > 900  # in the units of the table
        assert r2_score(oof.true, mean) > 0.8
    if kind == "multilabel":
        assert rule == "threshold"
        chosen = 1 / (1 + np.exp(-mean)) >= numbers["threshold"]
        chosen[np.arange(len(mean)), mean.argmax(axis=1)] = True
        assert value == pytest.approx(f1_score(oof.true, chosen, average="samples", zero_division=1))
        assert value > 0.75
    if kind == "ordinal":
        assert rule == "rounding"
        shares = np.exp(mean) / np.exp(mean).sum(axis=1, keepdims=True)
        grades = np.floor(shares @ np.arange(mean.shape[1]) + 0.5).astype(int)
        assert value == pytest.approx(cohen_kappa_score(oof.true, grades, weights="quadratic"))
        assert value > 0.7
    if kind == "multiclass":
        assert rule == "argmax"
        assert value > 0.7
    if kind == "multioutput":
        parts = [(oof.true[:, :2], mean[:, :2]), (oof.true[:, 2:], mean[:, 2:])]
        recalls = [recall_score(true.argmax(axis=1), each.argmax(axis=1), average="macro") for true, each in parts]
        assert value == pytest.approx(np.mean(recalls))
        assert value > 0.7
        assert [numbers["per_target"][name]["macro_recall"] for name in ("tone", "hue")] == pytest.approx(recalls)

    submitted = in_this_process("submit", "--yes")
    score = float(submitted.split("public score")[1])
    written = pd.read_csv(work / "submissions" / kind / "colour-001.csv", dtype=str, keep_default_na=False)
    true = pd.read_csv(folder / "solution.csv", dtype=str).set_index("id").loc[written["id"]]
    if kind == "multioutput":
        recalls = [recall_score(true[name], written[name], average="macro") for name in ("tone", "hue")]
        assert score == pytest.approx(np.mean(recalls), abs=1e-4)
    true = true.iloc[:, 0]
    if kind == "regression":
        given, wanted = written["label"].astype(float), true.astype(float)
        assert score == pytest.approx(root_mean_squared_error(wanted, given), abs=1e-4)
        assert r2_score(wanted, given) > 0.8
    elif kind == "multiclass":
        assert score == pytest.approx((true.to_numpy() == written["label"].to_numpy()).mean(), abs=1e-4)
    elif kind == "ordinal":
        assert score == pytest.approx(
            cohen_kappa_score(true.astype(int), written["label"].astype(int), weights="quadratic"), abs=1e-4
        )
    elif kind == "multilabel":
        pairs = [(set(a.split()), set(b.split())) for a, b in zip(true, written["label"], strict=True)]
        assert score == pytest.approx(np.mean([2 * len(a & b) / (len(a) + len(b)) for a, b in pairs]), abs=1e-4)
    assert json.loads(in_this_process("submissions", "--json"))[0]["metric"] == first
    for command in (
        ["runs"],
        ["show", "curves"],
        ["show", "samples"],
        ["show", "confusion"],
        *([["show", "mistakes"]] if kind in ("regression", "multioutput") else []),
        ["show", "predictions"],
        ["report"],
        ["compare", "colour-001", "colour-001"],
    ):
        assert in_this_process(*command)
