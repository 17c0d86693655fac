"""A user's decisions on labels, replayed: which images are left out of training, and which have another label."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.table import read_table
from kaggle_cnn.competition.task import Task
from kaggle_cnn.errors import KcnnError

WORDS = {"no": False, "n": False, "false": False, "0": False, "yes": True, "y": True, "true": True, "1": True, "": True}
COLUMNS = ["image", "given", "suggested", "why", "keep"]


@dataclass(frozen=True)
class LabelEdits:
    """What changes in the training sets. `excluded` int (n,): rows of training images that are left out; `relabelled`:
    row -> its other target, float32 (outputs,). Folds and validation are as before."""

    excluded: Array = field(default_factory=lambda: np.zeros(0, int))
    relabelled: dict[int, Array] = field(default_factory=dict)


def read_edits(path: Path, ids: Array, task: Task, relabel: bool) -> LabelEdits:
    """Return the decisions of a CSV, as `kcnn doctor` writes it.

    Its rows whose cell `keep` is no count: their images are left out, or with `relabel` have the label `suggested`.
    Without a column `keep`, every row counts. Raises KcnnError where an image or a label is not known, or a cell `keep`
    is neither yes nor no.
    """
    option = "--relabel" if relabel else "--exclude"
    if not path.is_file():
        raise KcnnError(f"{option} expects a CSV, and {path} is not there", "kcnn doctor writes one")
    table = read_table(path, exact="image")
    for column in ("image", *(("suggested",) if relabel else ())):
        if column not in table:
            raise KcnnError(
                f"{path} should have a column '{column}', found {', '.join(map(str, table.columns))}",
                f"expected the columns {', '.join(COLUMNS)}, as kcnn doctor writes them",
            )
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(ids.tolist()):
        rows_of.setdefault(name, []).append(row)
    excluded, relabelled = [], {}
    for line, cells in enumerate(table.to_dict("records"), 2):
        keep = WORDS.get(str(cells["keep"]).strip().lower()) if "keep" in table else False
        if keep is None:
            raise KcnnError(
                f"{path}, line {line}: keep should be yes or no, got '{cells['keep']}'", "correct that cell"
            )
        if keep:
            continue
        if cells["image"] not in rows_of:
            raise KcnnError(
                f"{path}, line {line}: there is no training image '{cells['image']}'",
                f"expected an id such as {ids[0]}, as kcnn doctor writes it",
            )
        for row in rows_of[cells["image"]]:
            if relabel and cells["suggested"]:
                relabelled[row] = read_label(task, str(cells["suggested"]), f"{path}, line {line}")
            elif not relabel:
                excluded.append(row)
    return LabelEdits(np.array(sorted(set(excluded)), int), relabelled)


def read_label(task: Task, text: str, where: str) -> Array:
    """Return the target that `text` names, float32 (outputs,): a class, or labels between which ", " stands."""
    names = text.split(", ") if task.several else [text]
    if unknown := [name for name in names if name not in task.classes]:
        raise KcnnError(f"{where}: '{unknown[0]}' is not a class", f"the classes are: {', '.join(task.classes[:20])}")
    return np.isin(task.classes, names).astype(np.float32)


def join_edits(parts: list[LabelEdits]) -> LabelEdits:
    """Return several edits as one."""
    excluded = np.unique(np.concatenate([part.excluded for part in parts])) if parts else np.zeros(0, int)
    return LabelEdits(excluded, {row: target for part in parts for row, target in part.relabelled.items()})
