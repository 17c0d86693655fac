"""Images with their five most probable classes or labels, or with their values."""

from pathlib import Path
from typing import Any

import numpy as np

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.metrics import as_columns
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight import sheets, tables
from kaggle_cnn.pictures.mistakes import describe_values
from kaggle_cnn.pictures.picture import Picture, entry_of, join_labels, picture_path
from kaggle_cnn.plural import count_of
from kaggle_cnn.runs.join import Validated
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace


def draw(
    workspace: Workspace, competition: Competition, run: Run, known: Validated, images: list[str], count: int = 12
) -> Picture:
    """Draw the validation `images`, by id, or an even choice of `count`."""
    places = {name: row for row, name in enumerate(known.ids)}
    if missing := [name for name in images if name not in places]:
        raise KcnnError(f"{missing[0]} is not a validation image of {run.id}", f"one is {known.ids[0]}")
    even = np.linspace(0, len(known.ids) - 1, min(count, len(known.ids))).astype(int).tolist()
    rows = [places[name] for name in images] or even
    counted, path = count_of(len(rows), "validation image"), picture_path(workspace, competition, run, "predictions")
    if competition.kind == "regression":
        return draw_values(competition, known, rows, f"{run.id}: {counted} with their values", path)
    outputs, task = len(competition.classes), competition.task
    targets, decided = (as_columns(each, outputs) for each in (known.targets, known.decision.decide(known.scores)))
    entries: list[dict[str, Any]] = []
    cells: list[list[str]] = []
    for row in rows:
        chances = known.scores[row]
        best = np.argsort(-chances, kind="stable")[:5]
        entry = entry_of(competition, str(known.ids[row]))
        true, predicted = task.name_labels(targets[row]), task.name_labels(decided[row])
        ranked = [(competition.classes[number], float(chances[number])) for number in best]
        entries.append({**entry, "true": true, "predicted": predicted, "best": ranked})
        shown = ", ".join(f"{name} {share:.0%}" for name, share in ranked if share >= 0.005)
        cells.append([entry["name"], join_labels(competition, targets[row]), shown])
    what = "labels" if task.several else "classes"
    title = f"{run.id}: the five most probable {what} of {counted}; true ones green, predicted ones bold"
    table = tables.plain_table(["image", "true", "most probable"], cells)
    return Picture(sheets.predictions(entries, title), path, lambda width: table)


def draw_values(competition: Competition, known: Validated, rows: list[int], title: str, path: Path) -> Picture:
    """Draw images of a regression with their true and predicted values."""
    entries = [
        {
            **entry_of(competition, str(known.ids[row])),
            **describe_values(competition, known.targets[row], known.scores[row], known.scores[row]),
        }
        for row in rows
    ]
    cells = [[each["name"], *each["cells"]] for each in entries]
    table = tables.plain_table(["image", "true", "predicted", "error"], cells, right=["error"])
    return Picture(sheets.mistakes(entries, title), path, lambda width: table)
