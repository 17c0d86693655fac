"""The layout `table`: a CSV with an id and labels beside the images."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts.labels import (
    CIRCUMSTANCES,
    LABEL_NAMES,
    LABEL_WORDS,
    NO_LABEL_NAMES,
    Found,
    is_fraction,
    is_number,
)
from kaggle_cnn.competition.layouts.row_ids import MOST_PARTS, row_pattern, split_ids
from kaggle_cnn.competition.listing import TRAIN_FOLDER, Spellings, first_folder, is_below, split_images, split_words
from kaggle_cnn.competition.table import read_header, read_table
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.plural import count_of

ENOUGH_ROWS = 0.8  # share of the rows for each image and target that must be there
MANY_COLUMNS = 10  # columns of numbers that are worthy of a note
MOST_COLUMNS = 1000  # columns that a table of labels may have
SEPARATORS = (", ", "; ", " | ", " ", "|", ";", ",")  # the longer ones first: "rust, scab" has no label "rust,"
ANSWERS = {"true", "false", "yes", "no", "unk", "unknown", "nan", ""}
YES = ("1", "1.0", "True", "TRUE", "true")  # the words as pandas, spreadsheets and JSON write them
NO = ("0", "0.0", "-1", "-1.0", "False", "FALSE", "false")


class Labels(NamedTuple):
    """The labels of a table, and what else it may mean, a sentence each."""

    found: Found
    doubts: list[str]


class Candidate(NamedTuple):
    """A table that may hold the labels. `rank`: what share of the images it names, in tenths, and how sure its columns
    are. `table` has the rows whose images are there; `others` are columns that may hold the labels, too."""

    rank: tuple[int, int]
    table: pd.DataFrame
    columns: list[str]
    others: list[str]
    fields: dict[str, Any]


def find_table(
    folder: Path,
    tables: list[str],
    labelled: list[str],
    test: str,
    sample: pd.DataFrame | None,
    sure: bool,
    chosen_column: str = "",
    grouped: bool = False,
) -> Labels | None:
    """Return the labels in that one of `tables` that names the most images, or None where there is no such table.

    A table has an id that names at least half of its images, and a column of labels. Of tables that name about as many
    images, that with the surest labels counts; see `label_columns`. With `sure`, a column of labels must be called as
    labels are, or as in the sample. `chosen_column` is the user's choice. `grouped`: an id may have several images.
    """
    train = first_folder(labelled, TRAIN_FOLDER)
    spellings = Spellings(labelled, train, grouped)
    readable = [name for name in tables if len(read_header(folder / name)) <= MOST_COLUMNS]
    candidates = []
    for name in readable:
        table = read_table(folder / name, bad_rows=[])
        if candidate := consider(name, table, spellings, sample, sure, chosen_column):
            candidates.append(candidate)
    if chosen_column and not candidates:
        raise KcnnError(
            f"no CSV has the column '{chosen_column}' and ids of images",
            f"the CSVs are {', '.join(tables[:8])}" if tables else "there are no CSVs",
        )
    if not candidates:
        return None
    _, table, columns, others, fields = max(candidates, key=lambda candidate: candidate.rank)
    named = [image for value in table[fields["label_id"]] if (image := spellings.find(value))]
    are_below = 2 * sum(is_below(image, train) for image in named) >= len(named)
    fields |= {"layout": "table", "train": train if are_below else "", "test": test}
    doubts = []
    if others:
        doubts = [
            f"the labels are taken from the column '{columns[0]}' of {fields['labels']}; it may also be "
            f"{', '.join(map(repr, others[:4]))}: --label-column NAME chooses"
        ]
    return Labels(interpret_columns(table, columns, fields), doubts)


def consider(
    name: str, table: pd.DataFrame, spellings: Spellings, sample: pd.DataFrame | None, sure: bool, chosen_column: str
) -> Candidate | None:
    """Return a table as one that may hold the labels, or None where it does not."""
    if len(table.columns) < 2 or not len(table) or (chosen_column and chosen_column not in table.columns):
        return None
    ids, parts = find_ids(table, spellings), None
    if ids is None:
        ids = str(table.columns[0])
        parts = find_parts(table[ids], spellings)
        if parts is None:
            return None
        table = widen(table, ids, parts)
    elif names := find_name_column(table, ids):
        parts = list(dict.fromkeys(table[names]))
        table = widen_named(table, ids, names)
    columns, sureness, others = label_columns(table, ids, sample, parts, sure)
    columns, others = ([chosen_column], []) if chosen_column else (columns, others)
    images = table[ids].map(spellings.find)
    there = images.notna()
    if not columns or not there.any():
        return None
    tenths = round(10 * images.nunique() / len(spellings))
    return Candidate((tenths, sureness), table[there], columns, others, {"labels": name, "label_id": ids})


def find_ids(table: pd.DataFrame, spellings: Spellings) -> str | None:
    """Return the column of `table` that names the most images, or None where none names half of them.

    A column without a name is an index, not an id.
    """
    named = [str(column) for column in table.columns if column] or [str(column) for column in table.columns]
    shares = {column: spellings.share(table[column].head(500)) for column in named}
    best = max(named, key=lambda column: (shares[column], table[column].nunique()))
    return best if shares[best] >= 0.5 else None


def find_parts(ids: "pd.Series[str]", spellings: Spellings) -> list[str] | None:
    """Return the parts that follow an image's name in ids such as ID_28fbab7eb_epidural, or None."""
    return next((parts for stems, parts in split_ids(ids) if spellings.share(stems[:500]) >= 0.5), None)


def label_columns(
    table: pd.DataFrame, ids: str, sample: pd.DataFrame | None, parts: list[str] | None, sure: bool
) -> tuple[list[str], int, list[str]]:
    """Return the columns of `table` that hold the labels, how sure that is, and other columns that may; see
    `find_table` for `sure`.

    These are, first that applies: the `parts` of a widened table; those of the sample, by name, by the ends of its ids,
    or by what its cells hold; the first that is called as labels are; those of 0 and 1, or -1 and 1, one for each
    class; the only one left; of those with few different cells the first of words, or the last of numbers.
    """
    if parts:
        return [name for name in table.columns if name != ids], 5, []
    rest = [name for name in table.columns if name not in (ids, "") and not NO_LABEL_NAMES.fullmatch(name.strip())]
    asked = [name for name in sample.columns if name in rest] if sample is not None else []
    asked = asked or find_asked_parts(rest, sample)
    marks = [name for name in rest if set(table[name]) <= {*YES, *NO}]
    cells: list[str] = list(sample[sample.columns[-1]].head(500)) if sample is not None else []
    filled = {word for cell in cells for word in cell.split()}
    if not asked and filled and not all(is_number(word) for word in filled):
        asked = [name for name in rest if 2 * len(filled & set(table[name])) >= len(filled)][:1]
    named = [name for name in rest if LABEL_NAMES.fullmatch(name.strip())]
    named = named or [name for name in rest if split_words(name)[-1:] and split_words(name)[-1] in LABEL_WORDS]
    if asked:
        return asked, 4, []
    if named:
        return named[:1], 3, named[1:]
    if len(marks) > 1:
        return marks, 2, []
    if sure:
        return [], 0, []
    few = [name for name in rest if len(rest) == 1 or 2 <= table[name].nunique() <= max(2, len(table) // 2)]
    likely = [name for name in few if not any(map(CIRCUMSTANCES.fullmatch, split_words(name)))] or few
    wordy = [name for name in likely if not all(is_number(cell) for cell in table[name] if cell)]
    wordy = [name for name in wordy if not {cell.lower() for cell in table[name]} <= ANSWERS] or wordy
    chosen = wordy[:1] or likely[-1:]
    return chosen, 1 if len(rest) == 1 else 0, [name for name in few if name not in chosen]


def find_asked_parts(columns: list[str], sample: pd.DataFrame | None) -> list[str]:
    """Return those of `columns` that the sample has a row for, for each image, as Test_0_vowel for the column vowel."""
    if sample is None or not columns or not len(sample):
        return []
    ends = sample[sample.columns[0]].str.extract(row_pattern(columns), expand=False)
    parts = set(ends.dropna())
    return [name for name in columns if name in parts] if len(parts) > 1 and ends.notna().all() else []


def interpret_columns(table: pd.DataFrame, columns: list[str], fields: dict[str, Any]) -> Found:
    """Return the labels that the `columns` of a table hold. Numbers with fractions make a regression."""
    fields = {**fields, "label_columns": tuple(columns)}
    rows: list[tuple[str, ...]] = list(table[columns].itertuples(index=False, name=None))
    cells = {cell for row in rows for cell in row}
    if len(columns) > 1:
        marked = cells <= {*YES, *NO, ""}
        numbers = not marked and all(is_number(cell) for cell in cells if cell)
        many = any(3 * len({row[place] for row in rows}) > len(rows) for place in range(len(columns)))
        if not marked and (any(is_fraction(cell) for cell in cells) or (numbers and many and len(rows) > MANY_COLUMNS)):
            return interpret_numbers(rows, columns, fields)
        values = [row_labels(row, columns, "", marked) for row in rows]
        several = any(len(value) != 1 for value in values)
        kind = "multioutput" if not marked else "multilabel" if several else "multiclass"
        return Found({**fields, "kind": kind}, values)
    if sum(is_fraction(row[0]) for row in rows) > len(rows) / 10:
        return interpret_numbers(rows, columns, fields)
    separator = find_separator(cells)
    values = [row_labels(row, columns, separator, False) for row in rows]
    return Found({**fields, "kind": "multilabel", "separator": separator} if separator else fields, values)


def interpret_numbers(rows: list[tuple[str, ...]], columns: list[str], fields: dict[str, Any]) -> Found:
    """Return the numbers of a regression. Raises KcnnError where a cell is not empty and not a finite number."""
    for row in rows:
        for name, cell in zip(columns, row, strict=True):
            if cell != "" and not is_number(cell):
                raise KcnnError(
                    f"the column '{name}' of {fields['labels']} should hold numbers, found '{cell}'",
                    "correct that cell, or leave it empty",
                )
    return Found({**fields, "kind": "regression"}, rows)


def find_separator(cells: set[str]) -> str:
    """Return what stands between several labels in one cell, or "".

    It is a separator where nearly every part of a cell occurs in other cells, too: `rust scab` is two labels among
    `rust`, `scab` and `scab complex`, and `Sugar beet` is one.
    """
    for separator in SEPARATORS:
        several = [cell.split(separator) for cell in cells if separator in cell]
        if not several:
            continue
        seen = Counter(part for cell in cells for part in set(cell.split(separator)))
        parts = {part for each in several for part in each}
        if sum(seen[part] > 1 for part in parts) >= 0.8 * len(parts) or all(part.isdecimal() for part in parts):
            return separator
    return ""


def widen(table: pd.DataFrame, ids: str, parts: list[str]) -> pd.DataFrame:
    """Return a table of a row for each image and part as one of a row for each image and a column for each part."""
    value = next(name for name in table.columns if name not in (ids, ""))
    ending = row_pattern(parts)
    part = table[ids].str.extract(ending, expand=False)
    stems = table[ids].str.replace(ending, "", regex=True)
    long = pd.DataFrame({ids: stems, "part": part, "value": table[value]}).drop_duplicates([ids, "part"])
    wide = long.pivot(index=ids, columns="part", values="value").reindex(columns=parts).fillna("")
    return wide.loc[list(dict.fromkeys(stems))].reset_index().rename_axis(columns=None)


def find_name_column(table: pd.DataFrame, ids: str) -> str | None:
    """Return the column that says what a row is about, where each image has a row for each of several targets, as
    target_name in csiro-biomass; or None."""
    images = table[ids].nunique()
    if images < 2 or len(table) < 1.5 * images:
        return None
    for name in table.columns:
        cells = table[name]
        if name == ids or not 2 <= cells.nunique() <= MOST_PARTS or len(table) < ENOUGH_ROWS * cells.nunique() * images:
            continue
        if (
            not table.duplicated([ids, name]).any()
            and not any(map(is_number, cells.unique()))
            and len(table.columns) > 2
        ):
            return str(name)
    return None


def widen_named(table: pd.DataFrame, ids: str, names: str) -> pd.DataFrame:
    """Return a table of a row for each image and target, named in the column `names`, as one of a row for each image
    and a column for each target. The values are in the column that is called as labels are, else in the last one."""
    rest = [name for name in table.columns if name not in (ids, names, "")]
    value = next((name for name in rest if LABEL_NAMES.fullmatch(name.strip())), rest[-1])
    parts = list(dict.fromkeys(table[names]))
    wide = table.pivot(index=ids, columns=names, values=value).reindex(columns=parts).fillna("")
    return wide.loc[list(dict.fromkeys(table[ids]))].reset_index().rename_axis(columns=None)


def read_labels(competition: Competition, images: list[str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return image -> its labels, from the CSV, and notes.

    The notes say how many ids have no image, and how many images have no id, no label, or a second label.
    """
    path = competition.folder / competition.labels
    bad: list[str] = []
    table, ids = read_table(path, bad_rows=bad), competition.label_id
    others, columns = list(table.columns), list(competition.label_columns)
    if ids in table.columns and columns and not set(columns) <= set(table.columns):
        names = find_name_column(table, ids)
        table = widen_named(table, ids, names) if names else widen(table, ids, columns)
    for name in (ids, *columns):
        if name not in table.columns:
            raise KcnnError(f"{path} has no column '{name}'", f"its columns are {', '.join(table.columns)}")
    spellings = Spellings(images, competition.train, bool(competition.several_images))
    spellings = spellings.narrow(table[ids]) if competition.several_images else spellings
    cells = table[columns].itertuples(index=False, name=None)
    numbers = competition.kind == "regression"
    marked = competition.kind != "multioutput" and not numbers and is_marked(table, columns, competition.classes)
    if len(columns) > 1 and not (marked or numbers or competition.kind == "multioutput"):
        raise KcnnError(
            f'several columns of classes need kind = "multioutput", got "{competition.kind}"',
            f"correct `kind` or `label_columns` in {competition.folder / 'competition.toml'}",
        )
    trained: dict[str, tuple[str, ...]] = {}
    lacking: list[str] = []
    repeated, empty = 0, 0
    for name, row in zip(table[ids], cells, strict=True):
        image = spellings.find(name)
        labels = row if numbers else row_labels(row, columns, competition.separator, marked)
        if image is None:
            lacking.append(name)
        elif lacks_label(competition.kind, labels, columns):
            empty += 1
        elif image in trained:
            repeated += trained[image] != labels
        else:
            trained[image] = labels
    notes = []
    if bad:
        notes.append(f"{count_of(len(bad), 'row')} of {competition.labels} left out, with too many cells: {bad[0]}")
    unused = [name for name in others if name in table and name not in (ids, *columns, "")]
    if len(unused) >= MANY_COLUMNS:
        numeric = sum(bool(pd.to_numeric(table[name], errors="coerce").notna().all()) for name in unused)
        if numeric >= MANY_COLUMNS:
            notes.append(f"{numeric:,} columns of numbers in {competition.labels} are beside the images: see kcnn look")
    if lacking:
        ids = count_of(len(lacking), "id")
        notes.append(f"{ids} without an image in {competition.labels}, the first is '{lacking[0]}'")
    named = sum(len(split_images(name)) for name in trained)
    if competition.test and (unnamed := len(images) - named - empty) > 0:
        notes.append(f"{count_of(unnamed, 'image')} not used: not named in {competition.labels}")
    if empty:
        several = competition.kind in ("regression", "multioutput") and len(columns) > 1
        why = "a label is missing" if several else "no label"
        notes.append(f"{count_of(empty, 'image')} not used: {why} in {competition.labels}")
    if repeated:
        notes.append(f"{count_of(repeated, 'image')} with a second label in {competition.labels}; the first counts")
    return trained, notes


def lacks_label(kind: str, labels: tuple[str, ...], columns: list[str]) -> bool:
    """Return whether an image has no label; of several targets or values, whether it lacks one of them."""
    if kind == "multilabel":
        return False
    return len(labels) < len(columns) if kind == "multioutput" else not (all if kind == "regression" else any)(labels)


def is_marked(table: pd.DataFrame, columns: list[str], classes: tuple[str, ...]) -> bool:
    """Return whether columns are a class each, and 1 in them marks an image; where the classes are not known, by the
    cells."""
    if classes:
        return set(columns) <= set(classes)
    return len(columns) > 1 and all(set(table[name]) <= {*YES, *NO, ""} for name in columns)


def read_column(competition: Competition, images: list[str], column: str) -> dict[str, str]:
    """Return image -> its cell in another column of the CSV with the labels. Raises KcnnError where it has none."""
    if competition.layout != "table":
        raise KcnnError(
            f"`group` names a column, and the labels of '{competition.name}' are not in a table",
            f"clear `group` in {competition.folder / 'competition.toml'}",
        )
    table = read_table(competition.folder / competition.labels)
    if column not in table.columns:
        raise KcnnError(
            f"{competition.labels} has no column '{column}' to group by", f"its columns are {', '.join(table.columns)}"
        )
    spellings = Spellings(images, competition.train, competition.several_images == "stack")
    found: dict[str, str] = {}
    for name, cell in zip(table[competition.label_id], table[column], strict=True):
        if image := spellings.find(name):
            found.setdefault(image, cell)
    return found


def row_labels(row: tuple[str, ...], columns: list[str], separator: str, marked: bool) -> tuple[str, ...]:
    """Return the labels of one image from the cells of its label columns.

    One column holds one label, or several with `separator` between them. Of several columns, the labels are the names
    of those that are 1, or where they are not `marked` so, target=class of each that is not empty.
    """
    if len(columns) == 1:
        several = [part for part in row[0].split(separator) if part] if separator else row
        return tuple(dict.fromkeys(several))
    if marked:
        return tuple(name for name, cell in zip(columns, row, strict=True) if cell in YES)
    return tuple(f"{name}={cell}" for name, cell in zip(columns, row, strict=True) if cell != "")
