"""What a competition holds: training images with targets and folds, test images with ids."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.joining import join_test
from kaggle_cnn.competition.layouts.arrays import array_file
from kaggle_cnn.competition.layouts.label_table import read_column
from kaggle_cnn.competition.layouts.recognise import read
from kaggle_cnn.competition.listing import Spellings, count_unread, split_images
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.data.duplicates import inspect, same_pixels
from kaggle_cnn.data.folds import FOLDS, Folds, draw_folds, join_groups, join_pairs, read_folds, write_folds
from kaggle_cnn.data.image_cache import most_bits
from kaggle_cnn.data.label_edits import LabelEdits
from kaggle_cnn.data.near_duplicates import find_looks, near_pairs
from kaggle_cnn.data.pseudo import PseudoLabels
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.plural import count_of
from kaggle_cnn.progress import Progress, Silent
from kaggle_cnn.workspace import Workspace


@dataclass(frozen=True)
class Dataset:
    """All arrays are aligned: the same row is about the same image.

    `ids` (N,) str: training images by their path below the competition's folder, or as `train.csv#17`. `targets`
    float32 (N, outputs): 1 where an image has a class, else 0; of a regression the numbers. `folds`: where an image is
    validated. `test_ids` (M,) str: as the sample spells them. `test_files` (M,) str: as `ids`, "" where there is no
    image. `cache`: the folder for decoded images. `notes`: what the user should know, a sentence each. `owners` (N,)
    int: of images that share an id the same number; None where each has its own. `edits`: what the user decided on
    labels, `pseudo`: fold -> test images with predicted labels; both for the training sets alone.

    An image may be several files: see listing.join_images.
    """

    competition: Competition
    ids: Array
    targets: Array
    folds: Folds
    test_ids: Array
    test_files: Array
    cache: Path
    notes: list[str] = field(default_factory=list)
    owners: Array | None = None
    edits: LabelEdits = field(default_factory=LabelEdits)
    pseudo: dict[int, PseudoLabels] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        return self.competition.task

    @property
    def label_names(self) -> list[str]:
        """The labels of each training image in words."""
        return list(map(self.task.describe, self.targets))

    @cached_property
    def bits(self) -> int:
        """How many bits the 16-bit values of the training images need; see most_bits."""
        return most_bits(self.competition.folder, self.ids.tolist())

    @cached_property
    def test_images(self) -> tuple[list[str], Array]:
        """The test images that there are, and the row of each in `test_ids`, int: an id may have several."""
        single = self.competition.several_images != "mean"
        pairs = [
            (image, row)
            for row, name in enumerate(self.test_files.tolist())
            for image in ([name] if single else split_images(name))
            if name
        ]
        return [image for image, _ in pairs], np.array([row for _, row in pairs], dtype=int)

    def average_images(self, rows: Array, values: Array) -> tuple[Array, Array]:
        """Return `values` (n, ...) of the training images `rows` (n,) as one for each id, the mean of its images, and
        the row of the first image of each."""
        if self.owners is None or not len(rows):
            return rows, values
        _, first, member_of = np.unique(self.owners[rows], return_index=True, return_inverse=True)
        total = np.zeros((len(first), *values.shape[1:]))
        np.add.at(total, member_of, values)
        mean = total / np.bincount(member_of).reshape(-1, *[1] * (values.ndim - 1))
        order = np.argsort(first)
        return rows[first[order]], np.asarray(mean[order], values.dtype)

    @property
    def priors(self) -> Array:
        """The mean of the targets over the ids, (outputs,): the share of each class, or the mean values."""
        return np.asarray(self.average_images(np.arange(len(self.targets)), self.targets)[1].mean(axis=0))

    def validated_targets(self, rows: Array, fold: int) -> Array:
        """Return the targets of `rows`, which are validated in `fold`, in the form that metrics take: where the task
        has a class for what is not trained, it is that of images whose class has no image in the other folds."""
        soft = self.targets[rows]
        if self.task.new is not None:
            unseen = soft @ self.targets[self.folds.numbers != fold].sum(axis=0) == 0
            soft = np.where(unseen[:, None], np.eye(self.task.outputs, dtype=np.float32)[self.task.new], soft)
        return self.task.targets_of(soft)

    def list_classes(self, most: int) -> str:
        """Return the names of the first `most` classes, with how many images each has; of a regression the names of
        the values."""
        names = list(self.task.classes)
        if self.task.kind != "regression":
            counts = self.targets.sum(axis=0, dtype=int)
            names = [f"{name} ({count:,})" for name, count in zip(names, counts, strict=True)]
        return ", ".join(names[:most]) + (f", and {len(names) - most:,} more" if len(names) > most else "")


def load_dataset(
    workspace: Workspace,
    competition: Competition,
    progress: Progress | None = None,
    folds_file: str = "",
) -> Dataset:
    """List the images and join them to labels, folds and the sample's ids.

    `folds_file` is a CSV below runs/<name>/, else the competition's. Where it is not there yet, folds are drawn and
    written, as many as its name says (folds-10.csv) or five; every training image is opened for that, and copies of an
    image share a fold.
    Raises KcnnError where images came to the training set after the folds were drawn, or a class has no name.
    """
    progress = progress or Silent()
    train, raw, candidates, notes = read(competition)
    if not train:
        raise KcnnError(
            f"no image of '{competition.name}' has a label",
            f"correct {competition.folder / 'competition.toml'}, or use kcnn fetch with --train or --labels",
        )
    owners = None
    if competition.several_images == "mean":
        train, raw, owners = expand_images(train, raw)
    targets = read_values(competition, raw) if competition.kind == "regression" else mark_classes(competition, raw)
    cache = workspace.cache(competition.name)
    path = workspace.runs(competition.name) / (folds_file or competition.folds)
    if not path.is_file():
        groups = group_images(competition, train, cache, progress)
        groups = groups if owners is None else join_groups(groups, owners)
        numbers = draw_folds(competition.kind, targets, groups, folds_in_name(path.name))
        write_folds(path, train, [" ".join(cells) for cells in raw], numbers)
    drawn = read_folds(path, train)
    ids, files, test_notes = join_test(competition, candidates)
    small = note_small_classes(competition, targets, drawn.count)
    notes = [*competition.notes, *notes, *note_unread(competition), *small, *test_notes]
    return Dataset(competition, np.array(train, dtype=str), targets, drawn, ids, files, cache, notes, owners)


def expand_images(names: list[str], raw: list[tuple[str, ...]]) -> tuple[list[str], list[tuple[str, ...]], Array]:
    """Return each image of `names`, which may join several, with the label of its name; and whose image each is."""
    members = [split_images(name) for name in names]
    owners = np.repeat(np.arange(len(names)), [len(each) for each in members])
    return [image for each in members for image in each], [raw[owner] for owner in owners], owners


def folds_in_name(name: str) -> int:
    """Return how many folds to draw for a file of that name: 10 for folds-10.csv, five for folds.csv."""
    number = re.match(r"folds-(\d+)", name)
    return int(number[1]) if number else FOLDS


def group_images(competition: Competition, images: list[str], cache: Path, progress: Progress) -> Array:
    """Return a group for each image, int (N,): those of the same pixels, and of the same value in the column `group`
    of the labels, are in one; with `keep_together` "near" near-duplicates too."""
    groups = same_pixels(inspect(competition.folder, images, cache, progress))
    if competition.keep_together == "near":
        pairs = near_pairs(find_looks(competition.folder, images, cache, progress), groups)
        ones, others = (np.array([pair[place] for pair in pairs], int) for place in (1, 2))
        near = join_pairs(len(images), ones, others)
        held = int((np.bincount(near)[near] > 1).sum())
        progress.say(f"near-duplicates: {held:,} of {count_of(len(images), 'image')} stay in the fold of another one")
        groups = join_groups(groups, near)
    if not competition.group:
        return groups
    values = read_column(competition, images, competition.group)
    named = [values.get(image) or f"\0{row}" for row, image in enumerate(images)]  # one without a value is alone
    return join_groups(groups, pd.factorize(np.array(named, dtype=object))[0])


def mark_classes(competition: Competition, raw: list[tuple[str, ...]]) -> Array:
    """Return float32 (N, classes), 1 where an image has a class. Raises KcnnError for a label that is not a class."""
    names, values = competition.classes, competition.label_values
    spelled = {label for each in raw for label in each}
    by = names if spelled <= set(names) or not values else values
    index = {name: number for number, name in enumerate(by)}
    if unknown := sorted(spelled - set(index)):
        raise KcnnError(
            f"the label '{unknown[0]}' is not among the classes of {competition.folder / 'competition.toml'}",
            "add it to `classes` there, or remove those images",
        )
    marks = np.zeros((len(raw), len(names)), dtype=np.float32)
    for row, each in enumerate(raw):
        marks[row, [index[label] for label in each]] = 1
    return marks


def read_values(competition: Competition, raw: list[tuple[str, ...]]) -> Array:
    """Return the numbers of a regression, float32 (N, values). Raises KcnnError for a cell that is not a number."""
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and is refused below
            values = np.array([[float(cell) for cell in cells] for cells in raw], dtype=np.float32)
    except ValueError as error:
        raise KcnnError(f"{competition.labels} should hold numbers: {error}", "correct that cell") from None
    if not np.isfinite(values).all():
        raise KcnnError(f"{competition.labels} has a number that is not finite, or beyond 3e38", "correct that cell")
    return values.reshape(len(raw), len(competition.classes))


def note_unread(competition: Competition) -> list[str]:
    """Return a sentence on the files that kcnn cannot read; none where there are no such."""
    fields = (competition.train, competition.test, competition.labels, competition.solution)
    known = {array_file(Path(name)).as_posix() for name in fields if name}
    endings = count_unread(competition.folder, known)
    if not endings:
        return []
    named = ", ".join(f"{count_of(count, 'file')} {ending}" for ending, count in endings.most_common(5))
    return [f"not read: {named}{', ...' if len(endings) > 5 else ''}"]


def note_small_classes(competition: Competition, targets: Array, folds: int) -> list[str]:
    """Return a sentence on the classes that have fewer images than there are folds; none where there is no such."""
    if competition.kind == "regression":
        return []
    counts = targets.sum(axis=0, dtype=int)
    if competition.new_class:
        counts[competition.task.new] = folds  # it is not to be learned
    small = [f"'{competition.classes[label]}' ({counts[label]})" for label in np.flatnonzero(counts < folds)]
    if not small:
        return []
    named = f"{', '.join(small[:5])}{', …' if len(small) > 5 else ''}"
    classes = f"{count_of(len(small), 'class')} {'has' if len(small) == 1 else 'have'}"
    return [f"{classes} fewer images than the {folds} folds, so some folds cannot validate them: {named}"]


@dataclass(frozen=True)
class FoundImage:
    """One image: its `name`, its file, and its row among the training images, or None."""

    name: str
    path: Path
    row: int | None


def find_image(dataset: Dataset, name: str) -> FoundImage:
    """Return the image that `name` means: a training image's id or the end of it, a test id, or a file on this disk.

    Raises KcnnError where there is none, or several.
    """
    folder = dataset.competition.folder
    try:
        given = Path(name).resolve()
        is_file = given.is_file()
    except (OSError, ValueError):  # a name that no file can have
        given, is_file = Path(), False
    below = given.relative_to(folder.resolve()).as_posix() if given.is_relative_to(folder.resolve()) else name
    if len(exact := np.flatnonzero(dataset.ids == below)):
        return FoundImage(below, folder / below, int(exact[0]))
    tests = np.flatnonzero((dataset.test_ids == name) | (dataset.test_files == below))
    for row in tests[dataset.test_files[tests] != ""]:
        return FoundImage(str(dataset.test_ids[row]), folder / str(dataset.test_files[row]), None)
    if dataset.competition.several_images:
        members = [image for each in dataset.ids.tolist() for image in split_images(each)]
        joined = Spellings(members, dataset.competition.train, grouped=True).find(name)
        for row in np.flatnonzero(np.isin(dataset.ids, [joined, split_images(joined)[0]])) if joined else ():
            return FoundImage(name, folder / str(dataset.ids[row]), int(row))
    if is_file:
        return FoundImage(given.name, given, None)
    ids = dataset.ids.tolist()
    rows = [row for row, each in enumerate(ids) if f"/{each}".endswith(f"/{name}") or PurePosixPath(each).stem == name]
    if len(rows) == 1:
        return FoundImage(ids[rows[0]], folder / ids[rows[0]], rows[0])
    if rows:
        some = ", ".join(ids[row] for row in rows[:3])
        raise KcnnError(f"'{name}' may be one of {len(rows)} images", f"give more of its path: {some} ...")
    raise KcnnError(f"found no image '{name}'", f"expected a file, or an id such as {ids[0]}")
