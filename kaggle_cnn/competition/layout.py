"""Guesses from the files alone how a competition carries its labels, and what its submission wants."""

from pathlib import Path, PurePosixPath

from kaggle_cnn.competition import labels
from kaggle_cnn.competition.answer import guess_answer
from kaggle_cnn.competition.listing import Spellings, list_images, list_tables
from kaggle_cnn.competition.table import read_table

SAMPLE_WORDS = (("sample", "sub"), ("sample",), ("submission",), ("random", "predictions"))


def guess(folder: Path, metric: str = "") -> dict:
    """The fields of a Competition that the files under `folder` tell. `metric`: the host's words for it, if any.

    Raises KcnnError where there are no images, no labels, fewer than two classes, or no classification to be done.
    """
    sample_name = find_sample(folder)
    sample = read_table(folder / sample_name) if sample_name else None
    found = labels.find(folder, sample, sample_name)
    multi_label = found.fields.get("multi_label", False)
    columns = found.fields.get("label_columns", ())
    heads = len(columns) > 1 and not {name for value in found.values for name in value} <= set(columns)
    classes, codes = labels.name_classes(folder, found.values, heads)
    spellings = Spellings(list_images(folder))
    rows = found.fields["layout"] == "pixels"
    is_image = lambda ids: rows or spellings.share(ids) >= 0.5  # noqa: E731
    asked = guess_answer(sample, classes, codes, multi_label, metric, is_image)
    if asked["answer"] == "index" and not codes and not labels.counted(classes):
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
