"""From runs to the submission that is sent."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import dataset_in, edit_competition, in_this_process
from synthetic import make_run
from typer.testing import CliRunner

from kaggle_cnn import KcnnError
from kaggle_cnn.cli import app
from kaggle_cnn.competition import ledger
from kaggle_cnn.runs.export import last_submission, origin_of
from kaggle_cnn.runs.predictions import Predictions

pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture
def here(tiny_workspace, monkeypatch):
    monkeypatch.chdir(tiny_workspace.root)
    edit_competition(tiny_workspace, solution="truth.csv")
    return tiny_workspace


def predict(*arguments):
    return in_this_process("predict", *arguments).strip()


def submit():
    return in_this_process("submit", "--yes")


def test_what_was_printed_last_is_what_is_sent(train_tiny, here):
    train_tiny(epochs=1)
    train_tiny(epochs=1)
    printed = predict("tiny-001", "tiny-002")
    assert printed.endswith("tiny-001+tiny-002.csv")
    assert printed in submit()
    assert ledger.read(here.submissions("colours"))["file"].tolist() == ["tiny-001+tiny-002.csv"]
    assert ledger.read(here.submissions("colours"))["run"].tolist() == ["tiny-001+tiny-002"]
    single = predict("tiny-001")
    assert single in submit()


def test_views_of_another_size_have_their_own_files_and_score(train_tiny, here):
    run = train_tiny(epochs=1)
    usual = predict()
    before = {part: run.predictions_path(part).read_bytes() for part in ("oof", "test")}
    larger = predict("--crop", "20")
    assert larger.endswith("tiny-001-flip-20.csv")  # the whole image: there are no corners to cut
    assert {part: run.predictions_path(part).read_bytes() for part in ("oof", "test")} == before
    task = dataset_in(here).task
    oof = Predictions.read(run.folder / "oof-20.npz")
    assert oof.crop == 20
    scores = oof.scores(task, "flip")
    assert origin_of(here.submissions("colours") / "tiny-001-flip-20.csv").validation == pytest.approx(
        (scores.argmax(axis=1) == oof.true).mean()
    )
    assert "validation" in submit()
    assert ledger.read(here.submissions("colours"))["tta"].tolist() == ["flip"]
    assert predict() == usual


def test_another_policy_is_sent_with_its_own_score(train_tiny, here):
    run = train_tiny(epochs=1)
    assert predict("--tta", "none").endswith("tiny-001-none.csv")
    origin = origin_of(last_submission(here, "colours"))
    task, oof = dataset_in(here).task, Predictions.read(run.predictions_path("oof"))
    assert origin.tta == "none"
    assert origin.validation == pytest.approx((oof.scores(task, "none").argmax(axis=1) == oof.true).mean())
    test = Predictions.read(run.predictions_path("test")).scores(task, "none")
    written = pd.read_csv(last_submission(here, "colours"), dtype=str).set_index("id")["character"]
    ids = Predictions.read(run.predictions_path("test")).ids
    assert written[ids].tolist() == [task.classes[number] for number in test.argmax(axis=1)]


def test_a_policy_that_the_margin_does_not_allow(train_tiny, here):
    train_tiny(epochs=1, margin=0, tta="flip")
    with pytest.raises(KcnnError, match="tta=ten-crop needs a margin of at least 2 pixels, and it is 0"):
        in_this_process("evaluate", "--tta", "ten-crop")


def test_the_mean_of_runs_is_the_mean_of_their_probabilities(train_tiny, here):
    runs = [train_tiny(epochs=1), train_tiny(epochs=2, tta="flip")]
    numbers = json.loads(in_this_process("evaluate", *(run.id for run in runs), "--tta", "flip", "--json"))
    task = dataset_in(here).task
    parts = [Predictions.read(run.predictions_path("oof")) for run in runs]
    mean = np.mean([part.scores(task, "flip") for part in parts], axis=0)
    expected = task.metric.score(parts[0].true, mean, mean.argmax(axis=1), None)
    assert numbers["scores"]["accuracy"] == pytest.approx(expected)


def test_a_fitted_threshold_goes_with_every_policy(train_tiny, here):
    """Several labels: what is fitted on the out-of-fold predictions of a policy is used for its submission."""
    edit_competition(
        here, kind="multilabel", metric="samples_f1", submission_format="multi_label", separator=" ", solution=""
    )
    run = train_tiny(epochs=1, learning_rate=1e-6)
    rule = json.loads((run.folder / "decision.json").read_text())
    assert rule["rule"] == "threshold"
    task = dataset_in(here).task
    for policy in ("flip", "ten-crop"):
        predict("--tta", policy)
        oof, test = (Predictions.read(run.predictions_path(part)) for part in ("oof", "test"))
        from kaggle_cnn.runs.fit_decision import fit_decision

        fitted = fit_decision(task, oof.true, oof.scores(task, policy))
        chosen = fitted.decide(test.scores(task, policy))
        written = pd.read_csv(last_submission(here, "colours"), dtype=str).set_index("id")["character"]
        expected = [" ".join(task.classes[n] for n in np.flatnonzero(row)) for row in chosen]
        assert written[test.ids].tolist() == expected
        numbers = json.loads(in_this_process("evaluate", "--tta", policy, "--json"))
        assert numbers["threshold"] == pytest.approx(fitted.threshold)


def test_the_correlation_is_of_the_metric_alone(tmp_path):
    for value in (0.1, 0.2, 0.3, 0.4):
        ledger.enter(tmp_path, file="a.csv", metric="log_loss", validation=value, public=2 * value)
    for value in (0.9, 0.5, 0.7):
        ledger.enter(tmp_path, file="b.csv", metric="accuracy", validation=value, public=1 - value)
    entries = ledger.update(tmp_path, [])
    found = ledger.correlation(entries, "log_loss")
    assert (found.value, found.submissions) == (pytest.approx(1), 4)
    found = ledger.correlation(entries, "accuracy")
    assert (found.value, found.low, found.high, found.submissions) == (pytest.approx(-1), -1, 1, 3)
    assert ledger.correlation(entries, "auc") is None


def test_the_interval_of_the_correlation_and_its_warning(here, tmp_path):
    """Fisher's interval of r = 0.6 of 12: known from any table; one that holds 0 is said to be doubtful."""
    draw = np.random.default_rng(0)
    one = draw.normal(0, 1, 12)
    one = (one - one.mean()) / one.std()
    other = draw.normal(0, 1, 12)
    other -= other.mean() + one * (one @ other) / 12
    other = 0.6 * one + 0.8 * other / other.std()
    for a, b in zip(one, other, strict=True):
        ledger.enter(tmp_path, file="a.csv", metric="accuracy", validation=a, public=b, run="x-001")
    found = ledger.correlation(ledger.update(tmp_path, []), "accuracy")
    assert (found.value, found.low, found.high) == (
        pytest.approx(0.6, abs=1e-3), pytest.approx(0.04, abs=0.01), pytest.approx(0.87, abs=0.01))  # fmt: skip
    assert not found.is_doubtful
    for place, score in enumerate([0.8, 0.7, 0.9, 0.75]):
        ledger.enter(here.submissions("colours"), file=f"{place}.csv", metric="accuracy", validation=0.9 + place / 100,
                     public=score, run="tiny-001")  # fmt: skip
    done = CliRunner().invoke(app, ["submissions"])
    assert "correlation of validation and public accuracy" in done.output
    assert "note: the public score may not follow your validation" in done.output


def test_runs_say_what_they_come_from_and_what_was_submitted(here):
    make_run(here, "one", 1.5, 0)
    make_run(here, "two", 1.2, 1)
    in_this_process("blend", "one", "two", "--weights", "equal")
    for score in (0.5, 0.75):
        ledger.enter(here.submissions("colours"), file="a.csv", metric="accuracy", validation=0.9, public=score,
                     run="blend-001")  # fmt: skip
    printed = in_this_process("runs")
    line = next(line for line in printed.splitlines() if "blend of" in line)
    assert line.split() == ["blend-001", "blend", "of", "one-001", "(0.50),", "two-001", "(0.50)", "0.7500"]
