"""The competition's metric, from the best epoch to the score of the host: log loss, QWK, AUC, F1."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import TINY, in_this_process, save_noise
from sklearn.metrics import cohen_kappa_score, f1_score, log_loss, roc_auc_score

from kaggle_cnn.runs.predictions import Predictions

pytestmark = pytest.mark.usefixtures("eager")

CASES = {
    # classes, header of the sample, cells of its rows, metric, whether higher is better
    "log_loss": (["cat", "dog", "owl"], "id,cat,dog,owl", "0.3,0.3,0.4", False),
    "quadratic_weighted_kappa": (["0", "1", "2"], "id,label", "0", True),
    "auc": (["0", "1"], "id,label", "0.5", True),
    "macro_f1": (["cat", "dog", "owl"], "id,label", "cat", True),
}


def make(folder, metric):
    """A competition of colours that overlap, so that no network has all of them right."""
    classes, header, cells, _ = CASES[metric]
    draw = np.random.default_rng(0)
    rows = {"train": [], "test": []}
    for number in range(80):
        part = "train" if number < 60 else "test"
        label = number % len(classes)
        (folder / part).mkdir(parents=True, exist_ok=True)
        save_noise(folder / part / f"{number}.jpg", (100 + 40 * label + int(draw.integers(-60, 60)), 90, 120), draw)
        rows[part].append((number, classes[label]))
    pd.DataFrame(rows["train"], columns=["id", "label"]).to_csv(folder / "train.csv", index=False)
    pd.DataFrame(rows["test"], columns=["id", "label"]).to_csv(folder / "truth.csv", index=False)
    lines = "".join(f"{number},{cells}\n" for number, _ in rows["test"])
    (folder / "sample_submission.csv").write_text(f"{header}\n{lines}")


def by_hand(metric, true, chances, classes):
    """The metric of scikit-learn, of class numbers and probabilities."""
    if metric == "log_loss":
        return log_loss(true, chances, labels=range(len(classes)))
    if metric == "auc":
        return roc_auc_score(true, chances[:, 1])
    if metric == "macro_f1":
        return f1_score(true, chances.argmax(axis=1), average="macro")
    grades = np.floor(chances @ np.arange(len(classes)) + 0.5).astype(int)
    return cohen_kappa_score(true, grades, weights="quadratic")


@pytest.mark.parametrize("metric", CASES)
def test_from_the_best_epoch_to_the_ledger(keras, tmp_path, monkeypatch, metric):
    classes, _, _, higher = CASES[metric]
    make(tmp_path / "task", metric)
    work = tmp_path / "work"
    (work / "recipes").mkdir(parents=True)
    (work / "recipes" / "tiny.py").write_text(TINY)
    monkeypatch.chdir(work)
    in_this_process("fetch", str(tmp_path / "task"))
    path = work / "data" / "task" / "competition.toml"
    kind = "ordinal" if metric.startswith("quadratic") else "multiclass"
    fields = {"metric": metric, "solution": "truth.csv", "kind": kind}
    lines = [line for line in path.read_text().splitlines() if line.partition(" = ")[0] not in fields]
    path.write_text("\n".join([*lines, *(f'{name} = "{value}"' for name, value in fields.items())]) + "\n")
    for settings in (["epochs=6"], ["epochs=1", "learning_rate=1e-6"]):
        in_this_process("train", "recipes/tiny.py", "--set", "tta=flip", *(x for s in settings for x in ("--set", s)))

    runs = json.loads(in_this_process("runs", "--json"))
    values = [run["scores"]["flip"][metric] for run in runs]
    assert values == sorted(values, reverse=higher)
    for run in runs:
        folder = work / "runs" / "task" / run["id"]
        history = pd.read_csv(folder / "fold-0" / "history.csv")[f"val_{metric}"].to_numpy()
        best = int(np.nanargmax(history if higher else -history))
        assert json.loads((folder / "fold-0" / "result.json").read_text())["best_epoch"] == best + 1
        oof = Predictions.read(folder / "oof.npz")
        chances = np.exp(oof.logits.mean(axis=1).astype(float))
        chances /= chances.sum(axis=1, keepdims=True)
        numbers = json.loads(in_this_process("evaluate", run["id"], "--tta", "flip", "--json"))
        assert next(iter(numbers["scores"])) == metric
        assert numbers["scores"][metric] == pytest.approx(by_hand(metric, oof.true, chances, classes), abs=1e-6)
        assert f"{numbers['scores'][metric]:.4f}" in in_this_process("runs")

        in_this_process("predict", run["id"])
        printed = in_this_process("submit", "--yes")
        line = json.loads(in_this_process("submissions", "--json"))[-1]
        assert (line["metric"], line["run"]) == (metric, run["id"])
        assert float(line["validation"]) == pytest.approx(numbers["scores"][metric], abs=1e-5)
        truth = pd.read_csv(tmp_path / "task" / "truth.csv", dtype=str).set_index("id")["label"]
        test = Predictions.read(folder / "test.npz")
        true = np.array([classes.index(truth[name]) for name in test.ids])
        chances = np.exp(test.logits.mean(axis=1).astype(float))
        chances /= chances.sum(axis=1, keepdims=True)
        public = float(printed.split("public score")[1].split()[0])
        assert public == pytest.approx(by_hand(metric, true, chances, classes), abs=2e-4)
