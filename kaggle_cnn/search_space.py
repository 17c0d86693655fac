"""A space of settings to search: what a recipe states, a user gives, or follows from the settings. Without Keras."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.recipe import Recipe, Scalar, apply_settings, convert, list_settings, own_settings, split_pairs

EXAMPLE = "for example: --space learning_rate=1e-4..1e-2:log --space dropout=0.2..0.6 --space width=32,64"
RANGE = re.compile(r"([^,:]+)\.\.([^,:]+?)(:log)?")
WIDE = 10.0  # a learning rate or a weight decay is searched from a tenth of it to ten times it
STRENGTH = 2.0  # an augmentation is searched from none to twice as strong


@dataclass(frozen=True)
class Span:
    """What a setting may be: a number from `low` to `high`, whole where both are int, even in its logarithm where `log`
    is set; or one of `choices`."""

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Scalar, ...] = ()

    def __str__(self) -> str:
        if self.choices:
            return ",".join(map(str, self.choices))
        return f"{self.low:g}..{self.high:g}{':log' if self.log else ''}"


def parse_space(recipe: Recipe, texts: Mapping[str, str]) -> dict[str, Span]:
    """Return {"dropout": Span(0.2, 0.6)} for {"dropout": "0.2..0.6"}.

    Raises KcnnError where a setting is unknown, or its text is neither a range nor a list of two values or more.
    """
    known = list_settings(recipe)
    space = {}
    for name, text in texts.items():
        if name not in known:
            apply_settings(recipe, {name: text})  # raises, and names the nearest
        kind = type(known[name])
        match = RANGE.fullmatch(text.strip())
        if match and kind in (int, float):
            low, high = (convert(name, each.strip(), kind) for each in match.groups()[:2])
            assert not isinstance(low, str)
            assert not isinstance(high, str)
            if low >= high or (match[3] and low <= 0):
                wanted = "a range from below to above" + (", above 0 for :log" if match[3] else "")
                raise KcnnError(f"{name} should have {wanted}, got '{text}'", EXAMPLE)
            space[name] = Span(low, high, bool(match[3]))
            continue
        choices = tuple(dict.fromkeys(convert(name, each.strip(), kind) for each in text.split(",")))
        if len(choices) < 2:
            raise KcnnError(f"{name} should have a range or two values or more, got '{text}'", EXAMPLE)
        space[name] = Span(choices=choices)
    for name, span in space.items():  # each end must be a value that the recipe takes
        for value in span.choices or (span.low, span.high):
            apply_settings(recipe, {name: value})
    return space


def derive_space(recipe: Recipe) -> dict[str, Span]:
    """Return the space that a recipe states, else one of what matters most on small data (Brigato et al. 2021,
    arXiv:2108.13122): learning rate, weight decay, batch, and the strength of the augmentation."""
    if recipe.space:
        return parse_space(recipe, recipe.space)
    settings = list_settings(recipe)
    space = {
        name: Span(float(settings[name]) / WIDE, float(settings[name]) * WIDE, log=True)
        for name in ("learning_rate", "weight_decay")
        if float(settings.get(name, 0))
    }
    space["batch"] = Span(choices=tuple(sorted({max(1, recipe.batch // 2), recipe.batch, 2 * recipe.batch})))
    for name, value in own_settings(recipe.augment).items():
        if isinstance(value, float) and value > 0:
            space[name] = Span(0.0, STRENGTH * value)
    return space


def split_space(texts: list[str]) -> dict[str, str]:
    """Return {"width": "32,64"} for ["width=32,64"]. Raises KcnnError where one has no name or no equals sign."""
    return split_pairs(texts, "--space should be name=values", EXAMPLE)
