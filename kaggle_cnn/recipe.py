"""Recipe: a network and its settings. Loading a recipe file, changing its settings. Works without Keras."""

import ast
import difflib
import functools
import inspect
import math
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import CodeType
from typing import Any

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.tta import require_policy, without_mirror

Scalar = bool | int | float | str
FUNCTIONS = ("model", "augment", "optimizer", "phases")
GIVEN = ("images", "mirror", "seed", "metadata")  # parameters of a recipe's functions that kcnn fills
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
CLASS_WEIGHTS = ("none", "balanced")
FIX = "fix the recipe, then run it again"
TYPES = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
FITS = ("crop", "pad", "squash")
LOSSES = ("auto", "cross_entropy", "focal", "mean_squared_error", "mean_absolute_error", "huber")
ORDINAL = ("classification", "cumulative", "regression")


@dataclass(frozen=True)
class Phase:
    """A part of a training, with an optimizer and a schedule of its own.

    share: of the epochs, relative to the other phases. frozen: only layers whose names begin with "head" learn; the
    gradients of the others are not computed. rates: learning rates of the other layers, as parts of that of the head,
    from the input on; the layers are divided into as many groups as there are rates (Howard & Ruder 2018,
    arXiv:1801.06146); () is 1 for all. Raises KcnnError where a value is out of its range.
    """

    share: float = 1.0
    frozen: bool = False
    rates: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        hint = "correct the setting that gives it, or the recipe"
        if not isinstance(self.share, int | float) or not 0 <= self.share < 1e9:
            raise KcnnError(f"the share of a phase should be a number from 0 on, got {self.share!r}", hint)
        rates = self.rates if isinstance(self.rates, tuple | list) else (None,)
        if not all(isinstance(rate, int | float) and 0 < rate < math.inf for rate in rates):
            raise KcnnError(f"the rates of a phase should be a tuple of numbers above 0, got {self.rates!r}", hint)
        if self.frozen and self.rates:
            raise KcnnError("a phase that is frozen has no rates", "leave frozen or rates out")


@dataclass(frozen=True)
class Recipe:
    """What a recipe file calls `recipe`. Every scalar here, and every scalar keyword of its functions, is a setting.

    model: `model(shape, outputs, **settings)` returns an uncompiled keras.Model from uint8 (height, width, channels) to
        logits (outputs,): its last layer has no activation. Rescaling is the model's own first layer.
    size, margin: the network sees size x size pixels, cut out of images that are kept at size + margin.
    fit: how an image that is not a square becomes one. "crop" cuts the square out of the centre, so a long image loses
        its ends; "pad" keeps the whole image, between bars of its border's colour; "squash" changes width and height.
    augment: `augment(size, **settings)` returns an Albumentations pipeline from (size + margin) squares to size x size,
        or a Keras layer that does the same to a batch on the device (layers.AugmentOnDevice); None cuts the centre.
    mirror: whether training and prediction may mirror images left and right. False where a mirror image is another
        class. `kcnn train` sets it to False where the classes are digits or letters, unless it is set by hand.
    optimizer: `optimizer(learning_rate, steps, **settings)` returns a Keras optimizer, `steps` being those of the whole
        training; None is Adam at a constant rate.
    phases: `phases(**settings)` returns a tuple of Phase, one after the other; None is one phase in which all learns.
    learning_rate: the rate that `optimizer` is given.
    epochs, epoch_steps, batch: epochs; the steps of one, after which the network is validated, 0 for one pass over the
        training images; and the images in a step.
    loss: "auto", the usual one of the kind of task: cross-entropy, of several labels that of each, of numbers the mean
        squared error. Else "cross_entropy", or "focal" (Lin et al. 2017), for classes and labels; "mean_squared_error",
        "mean_absolute_error" or "huber" for numbers.
    ordinal: how grades are learned: "classification", each grade a class; "cumulative", an output for each "the grade
        is above k" (Cheng et al. 2008); "regression", one number. Predictions have a probability of each grade.
    label_smoothing: in [0, 1): the share of the target that is spread evenly over all classes (Szegedy et al. 2016).
    class_weight: "balanced" weighs an image by images / (classes * images of its class), so that every class counts the
        same; "none" does not.
    mixup, cutmix: the Beta parameter of each, 0 for none; with both, each batch has one or the other. mixup adds a
        share of another image of the batch (Zhang et al. 2018), cutmix pastes a rectangle of it (Yun et al. 2019).
    ema: in [0, 1): the decay, at each step, of a running average of the weights, which is validated and kept in place
        of the weights themselves; 0 for none. It reaches back over a tenth of the training at most.
    swa: after the last epoch, the mean of the weights after each of so many last epochs is validated, and kept where it
        is the best (Izmailov et al. 2018, arXiv:1803.05407); 0 for none.
    plateau: so many epochs without a better validation divide the rate by ten; 0 for never. The optimizer's rate must
        be constant then.
    precision: "float32", "mixed_bfloat16", "mixed_float16", or "auto": mixed on a GPU that has it, else float32.
        A CPU may have bfloat16 too (avx512_bf16); one without it takes ten times as long with it.
    tta: the policy of test-time augmentation by which predictions are averaged, one of tta.POLICIES. The margin must
        allow it.
    seed: of weights, batches, augmentation and dropout.
    space: what `kcnn tune` searches, {"learning_rate": "1e-4..1e-1:log", "width": "32,64"}; where it is empty, learning
        rate, weight decay, batch and the strength of the augmentation.

    `model` and `augment` may have a parameter `images=None`: there they are given training images (n, size, size,
    channels) uint8, those of the fold, or an even choice of them up to 256 MiB; to standardise by, or to whiten. A
    parameter `mirror` or `seed` of `augment` is given the setting of that name.

    `model` may have a parameter `metadata=None`: there it is given the number of features of the columns beside the
    images (see `kcnn look`), or None where there are none. With a number it returns a model of two inputs, the images
    and keras.Input((metadata,)), in this order; kcnn standardises the features before them.

    Raises KcnnError where a value is out of its range.
    """

    model: Callable[..., Any]
    size: int = 64
    margin: int = 0
    fit: str = "crop"
    augment: Callable[..., Any] | None = None
    mirror: bool = True
    optimizer: Callable[..., Any] | None = None
    phases: Callable[..., Any] | None = None
    learning_rate: float = 1e-3
    epochs: int = 30
    epoch_steps: int = 0
    batch: int = 32
    loss: str = "auto"
    ordinal: str = "classification"
    label_smoothing: float = 0.0
    class_weight: str = "none"
    mixup: float = 0.0
    cutmix: float = 0.0
    ema: float = 0.0
    swa: int = 0
    plateau: int = 0
    precision: str = "auto"
    tta: str = "flip"
    seed: int = 0
    space: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in FUNCTIONS:
            function = getattr(self, name)
            if not callable(function) and not (function is None and name != "model"):
                raise KcnnError(f"{name} should be a function, got {function!r}", "name a function, without calling it")
        for each in fields(self):
            if isinstance(each.type, type) and each.type in TYPES:
                value = getattr(self, each.name)
                fits = isinstance(value, (int, float) if each.type is float else each.type)
                fits = fits and (isinstance(value, bool) == (each.type is bool))
                self._require(each.name, fits, TYPES[each.type])
        for name in ("size", "epochs", "batch"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        self._require("seed", 0 <= self.seed < 2**31, "from 0 to 2147483647")
        self._require("learning_rate", 0 < self.learning_rate < math.inf, "above 0")
        for name in ("label_smoothing", "ema"):
            self._require(name, 0 <= getattr(self, name) < 1, "from 0 to below 1")
        for name in ("margin", "mixup", "cutmix", "plateau", "epoch_steps", "swa"):
            self._require(name, 0 <= getattr(self, name) < math.inf, "0 or more")
        self._require("class_weight", self.class_weight in CLASS_WEIGHTS, f"one of {', '.join(CLASS_WEIGHTS)}")
        self._require("loss", self.loss in LOSSES, f"one of {', '.join(LOSSES)}")
        self._require("ordinal", self.ordinal in ORDINAL, f"one of {', '.join(ORDINAL)}")
        self._require("fit", self.fit in FITS, f"one of {', '.join(FITS)}")
        self._require("precision", self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}")
        require_policy(self.tta, self.margin)
        texts = isinstance(self.space, Mapping) and all(
            isinstance(each, str) for pair in self.space.items() for each in pair
        )
        self._require("space", texts, 'a dict of texts, such as {"dropout": "0.2..0.6"}')

    def _require(self, name: str, fine: bool, expected: str) -> None:
        if not fine:
            raise KcnnError(f"{name} should be {expected}, got {getattr(self, name)!r}", f"--set {name}=VALUE sets it")

    @property
    def policy(self) -> str:
        """The TTA policy of its predictions: `tta`, without mirrored views where `mirror` is off."""
        return self.tta if self.mirror else without_mirror(self.tta)

    @property
    def stored_size(self) -> int:
        """The side of the images as they are kept: size + margin."""
        return self.size + self.margin


def own_settings(function: Callable[..., Any] | None) -> dict[str, Scalar]:
    """Return the keywords of a recipe's function that have a scalar default, with the values they have."""
    parameters = inspect.signature(function).parameters if function else {}
    defaults = {name: parameter.default for name, parameter in parameters.items() if name not in GIVEN}
    return {name: value for name, value in defaults.items() if isinstance(value, Scalar)}


def list_settings(recipe: Recipe) -> dict[str, Scalar]:
    """Return every setting of `recipe` with its value, those of its functions first."""
    of_functions = {name: value for place in FUNCTIONS for name, value in own_settings(getattr(recipe, place)).items()}
    own = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    return {**of_functions, **{name: value for name, value in own.items() if isinstance(value, Scalar)}}


def default_settings() -> dict[str, Scalar]:
    """Return the settings that every recipe has, with the values that they have where it gives none."""
    return {field.name: field.default for field in fields(Recipe) if isinstance(field.default, Scalar)}


def takes(function: Callable[..., Any] | None, parameter: str) -> bool:
    """Whether a recipe's function has a parameter of that name."""
    return function is not None and parameter in inspect.signature(function).parameters


def give(function: Callable[..., Any], **values: Any) -> Callable[..., Any]:
    """Return `function` with those of `values` filled in that it has a parameter for."""
    return functools.partial(function, **{name: value for name, value in values.items() if takes(function, name)})


def apply_settings(recipe: Recipe, values: dict[str, str | Scalar] | dict[str, str] | dict[str, Scalar]) -> Recipe:
    """Return `recipe` with some settings changed; text is read as the type of the value that is there.

    Raises KcnnError for an unknown setting, naming the nearest known one, and for a value of the wrong type.
    """
    known = list_settings(recipe)
    changed: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"its settings are: {', '.join(known)}"
            raise KcnnError(f"the recipe has no setting '{name}'", hint)
        changed[name] = convert(name, value, type(known[name]))
    for place in FUNCTIONS:
        function = getattr(recipe, place)
        if own := {name: changed.pop(name) for name in own_settings(function) if name in changed}:
            changed[place] = functools.partial(function, **own)
    return replace(recipe, **changed)


def require_same(kept: Recipe, wanted: Recipe) -> None:
    """Raise KcnnError where a setting of `wanted` differs from that of `kept`, the recipe of a run to resume."""
    for name, value in list_settings(kept).items():
        if list_settings(wanted)[name] != value:
            raise KcnnError(
                f"the run to resume has {name}={value}, not {list_settings(wanted)[name]}",
                "leave --set out to resume it, or leave --resume out to start a new run",
            )


def convert(name: str, value: str | Scalar, kind: type) -> Scalar:
    """Return the value of a setting as `kind`: bool, int, float or str. Raises KcnnError where it cannot be one."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        if kind is bool:
            return words[str(value).lower()]
        if kind is int:
            number = float(value)  # 1e3 is a whole number too
            if not number.is_integer():
                raise ValueError
            return int(number)
        converted: Scalar = kind(value)
        return converted
    except (TypeError, ValueError, KeyError):
        word = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise KcnnError(
            f"{name} should be {word}, got '{value}'", f"for example: --set {name}={'true' if kind is bool else 1}"
        ) from None


def parse_settings(settings: list[str]) -> dict[str, str]:
    """Return {"width": "32"} for ["width=32"]. Raises KcnnError where one has no name or no equals sign."""
    return split_pairs(settings, "--set should be name=value", "for example: --set epochs=5")


def split_pairs(texts: list[str], expected: str, hint: str) -> dict[str, str]:
    """Return {"width": "32"} for ["width=32"]. Raises KcnnError that says what is `expected`, where one has no name or
    no equals sign."""
    pairs = [text.partition("=") for text in texts]
    for text, (name, equals, _) in zip(texts, pairs, strict=True):
        if not name.strip() or not equals:
            raise KcnnError(f"{expected}, got '{text}'", hint)
    return {name.strip(): value.strip() for name, _, value in pairs}


def load_recipe(path: Path, source: str | None = None) -> Recipe:
    """Run a recipe file, or `source`, which was read from it before, and return its `recipe`.

    Raises KcnnError where the file is missing, does not compile, fails or ends Python while it runs, has no Recipe
    called `recipe`, or has two settings of one name, such as a keyword of its model called `size`.
    """
    code = compile_recipe(path, read_recipe(path) if source is None else source)
    # A module of its own in sys.modules: dataclasses and postponed annotations look their names up there.
    name = f"kcnn_recipe_{path.stem}"
    module = module_from_spec(ModuleSpec(name, None, origin=str(path)))
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except KcnnError as error:
        raise KcnnError(f"{path}: {error.message}", error.hint) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a recipe's code may raise anything
        raise explain_failure(f"{path}{find_line(path, error)}", error) from error
    namespace = vars(module)
    recipe = namespace.get("recipe")
    if not isinstance(recipe, Recipe):
        found = f"`recipe` is {type(recipe).__name__}" if "recipe" in namespace else "there is no `recipe`"
        raise KcnnError(f"{path}: expected `recipe = Recipe(...)`, but {found}", "recipes/baseline.py shows the form")
    names = [name for place in FUNCTIONS for name in own_settings(getattr(recipe, place))]
    names += [field.name for field in fields(Recipe)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise KcnnError(
            f"{path}: there are two settings '{min(twice)}'", "give the keyword of one function another name"
        )
    return recipe


def find_recipe(given: Path, folder: Path) -> Path:
    """Return the recipe file that is meant: `given` itself, or of a name such as resnet the one in recipes/ here or in
    the workspace `folder`, else the one that comes with kcnn. Of a name that no recipe has, `given`."""
    if given.exists() or given.suffix or len(given.parts) != 1:
        return given
    places = [Path("recipes"), folder / "recipes"]
    shipped = {path.stem: path for path in list_shipped_recipes()}
    found = [path for place in places if (path := place / f"{given}.py").is_file()]
    return (found or [shipped.get(str(given), given)])[0]


def read_recipe(path: Path) -> str:
    """Return the text of a recipe file. Raises KcnnError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        here = sorted(Path("recipes").glob("*.py")) or list_shipped_recipes()
        hint = f"there are {', '.join(each.stem for each in here)}: kcnn train {here[0].stem}"
        raise KcnnError(f"cannot read the recipe {path}: {(error.strerror or str(error)).lower()}", hint) from None
    except ValueError as error:
        raise KcnnError(f"{path}: not valid Python: {error}", "save it as text in UTF-8") from None


def compile_recipe(path: Path, source: str) -> CodeType:
    """Return the code of a recipe's text. Raises KcnnError where it is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # an invalid escape in the user's own text
            return compile(source, path, "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        number = getattr(error, "lineno", None)
        line = f", line {number}" if number else ""
        words = getattr(error, "msg", "") or str(error) or type(error).__name__
        raise KcnnError(f"{path}{line}: not valid Python: {words}", "fix that line") from None


def find_line(path: Path, error: BaseException) -> str:
    """Return ", line 12" where `error` passed through a line of `path`, else ""."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""


@contextmanager
def explain_failures(what: str, hint: str = FIX) -> Iterator[None]:
    """Raise KcnnError that says `what` failed, in place of what a recipe's code raises, which may be anything."""
    try:
        yield
    except (KcnnError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise explain_failure(what, error, hint) from error


def explain_failure(what: str, error: BaseException, hint: str = FIX) -> KcnnError:
    return KcnnError(f"{what}: {describe_error(error)}", hint)


def describe_error(error: BaseException) -> str:
    """Return an exception in one line, of a long one the beginning and the end."""
    try:
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    except Exception:  # its own __str__
        text = type(error).__name__
    return text if len(text) <= 400 else f"{text[:150]} ... {text[-250:]}"


def read_outline(path: Path) -> tuple[str, dict[str, str]]:
    """Return a recipe file's first line and its settings as they are written, those of its functions first.

    The file is only read, not run, so Keras is not needed. Functions that it imports from kcnn are read there. Where
    the file is not Python, the first line says so.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"not valid Python: {error}", {}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    signatures, written = read_signatures(tree), dict[str, str]()
    for call in (call for call in calls if getattr(call.func, "id", "") == "Recipe"):
        own = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        for place in FUNCTIONS:
            written.update(signatures.get(getattr(own.pop(place, None), "id", ""), {}))
        written.update({name: ast.unparse(value) for name, value in own.items()})
    return (ast.get_docstring(tree) or "").partition("\n")[0], written


def read_signatures(tree: ast.Module) -> dict[str, dict[str, str]]:
    """Return name -> keywords with their defaults as written, of functions that a file defines or imports from kcnn.

    Keywords with the default None, and those that kcnn fills, are not settings.
    """
    found: dict[str, dict[str, str]] = {}
    for node in tree.body:
        module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        if isinstance(node, ast.ImportFrom) and module.startswith("kaggle_cnn."):
            source = Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
            there = read_signatures(ast.parse(source.read_text(encoding="utf-8"))) if source.is_file() else {}
            names = {alias.name: alias.asname or alias.name for alias in node.names}
            found.update({names[name]: keywords for name, keywords in there.items() if name in names})
        if isinstance(node, ast.FunctionDef):
            positional = [*node.args.posonlyargs, *node.args.args]
            pairs = zip(positional[len(positional) - len(node.args.defaults) :], node.args.defaults, strict=True)
            defaults = [*pairs, *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]
            written = {argument.arg: ast.unparse(default) for argument, default in defaults if default is not None}
            found[node.name] = {name: value for name, value in written.items() if value != "None" and name not in GIVEN}
    return found


def list_shipped_recipes() -> list[Path]:
    """Return the recipe files that come with kcnn: within an installed package, beside it in a clone."""
    package = Path(__file__).parent
    folder = package / "recipes" if (package / "recipes").is_dir() else package.parent / "recipes"
    return sorted(folder.glob("*.py"))
