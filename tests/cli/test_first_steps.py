"""What a newcomer trips over: names of recipes, versions, hints, empty lists, scores of several runs."""

import json
import re

import pytest
from conftest import in_this_process, make_images_in


@pytest.fixture
def colours(work, tmp_path, monkeypatch, keras):
    """A workspace with the competition colours, which is not the current one, and a larger one called other."""
    monkeypatch.chdir(work)
    in_this_process("fetch", str(make_images_in(tmp_path / "colours")))
    in_this_process("fetch", str(make_images_in(tmp_path / "other", per_class=6)))
    return work


def test_a_recipe_by_its_name(colours, keras):
    said = in_this_process("train", "tiny", "--set", "epochs=1")
    assert "tiny-001" in said
    small = ["size=16", "epochs=1", "width=4", "margin=0", "tta=none"]
    said = in_this_process("train", "baseline", *(part for each in small for part in ("--set", each)))
    assert "baseline-001" in said  # not in recipes/: the one that comes with kcnn


def test_a_recipe_that_is_not_there(refused, kcnn, work, make_images, tmp_path):
    kcnn("fetch", make_images(tmp_path / "colours"), cwd=work)
    assert "cannot read the recipe nothing" in refused("train", "nothing", cwd=work)


def test_versions_and_help(kcnn):
    said = kcnn("--version").stdout.splitlines()
    assert re.fullmatch(r"kcnn \d+\.\d+\.\d+", said[0])
    assert any(line.startswith("tensorflow 2.") for line in said)
    assert kcnn("-h").stdout == kcnn("--help").stdout
    assert kcnn("show", "model", "-h").stdout == kcnn("show", "model", "--help").stdout


def test_recipes_lists_every_setting(kcnn, work):
    from kaggle_cnn.recipe import default_settings

    said = kcnn("recipes", cwd=work).stdout
    shared = said.split("settings of every recipe")[1]
    assert {part.split("=")[0] for part in shared.split()} == set(default_settings())
    assert {"mirror", "seed", "mixup", "precision"} <= set(default_settings())


@pytest.mark.usefixtures("eager")
def test_what_is_said_of_another_competition_names_it(colours, kcnn, refused):
    said = kcnn("train", "tiny", "-c", "colours", "--set", "epochs=1", cwd=colours)
    assert "next: kcnn submit -c colours" in said.stderr
    done = kcnn("leaderboard", "-c", "colours", cwd=colours, code=1)
    assert "hint: kcnn submissions -c colours lists your own scores" in done.stderr
    done = kcnn("show", "curves", "-c", "other", cwd=colours, code=1)
    assert "hint: kcnn train -c other recipes/resnet.py makes one" in done.stderr
    assert "-c" not in kcnn("leaderboard", cwd=colours, code=1).stderr


def test_nothing_trained_or_submitted_yet(kcnn, work, make_images, tmp_path):
    kcnn("fetch", make_images(tmp_path / "colours"), cwd=work)
    done = kcnn("runs", cwd=work)
    assert (done.stdout, done.stderr) == ("", "there is no run of 'colours' yet: kcnn train resnet\n")
    assert json.loads(kcnn("runs", "--json", cwd=work).stdout) == []
    done = kcnn("submissions", cwd=work)
    assert done.stdout == ""
    assert done.stderr == "nothing has been submitted to 'colours' yet: kcnn submit\n"
    assert json.loads(kcnn("submissions", "--json", cwd=work).stdout) == []


def test_several_runs_each_with_its_own_score(colours):
    good, bad = ["--set", "epochs=12"], ["--set", "epochs=1", "--set", "learning_rate=1e-6"]
    for settings in (good, bad):
        in_this_process("train", "tiny", "-c", "colours", "--folds", "0,1", *settings)
    runs = json.loads(in_this_process("runs", "-c", "colours", "--json"))
    own = {run["id"]: run["scores"]["ten-crop"]["accuracy"] for run in runs}
    assert own["tiny-001"] > own["tiny-002"]
    said = in_this_process("evaluate", "tiny-001", "tiny-002", "-c", "colours")
    for run, score in own.items():
        assert re.search(rf"^{run} +{score:.4f}", said, re.MULTILINE), said
    mean = json.loads(in_this_process("evaluate", "tiny-001", "tiny-002", "-c", "colours", "--json"))
    assert re.search(rf"^their mean +{mean['scores']['accuracy']:.4f}", said, re.MULTILINE)
    assert mean["members"]["tiny-002"]["accuracy"] == pytest.approx(own["tiny-002"])

    from typer.testing import CliRunner

    from kaggle_cnn.cli import app

    asked = CliRunner().invoke(app, ["submit", "-c", "colours"], input="n\n").output
    assert f"better       tiny-001 validated {own['tiny-001']:.4f}" in asked
    in_this_process("predict", "tiny-001", "-c", "colours")
    assert "better" not in CliRunner().invoke(app, ["submit", "-c", "colours"], input="n\n").output


def test_widths_and_heights(kcnn, work, make_images, tmp_path):
    kcnn("fetch", make_images(tmp_path / "colours"), cwd=work)
    found = json.loads(kcnn("look", "--json", cwd=work).stdout)["train"]
    assert all(18 <= low <= middle <= high < 40 for low, middle, high in (found["width"], found["height"]))
    assert found["width"] != found["height"]
    assert "width" in kcnn("look", cwd=work).stdout
