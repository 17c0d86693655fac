"""Submissions: from predictions to a CSV in the sample's form, back again, and the check that every CSV must pass."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts.row_ids import row_pattern
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.table import read_table
from kaggle_cnn.errors import KcnnError

LINE_NUMBER, QUOTED = r"(?i)\b(row|line)s?\s{0,9}#?(\d{1,9})\b", r"'([^']+)'|\"([^\"]+)\""
NUMBERS = ("probability", "probability_columns", "long", "value")  # formats whose cells are numbers


def read_sample(competition: Competition) -> pd.DataFrame | None:
    """Return the sample submission, or None where the competition has none.

    Raises KcnnError where it has not all columns that competition.toml names.
    """
    if not competition.sample:
        return None
    sample = read_table(competition.folder / competition.sample, exact=competition.id_column)
    for name in (competition.id_column, *competition.prediction_columns):
        if name not in sample.columns:
            raise KcnnError(
                f"{competition.sample} has no column '{name}', only {', '.join(sample.columns)}",
                f"correct id_column and prediction_columns in {competition.folder / 'competition.toml'}",
            )
    return sample


def respell_ids(competition: Competition, table: pd.DataFrame) -> pd.DataFrame:
    """Return a submission with its ids as the sample spells them, where only spaces around them differ."""
    sample, name = read_sample(competition), competition.id_column
    if sample is None or name not in table:
        return table.assign(**{name: table[name].str.strip()}) if name in table else table
    spelled = {each.strip(): each for each in sample[name]}
    if len(spelled) < sample[name].nunique():
        return table  # ids that differ by spaces alone
    return table.assign(**{name: [spelled.get(each.strip(), each) for each in table[name]]})


def test_ids(competition: Competition, sample: pd.DataFrame) -> list[str]:
    """Return the images that the sample asks for, in its order: its ids, or with `long` what comes before the class."""
    return list(dict.fromkeys(image_of(competition, sample[competition.id_column])))


def image_of(competition: Competition, ids: pd.Series) -> pd.Series:
    """Return the image of each row id."""
    long = competition.submission_format == "long"
    return ids.str.replace(row_ending(competition), "", regex=True) if long else ids


def row_ending(competition: Competition) -> re.Pattern[str]:
    """Return the pattern of the part of a row id that names its class, target or value; see the format `long`."""
    return row_pattern(row_parts(competition))


def row_parts(competition: Competition) -> list[str]:
    """Return the spellings of the classes, targets or values in row ids."""
    if not competition.label_values:
        return list(competition.class_columns)
    value = dict(zip(competition.classes, competition.label_values, strict=True))
    return [*competition.class_columns, *(value[name] for name in competition.class_columns if name in value)]


def make(competition: Competition, ids: Array, scores: Array, decisions: Array) -> pd.DataFrame:
    """Return the submission for test `ids` (N,) of strings.

    `scores` (N, outputs) are probabilities or values, `decisions` what a decision rule makes of them: int (N,), or
    uint8 (N, classes) of 0 and 1 for several labels. Rows and columns are in the sample's order, ids in its spelling;
    columns that are neither id nor prediction are the sample's. Without a sample the rows are in the order of `ids`.
    Raises KcnnError where the sample names an id that has no prediction.
    """
    sample = read_sample(competition)
    if sample is None:
        filled = fill(competition, pd.Series(ids, dtype=str), ids, scores, decisions)
        return pd.DataFrame({competition.id_column: ids, **filled}, dtype=str)
    wanted = image_of(competition, sample[competition.id_column])
    lacking = wanted[~np.isin(wanted, ids)]
    if len(lacking):
        raise KcnnError(
            f"the sample has {len(lacking)} ids without a prediction, the first is '{lacking.iloc[0]}'",
            "the test images have changed since this run: kcnn predict makes its predictions again",
        )
    return sample.assign(**fill(competition, sample[competition.id_column], ids, scores, decisions))


def fill(
    competition: Competition, rows: pd.Series, ids: Array, scores: Array, decisions: Array
) -> dict[str, list[str]]:
    """Return the columns to fill for the row ids `rows`; each has its prediction at the same id of `ids`."""
    place = {name: number for number, name in enumerate(ids)}
    order = [place[name] for name in image_of(competition, rows)]
    numbers, chosen = scores[order].astype(np.float64), decisions[order]
    form, columns = competition.submission_format, competition.prediction_columns
    index = {name: number for number, name in enumerate(competition.classes)}
    if form in ("probability_columns", "value"):
        return {column: [f"{value:.7g}" for value in numbers[:, index[name]]]
                for column, name in zip(columns, competition.class_columns, strict=True)}  # fmt: skip
    if form == "probability":
        return {columns[0]: [f"{value:.7g}" for value in numbers[:, index[competition.positive]]]}
    if form == "long":
        return {columns[0]: fill_rows(competition, rows, numbers, chosen)}
    words = class_words(competition)
    if form == "target_columns":
        named = name_targets(competition, chosen)
        return {column: named[target] for column, target in zip(columns, competition.class_columns, strict=True)}
    if form == "top_k":
        ranked = np.argsort(-numbers, axis=1, kind="stable")[:, : competition.top_k]
        return {columns[0]: [" ".join(words[number] for number in row) for row in ranked]}
    if form == "multi_label":
        joint = competition.separator or " "
        return {columns[0]: [joint.join(words[number] for number in np.flatnonzero(row)) for row in chosen]}
    return {columns[0]: [words[number] for number in chosen]}


def class_words(competition: Competition) -> tuple[str, ...]:
    """Return what stands for each class in the cells of a submission."""
    if competition.submission_format == "class_name":
        return competition.classes
    return competition.label_values or competition.classes


def name_targets(competition: Competition, chosen: Array) -> dict[str, list[str]]:
    """Return target -> the class of each image, for decisions uint8 (N, classes) of a multioutput task."""
    named = {}
    for target, place in competition.task.split_heads():
        own = [name.removeprefix(f"{target}=") for name in competition.classes[place]]
        named[target] = [own[number] for number in chosen[:, place].argmax(axis=1)]
    return named


def fill_rows(competition: Competition, rows: pd.Series, scores: Array, chosen: Array) -> list[str]:
    """Return the cell of each row: the probability of the class that its id ends in, or its value; of several targets
    the class of the one that its id ends in."""
    parts = list(rows.str.extract(row_ending(competition), expand=False))
    if competition.kind == "multioutput":
        named = name_targets(competition, chosen)
        return [named[part][row] for row, part in enumerate(parts)]
    index = {name: number for number, name in enumerate(competition.classes)}
    names = dict(zip(competition.label_values or competition.classes, competition.classes, strict=True))
    return [f"{score[index[names.get(part, part)]]:.7g}" for part, score in zip(parts, scores, strict=True)]


@dataclass(frozen=True)
class Parsed:
    """The predictions of a CSV: `ids` (N,) of strings; `scores` (N, outputs), or None where it holds no numbers;
    `decisions` in the form of the targets. See metrics. Of `top_k` the scores are 1 / rank, minus infinity for a class
    that is not listed."""

    ids: Array
    scores: Array | None
    decisions: Array


def parse(competition: Competition, table: pd.DataFrame) -> Parsed:
    """Return what a checked submission, or a solution of the same form, says of each image.

    Probabilities decide by the largest one, or for several labels from 0.5 on.
    """
    form, columns = competition.submission_format, list(competition.prediction_columns)
    rows, index = table[competition.id_column], {name: n for n, name in enumerate(competition.classes)}
    if competition.kind == "multioutput":
        return parse_targets(competition, table)
    if form == "value":
        numbers = table[columns].astype(float).to_numpy()
        values = numbers[:, [list(competition.class_columns).index(name) for name in competition.classes]]
        return Parsed(rows.to_numpy(str), values, values)
    if form in ("probability", "probability_columns", "long"):
        ids, scores = parse_probabilities(competition, table)
        if competition.kind == "regression":
            return Parsed(ids, scores, scores)
        marks = (scores >= 0.5).astype(np.uint8)
        return Parsed(ids, scores, marks if competition.kind == "multilabel" else scores.argmax(axis=1))
    place = index | {word: number for number, word in enumerate(class_words(competition))}
    cells = table[columns[0]]
    if form == "multi_label":
        marks = np.zeros((len(cells), len(index)), np.uint8)
        for number, cell in enumerate(cells):
            marks[number, [place[word] for word in cell.split(competition.separator or " ") if word]] = 1
        return Parsed(rows.to_numpy(str), None, marks)
    ranked = [[place[word] for word in ((cell.split() or [cell]) if form == "top_k" else [cell])] for cell in cells]
    first = np.array([row[0] for row in ranked], dtype=int)
    scores = np.full((len(cells), len(index)), -np.inf)
    for number, row in enumerate(ranked):
        scores[number, row] = 1 / np.arange(1, len(row) + 1)
    return Parsed(rows.to_numpy(str), scores if form == "top_k" else None, first)


def parse_probabilities(competition: Competition, table: pd.DataFrame) -> tuple[Array, Array]:
    """Return the ids and the probabilities (N, classes) of a CSV of numbers. A class without a column has 0."""
    rows, columns = table[competition.id_column], list(competition.prediction_columns)
    index = {name: number for number, name in enumerate(competition.classes)}
    if competition.submission_format == "probability":
        scores = np.empty((len(table), 2))
        scores[:, index[competition.positive]] = table[columns[0]].astype(float)
        scores[:, 1 - index[competition.positive]] = 1 - table[columns[0]].astype(float)
        return rows.to_numpy(str), scores
    if competition.submission_format == "probability_columns":
        scores = np.zeros((len(table), len(index)))
        for column, name in zip(columns, competition.class_columns, strict=True):
            scores[:, index[name]] = table[column].astype(float)
        return rows.to_numpy(str), scores
    images, parts = image_of(competition, rows), rows.str.extract(row_ending(competition), expand=False)
    ids = list(dict.fromkeys(images))
    place = {name: number for number, name in enumerate(ids)}
    names = dict(zip(competition.label_values or competition.classes, competition.classes, strict=True))
    scores = np.zeros((len(ids), len(index)))
    for image, part, cell in zip(images, parts, table[columns[0]].astype(float), strict=True):
        scores[place[image], index[names.get(part, part)]] = cell
    return np.array(ids, dtype=str), scores


def parse_targets(competition: Competition, table: pd.DataFrame) -> Parsed:
    """Return what a CSV says of images of several targets: with a column for each, or with a row for each."""
    rows, columns = table[competition.id_column], competition.prediction_columns
    images = image_of(competition, rows)
    index = {name: number for number, name in enumerate(competition.classes)}
    ids = list(dict.fromkeys(images))
    place = {name: number for number, name in enumerate(ids)}
    marks = np.zeros((len(ids), len(index)), np.uint8)
    for column, targets in zip(columns, targets_of_rows(competition, rows), strict=True):
        for name, target, cell in zip(images, targets, table[column], strict=True):
            marks[place[name], index[f"{target}={cell}"]] = 1
    return Parsed(np.array(ids, dtype=str), None, marks)


def targets_of_rows(competition: Competition, rows: pd.Series) -> list[list[str]]:
    """Return for each column to fill the target of each row: that which its id ends in, or that of the column."""
    if competition.submission_format == "long":
        return [list(rows.str.extract(row_ending(competition), expand=False))]
    return [[target] * len(rows) for target in competition.class_columns]


def check(competition: Competition, submission: pd.DataFrame, ids: Array) -> None:
    """Raise KcnnError with the first thing that a host would refuse or score wrongly.

    Checked are: columns and their order; ids that are missing, unknown or duplicates; empty cells; unknown classes;
    cells that should be numbers. `ids` are the test ids expected where there is no sample.
    """
    sample = read_sample(competition)
    expected = [competition.id_column, *competition.prediction_columns] if sample is None else list(sample.columns)
    if list(submission.columns) != expected:
        raise KcnnError(
            f"expected the columns {', '.join(expected)}, got {', '.join(submission.columns)}",
            "kcnn predict writes them as the sample has them",
        )
    wanted = pd.Series(ids, dtype=str) if sample is None else sample[competition.id_column]
    given = submission[competition.id_column]
    often = wanted[wanted.duplicated()]  # some samples repeat ids
    twice = given[given.duplicated() & ~given.isin(often)]
    complain(twice, "occur more than once", "expected each id once")
    complain(wanted[~np.isin(wanted, given)], "are missing", f"expected {len(wanted)} rows, got {len(given)}")
    complain(given[~np.isin(given, wanted)], "are not in the sample", f"expected {len(wanted)} rows, got {len(given)}")
    if competition.kind == "multioutput":
        return check_targets(competition, submission)
    for column in competition.prediction_columns:
        check_cells(competition, given, submission[column])
    return None


def check_cells(competition: Competition, ids: pd.Series, cells: pd.Series) -> None:
    """Raise KcnnError where a cell of a prediction column is not what the competition asks for."""
    known = set(class_words(competition))
    nothing = cells.str.lower().isin(["", "nan", "none"]) & ~cells.isin(known)
    complain(ids[nothing], "have no label", "expected a prediction for each id")
    if competition.submission_format in NUMBERS or competition.kind == "regression":
        numbers = pd.to_numeric(cells, errors="coerce")
        complain(ids[~np.isfinite(numbers)], "have a cell that is not a number", "expected numbers such as 0.25")
        if competition.submission_format in ("probability", "probability_columns"):
            complain(
                ids[(numbers < 0) | (numbers > 1)], "have a probability below 0 or above 1", "expected from 0 to 1"
            )
        return
    separator = {"multi_label": competition.separator or " ", "top_k": " "}.get(competition.submission_format)
    words = cells.str.split(separator, regex=False) if separator else cells.map(lambda cell: [cell])
    wrong = words.map(lambda each: next((word for word in each if word not in known), ""))
    names = sorted(known) if competition.label_values else list(competition.classes)
    complain_of_names(list(wrong[wrong != ""]), names)


def check_targets(competition: Competition, submission: pd.DataFrame) -> None:
    """Raise KcnnError where a cell is not a class of its target."""
    named: list[str] = []
    targets = targets_of_rows(competition, submission[competition.id_column])
    for column, own in zip(competition.prediction_columns, targets, strict=True):
        named += [f"{target}={cell}" for target, cell in zip(own, submission[column], strict=True)]
    known = set(competition.classes)
    complain_of_names([name for name in named if name not in known], list(competition.classes))


def complain_of_names(wrong: list[str], names: list[str]) -> None:
    """Raise KcnnError that the cells `wrong` are none of the classes `names`; do nothing where there are none."""
    if wrong:
        raise KcnnError(
            f"{len(wrong)} rows name a class that is not in the competition, the first is '{wrong[0]}'",
            f"the classes are: {', '.join(names[:10])}{', …' if len(names) > 10 else ''}",
        )


def complain(wrong: Iterable[str], what: str, hint: str) -> None:
    """Raise KcnnError that the ids `wrong` do `what`, the first by name; do nothing where there are none."""
    wrong = list(wrong)
    if wrong:
        raise KcnnError(f"{len(wrong)} of the submission's ids {what}, the first is '{wrong[0]}'", hint)


def changed_rows(competition: Competition, before: pd.DataFrame, after: pd.DataFrame) -> int:
    """Return in how many rows of `after` the prediction is not that of the same id in `before`."""
    key = competition.id_column
    if key not in before.columns or list(before.columns) != list(after.columns):
        return len(after)
    old = before.drop_duplicates(key).set_index(key).reindex(after[key])
    columns = list(competition.prediction_columns)
    return int((old[columns].to_numpy() != after[columns].to_numpy()).any(axis=1).sum())


def find_lines(path: Path, reason: str) -> list[str]:
    """Return the lines of a submission that a host's reason names: by line or row number, or by a value in quotes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    numbers = [int(number) - (word.lower() != "row") for word, number in re.findall(LINE_NUMBER, reason)]
    quoted = [text for pair in re.findall(QUOTED, reason) for text in pair if text]
    found = {number for number in numbers if 0 <= number < len(lines)}
    for text in quoted:
        found |= {number for number, line in enumerate(lines) if text in line.split(",")}
    return [f"line {number + 1} of {path.name}: {lines[number]}" for number in sorted(found)[:5]]
