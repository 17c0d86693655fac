"""Images that just one of two runs has right."""

from typing import Any

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.insight import sheets
from kaggle_cnn.pictures.picture import Picture, picture_path, short_id
from kaggle_cnn.runs.compare import disagreements
from kaggle_cnn.workspace import Workspace

MOST = 24


def find(
    competition: Competition, ids: Array, targets: Array, scores: list[Array], decisions: list[Array]
) -> list[dict[str, Any]]:
    """Return an entry for each such image: id, name, true, what each run `said` and whether that is `right`."""
    return [
        {
            "id": str(ids[row]),
            "name": short_id(competition, str(ids[row])),
            "true": competition.classes[targets[row]],
            "said": [
                (competition.classes[given[row]], float(chances[row, given[row]]))
                for chances, given in zip(scores, decisions, strict=True)
            ],
            "right": [bool(given[row] == targets[row]) for given in decisions],
        }
        for row in disagreements(targets, scores, decisions)
    ]


def draw(workspace: Workspace, competition: Competition, names: list[str], entries: list[dict[str, Any]]) -> Picture:
    """Draw the first of `entries`, as `find` gives them."""
    shown = [{**each, "pixels": sheets.pixels_of(competition.folder / each["id"])} for each in entries[:MOST]]
    title = f"{names[0]} and {names[1]}: {len(shown)} of {len(entries):,} images that just one has right"
    path = picture_path(workspace, competition, None, f"compare-{'-'.join(names)}")
    return Picture(sheets.disagreements(shown, names, title), path)
