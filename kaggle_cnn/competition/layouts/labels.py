"""What the layouts find out about labels: the label cells of the training images, and the names of the classes."""

import json
import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from kaggle_cnn.competition.competition import IMAGE_SUFFIXES
from kaggle_cnn.competition.listing import list_files, natural
from kaggle_cnn.competition.table import read_header, read_table
from kaggle_cnn.errors import KcnnError

LABEL_NAMES = re.compile(
    r"labels?|class(es)?|class_?(name|id)|categor(y|ies)|category_(id|name)|targets?|tags?|species|breed|character"
    r"|emotion|diagnos(is|tic|e)|level|type|attribute_ids|y",
    re.IGNORECASE,
)
LABEL_WORDS = {"label", "labels", "class", "category", "species", "breed", "diagnosis", "target", "emotion"}
NO_LABEL_NAMES = re.compile(
    r"usage|split|fold|set|subset|partition|width|height|file_?names?|(file_?)?paths?|urls?|source|license|author",
    re.IGNORECASE,
)
# Words of columns about the picture or the person, which are the labels only where nothing else can be.
CIRCUMSTANCES = re.compile(
    r"sex|gender|age|date|time|year|lat(itude)?|lon(gitude)?|locali[sz]ation|location|site|view|side|patient|lesion|camera"
    r"|photographer|id"
)
TEST_NAME = re.compile(r"(?<![a-z])test", re.IGNORECASE)  # not in `latest.csv`
LARGEST_LIST = 1_000_000  # bytes of a file that may list the classes


@dataclass(frozen=True)
class Found:
    """What is known of the labels before anything is known of the submission.

    `fields` are those of a Competition. `values` (N) holds for each image a tuple of the labels that it has, as they
    are written in the files.
    """

    fields: dict[str, Any]
    values: list[tuple[str, ...]]


def is_number(text: str) -> bool:
    """Return whether a cell is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def is_fraction(text: str) -> bool:
    """Return whether a cell is a number that is not whole."""
    return is_number(text) and not float(text).is_integer()


def are_numbered(labels: list[str]) -> bool:
    """Return whether labels are 0, 1, 2 ..."""
    return labels == [str(number) for number in range(len(labels))]


def name_classes(folder: Path, values: list[tuple[str, ...]]) -> tuple[list[str], list[str]]:
    """Return the classes in their order, and their label values, or [] where the labels are the classes' names.

    A file in `folder` may name the label values: a JSON map or a CSV of two columns. A text file of just the classes'
    names gives their order; where the labels are 0, 1, 2 ..., it gives their names.
    """
    labels = sorted({label for value in values for label in value if label != ""}, key=natural)
    listed = [name for name in list_files(folder) if (folder / name).stat().st_size <= LARGEST_LIST]
    for name in listed:
        names = read_names(folder / name, labels)
        if names and len(set(names.values())) == len(labels):
            return [names[label] for label in labels], labels
    for name in listed:
        if not name.lower().endswith((".txt", ".names")):
            continue
        lines = read_lines(folder / name)
        if sorted(lines) == sorted(labels):
            return lines, []
        speaks_of_classes = re.search(r"class|label|categor|name", PurePosixPath(name).name, re.IGNORECASE)
        if speaks_of_classes and are_numbered(labels) and len(lines) == len(set(lines)) == len(labels):
            return lines, labels
    return labels, []


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not empty, in Unicode NFC."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return [unicodedata.normalize("NFC", line.strip()) for line in lines if line.strip()]


def read_names(path: Path, labels: list[str]) -> dict[str, str]:
    """Return label -> name where a file is a map of at least all labels; else {}."""
    pairs: Iterable[tuple[Any, ...]] = ()
    try:
        if path.suffix.lower() == ".json":
            content = json.loads(path.read_text(encoding="utf-8-sig"))
            pairs = content.items() if isinstance(content, dict) else ()
        elif path.suffix.lower() == ".csv" and len(read_header(path)) == 2:
            pairs = read_table(path).itertuples(index=False, name=None)
        both = [(str(key), str(value)) for key, value in pairs]
    except (ValueError, RecursionError, KcnnError):
        return {}
    for forwards in (both, [(value, key) for key, value in both]):
        named = dict(forwards)
        if any(name.lower().endswith(tuple(IMAGE_SUFFIXES)) for name in named.values()):
            continue
        # Numbers are not names of words, and a table of ids and labels has fewer names than keys.
        if all(map(is_number, named.values())) and not all(map(is_number, labels)):
            continue
        if set(labels) <= set(named) and len(set(named.values())) == len(named) == len(forwards):
            return {label: named[label] for label in labels} if list(named.values()) != list(named) else {}
    return {}
