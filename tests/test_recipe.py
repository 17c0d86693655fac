"""Recipes: their settings, their files, and the names that they may import."""

import ast
import importlib
import inspect
import re
import sys

import pytest
from conftest import TINY

import kaggle_cnn
from kaggle_cnn import KcnnError, Recipe
from kaggle_cnn.recipe import (
    apply_settings,
    list_settings,
    list_shipped_recipes,
    load_recipe,
    own_settings,
    parse_settings,
    read_outline,
    require_same,
)

# What a recipe may import: every run keeps its recipe verbatim, so that none of these names may ever go away.
FRONT_DOOR = {
    "kaggle_cnn": {"Recipe", "Phase", "KcnnError"},
    "kaggle_cnn.backbone": {"open_backbone"},
    "kaggle_cnn.augment": {
        "Warp", "AlternatingFlip", "PCAColour", "find_principal_colours", "centre", "flip", "shift_rotate_flip",
        "pca_colour_flip", "flip_brightness_contrast", "shift_flip_cutout", "shift_alternating_flip",
    },
    "kaggle_cnn.layers": {"LocalResponseNormalization", "AugmentOnDevice", "standardise"},
    "kaggle_cnn.optimizers": {"adamw_warmup_cosine", "warmup_cosine", "decay_in_loss"},
}  # fmt: skip
PARTS = {"kaggle_cnn.augment": {"mirror_half", "shift_by"}}  # of the pipelines, for none but them


@pytest.mark.parametrize("module", list(FRONT_DOOR))
def test_public_names_of_the_front_door(keras, module):
    loaded = importlib.import_module(module)
    for name in FRONT_DOOR[module]:
        assert callable(getattr(loaded, name))
        assert getattr(loaded, name).__doc__, name
    if module != "kaggle_cnn":
        own = {name for name, value in vars(loaded).items() if getattr(value, "__module__", "") == module}
        assert {name for name in own if not name.startswith("_")} == FRONT_DOOR[module] | PARTS.get(module, set())


@pytest.mark.parametrize("path", list_shipped_recipes(), ids=lambda path: path.stem)
def test_recipes_import_the_front_door_alone(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            packages = [node.module]
            if node.module.partition(".")[0] == "kaggle_cnn":
                assert {alias.name for alias in node.names} <= FRONT_DOOR[node.module]
        elif isinstance(node, ast.Import):
            packages = [alias.name for alias in node.names]
            assert "kaggle_cnn" not in {name.partition(".")[0] for name in packages}
        else:
            continue
        allowed = {"kaggle_cnn", "keras", "numpy", *sys.stdlib_module_names}
        assert {name.partition(".")[0] for name in packages} <= allowed


def test_recipe_is_documented_in_full():
    heads = re.findall(r"^([a-z_]+(?:, [a-z_]+)*): ", inspect.getdoc(Recipe), re.MULTILINE)
    assert [name for head in heads for name in head.split(", ")] == list(inspect.signature(Recipe).parameters)
    assert kaggle_cnn.Recipe is Recipe


def model(shape, outputs, width=8, bias=True, activation="relu", optional=None):
    return width, bias, activation


def test_settings_are_scalars_of_the_recipe_and_its_functions():
    recipe = Recipe(model=model, augment=lambda size, degrees=10.0: degrees, epochs=3)
    known = list_settings(recipe)
    assert {name: known[name] for name in ("width", "bias", "activation", "degrees", "epochs")} == {
        "width": 8, "bias": True, "activation": "relu", "degrees": 10.0, "epochs": 3,
    }  # fmt: skip
    assert not {"shape", "outputs", "optional", "model", "augment"} & set(known)
    assert {"size", "margin", "mirror", "tta"} <= set(known)
    assert not {"crop", "views"} & set(known)
    changed = apply_settings(
        recipe, parse_settings(["width=16", "bias=no", "activation=tanh", "degrees=5", "epochs=1e2"])
    )
    assert changed.model((8, 8, 1), 2) == (16, False, "tanh")
    assert changed.augment(4) == 5.0
    assert changed.epochs == 100
    again = apply_settings(recipe, list_settings(changed))  # as a run's own record sets them
    assert list_settings(again) == list_settings(changed)
    require_same(changed, again)
    with pytest.raises(KcnnError, match="the run to resume has width=16, not 8"):
        require_same(changed, recipe)


def test_what_kcnn_fills_is_no_setting_of_the_function():
    """`mirror` and `seed` are the recipe's own, whatever default the function has; `images` is no scalar."""

    def augment(size, images=None, mirror=False, seed=7, pad=4):
        return pad

    recipe = Recipe(model=model, augment=augment)
    assert own_settings(augment) == {"pad": 4}
    assert list_settings(recipe)["mirror"] is True
    assert list_settings(recipe)["seed"] == 0
    assert apply_settings(recipe, {"mirror": "no"}).mirror is False


def test_the_network_sees_size_and_size_and_margin_are_kept():
    recipe = apply_settings(Recipe(model=model, size=64), {"size": "48", "margin": "8"})
    assert (recipe.size, recipe.margin, recipe.stored_size) == (48, 8, 56)


def test_values_from_python_are_checked_as_text_is():
    recipe = Recipe(model=model)
    given = {"epochs": 5.0, "learning_rate": 1, "mirror": False, "activation": "tanh", "batch": "1e2"}
    changed = list_settings(apply_settings(recipe, given))
    assert [changed[name] for name in given] == [5, 1.0, False, "tanh", 100]
    assert [type(changed[name]) for name in given] == [int, float, bool, str, int]
    for name, value in [("epochs", 2.7), ("epochs", None), ("learning_rate", None), ("epochs", [3]), ("mirror", 2)]:
        with pytest.raises(KcnnError, match=f"{name} should be"):
            apply_settings(recipe, {name: value})


@pytest.mark.parametrize(
    ("setting", "error", "hint"),
    [
        ("widht=3", "no setting 'widht'", "did you mean 'width'"),
        ("zzz=3", "no setting 'zzz'", "its settings are: width"),
        ("crop=48", "no setting 'crop'", ""),
        ("views=10", "no setting 'views'", ""),
        ("epochs=abc", "epochs should be a whole number, got 'abc'", "--set epochs"),
        ("epochs=2.5", "epochs should be a whole number", ""),
        ("epochs=0", "epochs should be at least 1, got 0", ""),
        ("learning_rate=fast", "learning_rate should be a number", ""),
        ("learning_rate=nan", "learning_rate should be above 0", ""),
        ("bias=perhaps", "bias should be true or false", ""),
        ("learning_rate=inf", "learning_rate should be above 0, got inf", "--set learning_rate=VALUE"),
        ("size=0", "size should be at least 1, got 0", ""),
        ("size=inf", "size should be a whole number, got 'inf'", ""),
        ("batch=0", "batch should be at least 1, got 0", ""),
        ("margin=-1", "margin should be 0 or more, got -1", "--set margin=VALUE"),
        ("margin=0.5", "margin should be a whole number", ""),
        ("seed=-1", "seed should be from 0 to 2147483647, got -1", ""),
        ("mirror=perhaps", "mirror should be true or false, got 'perhaps'", ""),
        ("label_smoothing=1", "label_smoothing should be from 0 to below 1", ""),
        ("ema=1", "ema should be from 0 to below 1", ""),
        ("mixup=-1", "mixup should be 0 or more, got -1.0", ""),
        ("cutmix=inf", "cutmix should be 0 or more", ""),
        ("class_weight=some", "class_weight should be one of none, balanced, got 'some'", ""),
        ("plateau=-1", "plateau should be 0 or more", ""),
        ("tta=10", "tta should be one of none, flip, shift, shift-unmirrored, five-crop, ten-crop, got '10'", "flip"),
        ("tta=ten-crop", "tta=ten-crop needs a margin of at least 2 pixels, and it is 0", "--set margin=8"),
        ("tta=five-crop", "tta=five-crop needs a margin of at least 2 pixels, and it is 0", "--set margin=8"),
        ("precision=float8", "precision should be one of", ""),
        ("epochs", "--set should be name=value, got 'epochs'", ""),
        ("=5", "--set should be name=value", ""),
    ],
)
def test_bad_settings(setting, error, hint):
    with pytest.raises(KcnnError) as caught:
        apply_settings(Recipe(model=model), parse_settings([setting]))
    assert error in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (["margin=0"], "tta=ten-crop needs a margin of at least 2 pixels, and it is 0"),
        (["margin=1"], "tta=ten-crop needs a margin of at least 2 pixels, and it is 1"),
        (["tta=best"], "tta should be one of none, flip, "),
        (["width=four"], "width should be a whole number, got 'four'"),
        (["warm_up=0.1"], "the recipe has no setting 'warm_up'"),
        (["degrees=steep"], "degrees should be a number, got 'steep'"),
    ],
)
def test_bad_settings_of_a_recipe_file(keras, tmp_path, settings, error):
    (tmp_path / "tiny.py").write_text(TINY)
    recipe = load_recipe(tmp_path / "tiny.py")
    assert apply_settings(recipe, parse_settings(["margin=0", "tta=shift", "width=8"])).policy == "shift"
    with pytest.raises(KcnnError) as caught:
        apply_settings(recipe, parse_settings(settings))
    assert caught.value.message.startswith(error)


MODEL = "from kaggle_cnn import Recipe\ndef m(shape, outputs): return 1 / outputs\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("recipe = (", "line 1: not valid Python"),
        ("\0", "not valid Python"),
        ("x = 1", "there is no `recipe`"),
        ("recipe = 3", "but `recipe` is int"),
        ("\nimport nowhere_at_all", "line 2: ModuleNotFoundError"),
        ("from kaggle_cnn import Recipe\nrecipe = Recipe(model=3)", "model should be a function, got 3"),
        ("from kaggle_cnn import Recipe\nrecipe = Recipe()", "TypeError"),
        ("from kaggle_cnn import Recipe\ndef m(s, c, size=1): pass\nrecipe = Recipe(model=m)", "two settings 'size'"),
        (f"{MODEL}recipe = Recipe(model=m, margin=-1)", "margin should be 0 or more, got -1"),
        (f"{MODEL}recipe = Recipe(model=m, tta='ten-crop')", "tta=ten-crop needs a margin of at least 2 pixels"),
        (f"{MODEL}recipe = Recipe(model=m, crop=8)", "line 3: TypeError"),
        (f"{MODEL}recipe = Recipe(model=m, augment=m(3, 4))", "augment should be a function, got 0.25"),
        (f"{MODEL}recipe = Recipe(model=None)", "model should be a function, got None"),
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
        ("width", "4"), ("degrees", "10.0"), ("shift", "0.1"), ("zoom", "0.0"), ("size", "16"), ("margin", "4"),
    ]  # fmt: skip


MODERN = """from __future__ import annotations

from dataclasses import dataclass, field

from kaggle_cnn import Recipe


@dataclass
class Widths:
    first: int = 8
    rest: list[int] = field(default_factory=list)


def model(shape, outputs, *, width=Widths().first, depth: int = 3):
    return width, depth


recipe = Recipe(model=model)
"""


def test_postponed_annotations_and_keyword_only_settings(tmp_path):
    (tmp_path / "modern.py").write_text(MODERN)
    recipe = load_recipe(tmp_path / "modern.py")
    assert list_settings(recipe)["width"] == 8
    assert apply_settings(recipe, {"depth": "5"}).model((8, 8, 1), 2) == (8, 5)
    written = read_outline(tmp_path / "modern.py")[1]
    assert (written["width"], written["depth"]) == ("Widths().first", "3")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"size": 12.0}, "size should be a whole number, got 12.0"),
        ({"margin": True}, "margin should be a whole number, got True"),
        ({"seed": 1.5}, "seed should be a whole number, got 1.5"),
        ({"mirror": "no"}, "mirror should be True or False, got 'no'"),
        ({"learning_rate": None}, "learning_rate should be a number, got None"),
        ({"tta": 5}, "tta should be a text, got 5"),
    ],
)
def test_values_of_another_type_in_a_recipe_file(setting, expected):
    with pytest.raises(KcnnError, match=re.escape(expected)):
        Recipe(model=lambda shape, outputs: None, **setting)
    assert Recipe(model=lambda shape, outputs: None, ema=0, learning_rate=1).ema == 0


@pytest.mark.parametrize("raised", ["raise GeneratorExit", "raise type('E', (BaseException,), {})('x')", "sys.exit(0)"])
def test_a_recipe_may_raise_anything(tmp_path, raised):
    (tmp_path / "mine.py").write_text(f"import sys\n{raised}\n")
    with pytest.raises(KcnnError, match=r"mine\.py, line 2"):
        load_recipe(tmp_path / "mine.py")
