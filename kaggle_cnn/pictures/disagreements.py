"""Images that just one of two runs has right, or has better labels of."""

from typing import Any

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.insight import sheets
from kaggle_cnn.pictures.picture import Picture, join_labels, picture_path, short_id
from kaggle_cnn.runs.compare import disagreements, rate_each
from kaggle_cnn.workspace import Workspace

MOST = 24


def find(
    competition: Competition, ids: Array, targets: Array, scores: list[Array], decisions: list[Array]
) -> list[dict[str, Any]]:
    """Return an entry for each such image: id, name, true, what each run `said` and whether that is `right`: better
    than what the other one said. `said` is a class and its probability, or labels and their F1."""
    rates = [rate_each(targets, given) for given in decisions]

    def describe(row: int, number: int) -> tuple[str, float]:
        given = decisions[number][row]
        if targets.ndim == 1:
            return competition.classes[given], float(scores[number][row, given])
        return join_labels(competition, given), float(rates[number][row])

    several = targets.ndim == 2
    return [
        {
            "id": str(ids[row]),
            "name": short_id(competition, str(ids[row])),
            "true": join_labels(competition, targets[row]) if several else competition.classes[targets[row]],
            "said": [describe(row, number) for number in (0, 1)],
            "right": [bool(rates[number][row] > rates[1 - number][row]) for number in (0, 1)],
        }
        for row in disagreements(targets, scores, decisions)
    ]


def draw(workspace: Workspace, competition: Competition, names: list[str], entries: list[dict[str, Any]]) -> Picture:
    """Draw the first of `entries`, as `find` gives them."""
    shown = [{**each, "pixels": sheets.pixels_of(competition.folder / each["id"])} for each in entries[:MOST]]
    title = f"{names[0]} and {names[1]}: {len(shown)} of {len(entries):,} images that just one has "
    title += "better labels of; percent are the F1 of its labels" if competition.task.several else "right"
    path = picture_path(workspace, competition, None, f"compare-{'-'.join(names)}")
    return Picture(sheets.disagreements(shown, names, title), path)
