"""Guesses from the files alone how a competition carries its labels, and which file is the sample submission.

`guess` knows the layout `folders`: one folder a class. The layouts `table`, `pixels` and `names` belong here too.
"""

import csv
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from kaggle_cnn.competition.competition import IMAGE_SUFFIXES
from kaggle_cnn.errors import KcnnError

TRAIN_FOLDER = re.compile(r"train(ing)?([-_ ]?(set|data|images?|imgs?|\d+))*", re.IGNORECASE)
TEST_FOLDER = re.compile(r"test(ing|s)?([-_ ]?(set|data|images?|imgs?|\d+))*", re.IGNORECASE)


def list_images(folder: Path, below: str = "") -> list[str]:
    """Paths of all image files under `folder`/`below`, relative to `folder`, 2.jpg before 10.jpg.

    Hidden files and folders and the `__MACOSX` of zips made on a Mac are passed over.
    """
    found = []
    for place, folders, files in os.walk(folder / below):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        inside = Path(place).relative_to(folder)
        found += [(inside / name).as_posix() for name in files if is_image(name)]
    return sorted(found, key=natural)


def is_image(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def natural(text: str) -> list:
    """Sorting key under which numbers compare as numbers."""
    return [(int(part), part) if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text)]


def class_of(image: str, train: str) -> str:
    """The class of a training image: the first folder below `train`, in Unicode NFC.

    Zips made on a Mac spell accents as NFD, samples as NFC: without this "café" and "café" would be two classes.
    """
    return unicodedata.normalize("NFC", PurePosixPath(image).relative_to(train or ".").parts[0])


def guess(folder: Path, metric: str = "") -> dict:
    """The fields of a Competition that the files under `folder` tell: layout, classes, train, test, sample, columns.

    Raises KcnnError where there are no images, fewer than two classes, or labels that are not folders.
    """
    images = list_images(folder)
    if not images:
        raise KcnnError(
            f"no images found in {folder.name}", f"expected files ending in {' '.join(sorted(IMAGE_SUFFIXES))}"
        )
    test = first_folder(images, TEST_FOLDER)
    labelled = [image for image in images if not test or not is_below(image, test)]
    if not labelled:  # a zip of the test part alone, with its labels: treated as any other labelled set
        test, labelled = "", images
    train_folder = first_folder(labelled, TRAIN_FOLDER)
    train = class_root([image for image in labelled if is_below(image, train_folder)], train_folder)
    classes = sorted({class_of(image, train) for image in labelled if is_labelled(image, train)}, key=natural)
    if len(classes) < 2:
        found = f"one class, '{classes[0]}'" if classes else "images that lie in no class folder"
        raise KcnnError(
            f"expected at least two class folders in '{train or folder.name}', found {found}",
            "put each class's images into a folder of the class's name: train/<class>/<image>",
        )
    sample = find_sample(folder, train)
    columns = read_header(folder / sample) if sample else []
    return {
        "layout": "folders",
        "classes": tuple(listed_order(folder, classes)),
        "train": train,
        "test": test,
        "sample": sample,
        "id_column": columns[0] if columns else "id",
        "label_column": columns[1] if len(columns) > 1 else "label",
    }


def is_below(image: str, folder: str) -> bool:
    return PurePosixPath(image).is_relative_to(folder or ".")


def is_labelled(image: str, train: str) -> bool:
    """Whether an image lies in a class folder of `train`, not beside them."""
    return is_below(image, train) and len(PurePosixPath(image).relative_to(train or ".").parts) > 1


def first_folder(images: Iterable[str], pattern: re.Pattern) -> str:
    """The folder with the most images whose own name matches the whole pattern and no folder above it does; or ""."""
    counts = Counter()
    for image in images:
        parts = PurePosixPath(image).parts[:-1]
        depth = next((depth for depth, part in enumerate(parts, 1) if pattern.fullmatch(part)), 0)
        if depth:
            counts["/".join(parts[:depth])] += 1
    return max(counts, key=counts.get, default="")


def class_root(images: list[str], root: str) -> str:
    """Goes down from `root` through folders that hold nothing but one folder, as in train/characters-20/<class>."""
    while True:
        below = [PurePosixPath(image).relative_to(root or ".").parts for image in images]
        wrappers = {parts[0] for parts in below}
        if len(wrappers) != 1 or any(len(parts) < 3 for parts in below):
            return root
        root = str(PurePosixPath(root, wrappers.pop()))


def listed_order(folder: Path, classes: list[str]) -> list[str]:
    """The order of the class-list file, where there is a text file whose lines are just these classes."""
    for path in sorted(folder.rglob("*.txt")):
        if path.stat().st_size < 1_000_000:
            lines = [line.strip() for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines()]
            lines = [unicodedata.normalize("NFC", line) for line in lines if line]
            if sorted(lines) == sorted(classes):
                return lines
    return classes


def find_sample(folder: Path, train: str) -> str:
    """The CSV most like a sample submission, relative to `folder`; or ""."""
    tables = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.[cC][sS][vV]"))]
    for words in (("sample", "sub"), ("sample",), ("submission",)):
        for table in tables:
            name = PurePosixPath(table).name.lower()
            if not name.startswith(".") and all(word in name for word in words):
                return table
    return ""


def read_header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        return [name.strip() for name in next(csv.reader(stream), [])]
