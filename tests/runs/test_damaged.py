"""What is on the disk may be damaged: it is named and left out, or made again, and no command ends in a traceback."""

import json

import numpy as np
import pytest
from conftest import dataset_in

from kaggle_cnn.data.dataset import load_dataset
from kaggle_cnn.data.duplicates import inspect
from kaggle_cnn.data.image_cache import load_images
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Silent
from kaggle_cnn.runs.decision import Decision
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import list_runs, open_run, read_runs
from kaggle_cnn.runs.scores import score_run
from kaggle_cnn.workspace import Workspace

pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture
def run(train_tiny):
    return train_tiny(epochs=1)


def without(record, path):
    """A copy of a record that lacks one field."""
    changed = json.loads(json.dumps(record))
    place = changed
    *above, last = path.split(".")
    for name in above:
        place = place[name]
    del place[last]
    return changed


def test_a_damaged_run_is_named_and_the_others_are_listed(run, tiny_workspace, kcnn, refused):
    record = json.loads((run.folder / "run.json").read_text())
    damaged = tiny_workspace.runs("colours") / "odd-001"
    damaged.mkdir()
    fields = ("settings.size", "folds.numbers", "task.classes", "backend", "channels")
    wrong = [({**record, "folds": {**record["folds"], "numbers": ["a"]}}, "folds.numbers.0 should be a valid integer")]
    wrong += [({**record, "settings": {**record["settings"], "size": -4}}, "settings.size should be greater")]
    wrong += [({**record, "folds": {**record["folds"], "file": "../../x"}}, "folds.file should match")]
    wrong += [(without(record, field), f"has no field '{field}'") for field in fields]
    wrong += [({}, "is of format 1"), (None, "should be a valid dictionary"), ([1], "should be a valid dictionary")]
    for content, what in wrong:
        (damaged / "run.json").write_text(json.dumps(content))
        runs, [error] = read_runs(tiny_workspace, "colours")
        assert [each.id for each in runs] == [run.id]
        assert str(damaged / "run.json") in error.message
        assert what in error.message
        with pytest.raises(KcnnError, match=r"odd-001.run\.json"):
            open_run(tiny_workspace, "colours", "odd-001")
    for content in ("", "{", "[" * 100_000, "\x00\xff"):
        (damaged / "run.json").write_text(content)
        assert "cannot be read" in read_runs(tiny_workspace, "colours")[1][0].message
    done = kcnn("runs", cwd=tiny_workspace.root)
    assert "note: left out: " in done.stderr
    assert run.id in done.stdout
    kcnn("evaluate", cwd=tiny_workspace.root)
    assert "cannot be read" in refused("evaluate", "odd-001", cwd=tiny_workspace.root)


def test_files_that_a_run_can_do_without(run, tiny_workspace, kcnn):
    for name in ("fold-0/result.json", "fold-0/history.csv", "scores.json"):
        for content in (b"", b"null", b"[1]", b'{"seconds": "long", "key": 1, "tta": 2}', b"\xff\x00"):
            (run.folder / name).write_bytes(content)
            assert read_runs(tiny_workspace, "colours")[0][0].seconds == 0 or name != "fold-0/result.json"
            assert score_run(run, dataset_in(tiny_workspace).task)
    kcnn("runs", cwd=tiny_workspace.root)


def test_files_that_a_run_cannot_do_without(run):
    for content in ("", "null", '{"rule": "guess"}', '{"threshold": 1}', '{"rule": "argmax", "threshold": "x"}'):
        (run.folder / "decision.json").write_text(content)
        with pytest.raises(KcnnError, match=r"decision\.json"):
            Decision.read(run.folder / "decision.json")
    path = run.folder / "oof.npz"
    whole = dict(np.load(path))
    for changed in (
        {"logits": np.full_like(whole["logits"], np.nan)},
        {"logits": whole["logits"][:, 0]},
        {"ids": np.arange(len(whole["ids"]))},
        {"view_names": np.array(["none of these"] * len(whole["view_names"]))},
        {"fold": whole["fold"][1:]},
        {"crop": np.array(0)},
    ):
        np.savez(path, **{**whole, **changed})
        with pytest.raises(KcnnError, match=r"oof\.npz cannot be read"):
            Predictions.read(path)


def test_the_newest_run_does_not_go_by_the_clock(run, train_tiny, tiny_workspace):
    record = json.loads((run.folder / "run.json").read_text())
    (run.folder / "run.json").write_text(json.dumps({**record, "created": "2099-01-01T00:00:00+00:00"}))
    second = train_tiny(epochs=1)
    assert [each.id for each in list_runs(tiny_workspace, "colours")] == [run.id, second.id]
    assert open_run(tiny_workspace, "colours").id == second.id


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00\xff\xff"])
def test_a_damaged_cache_is_made_again(tiny_workspace, content):
    dataset = dataset_in(tiny_workspace)
    names = dataset.ids.tolist()
    arguments = (dataset.competition.folder, names, 8, 3, dataset.cache, Silent())
    before = np.array(load_images(*arguments).pixels)
    kept = [path for path in dataset.cache.iterdir() if path.suffix in (".npy", ".json", ".npz")]
    assert len(kept) == 3
    for path in kept:
        path.write_bytes(content)
        assert (load_images(*arguments).pixels == before).all()
    path = next(path for path in kept if path.suffix == ".npz")
    for changed in ({"width": np.full(45, np.nan)}, {"pixels": np.zeros((45, 1), np.uint64)}, {"other": np.zeros(45)}):
        inspect(dataset.competition.folder, names, dataset.cache, Silent())
        np.savez(path, **{**np.load(path), **changed})
        assert inspect(dataset.competition.folder, names, dataset.cache, Silent())["width"].min() > 9
    path.unlink()
    path.mkdir()
    (tiny_workspace.runs("colours") / "folds.csv").unlink()
    load_dataset(tiny_workspace, dataset.competition, Silent())  # looks at every image


@pytest.mark.parametrize(
    ("content", "what"),
    [("competition = 5", "competition should be a valid string"), ("competition = [", "is not valid TOML")],
)
def test_kcnn_toml(tmp_path, content, what):
    (tmp_path / "kcnn.toml").write_text(content)
    with pytest.raises(KcnnError, match=what):
        Workspace(tmp_path).current()


def test_a_kcnn_toml_above_that_belongs_to_somebody_else_does_not_count(tmp_path, monkeypatch):
    (tmp_path / "kcnn.toml").write_text("competition = 'theirs'")
    below = tmp_path / "mine"
    below.mkdir()
    assert Workspace.find(below).root == tmp_path
    monkeypatch.setattr("os.getuid", lambda: (tmp_path / "kcnn.toml").stat().st_uid + 1)
    assert Workspace.find(below).root == below
    assert Workspace.find(tmp_path).root == tmp_path
