"""Images with their five most probable classes."""

import numpy as np

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight import sheets, tables
from kaggle_cnn.pictures.picture import Picture, entry_of, picture_path, require_one_class_each
from kaggle_cnn.runs.join import Validated
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace


def draw(
    workspace: Workspace, competition: Competition, run: Run, known: Validated, images: list[str], count: int = 12
) -> Picture:
    """Draw the validation `images`, by id, or an even choice of `count`."""
    require_one_class_each(competition, "rankings")
    places = {name: row for row, name in enumerate(known.ids)}
    if missing := [name for name in images if name not in places]:
        raise KcnnError(f"{missing[0]} is not a validation image of {run.id}", f"one is {known.ids[0]}")
    even = np.linspace(0, len(known.ids) - 1, min(count, len(known.ids))).astype(int).tolist()
    entries, cells = [], []
    for row in [places[name] for name in images] or even:
        chances = known.scores[row]
        best = np.argsort(-chances, kind="stable")[:5]
        entry = entry_of(competition, str(known.ids[row]))
        true = competition.classes[known.targets[row]]
        ranked = [(competition.classes[number], float(chances[number])) for number in best]
        entries.append({**entry, "true": true, "best": ranked})
        shown = ", ".join(f"{name} {share:.0%}" for name, share in ranked if share >= 0.005)
        cells.append([entry["name"], true, shown])
    title = f"{run.id}: the five most probable classes of {len(entries)} validation images, the true one green"
    table = tables.plain_table(["image", "true", "most probable"], cells)
    path = picture_path(workspace, competition, run, "predictions")
    return Picture(sheets.predictions(entries, title), path, lambda width: table)
