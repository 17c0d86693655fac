"""The errors of which a network is surest."""

import difflib

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight import sheets, tables
from kaggle_cnn.insight.measures import find_mistakes
from kaggle_cnn.pictures.picture import Picture, as_file_name, entry_of, picture_path, require_one_class_each
from kaggle_cnn.runs.join import Validated
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace


def draw(
    workspace: Workspace,
    competition: Competition,
    run: Run,
    known: Validated,
    true: str | None = None,
    predicted: str | None = None,
    count: int = 24,
) -> Picture:
    """Draw the `count` surest mistakes, only of the class `true` or predicted as `predicted` where these are given."""
    require_one_class_each(competition, "mistakes")
    cell = [class_number(competition, name) for name in (true, predicted)]
    rows = find_mistakes(known.targets, known.scores, *cell)
    of = "".join(f", {what} {name}" for what, name in (("true", true), ("predicted", predicted)) if name)
    if not len(rows):
        raise KcnnError(f"{run.id} has no mistakes{of}", "kcnn show confusion shows which there are")
    entries = [
        {
            **entry_of(competition, str(known.ids[row])),
            "true": competition.classes[known.targets[row]],
            "predicted": competition.classes[known.scores[row].argmax()],
            "probability": float(known.scores[row].max()),
        }
        for row in rows[:count]
    ]
    which = "all" if len(entries) == len(rows) else "the surest"
    title = f"{run.id}: {which} {len(entries)} of {len(rows):,} mistakes{of}"
    cells = [[each["name"], each["true"], each["predicted"], f"{each['probability']:.0%}"] for each in entries]
    path = picture_path(workspace, competition, run, f"mistakes{as_file_name(of)}")
    table = tables.plain_table(["image", "true", "predicted", "sure"], cells, right=["sure"])
    return Picture(sheets.mistakes(entries, title), path, lambda width: table)


def class_number(competition: Competition, name: str | None) -> int | None:
    """Return the number of a class. Raises KcnnError where there is none of that name."""
    if name is None:
        return None
    if name not in competition.classes:
        near = difflib.get_close_matches(name, competition.classes, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(competition.classes[:20])}"
        raise KcnnError(f"no class is called '{name}'", hint)
    return competition.classes.index(name)
