"""A decision rule in words: how scores become decisions, what was fitted, and what that gains."""

from collections.abc import Sequence
from typing import Any

from kaggle_cnn.runs.decision import FITTED

SHOWN = 12  # numbers of a rule
USUAL = {
    "argmax": "",
    "biases": "the class is the most probable one after a bias of each",
    "value": "",
    "rounding": "the grade is the expected one, rounded",
    "cuts": "the grade is decided by cut points of the expected one",
    "thresholds": "several labels: each is predicted from its own probability on",
}


def describe_decision(rule: dict[str, Any], classes: Sequence[str]) -> list[str]:
    """Return how predictions are decided, and what was fitted to the metric and is gained by it, in lines of words.

    `rule` is a Decision as plain values.
    """
    always = ", the most probable one always" if rule["always"] else ""
    name = rule["rule"]
    if name == "threshold":
        text = f"several labels: each is predicted from a probability of {rule['threshold']:.2f}{always}"
    else:
        text = USUAL[name] + list_numbers(rule, classes) + (always if name == "thresholds" else "")
    lines = [text] if text else []
    if rule["temperature"] != 1:
        lines.append(f"probabilities are those of logits divided by {rule['temperature']:.2f}, the temperature")
    return [*lines, *describe_gain(rule)]


def list_numbers(rule: dict[str, Any], classes: Sequence[str]) -> str:
    """Return the numbers of a rule, the first SHOWN."""
    values = rule.get(rule["rule"]) or []
    if not isinstance(values, list):
        return ""
    named = [f"{value:.2f}" if rule["rule"] == "cuts" else f"{classes[n]} {value:+.2f}" if rule["rule"] == "biases"
             else f"{classes[n]} {value:.2f}" for n, value in enumerate(values[:SHOWN])]  # fmt: skip
    return f": {', '.join(named)}{', ...' if len(values) > SHOWN else ''}" if named else ""


def describe_gain(rule: dict[str, Any]) -> list[str]:
    """Return what was fitted, its gain with its interval, and whether it is used; nothing where nothing was fitted."""
    gain = rule["gain"]
    if gain is None:
        return []
    what = FITTED.get(rule["tried"], FITTED["cuts"])  # of a run from before, whose gain is that of cut points
    used = "used" if gain["low"] > 0 else "not used: the gain is within noise"
    return [
        f"{what} fitted to the metric: gain {format_gain(gain)} on images that were not fitted on; {used}",
    ]


def format_gain(gain: dict[str, float]) -> str:
    """Return a gain with its interval, as +0.0108 [+0.0042, +0.0185]."""
    return f"{gain['difference']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]"
