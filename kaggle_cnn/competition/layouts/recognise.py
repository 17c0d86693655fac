"""Recognise the layout of a competition's files (`guess`), and read images and labels from them (`read`).

folders: a folder a class. table: a CSV with an id and labels beside the images. pixels: CSVs whose rows are images.
names: the class is in the file's name, `cat.0.jpg`. arrays: .npz, .npy and IDX files.
"""

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pandas as pd

from kaggle_cnn.competition.competition import ROW_LAYOUTS, Competition, usual_metric
from kaggle_cnn.competition.layouts.arrays import find_arrays, read_rows_and_labels
from kaggle_cnn.competition.layouts.class_folders import (
    class_in_name,
    class_of,
    find_folders,
    find_names,
    in_class_folder,
    same_classes,
)
from kaggle_cnn.competition.layouts.folder_reading import Reading, read_tree
from kaggle_cnn.competition.layouts.folder_words import meanings
from kaggle_cnn.competition.layouts.known_labels import find_solution
from kaggle_cnn.competition.layouts.label_table import find_table, read_labels
from kaggle_cnn.competition.layouts.labels import (
    TEST_NAME,
    Found,
    are_numbered,
    is_fraction,
    is_number,
    name_classes,
)
from kaggle_cnn.competition.layouts.pixel_rows import find_pixels, read_pixels
from kaggle_cnn.competition.listing import (
    TEST_FOLDER,
    Spellings,
    first_folder,
    group_names,
    is_below,
    is_left_out,
    list_images,
    list_tables,
    natural,
    normalise,
    split_images,
)
from kaggle_cnn.competition.metrics import recognise_metric
from kaggle_cnn.competition.submission_format import guess_format, sample_columns
from kaggle_cnn.competition.table import read_table
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.plural import count_of

MOST_CHANNELS = 16  # images that may be the channels of one
NEW_CLASS = re.compile(r"(new|unknown|unk|unseen|novel)([_-]\w+)?", re.IGNORECASE)
QUADRATIC = "quadratic_weighted_kappa"
NO_SAMPLE = re.compile(r"label|train|meta")  # sample_labels.csv holds the labels of a sample
SAMPLE_WORDS = (("sample", "sub"), ("sample",), ("submission",), ("random", "predictions"))


@dataclass(frozen=True)
class Choices:
    """What the user says of the files: the folders of the training and of the test images, the CSV with the labels and
    its column. An empty string leaves it to kcnn."""

    train: str = ""
    test: str = ""
    labels: str = ""
    label_column: str = ""


NO_CHOICES = Choices()


class Guessed(NamedTuple):
    """The fields of a Competition that files show, and what else they may mean, a sentence each."""

    fields: dict[str, Any]
    doubts: list[str]


def guess(folder: Path, metric_words: str = "", choices: Choices = NO_CHOICES) -> Guessed:
    """Return the fields of a Competition that the files under `folder` show. `metric_words`: the host's own, if any.

    Raises KcnnError where there are no images, no labels, fewer than two classes, or a task that kcnn does not have;
    and where one of the `choices` is not there.
    """
    images = list_images(folder)
    require_there(folder, images, choices)
    sample_name = find_sample(folder)
    sample = read_table(folder / sample_name) if sample_name else None
    grouped = are_grouped(sample, images)
    found, doubts = find_labels(folder, images, sample, sample_name, choices, grouped)
    kind = find_kind(found, sample, metric_words)
    columns = tuple(found.fields.get("label_columns", ()))
    classes, label_values = find_class_names(folder, kind, columns, found.values)
    spellings = Spellings(images, grouped=grouped)
    rows = found.fields["layout"] in ROW_LAYOUTS

    def are_images(ids: list[str]) -> bool:
        return rows or spellings.share(ids) >= 0.5

    targets = list(columns) if kind in ("multioutput", "regression") else []
    new = find_new_class(sample, [*classes, *label_values], found) if kind == "multiclass" else ""
    if new and new not in classes:
        classes = [*classes, new]
        label_values = [*label_values, new] if label_values else []
    asked = guess_format(sample, classes, label_values, kind, metric_words, are_images, targets)
    if asked["submission_format"] == "class_id" and not label_values and not are_numbered(classes):
        label_values = [str(number) for number in range(len(classes))]
    if kind == "multiclass" and are_numbered(label_values or classes):
        kind = "ordinal" if recognise_metric(metric_words, kind) == QUADRATIC else kind
    metric = ""
    if metric_words:
        metric = recognise_metric(metric_words, kind, asked.get("top_k", 0))
    else:
        metric = usual_metric(kind, asked["submission_format"], asked.get("top_k", 0))
    names = {"classes": tuple(classes), "label_values": tuple(label_values), "sample": sample_name}
    fields = {**found.fields, **names, **asked, "kind": kind, "metric": metric, "new_class": new}
    if grouped and not rows:
        fields["several_images"] = "stack" if are_channels(found, images, sample) else "mean"
    return Guessed({**fields, "solution": find_solution(folder, images, fields, sample_name)}, doubts)


def are_grouped(sample: pd.DataFrame | None, images: list[str]) -> bool:
    """Return whether the sample's ids are not images, but folders of images or the beginnings of their names."""
    if sample is None or len(sample.columns) < 2 or not images:
        return False
    ids = list(sample[sample_columns(sample)[0]].head(500))
    if not ids or Spellings(images).share(ids) >= 0.5:
        return False
    members = group_names(images, "")
    several = [len(members.get(normalise(name), [])) for name in ids]
    return sum(count > 0 for count in several) >= 0.5 * len(ids) and max(several) > 1


def are_channels(found: Found, images: list[str], sample: pd.DataFrame | None) -> bool:
    """Return whether the images of an id are the channels of one: every id has the same ones, as ID_red.png and
    ID_green.png, by the ends of their names."""
    assert sample is not None
    members = group_names(images, "")
    names = [normalise(name) for name in sample[sample_columns(sample)[0]].head(500)]
    groups = [members[name] for name in names if name in members]
    endings = {tuple(PurePosixPath(image).name.removeprefix(name) for image in group)
               for name, group in zip([name for name in names if name in members], groups, strict=True)}  # fmt: skip
    ends = next(iter(endings))
    words = not all(re.fullmatch(r"\W*\d*\W*", PurePosixPath(end).stem.strip("_-")) for end in ends)
    return len(endings) == 1 and 2 <= len(ends) <= MOST_CHANNELS and words and found.fields["layout"] == "table"


def find_new_class(sample: pd.DataFrame | None, known: list[str], found: Found) -> str:
    """Return the class that stands for all that have no training image: the one word of the sample, or the one class
    without an image, whose name says so; "" where there is none."""
    trained = {name for value in found.values for name in value}
    cells = list(sample[sample.columns[1]]) if sample is not None and len(sample.columns) == 2 else list[str]()
    cells += list(sample.columns[1:]) if sample is not None and len(sample.columns) > 2 else []
    words = {word for cell in cells for word in [cell, *cell.split()]}
    candidates = {*words - set(known), *set(known) - trained}
    candidates |= {name for name in words & trained if name.startswith(("new_", "new-"))}
    named = sorted(name for name in candidates if NEW_CLASS.fullmatch(name))
    return named[0] if len(named) == 1 else ""


def find_class_names(
    folder: Path, kind: str, columns: tuple[str, ...], values: list[tuple[str, ...]]
) -> tuple[list[str], list[str]]:
    """Return the classes and their label values, see `name_classes`, for labels `values` from `columns` of a table.

    Columns that mark a class each are all classes, also those that no image has.
    """
    if kind == "regression":
        return list(columns), []
    if kind == "multioutput":
        names = sorted({name for value in values for name in value}, key=natural)
        own = {column: [name for name in names if name.startswith(f"{column}=")] for column in columns}
        if few := next((column for column in columns if len(own[column]) < 2), ""):
            found = own[few][0].removeprefix(f"{few}=") if own[few] else ""
            raise KcnnError(
                f"expected at least two classes of the target '{few}', found {f'one, {found!r}' if found else 'none'}",
                "add images of another class, or take that column out of the labels and the sample",
            )
        return [name for column in columns for name in own[column]], []
    return name_classes(folder, [columns] if len(columns) > 1 else values)


def require_there(folder: Path, images: list[str], choices: Choices) -> None:
    """Raise KcnnError where a folder or a CSV that the user names is not among the files."""
    for option, place in (("--train", choices.train), ("--test", choices.test)):
        if place and place not in (".", "*") and not any(is_below(image, place) for image in images):
            tops = sorted({PurePosixPath(image).parts[0] for image in images if "/" in image})
            raise KcnnError(
                f"{option} should be a folder with images below the data, got '{place}'",
                f"the folders there are {', '.join(tops[:8])}" if tops else "there are no folders with images",
            )
    if choices.labels and choices.labels not in (tables := list_tables(folder)):
        raise KcnnError(
            f"--labels should be a CSV below the data, got '{choices.labels}'",
            f"the CSVs there are {', '.join(tables[:8])}" if tables else "there are no CSVs",
        )


def find_kind(found: Found, sample: pd.DataFrame | None, metric_words: str) -> str:
    """Return the kind of task: as the labels say, or a regression.

    It is a regression where the labels are more than two different numbers, and the sample asks for fractions or the
    metric is one of numbers. Of a class for each image that needs one column: in several, fractions may be
    probabilities.
    """
    kind = str(found.fields.get("kind", "multiclass"))
    columns = found.fields.get("label_columns", ())
    cells = {cell for value in found.values for cell in value}
    if kind == "multioutput":
        cells = {cell.removeprefix(f"{name}=") for name in columns for cell in cells if cell.startswith(f"{name}=")}
    cells -= {""}
    several = kind not in ("multiclass", "multioutput")
    if several or not columns or len(cells) <= 2 or not all(is_number(cell) for cell in cells):
        return kind
    if recognise_metric(metric_words, "regression"):
        return "regression"
    if sample is None or (kind == "multiclass" and (len(sample.columns) != 2 or len(columns) > 1)):
        return kind
    asked = {cell for name in sample.columns[1:] for cell in sample[name]}
    return "regression" if any(is_fraction(cell) for cell in asked) else kind


def find_sample(folder: Path) -> str:
    """Return the path of the CSV that is most likely a sample submission, relative to `folder`; or ""."""
    tables = list_tables(folder)
    for words in SAMPLE_WORDS:
        for table in tables:
            name = PurePosixPath(table).name.lower()
            if all(word in name for word in words) and not NO_SAMPLE.search(name):
                return table
    return ""


def find_labels(
    folder: Path,
    images: list[str],
    sample: pd.DataFrame | None,
    sample_name: str,
    choices: Choices,
    grouped: bool = False,
) -> tuple[Found, list[str]]:
    """Return the layout of the files below `folder` and the labels of its `images`; and what else the files may mean.

    Raises KcnnError where there are no images, no labels, fewer than two classes, or a cell that should be a number.
    """
    tables, broken = open_tables(folder, [choices.labels] if choices.labels else list_tables(folder), sample_name)
    tree = Reading(choices.train if choices.train != "." else "") if choices.train else read_tree(images)
    train = tree.train
    outside = [image for image in images if not is_below(image, train)] if train else images
    test = choices.test or tree.test or first_folder(outside, TEST_FOLDER)
    labelled = [image for image in images if not test or not is_below(image, test)]
    if not labelled and images:  # the test part alone, with its labels: treated as any other labelled set
        test, labelled = "", images
    found, doubts = None, []
    if labelled:
        trained = [image for image in labelled if not is_left_out(image, tree.ignore)]
        by_folder = find_folders(trained, train, test) if not choices.labels and not choices.label_column else None
        sure = by_folder is not None and not are_other_folders(by_folder)
        lists = [name for name in tables if choices.labels or not TEST_NAME.search(PurePosixPath(name).name)]
        from_table = choices.labels or choices.label_column or not choices.train
        given = (sample, sure, choices.label_column, grouped)
        table = find_table(folder, lists, labelled, test, *given) if from_table else None
        if by_folder and (table is None or (sure and same_classes(table.found, by_folder, sample is None))):
            found, doubts = by_folder, tree.doubts
        elif table:
            found, doubts = table
        else:
            found = find_names(trained, test, train if choices.train else "")
        if found and found.fields["layout"] != "table":
            found.fields["ignore"] = tuple(tree.ignore)
    found = found or find_pixels(folder, tables, choices.label_column) or find_arrays(folder)
    if found is None:
        raise broken[0] if broken else no_labels(folder, labelled, train)
    distinct = sorted({name for value in found.values for name in value})
    if len(distinct) < 2:
        named = f"one, '{distinct[0]}'" if distinct else "none"
        raise KcnnError(f"expected labels of at least two classes, found {named}", "add images of another class")
    return found, doubts


def open_tables(folder: Path, names: list[str], sample_name: str) -> tuple[list[str], list[KcnnError]]:
    """Return the CSVs that have rows, without the sample; and why others cannot be read, which counts only where no
    labels are found elsewhere."""
    tables: list[str] = []
    broken: list[KcnnError] = []
    for name in names:
        try:
            if name != sample_name and len(read_table(folder / name, rows=100, bad_rows=[])):
                tables.append(name)
        except KcnnError as error:
            broken.append(error)
    return tables, broken


def are_other_folders(found: Found) -> bool:
    """Return whether the names of all class folders say that they are something else: parts of the data, or forms of
    images."""
    return "" not in meanings({name for value in found.values for name in value}).values()


def no_labels(folder: Path, images: list[str], train: str) -> KcnnError:
    """Return the error for files that show no labels; `images` are those that may have some."""
    if not images:
        return KcnnError(
            f"no images found in {folder.name.strip('.').removesuffix('.partial')}",
            "expected image files (.png, .jpg, ...), a CSV whose rows are pixels, or .npz or IDX files",
        )
    single = PurePosixPath(train)
    if train and not meanings([single.name])[single.name]:
        train, found = str(single.parent).removeprefix("."), f"one class, '{single.name}'"
    else:
        found = "images that are not in a class folder, are not named in a CSV and have no class in their names"
    return KcnnError(
        f"expected at least two class folders in '{train or 'the data'}', found {found}",
        "put each class's images into a folder of its name: train/<class>/<image>",
    )


def read(competition: Competition) -> tuple[list[str], list[tuple[str, ...]], list[str], list[str]]:
    """Return training images, their labels as the files have them, the images that may be tests, and notes.

    An image is a path below the competition's folder, or `train.csv#17` for the row 17 (from 0) of a CSV of pixels.
    Raises KcnnError where the files are not as competition.toml has it.
    """
    if competition.layout == "pixels":
        return read_pixels(competition)
    if competition.layout == "arrays":
        return read_rows_and_labels(competition)
    images = list_images(competition.folder, competition.ignore)
    test = [image for image in images if competition.test and is_below(image, competition.test)]
    rest = images if not test else [image for image in images if not is_below(image, competition.test)]
    candidates = [image for image in rest if is_below(image, competition.train)]
    trained: dict[str, tuple[str, ...]] = {}
    if competition.layout == "folders":
        for image in candidates:
            if in_class_folder(image, competition.train):
                trained[image] = (class_of(image, competition.train),)
        notes = note_unused(rest, trained, "outside the class folders and the test folder")
        notes += note_other_folders(competition.classes)
    elif competition.layout == "names":
        for image in candidates:
            name = class_in_name(image)
            if name in competition.classes or (name and not competition.classes):
                trained[image] = (name,)
        notes = note_unused(rest, trained, "no class in the name")
    else:
        trained, notes = read_labels(competition, candidates)
    used = {image for name in trained for image in split_images(name)}
    tests = test or [image for image in images if image not in used]
    return list(trained), list(trained.values()), tests, notes


def note_unused(images: list[str], trained: Container[str], why: str) -> list[str]:
    """Return a sentence on the images that are not among those `trained` on; [] where all are."""
    count = sum(image not in trained for image in images)
    return [f"{count_of(count, 'image')} not used: {why}"] if count else []


def note_other_folders(classes: Iterable[str]) -> list[str]:
    """Return a sentence on classes whose names are those of parts of the data, or of forms of images; [] for none."""
    said = meanings(classes)
    odd = [f"'{name}'" for name in classes if said[name]]
    if not odd:
        return []
    named = f"{', '.join(odd[:4])}{', ...' if len(odd) > 4 else ''}"
    what = "class looks" if len(odd) == 1 else "classes look"
    return [f"the {what} like folders of something else: {named}; to choose the class folders: kcnn fetch --train DIR"]
