"""Folds: drawn once for a competition by scikit-learn, kept in runs/<name>/folds.csv, shared by all its runs."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.table import read_table, write_table
from kaggle_cnn.competition.task import SEVERAL_LABELS
from kaggle_cnn.errors import KcnnError

FOLDS, SEED, MOST_BINS = 5, 2012, 10


@dataclass(frozen=True)
class Folds:
    """`numbers` int (N,): the fold in which an image is validated. `file` is where they are kept, `digest` names its
    content: two runs may be joined where it is the same. `count` is how many folds there are."""

    numbers: Array
    file: str
    digest: str
    count: int


def read_folds(path: Path, ids: list[str]) -> Folds:
    """Return the folds of the images `ids` from a CSV with the columns id and fold.

    Raises KcnnError where an image is not in it, or a fold is not a whole number from 0.
    """
    table = read_table(path, exact="id")
    if not {"id", "fold"} <= set(table.columns):
        raise KcnnError(
            f"{path} should have the columns id and fold, found {', '.join(table.columns)}", "rename its columns"
        )
    odd = table["fold"][~table["fold"].str.fullmatch(r"\d{1,4}")]
    if len(odd):
        raise KcnnError(
            f"{path}: a fold should be a whole number from 0, found '{odd.iloc[0]}'", "write 0, 1, 2 ... there"
        )
    known = dict(zip(table["id"], table["fold"].astype(int), strict=True))
    if new := [name for name in ids if name not in known]:
        raise KcnnError(
            f"{len(new)} training images are not in {path}, the first is {new[0]}",
            "remove that file to draw the folds again; earlier runs can then not be compared with new ones",
        )
    digest = blake2b(digest_size=8)
    for name, fold in sorted(known.items()):
        digest.update(f"{name}\t{fold}\n".encode())
    return Folds(np.array([known[name] for name in ids], int), path.name, digest.hexdigest(), max(known.values()) + 1)


def write_folds(path: Path, ids: list[str], labels: list[str], numbers: Array) -> None:
    """Write the folds of images, with their labels for a reader."""
    write_table(path, pd.DataFrame({"id": ids, "label": labels, "fold": numbers}))


def draw_folds(kind: str, targets: Array, groups: Array, folds: int = FOLDS) -> Array:
    """Return a fold for each image, int (N,), the same every time: classes spread evenly, each group in one fold.

    `targets` (N, outputs) as in a Dataset, `groups` int (N,). Several labels are spread by iterative stratification
    (Sechidis et al. 2011), the numbers of a regression by tenths of their range. Fold 0 is the one that validates the
    fewest images of classes that are smaller than the number of folds: training on the default fold then sees them.
    """
    numbers = np.zeros(len(targets), dtype=int)
    for fold, rows in enumerate(split(kind, targets, groups, folds)):
        numbers[rows] = fold
    if kind == "regression":
        return numbers
    small = targets[:, targets.sum(axis=0) < folds].any(axis=1)
    order = np.argsort(np.bincount(numbers[small], minlength=folds), kind="stable")
    return np.argsort(order)[numbers]


def split(kind: str, targets: Array, groups: Array, folds: int) -> Iterator[Array]:
    """Yield the validation rows of each fold."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

    if len(np.unique(groups)) < folds:
        first = np.unique(groups, return_inverse=True)[1]
        yield from (np.flatnonzero(first == fold) for fold in range(folds))
        return
    if kind in SEVERAL_LABELS:
        yield from split_labels(targets, groups, folds)
        return
    strata = to_bins(targets[:, 0], folds) if kind == "regression" else targets.argmax(axis=1)
    settings: dict[str, Any] = {"n_splits": folds, "shuffle": True, "random_state": SEED}
    alone = len(np.unique(groups)) == len(groups)  # StratifiedGroupKFold takes 15 s for 100,000 groups
    splitter = StratifiedKFold(**settings) if alone else StratifiedGroupKFold(**settings)
    if np.bincount(strata).max() < folds:
        splitter = GroupKFold(folds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # small classes: load_dataset names them in a note
        for _, rows in splitter.split(np.zeros(len(strata)), strata, groups):
            yield np.asarray(rows)


def split_labels(targets: Array, groups: Array, folds: int) -> Iterator[Array]:
    """Yield the validation rows of each fold where an image may have several labels; a group counts as one image that
    has all labels of its members."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    names, member_of = np.unique(groups, return_inverse=True)
    union = np.zeros((len(names), targets.shape[1]), dtype=int)
    np.maximum.at(union, member_of, targets.astype(int))
    splitter = MultilabelStratifiedKFold(folds, shuffle=True, random_state=SEED)
    for _, chosen in splitter.split(np.zeros(len(union)), union):
        yield np.flatnonzero(np.isin(member_of, chosen))


def to_bins(values: Array, folds: int) -> Array:
    """Return the part of its range, by rank, in which each value lies: int (N,)."""
    ranks = pd.Series(values).rank(method="first").to_numpy() - 1
    bins = max(1, min(MOST_BINS, len(values) // folds))
    return np.asarray(ranks * bins // len(values), dtype=int)


def join_groups(*groups: Array) -> Array:
    """Return groups that hold together what any of `groups`, int (N,) each, holds together."""
    count = len(groups[0])
    first = [pd.Series(np.arange(count)).groupby(each).transform("min").to_numpy() for each in groups]
    return join_pairs(count, np.tile(np.arange(count), len(groups)), np.concatenate(first))


def join_pairs(count: int, ones: Array, others: Array) -> Array:
    """Return groups, int (count,), that hold together each row of `ones`, int (n,), with that of `others`."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    links = coo_matrix((np.ones(len(ones)), (ones, others)), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1])
