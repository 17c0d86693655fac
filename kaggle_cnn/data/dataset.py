"""What a competition holds: training images with labels and folds, test images with ids."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layout import class_of, is_below, is_labelled, list_images
from kaggle_cnn.competition.submission import read_sample, read_table, write
from kaggle_cnn.errors import KcnnError

FOLDS, FOLD_SEED = 5, 2012


@dataclass(frozen=True)
class Dataset:
    """All arrays are aligned: the same row speaks of the same image.

    `ids` (N,) str: training images by their path below the competition's folder. `labels` (N,) int: index into
    `competition.classes`. `folds` (N,) int: the fold in which an image is validated. `test_ids` (M,) str: as the
    sample spells them. `test_files` (M,) str: path below the folder, "" where no file is there.
    """

    competition: Competition
    ids: np.ndarray
    labels: np.ndarray
    folds: np.ndarray
    test_ids: np.ndarray
    test_files: np.ndarray
    notes: list[str] = field(default_factory=list)  # what the user should know, a sentence each

    @property
    def train_files(self) -> list[Path]:
        return [self.competition.folder / name for name in self.ids]


def load_dataset(competition: Competition) -> Dataset:
    """Lists the files and joins them to labels, folds and the sample's ids; draws folds.csv the first time.

    Raises KcnnError where images came to the training set after the folds were drawn, or a class has no name.
    """
    images = list_images(competition.folder)
    test = [image for image in images if competition.test and is_below(image, competition.test)]
    train = [
        image
        for image in images
        if is_labelled(image, competition.train) and not (competition.test and is_below(image, competition.test))
    ]
    notes = []
    if unused := len(images) - len(train) - len(test):
        notes.append(f"{unused} images lie outside the class folders and the test folder and are not used")
    index = {name: number for number, name in enumerate(competition.classes)}
    names = [class_of(image, competition.train) for image in train]
    if unknown := sorted(set(names) - set(index)):
        raise KcnnError(
            f"the folder '{unknown[0]}' is not among the classes of {competition.folder / 'competition.toml'}",
            "add it to `classes` there, or move the folder out of the training images",
        )
    labels = np.array([index[name] for name in names], dtype=np.int32)
    folds = read_folds(competition.folder, train, labels, competition.classes)
    notes += small_classes(labels, folds, competition.classes)
    test_ids, test_files, test_notes = join_test(competition, test)
    return Dataset(competition, np.array(train, dtype=str), labels, folds, test_ids, test_files, notes + test_notes)


def join_test(competition: Competition, images: list[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Test ids and files in the sample's order, an id being a file's name with or without suffix, or its path.

    Without a sample the ids are the names without suffix, or the paths where those are not unique.
    """
    paths = [PurePosixPath(image).relative_to(competition.test or ".") for image in images]
    sample = read_sample(competition)
    if sample is None:
        stems = [path.stem for path in paths]
        ids = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
        return np.array(ids, dtype=str), np.array(images, dtype=str), []
    by_id = {}
    for image, path in zip(images, paths, strict=True):
        for spelling in (str(path), str(path.with_suffix("")), path.name, path.stem):
            by_id.setdefault(spelling, image)
    ids = list(dict.fromkeys(sample[competition.id_column]))
    files = [by_id.get(name, "") for name in ids]
    notes = []
    if lacking := files.count(""):
        notes.append(f"{lacking} of the sample's {len(ids)} ids have no image, the first is '{ids[files.index('')]}'")
    if unnamed := len(set(images) - set(files)):
        notes.append(f"{unnamed} test images are not named in the sample and get no row")
    return np.array(ids, dtype=str), np.array(files, dtype=str), notes


def read_folds(folder: Path, images: list[str], labels: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """The folds of `images` from folds.csv; drawn and written there if this is the first time."""
    path = folder / "folds.csv"
    if not path.is_file():
        folds = draw_folds(labels, copies([folder / image for image in images]))
        table = {"id": images, "label": [classes[label] for label in labels], "fold": folds}
        write(path, pd.DataFrame(table))
        return folds
    table = read_table(path)
    known = dict(zip(table["id"], table["fold"].astype(int), strict=True))
    if new := [image for image in images if image not in known]:
        raise KcnnError(
            f"{len(new)} training images are not in {path}, the first is {new[0]}",
            "remove that file to draw the folds anew; validation scores of earlier runs then no longer compare",
        )
    return np.array([known[image] for image in images], dtype=np.int32)


def copies(files: list[Path]) -> np.ndarray:
    """A group number for each file; files of the same bytes share one."""
    by_size = defaultdict(list)
    for number, path in enumerate(files):
        by_size[path.stat().st_size].append(number)
    groups, seen = np.arange(len(files)), {}
    for numbers in by_size.values():
        if len(numbers) > 1:  # only files of equal size need to be read
            for number in numbers:
                digest = hashlib.blake2b(files[number].read_bytes(), digest_size=16).digest()
                groups[number] = seen.setdefault(digest, number)
    return groups


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


def small_classes(labels: np.ndarray, folds: np.ndarray, classes: tuple[str, ...]) -> list[str]:
    counts = np.bincount(labels, minlength=len(classes))
    small = [f"'{classes[label]}' ({counts[label]})" for label in np.flatnonzero(counts < FOLDS)]
    if not small:
        return []
    named = f"{', '.join(small[:5])}{', …' if len(small) > 5 else ''}"
    return [
        f"{len(small)} classes have fewer images than the {FOLDS} folds, so some folds cannot validate them: {named}"
    ]
