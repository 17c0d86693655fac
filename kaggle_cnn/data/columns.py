"""Columns beside the image: numbers and words of the tables of the training and of the test images, as features."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts.label_table import find_ids
from kaggle_cnn.competition.listing import Spellings, list_tables, split_images
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.table import read_header, read_table
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.image_cache import Images
from kaggle_cnn.errors import KcnnError

MOST_WORDS = 30  # different words of a column that are a feature each; a column of more is a text, or an id
MISSING = {"", "na", "nan", "none", "null", "?"}


@dataclass(frozen=True)
class Columns:
    """`names` of the features; `train` float64 (N, features), in the order of the dataset's images, and `test` (M,
    features), in that of its test ids. Numbers are as they are, a missing one is the mean; of words each is a feature
    of 0 and 1. `sources` are the two tables."""

    names: list[str]
    train: Array
    test: Array
    sources: tuple[str, str]


def find_columns(competition: Competition, test_files: list[str]) -> tuple[list[str], str]:
    """Return the columns that the table of the labels shares with a table of the test images, and the latter; [] and
    "" where there is none. Ids, labels and what the submission asks for are not among them."""
    if competition.layout != "table" or not any(test_files):
        return [], ""
    header = read_header(competition.folder / competition.labels)
    unused = {competition.label_id, *competition.label_columns, *competition.prediction_columns, ""}
    rest = [name for name in header if name not in unused]
    spellings = spell_tests(competition, test_files)
    for table in (competition.labels, *list_tables(competition.folder)):
        shared = [name for name in rest if name in read_header(competition.folder / table)]
        if table == competition.sample or not shared:
            continue
        content = read_table(competition.folder / table, bad_rows=[])
        ids = find_ids(content, spellings)
        if ids and len({spellings.find(cell) for cell in content[ids]} - {None}) >= 0.9 * len(spellings):
            labelled = read_table(competition.folder / competition.labels, bad_rows=[])
            usable = [name for name in shared if name != ids and make_features(labelled[name], content[name])[0]]
            return usable, table if usable else ""
    return [], ""


def spell_tests(competition: Competition, test_files: list[str]) -> Spellings:
    """Return the spellings of the test images."""
    images = [image for name in test_files if name for image in split_images(name)]
    return Spellings(images, competition.test, bool(competition.several_images))


def read_columns(dataset: Dataset) -> Columns:
    """Return the columns beside the images as features. Raises KcnnError where there are none."""
    if columns := find_metadata(dataset):
        return columns
    raise KcnnError(
        f"'{dataset.competition.name}' has no columns that its labels and a table of its test images share",
        "expected for example train.csv and test.csv with an id, and the same columns of numbers or words",
    )


def join_columns(dataset: Dataset, names: list[str], table: str) -> Columns:
    """Return the columns `names`, of the table of the labels and of `table`, as features."""
    competition, files = dataset.competition, dataset.test_files.tolist()
    train = join(competition, competition.labels, spell_train(dataset), dataset.ids.tolist(), names)
    test = join(competition, table, spell_tests(competition, files), files, names)
    labels: list[str] = []
    parts: list[tuple[Array, Array]] = []
    for name in names:
        made = make_features(train[name], test[name])
        labels += [f"{name}{f'={word}' if word else ''}" for word in made[0]]
        parts.append((made[1], made[2]))
    values = [np.concatenate([part[n] for part in parts], axis=1) for n in (0, 1)]
    return Columns(labels, values[0], values[1], (competition.labels, table))


def find_metadata(dataset: Dataset, names: list[str] | None = None) -> Columns | None:
    """Return the columns beside the images for a recipe that asks for them, None where there are none. Raises KcnnError
    where they are not those of `names`, which a network was trained on."""
    found, table = find_columns(dataset.competition, dataset.test_files.tolist())
    columns = join_columns(dataset, found, table) if found else None
    if names is not None and (columns.names if columns else []) != names:
        raise KcnnError(
            f"the network was trained on {len(names)} features beside the images, and the tables now give others",
            f"put the CSVs back into {dataset.competition.folder}, or train again",
        )
    return columns


def attach_metadata(dataset: Dataset, images: Images, columns: Columns | None, part: str) -> Images:
    """Return `images`, all of `part`, "train" or "test", with their metadata, where there are `columns`; those of
    "train" are followed by the test images, where these have pseudo-labels."""
    if columns is None:
        return images
    train, test = centre(columns)
    test = test[dataset.test_images[1]]
    train = np.concatenate([train, test]) if dataset.pseudo else train
    return replace(images, metadata=train if part == "train" else test)


def centre(columns: Columns) -> tuple[Array, Array]:
    """Return the features less their mean over the training images, float32: of a date in seconds float32 itself would
    keep no minutes."""
    mean = columns.train.mean(axis=0)
    return (columns.train - mean).astype(np.float32), (columns.test - mean).astype(np.float32)


def spell_train(dataset: Dataset) -> Spellings:
    images = [image for name in dataset.ids.tolist() for image in split_images(name)]
    return Spellings(images, dataset.competition.train, bool(dataset.competition.several_images))


def join(
    competition: Competition, table: str, spellings: Spellings, images: list[str], names: list[str]
) -> pd.DataFrame:
    """Return the cells of `names` for each of `images`, in their order; "" where the table has no row for one."""
    content = read_table(competition.folder / table, bad_rows=[])
    ids = competition.label_id if table == competition.labels and competition.label_id in content else None
    ids = ids if ids and spellings.share(content[ids].head(500)) >= 0.5 else find_ids(content, spellings)
    place: dict[str, int] = {}
    for row, cell in enumerate(content[ids] if ids else []):
        for image in split_images(spellings.find(cell) or ""):
            place.setdefault(image, row)
    rows = [place.get(split_images(name)[0], -1) for name in images]
    empty = pd.DataFrame([dict.fromkeys(names, "")])
    return pd.concat([content[names], empty], ignore_index=True).iloc[rows].reset_index(drop=True)


def make_features(train: "pd.Series[str]", test: "pd.Series[str]") -> tuple[list[str], Array, Array]:
    """Return the features of one column: [""] and its numbers, or its words and 0 or 1 for each; none for a column of
    one value or of many words. What is empty or infinite is missing. The arrays are (N, features) and (M, features)."""
    numbers = [pd.to_numeric(each, errors="coerce").astype(float) for each in (train, test)]
    pairs = zip((train, test), numbers, strict=True)
    missing = [each.str.lower().isin(MISSING) | np.isinf(values) for each, values in pairs]
    finite = [np.isfinite(each) for each in numbers]
    if all(bool((good | gone).all()) for good, gone in zip(finite, missing, strict=True)) and finite[0].any():
        mean = float(numbers[0][finite[0]].mean())
        filled = [each.where(good, mean).to_numpy(float)[:, None] for each, good in zip(numbers, finite, strict=True)]
        return ([""], filled[0], filled[1]) if np.ptp(filled[0]) > 0 else ([], filled[0][:, :0], filled[1][:, :0])
    words = sorted(set(train))
    if not 2 <= len(words) <= MOST_WORDS or len(words) > len(train) / 2:
        return [], np.zeros((len(train), 0)), np.zeros((len(test), 0))
    marks = [(each.to_numpy(str)[:, None] == np.array(words)).astype(float) for each in (train, test)]
    return words, marks[0], marks[1]
