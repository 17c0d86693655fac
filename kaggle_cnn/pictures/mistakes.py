"""The mistakes of which a network is surest."""

import difflib
from typing import Any

import numpy as np

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight import sheets, tables
from kaggle_cnn.insight.canvas import GREEN, RED
from kaggle_cnn.insight.measures import find_label_mistakes, find_mistakes
from kaggle_cnn.pictures.picture import Picture, as_file_name, entry_of, join_labels, picture_path, require_classes
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
    """Draw the `count` surest mistakes, only of the class `true` or predicted as `predicted` where these are given; of
    several labels only images that miss `true`, or have `predicted` wrongly."""
    require_classes(competition, "mistakes")
    cell = [class_number(competition, name) for name in (true, predicted)]
    several = competition.kind == "multilabel"
    decided = known.decision.decide(known.scores)
    if several:
        rows = find_label_mistakes(known.targets, known.scores, decided, *cell)
    else:
        rows = find_mistakes(known.targets, known.scores, *cell)
    of = "".join(f", {what} {name}" for what, name in (("true", true), ("predicted", predicted)) if name)
    if not len(rows):
        raise KcnnError(
            f"{run.id} has no such mistakes{of}" if of else f"{run.id} has no mistakes",
            f"kcnn show confusion {run.id} shows where there are some",
        )
    describe = describe_labels if several else describe_class
    entries = [
        {
            **entry_of(competition, str(known.ids[row])),
            **describe(competition, known.targets[row], known.scores[row], decided[row]),
        }
        for row in rows[:count]
    ]
    which = "all" if len(entries) == len(rows) else "the surest"
    title = f"{run.id}: {which} {len(entries)} of {len(rows):,} mistakes{of}"
    columns = ["image", "true", *(["missed", "false"] if several else ["predicted", "sure"])]
    cells = [[each["name"], *each["cells"]] for each in entries]
    path = picture_path(workspace, competition, run, f"mistakes{as_file_name(of)}")
    table = tables.plain_table(columns, cells, right=["sure"])
    return Picture(sheets.mistakes(entries, title), path, lambda width: table)


def describe_class(competition: Competition, target: int, scores: Array, decided: int) -> dict[str, Any]:
    """Return the lines below an image that has one class, and the cells of its row."""
    true, predicted = competition.classes[target], competition.classes[scores.argmax()]
    sure = f"{scores.max():.0%}"
    return {"lines": [(f"true {true}", GREEN), (f"{sure} {predicted}", RED)], "cells": [true, predicted, sure]}


def describe_labels(competition: Competition, targets: Array, scores: Array, decided: Array) -> dict[str, Any]:
    """Return the lines below an image of several labels, and the cells of its row: the true labels, then which are
    missed and which false, with their probability."""
    true = join_labels(competition, targets)
    wrong = [
        ", ".join(f"{competition.classes[place]} {scores[place]:.0%}" for place in np.flatnonzero(marks))
        for marks in ((targets == 1) & (decided == 0), (targets == 0) & (decided == 1))
    ]
    lines = [(f"{what} {names}", RED) for what, names in zip(("missed", "false"), wrong, strict=True) if names]
    return {"lines": [(f"true {true}", GREEN), *lines], "cells": [true, *wrong]}


def class_number(competition: Competition, name: str | None) -> int | None:
    """Return the number of a class. Raises KcnnError where there is none of that name."""
    if name is None:
        return None
    if name not in competition.classes:
        near = difflib.get_close_matches(name, competition.classes, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(competition.classes[:20])}"
        raise KcnnError(f"no class is called '{name}'", hint)
    return competition.classes.index(name)
