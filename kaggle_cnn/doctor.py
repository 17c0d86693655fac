"""What may be wrong with the labels of a competition: suspects of a run's predictions and near-duplicates, as a CSV."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_cnn.api import open_dataset, validate
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.opening import open_competition
from kaggle_cnn.competition.table import read_table, write_table
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.duplicates import inspect, same_pixels
from kaggle_cnn.data.label_edits import COLUMNS
from kaggle_cnn.data.near_duplicates import find_looks, near_pairs
from kaggle_cnn.progress import Progress, Silent
from kaggle_cnn.runs.join import Validated
from kaggle_cnn.runs.label_errors import (
    Confused,
    Suspect,
    find_confused,
    find_label_errors,
    find_outliers,
    require_classes,
)
from kaggle_cnn.runs.run import Run, open_runs
from kaggle_cnn.workspace import Workspace

NAME = "doctor.csv"


@dataclass(frozen=True)
class Diagnosis:
    """What was found. `table` has the columns of label_edits.COLUMNS, the surest suspects first, `path` is where it is
    written; `kept` counts the decisions of an earlier table that were taken over."""

    competition: Competition
    run: Run
    images: int
    table: pd.DataFrame
    confused: list[Confused]
    path: Path
    kept: int


def find_label_problems(
    run: str = "",
    competition: str | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Look for wrong labels by the out-of-fold predictions of a run, and write doctor.csv in its folder.

    Its rows: images with an improbable label; duplicates and near-duplicates with different labels; outliers. `keep` is
    no for improbable labels, else yes, and yours to change: `train --exclude` and `--relabel` read it. What you changed
    in an earlier doctor.csv of the run stays. Raises KcnnError where the task has no classes.
    """
    workspace, progress = workspace or Workspace.find(), progress or Silent()
    found = open_competition(workspace, competition)
    [chosen] = open_runs(workspace, found, [run] if run else None)
    require_classes(found.task)
    known = validate(found, [chosen], workspace, progress)
    dataset = open_dataset(workspace, found, chosen, progress)
    wrong = find_label_errors(found.task, known.targets, known.scores)
    seen = {suspect.row for suspect in wrong}
    odd = [each for each in find_outliers(found.task, known.targets, known.scores) if each.row not in seen]
    rows = [describe(found, known, suspect) for suspect in [*wrong, *odd]]
    listed = {row["image"] for row in rows}
    rows += [row for row in list_conflicts(dataset, known, progress) if row["image"] not in listed]
    table = pd.DataFrame(rows, columns=COLUMNS)
    path = chosen.folder / NAME
    kept = take_over(table, path)
    write_table(path, table)
    decided = known.decision.decide(known.scores)
    confused = find_confused(found.task, known.targets, decided)
    return Diagnosis(found, chosen, len(known.ids), table, confused, path, kept)


def describe(competition: Competition, known: Validated, suspect: Suspect) -> dict[str, str]:
    """Return the row of a suspect."""
    given, suggested = known.targets[suspect.row], suspect.suggested
    why = suspect.why if suggested is None else f"{suspect.why}: {suspect.trust:.1%}"
    return {
        "image": str(known.ids[suspect.row]),
        "given": name_label(competition, given),
        "suggested": "" if suggested is None else name_label(competition, suggested),
        "why": why,
        "keep": "yes" if suggested is None else "no",
    }


def name_label(competition: Competition, target: Array | int) -> str:
    """Return a target in the form that metrics take in words."""
    if competition.task.several:
        return competition.task.describe(np.asarray(target))
    return competition.classes[int(target)]


def list_conflicts(dataset: Dataset, known: Validated, progress: Progress) -> list[dict[str, str]]:
    """Return two rows for each pair of training images that are duplicates or near-duplicates with different labels;
    suggested is what the network predicts of that image, where it is not what is given."""
    folder, names = dataset.competition.folder, dataset.ids.tolist()
    groups = same_pixels(inspect(folder, names, dataset.cache, progress))
    pairs = [("near-duplicate", one, other) for _, one, other in
             near_pairs(find_looks(folder, names, dataset.cache, progress), groups)]  # fmt: skip
    same = [("duplicate", int(group), row) for row, group in enumerate(groups) if group != row]
    labels, decided = dataset.label_names, known.decision.decide(known.scores)
    predicted = dict(zip(known.ids.tolist(), decided, strict=True))
    rows = []
    for kind, *both in [*same, *pairs]:
        one, other = both
        if labels[one] == labels[other]:
            continue
        for own, like in ((one, other), (other, one)):
            name = names[own]
            said = name_label(dataset.competition, predicted[name]) if name in predicted else ""
            why = f"{kind} of {names[like]}, which is {labels[like]}"
            suggested = "" if said == labels[own] else said
            rows.append({"image": name, "given": labels[own], "suggested": suggested, "why": why, "keep": "yes"})
    return rows


def take_over(table: pd.DataFrame, path: Path) -> int:
    """Put the decisions of an earlier table at `path` into `table`; return how many there are."""
    if not path.is_file():
        return 0
    earlier = read_table(path, exact="image")
    if not {"image", "given", "keep"} <= set(earlier.columns):
        return 0
    decisions = {(row["image"], row["given"]): row["keep"] for row in earlier.to_dict("records")}
    keys = list(zip(table["image"], table["given"], strict=True))
    there = [key for key in keys if key in decisions]
    table["keep"] = [decisions.get(key, keep) for key, keep in zip(keys, table["keep"], strict=True)]
    return len(there)
