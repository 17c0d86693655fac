"""Join the test images to the ids of the sample submission."""

import numpy as np
import pandas as pd

from kaggle_cnn.competition.competition import ROW_LAYOUTS, Competition
from kaggle_cnn.competition.listing import Spellings, path_below, split_images
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.submission import read_sample, test_ids
from kaggle_cnn.plural import count_of


def join_test(competition: Competition, images: list[str]) -> tuple[Array, Array, list[str]]:
    """Return test ids, their images and notes, in the sample's order; an id is a file's name with or without suffix,
    or its path.

    A row of pixels is joined by its number, from 1, or where the sample has as many rows, by its place. Without a
    sample the ids are the names without suffix, or the paths where those are not unique; of rows their numbers.
    """
    sample = read_sample(competition)
    if competition.layout in ROW_LAYOUTS:
        return join_rows(competition, images, sample)
    if sample is None:
        if not competition.test:  # an image without a label may be anything
            return np.array([], dtype=str), np.array([], dtype=str), []
        paths = [path_below(image, competition.test) for image in images]
        stems = [path.stem for path in paths]
        ids = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
        return np.array(ids, dtype=str), np.array(images, dtype=str), []
    spellings = Spellings(images, competition.test, bool(competition.several_images))
    ids = test_ids(competition, sample)
    spellings = spellings.narrow(ids) if competition.several_images else spellings
    files = [spellings.find(name) or "" for name in ids]
    notes = []
    if ids and not any(files):
        notes.append(
            f"none of the sample's {len(ids)} ids belongs to a test image, the first is '{ids[0]}': there is nothing "
            "to submit"
        )
        return np.array([], dtype=str), np.array([], dtype=str), notes
    if lacking := files.count(""):
        first = ids[files.index("")]
        notes.append(
            f"of the sample's {count_of(len(ids), 'id')}, {lacking:,} without an image, the first is '{first}'"
        )
    if unnamed := len(set(images) - {image for name in files for image in split_images(name)}):
        notes.append(f"{count_of(unnamed, 'test image')} not named in the sample, without a row")
    return np.array(ids, dtype=str), np.array(files, dtype=str), notes


def join_rows(competition: Competition, rows: list[str], sample: pd.DataFrame | None) -> tuple[Array, Array, list[str]]:
    """Join the rows of a CSV of pixels to the sample's ids, as `join_test` does."""
    numbers = [str(number) for number in range(1, len(rows) + 1)]
    ids = numbers if sample is None else test_ids(competition, sample)
    by_number = dict(zip(ids if len(ids) == len(rows) else numbers, rows, strict=True))
    files = [by_number.get(name, "") for name in ids]
    notes = []
    if len(ids) != len(rows):
        notes.append(
            f"the sample has {len(ids)} ids and {competition.test} has {len(rows)} rows: they are joined by row number"
        )
    return np.array(ids, dtype=str), np.array(files, dtype=str), notes
