"""How a competition's files carry labels: the four layouts, to recognise (`find`) and to read (`read`).

folders: a folder a class. table: a CSV with an id and labels beside the images. pixels: CSVs whose rows are images.
names: the class stands in the file's name, `cat.0.jpg`.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.listing import (
    TEST_FOLDER,
    TRAIN_FOLDER,
    Spellings,
    first_folder,
    is_below,
    list_files,
    list_images,
    list_tables,
    natural,
)
from kaggle_cnn.competition.table import read_header, read_table
from kaggle_cnn.errors import KcnnError

LABEL_NAMES = re.compile(
    r"labels?|class(es)?|class_?(name|id)|categor(y|ies)|category_(id|name)|targets?|tags?|species|breed|character"
    r"|emotion|diagnosis|level|type|attribute_ids|y",
    re.IGNORECASE,
)
TEST_NAME = re.compile(r"(?<![a-z])test", re.IGNORECASE)  # not in `latest.csv`
NO_LABEL_NAMES = {"usage", "split", "fold", "width", "height", "filename", "file_name", "path", "filepath", "url"}
NAME_WITH_CLASS = re.compile(r"([^\W\d](?:.*[^\W\d])?)[\W_]*\d+")  # cat.0, dog_12, sea lion (3
FEWEST_PIXELS = 36  # below that a CSV of numbers is no CSV of images
MOST_PARTS = 100  # labels that one image may have a row each for
SEPARATORS = " |;,"


@dataclass(frozen=True)
class Found:
    """What is known of the labels before anything is known of the submission.

    `fields` are those of a Competition; `values` (N) the raw label cells, tuples of the classes that each image has.
    """

    fields: dict
    values: list[tuple[str, ...]]


def find(folder: Path, sample: pd.DataFrame | None, sample_name: str) -> Found:
    """Recognises the layout of the files below `folder`.

    Raises KcnnError where there are no images, no labels, fewer than two classes, or numbers that are no classes.
    """
    images = list_images(folder)
    tables, broken = [], []
    for name in list_tables(folder):
        try:
            if name != sample_name and len(read_table(folder / name, rows=100)):
                tables.append(name)
        except KcnnError as error:  # only of weight if the labels are not found elsewhere
            broken.append(error)
    test = first_folder(images, TEST_FOLDER)
    labelled = [image for image in images if not test or not is_below(image, test)]
    if not labelled and images:  # the test part alone, with its labels: treated as any other labelled set
        test, labelled = "", images
    found = None
    if labelled:
        by_folder = find_folders(labelled, test)
        found = find_table(folder, tables, labelled, test, sample, sure=by_folder is not None)
        if by_folder and (found is None or same_classes(found, by_folder)):
            found = by_folder
        found = found or find_names(labelled, test)
    else:
        found = find_pixels(folder, tables)
    if found is None:
        raise broken[0] if broken else no_labels(folder, labelled)
    if len({name for value in found.values for name in value}) < 2:
        raise KcnnError("expected at least two classes, found one", "what is to be told apart needs labels of its own")
    return found


def no_labels(folder: Path, images: list[str]) -> KcnnError:
    if not images:
        return KcnnError(
            f"no images found in {folder.name.strip('.').removesuffix('.partial')}",
            "expected image files (.png, .jpg, ...) or a CSV whose rows are pixels",
        )
    train, classed = classes_below(images)
    found = "images that lie in no class folder, are named in no CSV and have no class in their names"
    if classed:
        found = f"one class, '{classed[0]}'"
    return KcnnError(
        f"expected at least two class folders in '{train or 'the data'}', found {found}",
        "put each class's images into a folder of its name: train/<class>/<image>",
    )


def same_classes(table: Found, folders: Found) -> bool:
    """Whether a CSV says nothing but what the folders say."""
    return {name for value in table.values for name in value} == {name for value in folders.values for name in value}


# folders


def find_folders(labelled: list[str], test: str) -> Found | None:
    train, classed = classes_below(labelled)
    if len(set(classed)) < 2:
        return None
    return Found({"layout": "folders", "train": train, "test": test}, [(name,) for name in classed])


def classes_below(labelled: list[str]) -> tuple[str, list[str]]:
    """The folder of the class folders, and the class of each image in them."""
    train_folder = first_folder(labelled, TRAIN_FOLDER)
    train = class_root([image for image in labelled if is_below(image, train_folder)], train_folder)
    return train, [class_of(image, train) for image in labelled if in_class_folder(image, train)]


def class_root(images: list[str], root: str) -> str:
    """Goes down from `root` through folders that hold nothing but one folder, as in train/characters-20/<class>."""
    while True:
        below = [PurePosixPath(image).relative_to(root or ".").parts for image in images]
        wrappers = {parts[0] for parts in below}
        if len(wrappers) != 1 or any(len(parts) < 3 for parts in below):
            return root
        root = str(PurePosixPath(root, wrappers.pop()))


def in_class_folder(image: str, train: str) -> bool:
    """Whether an image lies in a class folder of `train`, not beside them."""
    return is_below(image, train) and len(PurePosixPath(image).relative_to(train or ".").parts) > 1


def class_of(image: str, train: str) -> str:
    """The class of a training image: the first folder below `train`, in Unicode NFC.

    Zips made on a Mac spell accents as NFD, samples as NFC: without this "café" and "café" would be two classes.
    """
    return unicodedata.normalize("NFC", PurePosixPath(image).relative_to(train or ".").parts[0])


# names


def find_names(labelled: list[str], test: str) -> Found | None:
    train = first_folder(labelled, TRAIN_FOLDER)
    classes = Counter(name for image in labelled if is_below(image, train) and (name := class_in_name(image)))
    if len(classes) < 2 or min(classes.values()) < 2 or sum(classes.values()) < len(labelled) / 2:
        return None
    return Found({"layout": "names", "train": train, "test": test}, [(name,) for name in classes.elements()])


def class_in_name(image: str) -> str:
    """What stands before the number in a file's name, or ""."""
    match = NAME_WITH_CLASS.match(unicodedata.normalize("NFC", PurePosixPath(image).stem))
    return match[1].rstrip("._- (") if match else ""


# table


def find_table(
    folder: Path, tables: list[str], labelled: list[str], test: str, sample: pd.DataFrame | None, sure: bool
) -> Found | None:
    """The CSV that names the most of the images, has a column of labels, and is no list of the test images.

    With `sure`, a column must be called as labels are, or as in the sample.
    """
    train = first_folder(labelled, TRAIN_FOLDER)
    spellings = Spellings(labelled, train)
    best, most = None, 0
    for name in tables:
        if TEST_NAME.search(PurePosixPath(name).name) or len(read_header(folder / name)) > 1000:
            continue
        table = read_table(folder / name)
        if len(table.columns) < 2 or not len(table):
            continue
        ids = max(table.columns, key=lambda column: spellings.share(table[column].head(500)))
        parts = None
        if spellings.share(table[ids].head(500)) < 0.5:
            ids = table.columns[0]
            ways = split_ids(table[ids])
            parts = next((parts for stems, parts in ways if spellings.share(stems[:500]) >= 0.5), None)
            if parts is None or len(table.columns) < 2:
                continue
            table = widen(table, ids, parts)
        columns = label_columns(table, ids, sample, parts, sure)
        named = sum(spellings.find(value) is not None for value in table[ids])
        if columns and named > most:
            most = named
            fields = {"layout": "table", "train": train, "test": test, "labels": name, "label_id": ids}
            best = labelled_table(
                table[table[ids].map(lambda value: spellings.find(value) is not None)], columns, fields
            )
    return best


def label_columns(
    table: pd.DataFrame, ids: str, sample: pd.DataFrame | None, parts: list[str] | None, sure: bool
) -> list[str]:
    """The columns of `table` that hold the labels: those of the sample, those called so, one of 0s and 1s for each
    class, or what is left."""
    if parts:
        return [name for name in table.columns if name != ids]
    rest = [name for name in table.columns if name not in (ids, "") and name.lower().strip() not in NO_LABEL_NAMES]
    wanted = [name for name in sample.columns if name in rest] if sample is not None else []
    marks = [name for name in rest if set(table[name]) <= {"0", "1", "0.0", "1.0"}]
    named = [name for name in rest if LABEL_NAMES.fullmatch(name.strip())]
    if wanted:
        return wanted
    if named:
        return named[:1]
    if len(marks) > 1:
        return marks
    if sure:
        return []
    if len(rest) == 1:
        return rest
    few = [name for name in rest if 2 <= table[name].nunique() <= max(2, len(table) // 2)]
    return few[-1:]


def labelled_table(table: pd.DataFrame, columns: list[str], fields: dict) -> Found:
    """What the label columns of a table say. Raises KcnnError where they hold numbers that are no classes."""
    if len(columns) > 1:
        cells = set(pd.unique(table[columns].to_numpy().ravel()))
        if cells <= {"0", "1", "0.0", "1.0", ""}:
            values = [tuple(name for name, cell in zip(columns, row, strict=True) if cell in ("1", "1.0"))
                      for row in table[columns].itertuples(index=False, name=None)]  # fmt: skip
            several = any(len(value) != 1 for value in values)
            return Found({**fields, "label_columns": tuple(columns), "multi_label": several}, values)
        if any(is_fraction(cell) for cell in cells):
            raise regression(columns[0], next(cell for cell in cells if is_fraction(cell)))
        values = [("|".join(row),) for row in table[columns].itertuples(index=False, name=None)]
        return Found({**fields, "label_columns": tuple(columns)}, values)
    cells = table[columns[0]]
    if sum(map(is_fraction, cells)) > len(cells) / 10:
        raise regression(columns[0], next(cell for cell in cells if is_fraction(cell)))
    separator = separator_in(set(cells))
    values = [tuple(dict.fromkeys(cell.split(separator))) if separator else (cell,) for cell in cells]
    several = {"multi_label": True, "separator": separator} if separator else {}
    return Found({**fields, "label_columns": tuple(columns), **several}, values)


def is_fraction(text: str) -> bool:
    try:
        return not float(text).is_integer()
    except (ValueError, OverflowError):
        return False


def regression(column: str, value: str) -> KcnnError:
    return KcnnError(
        f"this is no classification: the column '{column}' holds measures such as {value}, not classes",
        "kcnn trains classifiers; if these are classes all the same, name them otherwise",
    )


def separator_in(cells: set[str]) -> str:
    """What parts several labels in one cell, or "": nearly every part of a cell stands in other cells, too.

    So `rust scab` is two labels among `rust`, `scab` and `scab complex`, and `Sugar beet` is one.
    """
    for separator in SEPARATORS:
        several = [cell.split(separator) for cell in cells if separator in cell]
        if not several:
            continue
        seen = Counter(part for cell in cells for part in set(cell.split(separator)))
        parts = {part for each in several for part in each}
        if sum(seen[part] > 1 for part in parts) >= 0.8 * len(parts) or all(part.isdecimal() for part in parts):
            return separator
    return ""


def split_ids(ids: pd.Series) -> Iterator[tuple[list[str], list[str]]]:
    """Ways to part ids such as ID_28fbab7eb_epidural into images and parts, every image having every part."""
    for count in range(1, 5):
        pieces = ids.str.split("_", n=count)
        if (pieces.str.len() <= count).any():
            return
        stems = list(dict.fromkeys(pieces.str[:count].str.join("_")))
        parts = list(dict.fromkeys(pieces.str[count]))
        if 2 <= len(parts) <= MOST_PARTS and len(parts) * len(stems) == ids.nunique():
            yield stems, parts


def widen(table: pd.DataFrame, ids: str, parts: list[str]) -> pd.DataFrame:
    """A table with a row for each image and part as one with a row for each image and a column for each part."""
    value = next(name for name in table.columns if name not in (ids, ""))
    ending = re.compile(f"_({'|'.join(sorted(map(re.escape, parts), key=len, reverse=True))})$")
    part = table[ids].str.extract(ending, expand=False)
    stems = table[ids].str.replace(ending, "", regex=True)
    long = pd.DataFrame({ids: stems, "part": part, "value": table[value]}).drop_duplicates([ids, "part"])
    wide = long.pivot(index=ids, columns="part", values="value").reindex(columns=parts).fillna("")
    return wide.loc[list(dict.fromkeys(stems))].reset_index().rename_axis(columns=None)


# pixels


def find_pixels(folder: Path, tables: list[str]) -> Found | None:
    """Train rows have a label; test rows have none, stand in another file, or have another Usage than Training."""
    labelled, bare = [], []
    for name in tables:
        start = read_table(folder / name, rows=20)
        if not pixel_columns(start):
            continue
        column = pixel_label(start)
        (labelled if column and (start[column] != "").all() else bare).append((name, column))
    if not labelled:
        return None
    trains = [each for each in labelled if not TEST_NAME.search(PurePosixPath(each[0]).name)] or labelled
    name, column = max(trains, key=lambda each: ("train" in each[0].lower(), (folder / each[0]).stat().st_size))
    usage = next((each for each in read_header(folder / name) if each.strip().lower() == "usage"), "")
    table = read_table(folder / name, columns=[column, usage] if usage else [column])
    kinds = list(dict.fromkeys(table[usage])) if usage else []
    training = next((kind for kind in kinds if kind.lower().startswith("train")), "")
    values = table[column][table[usage] == training] if training else table[column]
    others = [each for each, _ in [*bare, *labelled] if each != name and "train" not in each.lower()]
    test = name if training and len(kinds) > 1 else next(iter(others), "")
    fields = {"layout": "pixels", "train": name, "test": test, "labels": name, "label_columns": (column,)}
    return Found(fields, [(value,) for value in values])


def pixel_columns(table: pd.DataFrame) -> list[str]:
    """The columns of a CSV that hold an image: one cell of many numbers, or many columns of one; [] if none does."""
    if not len(table):
        return []
    for name in table.columns:
        cell = table[name].iloc[0]
        if cell.count(" ") >= FEWEST_PIXELS - 1 and all(part.isdecimal() for part in cell.split()):
            return [name]
    numbered = [name for name in table.columns if re.fullmatch(r"\D*\d+|\d+x\d+", name)]
    if len(numbered) >= FEWEST_PIXELS and len(numbered) >= len(table.columns) - 4:
        return numbered
    return []


def pixel_label(table: pd.DataFrame) -> str:
    """The column of a CSV of pixels that holds the label, or ""."""
    pixels = set(pixel_columns(table))
    rest = [name for name in table.columns if name not in pixels and name and name.lower() not in ("usage", "id")]
    named = [name for name in rest if LABEL_NAMES.fullmatch(name.strip())]
    return (named or [name for name in rest if "id" not in name.lower()] or [""])[0]


# reading


def read(competition: Competition) -> tuple[list[str], list[tuple[str, ...]], list[str], list[str]]:
    """Training images with their raw labels, the images that may be tests, and notes.

    An image is a path below the competition's folder, or `train.csv#17` for the row 17 (from 0) of a CSV of pixels.
    Raises KcnnError where the files are not as competition.toml has it.
    """
    if competition.layout == "pixels":
        return read_pixels(competition)
    images = list_images(competition.folder)
    test = [image for image in images if competition.test and is_below(image, competition.test)]
    rest = images if not test else [image for image in images if not is_below(image, competition.test)]
    inside = [image for image in rest if is_below(image, competition.train)]
    if competition.layout == "folders":
        trained = {image: (class_of(image, competition.train),) for image in inside
                   if in_class_folder(image, competition.train)}  # fmt: skip
        notes = unused(rest, trained, "lie outside the class folders and the test folder")
    elif competition.layout == "names":
        trained = {image: (name,) for image in inside if (name := class_in_name(image)) in competition.classes}
        notes = unused(rest, trained, "have no class in their name")
    else:
        trained, notes = read_labels(competition, inside)
    candidates = test or [image for image in images if image not in trained]
    return list(trained), list(trained.values()), candidates, notes


def unused(images: list[str], trained: dict, why: str) -> list[str]:
    count = sum(image not in trained for image in images)
    return [f"{count:,} images {why} and are not used"] if count else []


def read_labels(competition: Competition, images: list[str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Image -> classes, from the CSV; files that it does not name and names without a file are counted."""
    path = competition.folder / competition.labels
    table, ids, columns = read_table(path), competition.label_id, list(competition.label_columns)
    if ids in table.columns and columns and not set(columns) <= set(table.columns):
        table = widen(table, ids, columns)
    for name in (ids, *columns):
        if name not in table.columns:
            raise KcnnError(f"{path} has no column '{name}'", f"its columns are {', '.join(table.columns)}")
    spellings = Spellings(images, competition.train)
    cells = table[columns].itertuples(index=False, name=None)
    trained, lacking, twice, empty = {}, [], 0, 0
    for name, row in zip(table[ids], cells, strict=True):
        image = spellings.find(name)
        labels = row_labels(competition, row)
        if image is None:
            lacking.append(name)
        elif not competition.multi_label and not any(labels):
            empty += 1
        elif image in trained:
            twice += trained[image] != labels
        else:
            trained[image] = labels
    notes = []
    if lacking:
        notes.append(f"{len(lacking):,} ids in {competition.labels} have no image, the first is '{lacking[0]}'")
    if competition.test and (unnamed := len(images) - len(trained) - empty):
        notes.append(f"{unnamed:,} images are not named in {competition.labels} and are not used")
    if empty:
        notes.append(f"{empty:,} images have no label in {competition.labels} and are not used")
    if twice:
        notes.append(f"{twice:,} images have a second label in {competition.labels}; the first counts")
    return trained, notes


def row_labels(competition: Competition, row: tuple[str, ...]) -> tuple[str, ...]:
    """The classes of one image from the cells of its label columns."""
    columns = competition.label_columns
    if len(columns) == 1:
        several = [part for part in row[0].split(competition.separator) if part] if competition.separator else row
        return tuple(dict.fromkeys(several))
    if set(columns) <= set(competition.classes):
        return tuple(name for name, cell in zip(columns, row, strict=True) if cell in ("1", "1.0"))
    return ("|".join(row),)


def read_pixels(competition: Competition) -> tuple[list[str], list[tuple[str, ...]], list[str], list[str]]:
    path = competition.folder / competition.labels
    column = competition.label_columns[0]
    usage = next((name for name in read_header(path) if name.strip().lower() == "usage"), "")
    table = read_table(path, columns=[column, usage] if usage else [column])
    training = table[usage].str.lower().str.startswith("train") if usage else table[column] == table[column]
    rows = [(row, cell) for row, cell in enumerate(table[column]) if training.iloc[row]]
    trained = [f"{competition.train}#{row}" for row, _ in rows]
    if competition.test == competition.train:
        tested = [f"{competition.test}#{row}" for row in range(len(table)) if not training.iloc[row]]
    elif competition.test:
        first = read_header(competition.folder / competition.test)[0]
        count = len(read_table(competition.folder / competition.test, columns=[first]))
        tested = [f"{competition.test}#{row}" for row in range(count)]
    else:
        tested = []
    return trained, [(cell,) for _, cell in rows], tested, []


# the classes' names


def name_classes(folder: Path, values: list[tuple[str, ...]], heads: bool = False) -> tuple[list[str], list[str]]:
    """The classes in their order, and their codes where the labels are codes that a file in `folder` gives names to.

    A JSON map or a CSV of two columns names codes; a text file of just the classes' names gives their order, and where
    the labels are 0, 1, 2 ..., their names.
    """
    labels = sorted({label for value in values for label in value if label != ""}, key=natural)
    if heads:
        return labels, []
    for path in list_files(folder):
        if (folder / path).stat().st_size > 1_000_000:
            continue
        names = names_in(folder / path, labels)
        if names and len(set(names.values())) == len(labels):
            return [names[label] for label in labels], labels
    for path in list_files(folder):
        if not path.lower().endswith((".txt", ".names")) or (folder / path).stat().st_size > 1_000_000:
            continue
        lines = (folder / path).read_text(encoding="utf-8-sig", errors="replace").splitlines()
        listed = [unicodedata.normalize("NFC", line.strip()) for line in lines if line.strip()]
        if sorted(listed) == sorted(labels):
            return listed, []
        speaks_of_classes = re.search(r"class|label|categor|name", PurePosixPath(path).name, re.IGNORECASE)
        if speaks_of_classes and counted(labels) and len(set(listed)) == len(labels):
            return listed, labels
    return labels, []


def counted(labels: list[str]) -> bool:
    """Whether labels are 0, 1, 2 ..."""
    return labels == [str(number) for number in range(len(labels))]


def names_in(path: Path, labels: list[str]) -> dict[str, str]:
    """Label -> name, where a file is such a map of at least all labels; else {}."""
    try:
        if path.suffix.lower() == ".json":
            content = json.loads(path.read_text(encoding="utf-8-sig"))
            pairs = content.items() if isinstance(content, dict) else ()
        elif path.suffix.lower() == ".csv" and len(read_header(path)) == 2:
            pairs = read_table(path).itertuples(index=False, name=None)
        else:
            return {}
        both = [(str(key), str(value)) for key, value in pairs]
    except (ValueError, KcnnError):
        return {}
    for forwards in (both, [(value, key) for key, value in both]):
        named = dict(forwards)
        # As many names as keys: a table of ids and labels is no map of classes.
        if set(labels) <= set(named) and len(set(named.values())) == len(named) and len(named) == len(forwards):
            return {label: named[label] for label in labels} if list(named.values()) != list(named) else {}
    return {}
