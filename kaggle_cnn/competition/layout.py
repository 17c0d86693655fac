"""The layouts: recognised from the files alone (`guess`), and read (`read`).

folders: a folder a class. table: a CSV with an id and labels beside the images. pixels: CSVs whose rows are images.
names: the class stands in the file's name, `cat.0.jpg`.
"""

from pathlib import Path, PurePosixPath

import pandas as pd

from kaggle_cnn.competition.answer import guess_answer
from kaggle_cnn.competition.class_folders import (
    class_in_name,
    class_of,
    classes_below,
    find_folders,
    find_names,
    in_class_folder,
    same_classes,
)
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.label_table import find_table, read_labels
from kaggle_cnn.competition.labels import Found, counted, name_classes
from kaggle_cnn.competition.listing import TEST_FOLDER, Spellings, first_folder, is_below, list_images, list_tables
from kaggle_cnn.competition.pixel_rows import find_pixels, read_pixels
from kaggle_cnn.competition.table import read_table
from kaggle_cnn.errors import KcnnError

SAMPLE_WORDS = (("sample", "sub"), ("sample",), ("submission",), ("random", "predictions"))


def guess(folder: Path, metric: str = "") -> dict:
    """The fields of a Competition that the files under `folder` tell. `metric`: the host's words for it, if any.

    Raises KcnnError where there are no images, no labels, fewer than two classes, or no classification to be done.
    """
    sample_name = find_sample(folder)
    sample = read_table(folder / sample_name) if sample_name else None
    found = find(folder, sample, sample_name)
    multi_label = found.fields.get("multi_label", False)
    columns = found.fields.get("label_columns", ())
    heads = len(columns) > 1 and not {name for value in found.values for name in value} <= set(columns)
    classes, codes = name_classes(folder, found.values, heads)
    spellings = Spellings(list_images(folder))
    rows = found.fields["layout"] == "pixels"
    is_image = lambda ids: rows or spellings.share(ids) >= 0.5  # noqa: E731
    asked = guess_answer(sample, classes, codes, multi_label, metric, is_image)
    if asked["answer"] == "index" and not codes and not counted(classes):
        codes = [str(number) for number in range(len(classes))]
    return {**found.fields, "classes": tuple(classes), "codes": tuple(codes), "sample": sample_name, **asked}


def find_sample(folder: Path) -> str:
    """The CSV most like a sample submission, relative to `folder`; or ""."""
    tables = list_tables(folder)
    for words in SAMPLE_WORDS:
        for table in tables:
            if all(word in PurePosixPath(table).name.lower() for word in words):
                return table
    return ""


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
