"""Tuning: a study of trials that several processes share, that no kill breaks, and whose best is trained whole."""

import json
import time

import pytest
from conftest import environment, in_this_process
from launching import launch
from synthetic import make_run

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.parsing import parse_duration
from kaggle_cnn.recipe import Recipe
from kaggle_cnn.runs.run import list_runs, read_run
from kaggle_cnn.search_space import Span, derive_space, parse_space

pytestmark = pytest.mark.usefixtures("eager")
FAST = ("--set", "epochs=2", "--set", "tta=flip")
SPACE = ("--space", "learning_rate=1e-5..1e-1:log", "--space", "width=2..8")


@pytest.fixture
def here(tiny_workspace, monkeypatch):
    monkeypatch.chdir(tiny_workspace.root)
    return tiny_workspace


def tune(*options, trials=3):
    return json.loads(in_this_process("tune", "tiny", "--trials", str(trials), "--json", *options))


def test_a_study_is_tuned_gone_on_with_and_its_best_is_trained(here):
    found = tune(*FAST, *SPACE, trials=4)
    assert [each["number"] for each in found["trials"]] == [0, 1, 2, 3]
    first = found["trials"][0]
    assert first["settings"] == {"learning_rate": 0.01, "width": 4}  # the recipe's own
    assert first["state"] == "complete"
    values = {each["number"]: each["value"] for each in found["trials"] if each["state"] == "complete"}
    assert found["own"] == first["value"]
    assert values[found["best"]] == max(values.values())
    for each in found["trials"]:
        assert 1e-5 <= each["settings"]["learning_rate"] <= 1e-1
        assert each["settings"]["width"] in range(2, 9)
        folder = here.root / "runs" / "colours" / "studies" / "tiny" / f"trial-{each['number']:04d}"
        record = json.loads((folder / "run.json").read_text())
        assert record["settings"]["width"] == each["settings"]["width"]
        assert max(each["epochs"]) == each["value"]
        assert sorted(path.name for path in (folder / "fold-0").iterdir()) == ["history.csv", "result.json"]
    assert not list_runs(here, "colours")  # trials are not among the runs
    again = tune(*FAST, trials=5)  # the space is that of the study
    assert again["trials"][:4] == found["trials"]
    assert len(again["trials"]) == 5
    assert len(tune(*FAST, trials=5)["trials"]) == 5
    printed = in_this_process("tune", "tiny", "--trials", "5", *FAST)
    assert "study tiny: " in printed
    assert "the recipe's own settings" in printed
    assert (here.root / "runs" / "colours" / "studies" / "tiny" / "study.png").is_file()
    in_this_process("train", "tiny", "--best-of", "tiny", "--set", "epochs=1")
    run = read_run(here.root / "runs" / "colours" / "tiny-001")
    best = again["trials"][again["best"]]
    assert run.record["study"] == {"name": "tiny", "trial": best["number"]}
    assert run.settings["width"] == best["settings"]["width"]
    assert run.settings["learning_rate"] == best["settings"]["learning_rate"]
    assert (run.settings["epochs"], run.settings["tta"]) == (1, "flip")


def test_no_trial_repeats_another_even_in_a_small_space(here):
    found = tune(*FAST, "--space", "width=3,4,5", trials=9)
    widths = [each["settings"]["width"] for each in found["trials"]]
    assert sorted(widths) == [3, 4, 5]


def test_a_bad_trial_fails_alone_and_a_recipe_s_own_mistake_ends_it(here):
    """A learning rate of 1e30 makes the loss no number."""
    found = tune(*FAST, "--space", "learning_rate=0.01,1e30", trials=2)
    assert [each["state"] for each in found["trials"]] == ["complete", "fail"]
    assert "the loss became" in found["trials"][1]["error"] or "not numbers" in found["trials"][1]["error"]
    text = (here.root / "recipes" / "tiny.py").read_text()
    (here.root / "recipes" / "broken.py").write_text(text.replace("layers.Dropout(0.2)", "layers.Nothing()"))
    with pytest.raises(KcnnError, match="Nothing"):
        in_this_process("tune", "broken", "--trials", "2", *FAST)


def test_two_processes_share_a_study_and_a_kill_costs_one_trial(here, tmp_path):
    """One is killed in its trial; the other ends the study, asks that trial again, and repeats none."""
    command = ["tune", "tiny", "--trials", "7", *FAST, *SPACE]
    one, other = (
        launch(command, here.root, environment(HOME=str(tmp_path)), tmp_path / f"{name}.out", tmp_path / f"{name}.err")
        for name in ("one", "other")
    )
    study = here.root / "runs" / "colours" / "studies" / "tiny"
    deadline = time.monotonic() + 120
    while len(list(study.glob("trial-*/run.json"))) < 2 and time.monotonic() < deadline and one.is_alive():
        time.sleep(0.02)
    one.kill()
    one.join()
    other.join(200)
    assert other.exitcode == 0, (tmp_path / "other.err").read_text()
    found = tune(*FAST, trials=7)
    settings = [tuple(sorted(each["settings"].items())) for each in found["trials"]]
    assert len(set(settings)) == len(settings) == 7
    assert all(each["state"] in ("complete", "pruned") for each in found["trials"])
    assert len(found["trials"]) + 1 >= len(list(study.glob("trial-*/run.json")))


def test_a_database_keeps_a_study_too(here):
    url = f"sqlite:///{here.root / 'study.db'}"
    found = tune(*FAST, "--space", "width=2..8", "--storage", url, "--study", "kept", trials=2)
    assert found["study"] == "kept"
    again = tune(*FAST, "--storage", url, "--study", "kept", trials=3)  # the space is that of the study
    assert (again["space"], len(again["trials"])) == ({"width": "2..8"}, 3)
    with pytest.raises(KcnnError, match="the storage cannot be opened"):
        tune("--storage", "nowhere://at.all", "--space", "width=2..8")


@pytest.mark.parametrize(("options", "message"), [
    (["--space", "wdith=2,3"], "the recipe has no setting 'wdith'"),
    (["--space", "width=5"], "width should have a range or two values or more, got '5'"),
    (["--space", "width=8..2"], "width should have a range from below to above, got '8..2'"),
    (["--space", "learning_rate=0..1:log"], "learning_rate should have a range from below to above, above 0 for :log"),
    (["--space", "epochs=0..3"], "epochs should be at least 1, got 0"),
    (["--space", "width"], "--space should be name=values, got 'width'"),
    (["--trials", "0"], "--trials should be at least 1, got 0"),
    (["--timeout", "soon"], "--timeout should be a time such as 90s, 30m or 2h, got 'soon'"),
    (["--study", "a/b"], "--study should be a name of letters, digits"),
    (["--set", "width=3", "--space", "width=2,3"], "there is nothing to search"),
])  # fmt: skip
def test_a_search_that_is_refused(here, options, message):
    with pytest.raises(KcnnError, match=message):
        in_this_process("tune", "tiny", *options)


def test_a_study_keeps_its_space(here):
    tune(*FAST, "--space", "width=2,3", trials=1)
    with pytest.raises(KcnnError, match="the study 'tiny' has another space"):
        tune(*FAST, "--space", "width=2,4", trials=1)
    with pytest.raises(KcnnError, match="the study 'tiny' has another fixed"):
        tune("--set", "epochs=1", trials=1)


def test_best_of_needs_a_study_of_the_recipe(here):
    with pytest.raises(KcnnError, match="there is no study 'tiny' with a finished trial"):
        in_this_process("train", "tiny", "--best-of", "tiny")
    tune(*FAST, "--space", "width=2,3", trials=1)
    (here.root / "recipes" / "other.py").write_text((here.root / "recipes" / "tiny.py").read_text())
    with pytest.raises(KcnnError, match="the study 'tiny' tunes tiny, not other"):
        in_this_process("train", "other", "--best-of", "tiny")
    make_run(here, "one")  # runs and studies live side by side
    assert [run.id for run in list_runs(here, "colours")] == ["one-001"]


def test_spaces_of_recipes():
    def model(shape, outputs, width=4, weight_decay=0.01):
        return None

    def augment(size, degrees=10.0, shift=0.0):
        return None

    derived = derive_space(Recipe(model=model, augment=augment, batch=64, learning_rate=0.01))
    assert {name: str(span) for name, span in derived.items()} == {
        "learning_rate": "0.001..0.1:log", "weight_decay": "0.001..0.1:log", "batch": "32,64,128",
        "degrees": "0..20"}  # fmt: skip
    own = Recipe(model=model, space={"width": "2..8", "mirror": "true,false"})
    assert derive_space(own) == {"width": Span(2, 8), "mirror": Span(choices=(True, False))}
    assert parse_space(own, {"weight_decay": "1e-4..1e-1:log"}) == {"weight_decay": Span(1e-4, 1e-1, log=True)}
    with pytest.raises(KcnnError, match="space should be a dict of texts"):
        Recipe(model=model, space={"width": 3})


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400)]
)
def test_durations(text, seconds):
    assert parse_duration(text, "--timeout") == seconds
    for wrong in ("", "5", "m", "-3m", "0s"):
        with pytest.raises(KcnnError, match="should be a time such as"):
            parse_duration(wrong, "--timeout")
