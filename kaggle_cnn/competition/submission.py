"""Submissions: from ids and probabilities to a CSV in the sample's form, and the check that every CSV must pass.

Everything is read as text, so that `007` stays `007` and a class called `NA` stays a class.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import whole_file

NUMBERED, QUOTED = r"(?i)\b(row|line)s?\s*#?(\d+)", r"'([^']+)'|\"([^\"]+)\""


def read_table(path: Path) -> pd.DataFrame:
    """A CSV as a table of strings, empty cells as "". Raises KcnnError where the file is missing or is no CSV."""
    if not path.is_file():
        raise KcnnError(f"there is no {path}", "check the path")
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except (ValueError, pd.errors.ParserError) as error:  # ValueError: not UTF-8, empty
        raise KcnnError(
            f"{path} is not a CSV in UTF-8: {str(error).splitlines()[0]}", "expected a header and rows"
        ) from None


def read_sample(competition: Competition) -> pd.DataFrame | None:
    """The sample submission, or None where the competition has none. Two columns: id and class name."""
    if not competition.sample:
        return None
    sample = read_table(competition.folder / competition.sample)
    expected = [competition.id_column, competition.label_column]
    if list(sample.columns) != expected:
        raise KcnnError(
            f"{competition.sample} has the columns {', '.join(sample.columns)}; expected {', '.join(expected)}",
            f"this version writes an id and a class name; see {competition.folder / 'competition.toml'}",
        )
    return sample


def make(competition: Competition, ids: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """The submission for test `ids` (N,) of strings and `probabilities` (N, classes): the most probable class of each.

    Rows and columns stand in the sample's order and the ids in its spelling, by a join on ids. Without a sample the
    rows stand in the order of `ids`. Raises KcnnError where the sample names an id that has no prediction.
    """
    best = [competition.classes[index] for index in probabilities.argmax(axis=1)]
    predicted = pd.DataFrame({competition.id_column: ids, competition.label_column: best}, dtype=str)
    sample = read_sample(competition)
    if sample is None:
        return predicted
    joined = sample[[competition.id_column]].merge(predicted, on=competition.id_column, how="left", validate="m:1")
    lacking = joined[joined[competition.label_column].isna()]
    if len(lacking):
        raise KcnnError(
            f"the sample has {len(lacking)} ids without a prediction, the first is '{lacking.iloc[0, 0]}'",
            "the test images have changed since this run: kcnn predict makes its predictions anew",
        )
    return joined[list(sample.columns)]


def write(path: Path, submission: pd.DataFrame) -> None:
    with whole_file(path) as temporary:
        submission.to_csv(temporary, index=False, lineterminator="\n")


def check(competition: Competition, submission: pd.DataFrame, ids: np.ndarray) -> None:
    """Raises KcnnError with the first thing that a host would refuse or score wrongly; returns where all is well.

    Looked at: columns and their order; ids missing, unknown or double; empty labels; unknown classes. `ids` are the
    test ids expected where there is no sample.
    """
    expected = [competition.id_column, competition.label_column]
    if list(submission.columns) != expected:
        raise KcnnError(
            f"expected the columns {', '.join(expected)}, got {', '.join(submission.columns)}",
            "kcnn predict writes them as the sample has them",
        )
    sample = read_sample(competition)
    wanted = ids if sample is None else sample[competition.id_column]
    given, labels = submission[competition.id_column], submission[competition.label_column]
    complain(given[given.duplicated()], "stand more than once", "each id stands once")
    complain(wanted[~np.isin(wanted, given)], "are missing", f"expected {len(wanted)} rows, got {len(given)}")
    complain(given[~np.isin(given, wanted)], "are not in the sample", f"expected {len(wanted)} rows, got {len(given)}")
    nothing = labels.str.strip().str.lower().isin(["", "nan", "none"]) & ~labels.isin(competition.classes)
    complain(given[nothing], "have no label", "each id needs a class")
    unknown = labels[~labels.isin(competition.classes)]
    if len(unknown):
        raise KcnnError(
            f"{len(unknown)} rows name a class that is not in the competition, the first is '{unknown.iloc[0]}'",
            f"the classes are: {', '.join(competition.classes[:10])}{', …' if len(competition.classes) > 10 else ''}",
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
    joined = after.merge(before.drop_duplicates(key), on=key, how="left", suffixes=("", " before"))
    answers = [name for name in after.columns if name != key]
    return int(sum((joined[name] != joined[f"{name} before"]) for name in answers).astype(bool).sum())


def pointed_at(path: Path, reason: str) -> list[str]:
    """Lines of a submission that a host's reason speaks of: by line or row number, or by a value in quotes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    numbers = [int(number) - (word.lower() != "row") for word, number in re.findall(NUMBERED, reason)]
    quoted = [text for pair in re.findall(QUOTED, reason) for text in pair if text]
    found = {number for number in numbers if 0 <= number < len(lines)}
    for text in quoted:
        found |= {number for number, line in enumerate(lines) if text in line.split(",")}
    return [f"line {number + 1} of {path.name}: {lines[number]}" for number in sorted(found)[:5]]
