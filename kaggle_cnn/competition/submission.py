"""Submissions: from ids and probabilities to a CSV in the sample's form, and the check that every CSV must pass."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.table import read_table
from kaggle_cnn.errors import KcnnError

NUMBERED, QUOTED = r"(?i)\b(row|line)s?\s*#?(\d+)", r"'([^']+)'|\"([^\"]+)\""
NUMBERS = ("probabilities", "score", "rows")  # answers whose cells are numbers


def read_sample(competition: Competition) -> pd.DataFrame | None:
    """The sample submission, or None where the competition has none.

    Raises KcnnError where it lacks a column that competition.toml names.
    """
    if not competition.sample:
        return None
    sample = read_table(competition.folder / competition.sample)
    for name in (competition.id_column, *competition.answer_columns):
        if name not in sample.columns:
            raise KcnnError(
                f"{competition.sample} has no column '{name}', only {', '.join(sample.columns)}",
                f"correct id_column and answer_columns in {competition.folder / 'competition.toml'}",
            )
    return sample


def test_ids(competition: Competition, sample: pd.DataFrame) -> list[str]:
    """The images that the sample asks for, in its order: its ids, or with `rows` what stands before the class."""
    return list(dict.fromkeys(image_of(competition, sample[competition.id_column])))


def image_of(competition: Competition, ids: pd.Series) -> pd.Series:
    return ids.str.replace(row_ending(competition), "", regex=True) if competition.answer == "rows" else ids


def row_ending(competition: Competition) -> re.Pattern:
    """The part of a row's id that names its class; see layout `rows`."""
    parts = sorted(map(re.escape, row_parts(competition)), key=len, reverse=True)
    return re.compile(f"_({'|'.join(parts)})$")


def row_parts(competition: Competition) -> list[str]:
    """The spellings of the classes in the ids of rows."""
    if not competition.codes:
        return list(competition.class_columns)
    code = dict(zip(competition.classes, competition.codes, strict=True))
    return [*competition.class_columns, *(code[name] for name in competition.class_columns if name in code)]


def make(competition: Competition, ids: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> pd.DataFrame:
    """The submission for test `ids` (N,) of strings and `probabilities` (N, classes).

    Rows and columns stand in the sample's order and the ids in its spelling, by a join on ids; columns that are
    neither id nor answer are the sample's. Without a sample the rows stand in the order of `ids`. `threshold` is what
    a label's probability must reach where several may apply; the most probable always does.
    Raises KcnnError where the sample names an id that has no prediction.
    """
    sample = read_sample(competition)
    if sample is None:
        filled = fill(competition, pd.Series(ids, dtype=str), ids, probabilities, threshold)
        return pd.DataFrame({competition.id_column: ids, **filled}, dtype=str)
    wanted = image_of(competition, sample[competition.id_column])
    lacking = wanted[~np.isin(wanted, ids)]
    if len(lacking):
        raise KcnnError(
            f"the sample has {len(lacking)} ids without a prediction, the first is '{lacking.iloc[0]}'",
            "the test images have changed since this run: kcnn predict makes its predictions anew",
        )
    return sample.assign(**fill(competition, sample[competition.id_column], ids, probabilities, threshold))


def fill(
    competition: Competition, rows: pd.Series, ids: np.ndarray, probabilities: np.ndarray, threshold: float
) -> dict[str, list[str]]:
    """The answer columns for the ids `rows`, each of which has its prediction at the same id of `ids`."""
    place = {name: number for number, name in enumerate(ids)}
    chances = probabilities[[place[name] for name in image_of(competition, rows)]].astype(np.float64)
    answer, columns = competition.answer, competition.answer_columns
    index = {name: number for number, name in enumerate(competition.classes)}
    codes = competition.classes if answer == "name" else competition.codes or competition.classes
    if answer == "probabilities":
        return {column: [f"{value:.7g}" for value in chances[:, index[name]]]
                for column, name in zip(columns, competition.class_columns, strict=True)}  # fmt: skip
    if answer == "score":
        return {columns[0]: [f"{value:.7g}" for value in chances[:, index[competition.positive]]]}
    if answer == "rows":
        return {columns[0]: fill_rows(competition, rows, chances)}
    order = np.argsort(-chances, axis=1, kind="stable")
    if answer == "ranked":
        return {columns[0]: [" ".join(codes[number] for number in row[: competition.top]) for row in order]}
    if answer == "labels":
        joint, chosen = competition.separator or " ", chosen_at(chances, threshold)
        return {columns[0]: [joint.join(codes[number] for number in np.flatnonzero(row)) for row in chosen]}
    return {columns[0]: [codes[number] for number in order[:, 0]]}


def chosen_at(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Which classes (N, classes) count as predicted where several may: those at or above `threshold`, and the most
    probable one always."""
    chosen = probabilities >= threshold
    chosen[np.arange(len(chosen)), probabilities.argmax(axis=1)] = True
    return chosen


def fill_rows(competition: Competition, rows: pd.Series, chances: np.ndarray) -> list[str]:
    """The answer of each row: the probability of the class its id ends in; or, where a class is a tuple of answers as
    in bengaliai-cv19, the most probable answer of the part that its id ends in."""
    parts = list(rows.str.extract(row_ending(competition), expand=False))
    index = {name: number for number, name in enumerate(competition.classes)}
    if set(competition.class_columns) <= set(index):
        names = dict(zip(competition.codes, competition.classes, strict=True)) if competition.codes else {}
        return [f"{chance[index[names.get(part, part)]]:.7g}" for part, chance in zip(parts, chances, strict=True)]
    columns = list(competition.label_columns or competition.class_columns)
    answers = [name.split("|") for name in competition.classes]
    filled = []
    for part, chance in zip(parts, chances, strict=True):
        of_part = [answer[columns.index(part)] for answer in answers]
        total = dict.fromkeys(of_part, 0.0)
        for name, value in zip(of_part, chance, strict=True):
            total[name] += value
        filled.append(max(total, key=total.get))
    return filled


def check(competition: Competition, submission: pd.DataFrame, ids: np.ndarray) -> None:
    """Raises KcnnError with the first thing that a host would refuse or score wrongly; returns where all is well.

    Looked at: columns and their order; ids missing, unknown or double; empty answers; unknown classes; what is no
    number where one is expected. `ids` are the test ids expected where there is no sample.
    """
    sample = read_sample(competition)
    expected = [competition.id_column, *competition.answer_columns] if sample is None else list(sample.columns)
    if list(submission.columns) != expected:
        raise KcnnError(
            f"expected the columns {', '.join(expected)}, got {', '.join(submission.columns)}",
            "kcnn predict writes them as the sample has them",
        )
    wanted = ids if sample is None else sample[competition.id_column]
    given = submission[competition.id_column]
    often = [] if sample is None else wanted[wanted.duplicated()]  # some samples repeat ids
    twice = given[given.duplicated() & ~given.isin(often)]
    complain(twice, "stand more than once", "each id stands once")
    complain(wanted[~np.isin(wanted, given)], "are missing", f"expected {len(wanted)} rows, got {len(given)}")
    complain(given[~np.isin(given, wanted)], "are not in the sample", f"expected {len(wanted)} rows, got {len(given)}")
    for column in competition.answer_columns:
        check_cells(competition, given, submission[column])


def check_cells(competition: Competition, ids: pd.Series, cells: pd.Series) -> None:
    """Raises KcnnError where a cell of an answer column is not what the competition asks for."""
    known = set(competition.codes if competition.codes and competition.answer != "name" else competition.classes)
    nothing = cells.str.lower().isin(["", "nan", "none"]) & ~cells.isin(known)
    complain(ids[nothing], "have no label", "each id needs an answer")
    if competition.answer in NUMBERS:
        numbers = pd.to_numeric(cells, errors="coerce")
        complain(ids[~np.isfinite(numbers)], "have an answer that is no number", "expected probabilities")
        if competition.answer == "probabilities":
            complain(
                ids[(numbers < 0) | (numbers > 1)], "have a probability below 0 or above 1", "expected from 0 to 1"
            )
        return
    separator = {"labels": competition.separator or " ", "ranked": " "}.get(competition.answer)
    words = cells.str.split(separator) if separator else cells.map(lambda cell: [cell])
    wrong = words.map(lambda each: next((word for word in each if word not in known), ""))
    unknown = wrong[wrong != ""]
    if len(unknown):
        names = sorted(known) if competition.codes else list(competition.classes)
        raise KcnnError(
            f"{len(unknown)} rows name a class that is not in the competition, the first is '{unknown.iloc[0]}'",
            f"the classes are: {', '.join(names[:10])}{', …' if len(names) > 10 else ''}",
        )


def complain(wrong, what: str, hint: str) -> None:
    """Raises KcnnError that `wrong` ids, the first named, `what`; not where there are none."""
    if len(wrong):
        raise KcnnError(f"{len(wrong)} of the submission's ids {what}, the first is '{next(iter(wrong))}'", hint)


def changed_rows(competition: Competition, before: pd.DataFrame, after: pd.DataFrame) -> int:
    """In how many rows of `after` the answer is not that of the same id in `before`."""
    key = competition.id_column
    if key not in before.columns or list(before.columns) != list(after.columns):
        return len(after)
    old = before.drop_duplicates(key).set_index(key).reindex(after[key])
    answers = list(competition.answer_columns)
    return int((old[answers].to_numpy() != after[answers].to_numpy()).any(axis=1).sum())


def pointed_at(path: Path, reason: str) -> list[str]:
    """Lines of a submission that a host's reason speaks of: by line or row number, or by a value in quotes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    numbers = [int(number) - (word.lower() != "row") for word, number in re.findall(NUMBERED, reason)]
    quoted = [text for pair in re.findall(QUOTED, reason) for text in pair if text]
    found = {number for number in numbers if 0 <= number < len(lines)}
    for text in quoted:
        found |= {number for number, line in enumerate(lines) if text in line.split(",")}
    return [f"line {number + 1} of {path.name}: {lines[number]}" for number in sorted(found)[:5]]
