"""Recipe: a model and its knobs. Loading a recipe file, setting its knobs. Works without Keras."""

import ast
import difflib
import functools
import inspect
import math
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

from kaggle_cnn.errors import KcnnError

Scalar = bool | int | float | str
FUNCTIONS = ("model", "augment", "optimizer")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
CLASS_WEIGHTS = ("none", "balanced")
# Asked for so many views, a prediction gives these, each the first of the next: see learn.layers.view_places.
VIEWS = {1: (1,), 2: (1, 2), 6: (1, 2, 6), 10: (1, 2, 10)}


@dataclass(frozen=True)
class Recipe:
    """What a recipe file calls `recipe`. Every scalar here, and every scalar keyword of its functions, is a knob.

    model: `model(shape, classes, **knobs)` returns an uncompiled keras.Model from uint8 (height, width, channels) to
        float32 probabilities (classes,); rescaling is the model's own first layer.
    size, crop: images are kept at size x size; training and prediction cut crop x crop out of them, crop <= size.
    augment: `augment(crop)` returns an Albumentations pipeline from (size, size) to (crop, crop), or a Keras layer that
        does the same to a batch on the device (learn.on_device.AugmentOnDevice); None cuts the centre.
    optimizer: `optimizer(learning_rate, steps)` returns a Keras optimizer, `steps` being those of the whole training;
        None is Adam at a constant rate.
    learning_rate: what `optimizer` is given.
    epochs, batch: passes over the training images, and images in a step.
    label_smoothing: in [0, 1): the share of the target spread evenly over all classes (Szegedy et al. 2016).
    class_weight: "balanced" weighs an image by images / (classes * images of its class), so that every class has the
        same say; "none" does not.
    mixup, cutmix: the Beta parameter of each, 0 for none; with both, each batch has one or the other. mixup adds a
        share of another image of the batch (Zhang et al. 2018), cutmix pastes a rectangle of it (Yun et al. 2019).
    ema: in [0, 1): the decay, at each step, of a running average of the weights, which is validated and kept in place
        of the weights themselves; 0 for none. It reaches back over a tenth of the training at most.
    plateau: so many epochs without a better validation divide the rate by ten; 0 for never. The optimizer's rate must
        be constant then.
    precision: "float32", "mixed_bfloat16", "mixed_float16", or "auto": mixed on a GPU that has it, else float32.
        A CPU may have bfloat16 too (avx512_bf16); one without takes ten times as long with it.
    views: how many views of an image are averaged after training: 1, 2, 6 or 10 (learn.layers.view_places).
    seed: of weights, batches, augmentation and dropout.

    `model` and `augment` may have a parameter `images=None`: there they are given training images (n, crop, crop,
    channels) uint8, those of the fold, or an even choice of them up to 256 MiB; to standardise by, or to whiten.

    Raises KcnnError where a value is out of its range.
    """

    model: Callable[..., Any]
    size: int = 64
    crop: int = 64
    augment: Callable[..., Any] | None = None
    optimizer: Callable[..., Any] | None = None
    learning_rate: float = 1e-3
    epochs: int = 30
    batch: int = 32
    label_smoothing: float = 0.0
    class_weight: str = "none"
    mixup: float = 0.0
    cutmix: float = 0.0
    ema: float = 0.0
    plateau: int = 0
    precision: str = "auto"
    views: int = 10
    seed: int = 0

    def __post_init__(self):
        for name in FUNCTIONS:
            function = getattr(self, name)
            if not callable(function) and not (function is None and name != "model"):
                raise KcnnError(f"{name} should be a function, got {function!r}", "name a function, without calling it")
        for name in ("size", "crop", "epochs", "batch"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        self._require("crop", self.crop <= self.size, f"at most size, which is {self.size}")
        self._require("seed", 0 <= self.seed < 2**31, "from 0 to 2147483647")
        self._require("learning_rate", self.learning_rate > 0, "above 0")
        for name in ("label_smoothing", "ema"):
            self._require(name, 0 <= getattr(self, name) < 1, "from 0 to below 1")
        for name in ("mixup", "cutmix", "plateau"):
            self._require(name, 0 <= getattr(self, name) < math.inf, "0 or more")
        self._require("class_weight", self.class_weight in CLASS_WEIGHTS, f"one of {', '.join(CLASS_WEIGHTS)}")
        self._require("precision", self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}")
        self._require("views", self.views in VIEWS, "1, 2, 6 or 10")

    def _require(self, name: str, fine: bool, expected: str) -> None:
        if not fine:
            raise KcnnError(f"{name} should be {expected}, got {getattr(self, name)!r}", f"--set {name}=VALUE sets it")


def own_knobs(function: Callable | None) -> dict[str, Scalar]:
    """The keywords of a recipe's function that have a scalar default, with the values they have."""
    parameters = inspect.signature(function).parameters if function else {}
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    return {name: value for name, value in defaults.items() if isinstance(value, Scalar)}


def knobs(recipe: Recipe) -> dict[str, Scalar]:
    """Every knob of `recipe` with its value, those of its functions first."""
    of_functions = {name: value for place in FUNCTIONS for name, value in own_knobs(getattr(recipe, place)).items()}
    own = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    return {**of_functions, **{name: value for name, value in own.items() if isinstance(value, Scalar)}}


def wants_images(function: Callable) -> bool:
    return "images" in inspect.signature(function).parameters


def given_images(function: Callable, images: Any) -> Callable:
    """`function`, with the training `images` if it asks for them."""
    return functools.partial(function, images=images) if wants_images(function) else function


def set_knobs(recipe: Recipe, values: dict[str, str | Scalar]) -> Recipe:
    """`recipe` with some knobs changed; text is read as the type of the value that is there.

    Raises KcnnError for an unknown knob, naming the nearest known one, and for a value of the wrong type.
    """
    known = knobs(recipe)
    changed = {}
    for name, value in values.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"its knobs are: {', '.join(known)}"
            raise KcnnError(f"the recipe has no knob '{name}'", hint)
        changed[name] = convert(name, value, type(known[name]))
    for place in FUNCTIONS:
        function = getattr(recipe, place)
        if own := {name: changed.pop(name) for name in own_knobs(function) if name in changed}:
            changed[place] = functools.partial(function, **own)
    return replace(recipe, **changed)


def require_same(kept: Recipe, wanted: Recipe) -> None:
    """Raises KcnnError where a knob of `wanted` differs from that of `kept`, a run that is to be gone on with."""
    for name, value in knobs(kept).items():
        if knobs(wanted)[name] != value:
            raise KcnnError(
                f"the run to go on with has {name}={value}, not {knobs(wanted)[name]}",
                "leave --set out to go on with it, or leave --resume out to begin another",
            )


def convert(name: str, value: str | Scalar, kind: type) -> Scalar:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        if kind is bool:
            return words[str(value).lower()]
        if kind is int and "e" in str(value).lower() and float(value).is_integer():
            return int(float(value))  # 1e3
        return kind(value)
    except (ValueError, KeyError):
        word = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise KcnnError(f"{name} should be {word}, got '{value}'", f"for example: --set {name}=1") from None


def parse_settings(settings: list[str]) -> dict[str, str]:
    """["width=32"] -> {"width": "32"}; raises KcnnError where one has no name or no equals sign."""
    pairs = [setting.partition("=") for setting in settings]
    for setting, (name, equals, _) in zip(settings, pairs, strict=True):
        if not name.strip() or not equals:
            raise KcnnError(f"--set should be name=value, got '{setting}'", "for example: --set epochs=5")
    return {name.strip(): value.strip() for name, _, value in pairs}


def load_recipe(path: Path) -> Recipe:
    """Runs a recipe file and returns its `recipe`.

    Raises KcnnError where the file is missing, does not compile, fails while it runs, has no Recipe called `recipe`,
    or has two knobs of one name, such as a keyword of its model called `size`.
    """
    code = compile_recipe(path)
    # A module of its own in sys.modules: dataclasses and postponed annotations look their names up there.
    name = f"kcnn_recipe_{path.stem}"
    module = module_from_spec(ModuleSpec(name, None, origin=str(path)))
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except KcnnError as error:
        raise KcnnError(f"{path}: {error.message}", error.hint) from None
    except Exception as error:  # a recipe's code may raise anything
        raise KcnnError(
            f"{path}{line_in(path, error)}: {describe(error)}", "fix the recipe, then run it again"
        ) from error
    namespace = vars(module)
    recipe = namespace.get("recipe")
    if not isinstance(recipe, Recipe):
        found = f"`recipe` is a {type(recipe).__name__}" if "recipe" in namespace else "there is no `recipe`"
        raise KcnnError(f"{path}: expected `recipe = Recipe(...)`, and {found}", "see recipes/baseline.py for the form")
    names = [name for place in FUNCTIONS for name in own_knobs(getattr(recipe, place))]
    names += [field.name for field in fields(Recipe)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise KcnnError(f"{path}: there are two knobs '{min(twice)}'", "give the keyword of one function another name")
    return recipe


def compile_recipe(path: Path):
    try:
        return compile(path.read_text(encoding="utf-8"), path, "exec")
    except OSError as error:
        here = sorted(Path("recipes").glob("*.py"))
        hint = f"there are: {', '.join(map(str, here))}" if here else "kcnn init puts recipes here to start from"
        raise KcnnError(f"cannot read the recipe {path}: {(error.strerror or str(error)).lower()}", hint) from None
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if getattr(error, "lineno", None) else ""
        raise KcnnError(f"{path}{line}: not valid Python: {getattr(error, 'msg', error)}", "mend that line") from None


def line_in(path: Path, error: Exception) -> str:
    """ ", line 12" where `error` passed through a line of `path`, else ""."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""


def describe(error: Exception) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def read_outline(path: Path) -> tuple[str, dict[str, str]]:
    """A recipe file's first line and its knobs as they are written, those of its functions first, by reading alone: no
    Keras, nothing is run. Functions that it imports from kcnn are read there.

    Where the file is not Python, that is said in place of the first line.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        return f"not valid Python: {error}", {}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    signatures, written = read_signatures(tree), {}
    for call in (call for call in calls if call.func.id == "Recipe"):
        own = {keyword.arg: keyword.value for keyword in call.keywords}
        for place in FUNCTIONS:
            written.update(signatures.get(getattr(own.pop(place, None), "id", None), {}))
        written.update({name: ast.unparse(value) for name, value in own.items()})
    return (ast.get_docstring(tree) or "").partition("\n")[0], written


def read_signatures(tree: ast.Module) -> dict[str, dict[str, str]]:
    """Of the functions that a file defines or imports from kcnn: name -> its keywords with their defaults as written,
    but for those of None, which are no knobs."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kaggle_cnn."):
            source = Path(__file__).parents[2].joinpath(*node.module.split(".")).with_suffix(".py")
            there = read_signatures(ast.parse(source.read_text(encoding="utf-8"))) if source.is_file() else {}
            names = {alias.name: alias.asname or alias.name for alias in node.names}
            found.update({names[name]: keywords for name, keywords in there.items() if name in names})
        if isinstance(node, ast.FunctionDef):
            positional = [*node.args.posonlyargs, *node.args.args]
            pairs = zip(positional[len(positional) - len(node.args.defaults) :], node.args.defaults, strict=True)
            defaults = [*pairs, *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]
            written = {argument.arg: ast.unparse(default) for argument, default in defaults if default is not None}
            found[node.name] = {name: value for name, value in written.items() if value != "None"}
    return found


def shipped_recipes() -> list[Path]:
    """The recipe files that come with kcnn: inside an installed package, beside it in a clone."""
    package = Path(__file__).parents[1]
    folder = package / "recipes" if (package / "recipes").is_dir() else package.parent / "recipes"
    return sorted(folder.glob("*.py"))
