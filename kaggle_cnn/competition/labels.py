"""What is found of the labels, whatever the layout, and the classes' names."""

import json
import math
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kaggle_cnn.competition.listing import list_files, natural
from kaggle_cnn.competition.table import read_header, read_table
from kaggle_cnn.errors import KcnnError

LABEL_NAMES = re.compile(
    r"labels?|class(es)?|class_?(name|id)|categor(y|ies)|category_(id|name)|targets?|tags?|species|breed|character"
    r"|emotion|diagnosis|level|type|attribute_ids|y",
    re.IGNORECASE,
)
NO_LABEL_NAMES = {"usage", "split", "fold", "width", "height", "filename", "file_name", "path", "filepath", "url"}
TEST_NAME = re.compile(r"(?<![a-z])test", re.IGNORECASE)  # not in `latest.csv`


@dataclass(frozen=True)
class Found:
    """What is known of the labels before anything is known of the submission.

    `fields` are those of a Competition; `values` (N) the raw label cells, tuples of the classes that each image has.
    """

    fields: dict
    values: list[tuple[str, ...]]


def is_fraction(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and not float(text).is_integer()
    except (ValueError, OverflowError):
        return False


def regression(column: str, value: str) -> KcnnError:
    return KcnnError(
        f"this is no classification: the column '{column}' holds measures such as {value}, not classes",
        "kcnn trains classifiers; if these are classes all the same, name them otherwise",
    )


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
