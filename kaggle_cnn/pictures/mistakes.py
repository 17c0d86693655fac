"""The mistakes of which a network is surest; of grades and values the largest errors."""

import difflib
from typing import Any

import numpy as np

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight import sheets, tables
from kaggle_cnn.insight.canvas import GREEN, RED
from kaggle_cnn.insight.measures import find_label_mistakes, find_largest_errors, find_mistakes
from kaggle_cnn.pictures.picture import Picture, as_file_name, entry_of, join_labels, picture_path, write_values
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
    several labels only images that miss `true`, or have `predicted` wrongly. Of a regression draw the images with the
    largest errors."""
    task, kind = competition.task, competition.kind
    if kind == "regression" and (true or predicted):
        raise KcnnError("--true and --predicted name classes, and this task is a regression", "leave them out")
    cell = [class_number(competition, name) for name in (true, predicted)]
    decided = known.decision.decide(known.scores)
    if kind == "regression":
        rows = find_largest_errors(known.targets, known.scores)
    elif task.several:
        rows = find_label_mistakes(known.targets, known.scores, decided, *cell)
    else:
        rows = find_mistakes(task, known.targets, known.scores, decided, *cell)
    of = "".join(f", {what} {name}" for what, name in (("true", true), ("predicted", predicted)) if name)
    if not len(rows):
        raise KcnnError(
            f"{run.id} has no such mistakes{of}" if of else f"{run.id} has no mistakes",
            f"kcnn show confusion {run.id} shows where there are some",
        )
    describe = describe_values if kind == "regression" else describe_labels if task.several else describe_class
    entries = [
        {
            **entry_of(competition, str(known.ids[row])),
            **describe(competition, known.targets[row], known.scores[row], decided[row]),
        }
        for row in rows[:count]
    ]
    which = "all" if len(entries) == len(rows) else "the largest" if kind in ("ordinal", "regression") else "the surest"
    what = "errors" if kind == "regression" else "mistakes"
    title = f"{run.id}: {which} {len(entries)} of {len(rows):,} {what}{of}"
    last = ["missed", "false"] if task.several else ["predicted", "error" if kind == "regression" else "sure"]
    cells = [[each["name"], *each["cells"]] for each in entries]
    path = picture_path(workspace, competition, run, f"mistakes{as_file_name(of)}")
    table = tables.plain_table(["image", "true", *last], cells, right=["sure", "error"])
    return Picture(sheets.mistakes(entries, title), path, lambda width: table)


def describe_values(competition: Competition, target: Array, scores: Array, decided: Array) -> dict[str, Any]:
    """Return the lines below an image of a regression, and the cells of its row."""
    true, predicted = write_values(target), write_values(scores)
    lines = [(f"true {true}", GREEN), (f"predicted {predicted}", RED)]
    return {"lines": lines, "cells": [true, predicted, write_values(scores - target)]}


def describe_class(competition: Competition, target: int, scores: Array, decided: int) -> dict[str, Any]:
    """Return the lines below an image that has one class, and the cells of its row."""
    true, predicted = competition.classes[target], competition.classes[decided]
    sure = f"{scores[decided]:.0%}"
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
