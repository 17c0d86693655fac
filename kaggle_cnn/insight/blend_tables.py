"""Tables of a blend: its members, what it gains over the best of them, and how alike their errors are."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from kaggle_cnn.competition.metrics import Metric
from kaggle_cnn.insight.decision_words import format_gain
from kaggle_cnn.insight.tables import plain_table
from kaggle_cnn.runs.record import Member
from kaggle_cnn.tta import name_policy

WAYS = {"best": "best member", "mean": "plain mean", "blend": "blend"}


def blend_tables(members: list[Member], numbers: dict[str, Any], metric: Metric) -> RenderableType:
    """Return the tables of a blend; `members` are those of run.json, `numbers` those of blend.json."""
    title = metric.title
    rows = [
        [each["run"], name_policy(each["tta"]), f"{each['weight']:.2f}", f"{own['score']:.4f}", f"{own['loss']:.4f}",
         *(f"{value:.2f}" for value in correlation)]
        for each, own, correlation in zip(members, numbers["members"], numbers["correlation"], strict=True)
    ]  # fmt: skip
    heads = [str(place) for place in range(1, len(members) + 1)]
    columns = ["member", "tta", "weight", title, "loss", *heads]
    parts: list[RenderableType] = [plain_table(columns, rows, right=columns[2:]), Text(CORRELATION, "dim"), Text("")]
    scored = []
    for name, words in WAYS.items():
        scores, gain = numbers["scores"][name], numbers["gains"].get(name)
        scored.append([words, f"{scores['same']:.4f}", f"{scores['nested']:.4f}", format_gain(gain) if gain else ""])
    columns = ["", f"{title}, all images", "nested", "gain over the best member, 95 % interval"]
    parts += [plain_table(columns, scored, right=columns[1:3]), Text(describe(numbers["gains"]), "bold")]
    return Group(*parts)


CORRELATION = "columns 1, 2 ...: the correlation of its errors with those of member 1, 2 ..."


def describe(gains: dict[str, dict[str, float]]) -> str:
    """Return in a sentence what the blend gains, each image by weights that were found without it."""
    over_best, over_mean = gains["blend"], gains["blend over mean"]
    words = []
    for gain, name in ((over_best, "the best member"), (over_mean, "the plain mean")):
        verdict = "better than" if gain["low"] > 0 else "worse than" if gain["high"] < 0 else "within noise of"
        words.append(f"{verdict} {name} ({format_gain(gain)})")
    return f"the blend is {' and '.join(words)}"
