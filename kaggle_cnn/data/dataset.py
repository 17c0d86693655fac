"""What a competition holds: training images with labels and folds, test images with ids."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layout import read
from kaggle_cnn.competition.listing import Spellings
from kaggle_cnn.competition.submission import read_sample, test_ids
from kaggle_cnn.competition.table import read_table, write_table
from kaggle_cnn.data.inspection import inspect, same_pixels
from kaggle_cnn.errors import KcnnError

FOLDS, FOLD_SEED = 5, 2012


@dataclass(frozen=True)
class Dataset:
    """All arrays are aligned: the same row speaks of the same image.

    `ids` (N,) str: training images by their path below the competition's folder, or as `train.csv#17`. `labels` (N,)
    int: index into `competition.classes`; where an image may have several, uint8 (N, classes) of 0 and 1. `folds` (N,)
    int: the fold in which an image is validated. `test_ids` (M,) str: as the sample spells them. `test_files` (M,)
    str: as `ids`, "" where no image is there.
    """

    competition: Competition
    ids: np.ndarray
    labels: np.ndarray
    folds: np.ndarray
    test_ids: np.ndarray
    test_files: np.ndarray
    notes: list[str] = field(default_factory=list)  # what the user should know, a sentence each

    @property
    def targets(self) -> np.ndarray:
        """float32 (N, classes), 1 where an image has a class."""
        if self.labels.ndim == 2:
            return self.labels.astype(np.float32)
        return np.eye(len(self.competition.classes), dtype=np.float32)[self.labels]

    @property
    def train_files(self) -> list[Path]:
        return [self.competition.folder / name for name in self.ids]


def load_dataset(competition: Competition, track: Callable = lambda iterable, description, total: iterable) -> Dataset:
    """Lists the images and joins them to labels, folds and the sample's ids; draws folds.csv the first time, for which
    every training image is opened: `track` shows how that goes.

    Raises KcnnError where images came to the training set after the folds were drawn, or a class has no name.
    """
    train, raw, candidates, notes = read(competition)
    marks = mark_classes(competition, raw)
    folds = read_folds(competition, train, marks, track)
    test_ids, test_files, test_notes = join_test(competition, candidates)
    notes = [*notes, *small_classes(marks, competition.classes), *test_notes]
    known = marks if competition.multi_label else marks.argmax(axis=1).astype(np.int32)
    return Dataset(competition, np.array(train, dtype=str), known, folds, test_ids, test_files, notes)


def mark_classes(competition: Competition, raw: list[tuple[str, ...]]) -> np.ndarray:
    """uint8 (N, classes), 1 where an image has a class. Raises KcnnError for a label that is no class or code."""
    names, codes = competition.classes, competition.codes
    spelled = {label for each in raw for label in each}
    by = names if spelled <= set(names) or not codes else codes
    index = {name: number for number, name in enumerate(by)}
    if unknown := sorted(spelled - set(index)):
        raise KcnnError(
            f"the label '{unknown[0]}' is not among the classes of {competition.folder / 'competition.toml'}",
            "add it to `classes` there, or take those images away",
        )
    marks = np.zeros((len(raw), len(names)), dtype=np.uint8)
    for row, each in enumerate(raw):
        marks[row, [index[label] for label in each]] = 1
    return marks


def join_test(competition: Competition, images: list[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Test ids and images in the sample's order, an id being a file's name with or without suffix, or its path.

    A row of pixels is joined by its number, from 1, or where the sample has as many rows, by its place. Without a
    sample the ids are the names without suffix, or the paths where those are not unique; of rows their numbers.
    """
    sample = read_sample(competition)
    if competition.layout == "pixels":
        return join_rows(competition, images, sample)
    if sample is None:
        if not competition.test:  # what carries no label may be anything
            return np.array([], dtype=str), np.array([], dtype=str), []
        paths = [PurePosixPath(image).relative_to(competition.test) for image in images]
        stems = [path.stem for path in paths]
        ids = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
        return np.array(ids, dtype=str), np.array(images, dtype=str), []
    spellings = Spellings(images, competition.test)
    ids = test_ids(competition, sample)
    files = [spellings.find(name) or "" for name in ids]
    notes = []
    if ids and not any(files):
        notes.append(
            f"none of the sample's {len(ids)} ids is that of a test image, such as '{ids[0]}': nothing can be submitted"
        )
        return np.array([], dtype=str), np.array([], dtype=str), notes
    if lacking := files.count(""):
        notes.append(f"{lacking} of the sample's {len(ids)} ids have no image, the first is '{ids[files.index('')]}'")
    if unnamed := len(set(images) - set(files)):
        notes.append(f"{unnamed} test images are not named in the sample and get no row")
    return np.array(ids, dtype=str), np.array(files, dtype=str), notes


def join_rows(competition: Competition, rows: list[str], sample) -> tuple[np.ndarray, np.ndarray, list[str]]:
    numbers = [str(number) for number in range(1, len(rows) + 1)]
    ids = numbers if sample is None else test_ids(competition, sample)
    by_number = dict(zip(ids if len(ids) == len(rows) else numbers, rows, strict=True))
    files = [by_number.get(name, "") for name in ids]
    notes = []
    if len(ids) != len(rows):
        notes.append(f"the sample has {len(ids)} ids and {competition.test} {len(rows)} rows: joined by row number")
    return np.array(ids, dtype=str), np.array(files, dtype=str), notes


def read_folds(competition: Competition, images: list[str], marks: np.ndarray, track: Callable) -> np.ndarray:
    """The folds of `images` from folds.csv; drawn and written there if this is the first time, images of the same
    pixels in one fold."""
    path = competition.folder / "folds.csv"
    if not path.is_file():
        files = [competition.folder / image for image in images]
        folds = draw_folds(strata(marks), same_pixels(inspect(files, competition.folder / ".cache", track)))
        names = [" ".join(competition.classes[place] for place in np.flatnonzero(row)) for row in marks]
        write_table(path, pd.DataFrame({"id": images, "label": names, "fold": folds}))
        return folds
    table = read_table(path)
    known = dict(zip(table["id"], table["fold"].astype(int), strict=True))
    if new := [image for image in images if image not in known]:
        raise KcnnError(
            f"{len(new)} training images are not in {path}, the first is {new[0]}",
            "remove that file to draw the folds anew; validation scores of earlier runs then no longer compare",
        )
    return np.array([known[image] for image in images], dtype=np.int32)


def strata(marks: np.ndarray) -> np.ndarray:
    """What is to be spread evenly over the folds, a number for each image: its class, or its set of classes; a set
    with fewer images than folds counts as the rarest of its classes alone."""
    sets, inverse, counts = np.unique(marks, axis=0, return_inverse=True, return_counts=True)
    frequency = marks.sum(axis=0)
    numbers = {}
    for number, (row, count) in enumerate(zip(sets, counts, strict=True)):
        places = np.flatnonzero(row)
        rarest = min(places, key=lambda place: frequency[place], default=-1)
        key = tuple(places) if count >= FOLDS else (int(rarest),)
        numbers[number] = key
    order = {key: number for number, key in enumerate(sorted(set(numbers.values())))}
    return np.array([order[numbers[number]] for number in inverse.ravel()], dtype=np.int32)


def draw_folds(labels: np.ndarray, groups: np.ndarray, folds: int = FOLDS, seed: int = FOLD_SEED) -> np.ndarray:
    """A fold for each image: classes spread evenly, all images of one group in one fold, the same every time.

    Each class's groups are shuffled and dealt out like cards, beginning with the fold that has least. A class with
    fewer groups than folds is dealt from the last fold backwards: the default fold 0 then trains on all it has.
    """
    draw = np.random.default_rng(seed)
    fold_of_group, sizes = {}, np.zeros(folds, dtype=int)
    for label in range(labels.max(initial=-1) + 1):
        members = [group for group in dict.fromkeys(groups[labels == label]) if group not in fold_of_group]
        least_first = np.argsort(sizes, kind="stable") if len(members) >= folds else np.arange(folds)[::-1]
        for place, number in enumerate(draw.permutation(len(members))):
            fold = int(least_first[place % folds])
            fold_of_group[members[number]] = fold
            sizes[fold] += 1
    return np.array([fold_of_group[group] for group in groups], dtype=np.int32)


def small_classes(marks: np.ndarray, classes: tuple[str, ...]) -> list[str]:
    counts = marks.sum(axis=0, dtype=int)
    small = [f"'{classes[label]}' ({counts[label]})" for label in np.flatnonzero(counts < FOLDS)]
    if not small:
        return []
    named = f"{', '.join(small[:5])}{', …' if len(small) > 5 else ''}"
    return [
        f"{len(small)} classes have fewer images than the {FOLDS} folds, so some folds cannot validate them: {named}"
    ]


@dataclass(frozen=True)
class FoundImage:
    """One image that was asked for: its `name`, its file, and its row among the training images, or None."""

    name: str
    path: Path
    row: int | None


def find_image(dataset: Dataset, name: str) -> FoundImage:
    """The image that `name` means: a training image's id or the end of it, a test id, or a file on this disk.

    Raises KcnnError where there is none, or several.
    """
    folder = dataset.competition.folder
    try:
        given = Path(name).resolve()
        is_file = given.is_file()
    except (OSError, ValueError):  # a name that no file can have
        given, is_file = Path(), False
    inside = given.relative_to(folder.resolve()).as_posix() if given.is_relative_to(folder.resolve()) else name
    if len(exact := np.flatnonzero(dataset.ids == inside)):
        return FoundImage(inside, folder / inside, int(exact[0]))
    tests = np.flatnonzero((dataset.test_ids == name) | (dataset.test_files == inside))
    for row in tests[dataset.test_files[tests] != ""]:
        return FoundImage(str(dataset.test_ids[row]), folder / str(dataset.test_files[row]), None)
    if is_file:
        return FoundImage(given.name, given, None)
    ids = dataset.ids.tolist()
    rows = [row for row, each in enumerate(ids) if f"/{each}".endswith(f"/{name}") or PurePosixPath(each).stem == name]
    if len(rows) == 1:
        return FoundImage(ids[rows[0]], folder / ids[rows[0]], rows[0])
    if rows:
        some = ", ".join(ids[row] for row in rows[:3])
        raise KcnnError(f"'{name}' may be one of {len(rows)} images", f"give more of its path: {some} ...")
    raise KcnnError(f"there is no image '{name}'", f"expected a file, or an id such as {ids[0]}")
