"""A study of trials as tables."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.insight.tables import plain_table

MOST = 10  # trials


def study_tables(numbers: dict[str, Any]) -> RenderableType:
    """Return the best trials, the share of each setting, and what the best gains over the recipe's own settings; the
    numbers are those of tuning.describe_study."""
    metric = find_metric(numbers["metric"])
    names = list(numbers["space"])
    trials = sorted(
        numbers["trials"], key=lambda each: -metric.merit(float("nan") if each["value"] is None else each["value"])
    )
    complete = [each for each in trials if each["state"] == "complete"]
    others = [each for each in trials if each["state"] != "complete"]
    rows = [
        [str(each["number"]), "" if each["value"] is None else f"{each['value']:.4f}",
         *(write(each["settings"].get(name, "")) for name in names),
         "" if each["seconds"] is None else f"{each['seconds']:,.0f} s",
         "" if each["state"] == "complete" else each["error"][:40] or each["state"]]
        for each in [*complete, *others][:MOST]
    ]  # fmt: skip
    columns = ["trial", metric.title, *names, "trained", ""]
    counts = {
        state: sum(each["state"] == state for each in trials) for state in ("complete", "pruned", "fail", "running")
    }
    words = {"complete": "complete", "pruned": "pruned", "fail": "failed", "running": "under way"}
    listed = ", ".join(f"{count} {words[state]}" for state, count in counts.items() if count) or "none"
    parts: list[RenderableType] = [Text(f"study {numbers['study']}: {listed}", "bold"), Text("")]
    parts += [plain_table(columns, rows, right=columns[:-1], gap=1)]
    if len(trials) > MOST:
        parts.append(Text(f"{len(trials) - MOST} more", "dim"))
    if numbers["importance"]:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in numbers["importance"].items())
        parts += [Text(""), Text(f"what mattered: {shares}")]
    best = next((each for each in trials if each["number"] == numbers["best"]), None)
    if best and numbers["own"] is not None:
        text = f"best {best['value']:.4f}, the recipe's own settings {numbers['own']:.4f}"
        parts.append(Text(f"{text}; the best of several is too good by chance: train it whole to know", "bold"))
    return Group(*parts)


def write(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
