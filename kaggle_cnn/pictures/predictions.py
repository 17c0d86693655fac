"""Images with their five most probable classes or labels."""

from typing import Any

import numpy as np

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.metrics import as_columns
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight import sheets, tables
from kaggle_cnn.pictures.picture import Picture, entry_of, join_labels, name_labels, picture_path, require_classes
from kaggle_cnn.plural import count_of
from kaggle_cnn.runs.join import Validated
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace


def draw(
    workspace: Workspace, competition: Competition, run: Run, known: Validated, images: list[str], count: int = 12
) -> Picture:
    """Draw the validation `images`, by id, or an even choice of `count`."""
    require_classes(competition, "rankings")
    places = {name: row for row, name in enumerate(known.ids)}
    if missing := [name for name in images if name not in places]:
        raise KcnnError(f"{missing[0]} is not a validation image of {run.id}", f"one is {known.ids[0]}")
    even = np.linspace(0, len(known.ids) - 1, min(count, len(known.ids))).astype(int).tolist()
    outputs = len(competition.classes)
    targets, decided = (as_columns(each, outputs) for each in (known.targets, known.decision.decide(known.scores)))
    entries: list[dict[str, Any]] = []
    cells: list[list[str]] = []
    for row in [places[name] for name in images] or even:
        chances = known.scores[row]
        best = np.argsort(-chances, kind="stable")[:5]
        entry = entry_of(competition, str(known.ids[row]))
        true, predicted = name_labels(competition, targets[row]), name_labels(competition, decided[row])
        ranked = [(competition.classes[number], float(chances[number])) for number in best]
        entries.append({**entry, "true": true, "predicted": predicted, "best": ranked})
        shown = ", ".join(f"{name} {share:.0%}" for name, share in ranked if share >= 0.005)
        cells.append([entry["name"], join_labels(competition, targets[row]), shown])
    what = "labels" if competition.kind == "multilabel" else "classes"
    counted = count_of(len(entries), "validation image")
    title = f"{run.id}: the five most probable {what} of {counted}; true ones green, predicted ones bold"
    table = tables.plain_table(["image", "true", "most probable"], cells)
    path = picture_path(workspace, competition, run, "predictions")
    return Picture(sheets.predictions(entries, title), path, lambda width: table)
