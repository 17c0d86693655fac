"""The images whose label is suspected to be wrong."""

import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.insight import sheets
from kaggle_cnn.insight.canvas import GREEN, GREY, RED
from kaggle_cnn.pictures.picture import Picture, entry_of, picture_path
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace

MOST = 48


def draw(workspace: Workspace, competition: Competition, run: Run, table: pd.DataFrame) -> Picture:
    """Draw the first rows of doctor.csv, at least one: what is given, and what is suggested or why it is listed."""
    entries = []
    for row in table.head(MOST).to_dict("records"):
        said = (f"suggested {row['suggested']}", GREEN) if row["suggested"] else (row["why"].partition(" of ")[0], GREY)
        entries.append({**entry_of(competition, row["image"]), "lines": [(f"given {row['given']}", RED), said]})
    title = f"{run.id}: {len(entries)} of {len(table):,} images whose label may be wrong, the least probable first"
    return Picture(sheets.mistakes(entries, title), picture_path(workspace, competition, run, "label-errors"))
