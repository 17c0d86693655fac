"""The layouts whose paths name the class: `folders`, a folder a class, and `names`, such as cat.0.jpg."""

import re
import unicodedata
from collections import Counter
from pathlib import PurePosixPath

from kaggle_cnn.competition.layouts.labels import Found
from kaggle_cnn.competition.listing import TRAIN_FOLDER, first_folder, is_below, path_below

NAME_WITH_CLASS = re.compile(r"([^\W\d](?:.*[^\W\d])?)[\W_]*\d+")  # cat.0, dog_12, sea lion (3


def find_folders(labelled: list[str], train: str, test: str) -> Found | None:
    """Return the labels that the folders of `train` give to the images `labelled`; None for fewer than two classes."""
    values: list[tuple[str, ...]] = [(class_of(image, train),) for image in labelled if in_class_folder(image, train)]
    if len(set(values)) < 2:
        return None
    return Found({"layout": "folders", "train": train, "test": test}, values)


def same_classes(table: Found, folders: Found, by_number: bool) -> bool:
    """Return whether a CSV has just the classes that the folders have; or with `by_number`, numbers in their place, as
    often each."""
    counts = [Counter(name for value in found.values for name in value) for found in (table, folders)]
    numbers = by_number and all(name.isdecimal() for name in counts[0])
    return set(counts[0]) == set(counts[1]) or (numbers and sorted(counts[0].values()) == sorted(counts[1].values()))


def in_class_folder(image: str, train: str) -> bool:
    """Return whether an image lies in a class folder of `train`, not beside them."""
    return is_below(image, train) and len(path_below(image, train).parts) > 1


def class_of(image: str, train: str) -> str:
    """Return the class of a training image: the first folder below `train`, in Unicode NFC.

    Zips made on a Mac spell accents as NFD, samples as NFC: without this "café" and "café" would be two classes.
    """
    return unicodedata.normalize("NFC", path_below(image, train).parts[0])


def find_names(labelled: list[str], test: str, train: str = "") -> Found | None:
    """Return the labels that file names give to the images `labelled`; `train` is the user's choice of a folder.

    None where there are fewer than two classes, a class has one image only, or half of the images have no class.
    """
    train = train or first_folder(labelled, TRAIN_FOLDER)
    classes = Counter(name for image in labelled if is_below(image, train) and (name := class_in_name(image)))
    if (
        len(classes) < 2
        or min(classes.values()) < 2
        or 2 * sum(classes.values()) < sum(is_below(image, train) for image in labelled)
    ):
        return None
    return Found({"layout": "names", "train": train, "test": test}, [(name,) for name in classes.elements()])


def class_in_name(image: str) -> str:
    """Return what stands before the number in a file's name, or ""."""
    match = NAME_WITH_CLASS.match(unicodedata.normalize("NFC", PurePosixPath(image).stem))
    return match[1].rstrip("._- (") if match else ""
