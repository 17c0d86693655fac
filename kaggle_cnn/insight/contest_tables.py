"""What `compete` tried, and what each minute gave: a table, and a report in Markdown."""

from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from kaggle_cnn.competition.metrics import Metric
from kaggle_cnn.files import whole_file
from kaggle_cnn.insight.tables import plain_table


def contest_rows(state: Any, metric: Metric) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the steps of compete.json: step, run, settings, folds, minutes, score, and the
    score of the submission after it."""
    rows, best, most = [], float("nan"), 0
    for step in state["steps"]:
        score = float("nan") if step["score"] is None else step["score"]
        folds = 1 + step["folds"].count(",") if step["folds"] != "all" else 99
        if folds > most or (folds == most and metric.is_better(score, best)):
            best, most = score, folds
        settings = " ".join(f"{name}={value}" for name, value in step["settings"].items())
        rows.append([step["what"], step["run"], settings, step["folds"], f"{step['seconds'] / 60:.1f}",
                     f"{score:.4f}", f"{best:.4f}"])  # fmt: skip
    return ["step", "run", "settings", "folds", "minutes", metric.title, "submission"], rows


def contest_table(state: Any, metric: Metric) -> RenderableType:
    """Return the steps as a table."""
    columns, rows = contest_rows(state, metric)
    title = (
        f"{state['spent'] / 60:.1f} of {state['within'] / 60:.1f} minutes; the submission is that of {state['best']}"
    )
    return Group(Text(title, "bold"), Text(""), plain_table(columns, rows, right=columns[4:]))


def write_report(path: Path, state: Any, metric: Metric) -> Path:
    """Write compete.md beside compete.json; return its path."""
    columns, rows = contest_rows(state, metric)
    lines = [f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows)]
    text = (
        f"# What was tried in {state['spent'] / 60:.1f} minutes\n\n"
        f"The submission is that of `{state['best']}`. A score is by {metric.title}, of the images that the run "
        "validated: one fold's for a trial, all for `all`. The last column is the score of the submission after the "
        "step.\n\n" + "\n".join(lines) + "\n"
    )
    report = path.with_suffix(".md")
    with whole_file(report) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return report
