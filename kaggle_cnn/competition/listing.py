"""Which files a competition has: images in their natural order, tables, the folders that part train from test."""

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from kaggle_cnn.competition.competition import IMAGE_SUFFIXES
from kaggle_cnn.errors import KcnnError

TRAIN_FOLDER = re.compile(r"train(ing)?([-_ ]?(set|data|images?|imgs?|jpe?g|png|\d+))*", re.IGNORECASE)
TEST_FOLDER = re.compile(r"test(ing|s)?([-_ ]?(set|data|images?|imgs?|jpe?g|png|\d+))*", re.IGNORECASE)
OWN_TABLES = {"folds.csv"}


def list_images(folder: Path) -> list[str]:
    """Paths of all image files below `folder`, relative to it, 2.jpg before 10.jpg.

    Hidden files and folders and the `__MACOSX` of zips made on a Mac are passed over.
    """
    return [name for name in list_files(folder) if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES]


def list_tables(folder: Path) -> list[str]:
    return [name for name in list_files(folder) if name.lower().endswith(".csv") and name not in OWN_TABLES]


def list_files(folder: Path) -> list[str]:
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        inside = Path(place).relative_to(folder)
        found += [(inside / name).as_posix() for name in files if not name.startswith(".")]
    if odd := [name for name in found if re.search("[\ud800-\udfff]", name)]:  # what os.walk makes of such bytes
        shown = odd[0].encode(errors="replace").decode()
        raise KcnnError(f"the name of {len(odd)} files is no UTF-8, the first is '{shown}'", "rename them")
    return sorted(found, key=natural)


def natural(text: str) -> list:
    """Sorting key under which numbers compare as numbers."""
    return [(int(part), part) if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text)]


def is_below(image: str, folder: str) -> bool:
    return not folder or image.startswith(f"{folder}/")


def first_folder(images: Iterable[str], pattern: re.Pattern) -> str:
    """The folder with the most images whose own name matches the whole pattern and no folder above it does; or ""."""
    counts = Counter()
    for image in images:
        parts = PurePosixPath(image).parts[:-1]
        depth = next((depth for depth, part in enumerate(parts, 1) if pattern.fullmatch(part)), 0)
        if depth:
            counts["/".join(parts[:depth])] += 1
    return max(counts, key=counts.get, default="")


class Spellings:
    """Finds an image by any spelling of its id: path or name, with suffix or without, or with another image suffix."""

    def __init__(self, images: Iterable[str], below: str = ""):
        """Ids are paths below the folder `below`; where two images share a spelling, the first has it."""
        self.images = {}
        for image in images:
            path = PurePosixPath(image)
            inside = path.relative_to(below) if below and is_below(image, below) else path
            whole, stem = (str(path), str(inside)), (str(path.with_suffix("")), str(inside.with_suffix("")))
            for spelling in (*whole, *stem, path.name, path.stem):
                self.images.setdefault(spelling, image)

    def find(self, name: str) -> str | None:
        if name in self.images:
            return self.images[name]
        stem, dot, suffix = name.rpartition(".")
        return self.images.get(stem) if f"{dot}{suffix}".lower() in IMAGE_SUFFIXES else None

    def share(self, names: Iterable[str]) -> float:
        """Which part of `names` is found, 0 for none."""
        found = [self.find(name) is not None for name in names]
        return sum(found) / len(found) if found else 0.0
