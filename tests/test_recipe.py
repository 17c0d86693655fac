import pytest
from conftest import TINY

from kaggle_cnn import KcnnError, Recipe
from kaggle_cnn.learn.recipe import knobs, load_recipe, parse_settings, read_outline, require_same, set_knobs


def model(shape, classes, width=8, bias=True, activation="relu", optional=None):
    return width, bias, activation


def test_knobs_are_scalars_of_the_recipe_and_its_functions():
    recipe = Recipe(model=model, augment=lambda crop, degrees=10.0: degrees, epochs=3)
    known = knobs(recipe)
    assert {name: known[name] for name in ("width", "bias", "activation", "degrees", "epochs")} == {
        "width": 8, "bias": True, "activation": "relu", "degrees": 10.0, "epochs": 3,
    }  # fmt: skip
    assert not {"shape", "classes", "optional", "model", "augment"} & set(known)
    changed = set_knobs(recipe, parse_settings(["width=16", "bias=no", "activation=tanh", "degrees=5", "epochs=1e2"]))
    assert changed.model((8, 8, 1), 2) == (16, False, "tanh")
    assert changed.augment(4) == 5.0
    assert changed.epochs == 100
    again = set_knobs(recipe, knobs(changed))  # as a run's own record sets them
    assert knobs(again) == knobs(changed)
    require_same(changed, again)


@pytest.mark.parametrize(
    ("setting", "error", "hint"),
    [
        ("widht=3", "no knob 'widht'", "did you mean 'width'"),
        ("zzz=3", "no knob 'zzz'", "its knobs are: width"),
        ("epochs=abc", "epochs should be a whole number, got 'abc'", "--set epochs"),
        ("epochs=2.5", "epochs should be a whole number", ""),
        ("epochs=0", "epochs should be at least 1, got 0", ""),
        ("learning_rate=fast", "learning_rate should be a number", ""),
        ("learning_rate=nan", "learning_rate should be above 0", ""),
        ("bias=perhaps", "bias should be true or false", ""),
        ("crop=65", "crop should be at most size, which is 64", ""),
        ("ema=1", "ema should be from 0 to below 1", ""),
        ("mixup=-1", "mixup should be 0 or more, got -1.0", ""),
        ("cutmix=inf", "cutmix should be 0 or more", ""),
        ("class_weight=some", "class_weight should be one of none, balanced, got 'some'", ""),
        ("plateau=-1", "plateau should be 0 or more", ""),
        ("views=3", "views should be 1, 2, 6 or 10", ""),
        ("precision=float8", "precision should be one of", ""),
        ("epochs", "--set should be name=value, got 'epochs'", ""),
        ("=5", "--set should be name=value", ""),
    ],
)
def test_bad_settings(setting, error, hint):
    with pytest.raises(KcnnError) as caught:
        set_knobs(Recipe(model=model), parse_settings([setting]))
    assert error in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("recipe = (", "line 1: not valid Python"),
        ("\0", "not valid Python"),
        ("x = 1", "there is no `recipe`"),
        ("recipe = 3", "`recipe` is a int"),
        ("\nimport nowhere_at_all", "line 2: ModuleNotFoundError"),
        ("from kaggle_cnn import Recipe\nrecipe = Recipe(model=3)", "model should be a function"),
        ("from kaggle_cnn import Recipe\nrecipe = Recipe()", "TypeError"),
        ("from kaggle_cnn import Recipe\ndef m(s, c, size=1): pass\nrecipe = Recipe(model=m)", "two knobs 'size'"),
        ("1 / 0", "line 1: ZeroDivisionError"),
    ],
)
def test_bad_recipe_files(tmp_path, text, error):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(KcnnError) as caught:
        load_recipe(tmp_path / "mine.py")
    assert error in caught.value.message
    assert "mine.py" in caught.value.message


def test_a_recipe_that_is_not_there(tmp_path):
    with pytest.raises(KcnnError, match="no such file"):
        load_recipe(tmp_path / "none.py")


def test_outline_is_read_without_running(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY + "\nraise SystemExit\n")
    first_line, written = read_outline(tmp_path / "tiny.py")
    assert first_line == "Tiny: for tests."
    assert list(written.items())[:6] == [
        ("width", "4"), ("degrees", "10"), ("shift", "0.1"), ("zoom", "0.0"), ("size", "20"), ("crop", "16"),
    ]  # fmt: skip


MODERN = """from __future__ import annotations

from dataclasses import dataclass, field

from kaggle_cnn import Recipe


@dataclass
class Widths:
    first: int = 8
    rest: list[int] = field(default_factory=list)


def model(shape, classes, *, width=Widths().first, depth: int = 3):
    return width, depth


recipe = Recipe(model=model)
"""


def test_postponed_annotations_and_keyword_only_settings(tmp_path):
    (tmp_path / "modern.py").write_text(MODERN)
    recipe = load_recipe(tmp_path / "modern.py")
    assert knobs(recipe)["width"] == 8
    assert set_knobs(recipe, {"depth": "5"}).model((8, 8, 1), 2) == (8, 5)
    written = read_outline(tmp_path / "modern.py")[1]
    assert (written["width"], written["depth"]) == ("Widths().first", "3")
