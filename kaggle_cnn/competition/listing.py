"""List a competition's files: images in their natural order, tables, the folders of training and test images."""

import os
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from kaggle_cnn.competition import parquet_rows
from kaggle_cnn.competition.competition import IMAGE_SUFFIXES
from kaggle_cnn.errors import KcnnError

SEVERAL = "|"  # between the paths of several images that are one; no file of Windows has it in its name
# A single \d: with \d+ in the repeated group, a name of 30 digits takes the regular expression a night.
TRAIN_FOLDER = re.compile(r"train(ing)?([-_ ]?(set|data|images?|imgs?|jpe?g|png|\d))*", re.IGNORECASE)
TEST_FOLDER = re.compile(r"test(ing|s)?([-_ ]?(set|data|images?|imgs?|jpe?g|png|\d))*", re.IGNORECASE)
# Files beside the images that say something of them to people or programs, and are not data that is left out.
SIDE_FILES = {
    *(".csv", ".json", ".txt", ".names", ".md", ".rst", ".toml", ".yaml", ".yml", ".xml", ".ini", ".cfg", ".log"),
    *(".pdf", ".html", ".py", ".ipynb"),
}


def list_images(folder: Path, ignore: Collection[str] = ()) -> list[str]:
    """Return the paths of all image files below `folder`, relative to it, 2.jpg before 10.jpg; and of the images in
    parquet files.

    Hidden files and folders are left out, and so are the `__MACOSX` of zips made on a Mac and what `ignore` matches;
    see `is_left_out`.
    """
    images = []
    for name in list_files(folder):
        if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES:
            images.append(name)
        elif name.endswith(parquet_rows.ENDING) and parquet_rows.can_read():
            images += parquet_rows.list_rows(folder, name)
    return [image for image in images if not is_left_out(image, ignore)] if ignore else images


def list_tables(folder: Path) -> list[str]:
    """Return the paths of all CSVs below `folder`, relative to it."""
    return [name for name in list_files(folder) if name.lower().endswith(".csv")]


def count_unread(folder: Path, known: Collection[str]) -> Counter[str]:
    """Return ending -> number of the files below `folder` that kcnn cannot read. `known` are files that it has read."""
    read = {*IMAGE_SUFFIXES, *SIDE_FILES, *([parquet_rows.ENDING] if parquet_rows.can_read() else [])}
    endings: Counter[str] = Counter()
    for place, names in walk(folder):
        for name in names:
            ending = os.path.splitext(name)[1].lower()
            if ending and ending not in read and (place / name).as_posix() not in known:
                endings[ending] += 1
    return endings


def list_files(folder: Path) -> list[str]:
    """Return the paths of all files below `folder` that are not hidden, relative to it, in natural order.

    Raises KcnnError where the name of a file is not UTF-8.
    """
    found = [(place / name).as_posix() for place, names in walk(folder) for name in names]
    if odd := [name for name in found if re.search("[\ud800-\udfff]", name)]:  # os.walk gives these for other bytes
        shown = odd[0].encode(errors="replace").decode()
        raise KcnnError(
            f"expected file names in UTF-8, found {len(odd)} others, the first is '{shown}'", "rename these files"
        )
    return sorted(found, key=natural)


def walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder at or below `folder`, relative to it, and its files; without hidden ones.

    Links are followed, but to each folder once, so a loop ends. What is neither a file nor a folder is left out: a link
    to nothing, a pipe, a device. Raises KcnnError where a folder may not be read.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [Path()]
    while waiting:
        place = waiting.pop()
        try:
            status = (folder / place).stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder / place) as scanned:
                entries = sorted(
                    (each for each in scanned if not each.name.startswith(".")), key=lambda each: each.name
                )
        except OSError as error:
            raise KcnnError(
                f"cannot read the folder {folder / place}: {(error.strerror or str(error)).lower()}",
                "check its owner and permissions, or give another folder",
            ) from None
        folders = [each.name for each in entries if is_kind(each, "is_dir") and not each.name.startswith("__MACOSX")]
        waiting += [place / name for name in reversed(folders)]
        yield place, [each.name for each in entries if is_kind(each, "is_file")]


def is_kind(entry: os.DirEntry[str], question: str) -> bool:
    """Return what is_dir or is_file says of an entry; no, where a link leads round in a circle."""
    try:
        return bool(getattr(entry, question)())
    except OSError:
        return False


def natural(text: str) -> list[tuple[Any, ...]]:
    """Return a sorting key that compares numbers as numbers."""
    parts = re.split(r"(\d{1,1000})", text)  # Python makes no int of 5,000 digits
    return [(int(part), part) if part.isdecimal() else (0, part) for part in parts]


def common_start(texts: list[str]) -> str:
    """Return the longest text that all begin with."""
    least, most = min(texts), max(texts)
    return least[: next((place for place, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), len(least))]


def split_words(name: str) -> list[str]:
    """Return the words of a name in small letters: `seg_Train2`, `SegTrain` and `seg train` are seg and train. A name
    with other than Latin letters is one word."""
    if not name.isascii():
        return [name]
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def is_below(image: str, folder: str) -> bool:
    """Return whether the path of an image is below `folder`; "" is the folder above all, and `*` stands for the rest of
    one folder's name, as in part_*/images."""
    if "*" not in folder:
        return not folder or image.startswith(f"{folder}/")
    return bool(folder_pattern(folder).match(image))


@lru_cache
def folder_pattern(folder: str) -> re.Pattern[str]:
    return re.compile("[^/]*".join(map(re.escape, folder.split("*"))) + "/")


def path_below(image: str, folder: str) -> PurePosixPath:
    """Return the path of an image that is below `folder`, from there on."""
    return PurePosixPath(*PurePosixPath(image).parts[len(PurePosixPath(folder).parts) :])


def is_left_out(image: str, ignore: Iterable[str]) -> bool:
    """Return whether an image is below one of the folders `ignore`, or matches one of these patterns."""
    return any(is_below(image, each) or ("*" in each and fnmatchcase(image, each)) for each in ignore)


def first_folder(images: Iterable[str], pattern: re.Pattern[str]) -> str:
    """Return the folder with the most images whose whole name matches `pattern` and no folder above it does; or ""."""
    counts: Counter[str] = Counter()
    for image in images:
        parts = PurePosixPath(image).parts[:-1]
        depth = next((depth for depth, part in enumerate(parts, 1) if pattern.fullmatch(part)), 0)
        if depth:
            counts["/".join(parts[:depth])] += 1
    return max(counts, key=lambda folder: counts[folder], default="")


class Spellings:
    """Finds an image by any spelling of its id: path or name, with or without suffix, or with another image suffix;
    with spaces around it, and letters with accents as one character or as two, as a Mac has them in the names of files.

    Where images are `grouped`, an id is a folder, or the beginning of names up to a _ or -, and what is found is the
    name of several images as one; see `join_images`.
    """

    def __init__(self, images: Iterable[str], below: str = "", grouped: bool = False):
        """Take ids as paths below the folder `below`. A spelling that fits two images belongs to the first one."""
        self.images: dict[str, str] = {}
        images = list(images)
        if grouped:
            self.images = {name: join_images(members) for name, members in group_names(images, below).items()}
        for image in images:
            path = PurePosixPath(image)
            short = path_below(image, below) if below and is_below(image, below) else path
            whole, stem = (str(path), str(short)), (str(path.with_suffix("")), str(short.with_suffix("")))
            for spelling in (*whole, *stem, path.name, path.stem):
                self.images.setdefault(normalise(spelling), image)

    def narrow(self, ids: Iterable[str]) -> "Spellings":
        """Return the same where an image that several of `ids` may mean is that of the longest: 7_1_red.png is of 7_1,
        and not of 7, where there are both."""
        owner: dict[str, str] = {}
        for name in sorted({normalise(each) for each in ids} & set(self.images), key=len):
            owner |= dict.fromkeys(split_images(self.images[name]), name)
        members: dict[str, list[str]] = {}
        for image, name in owner.items():
            members.setdefault(name, []).append(image)
        narrowed = Spellings([])
        in_order = {name: [image for image in split_images(self.images[name]) if image in set(members[name])]
                    for name in members}  # fmt: skip
        narrowed.images = self.images | {name: join_images(images) for name, images in in_order.items()}
        return narrowed

    def __len__(self) -> int:
        """Return the number of images."""
        return len(set(self.images.values()))

    def find(self, name: str) -> str | None:
        """Return the image that `name` means, or None."""
        name = normalise(name)
        if name in self.images:
            return self.images[name]
        stem, dot, suffix = name.rpartition(".")
        return self.images.get(stem) if f"{dot}{suffix}".lower() in IMAGE_SUFFIXES else None

    def share(self, names: Iterable[str]) -> float:
        """Return the share of `names` that are found, from 0 to 1; 0 where there are no names."""
        found = [self.find(name) is not None for name in names]
        return sum(found) / len(found) if found else 0.0


def group_names(images: Iterable[str], below: str) -> dict[str, list[str]]:
    """Return id -> its images: those in a folder of that name, by name or path, or whose names begin with it."""
    folders: dict[str, list[str]] = {}
    beginnings: dict[str, list[str]] = {}
    for image in images:
        path = path_below(image, below) if below and is_below(image, below) else PurePosixPath(image)
        for folder in path.parents[:-1]:
            for name in {str(folder), folder.name}:
                folders.setdefault(normalise(name), []).append(image)
        for cut in re.finditer(r"(?<=[^_-])[_-]+(?=[^_-])", path.stem):
            beginnings.setdefault(normalise(path.stem[: cut.start()]), []).append(image)
    return {**beginnings, **folders}


def join_images(images: list[str]) -> str:
    """Return the name of several images as one: the path of the first, then those of the others from its folder on."""
    folder = posixpath.dirname(images[0])
    return SEVERAL.join([images[0], *(posixpath.relpath(image, folder or ".") for image in images[1:])])


def split_images(name: str) -> list[str]:
    """Return the images that `name` joins, or itself alone."""
    first, *others = name.split(SEVERAL)
    return [first, *(posixpath.normpath(posixpath.join(posixpath.dirname(first), other)) for other in others)]


def normalise(name: str) -> str:
    """Return one spelling for all that look the same."""
    return name.strip() if name.isascii() else unicodedata.normalize("NFC", name.strip())
