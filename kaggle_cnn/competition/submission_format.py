"""What a submission should look like, read off the sample: how its columns are filled, which tasks kcnn has not.

class_name: the name of the class. class_id: its label value, or its number from 0. probability: the probability of
one of two classes. probability_columns: a column for each class. multi_label: all labels that apply, in one cell.
top_k: the most probable few, in one cell. long: a row for each image and class, target or value. target_columns: the
class of each of several targets, a column each. value: the numbers of a regression.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from kaggle_cnn.competition.layouts.labels import are_numbered, is_fraction
from kaggle_cnn.competition.layouts.row_ids import row_pattern, split_ids
from kaggle_cnn.competition.listing import common_start
from kaggle_cnn.errors import KcnnError

AreImages = Callable[[list[str]], bool]  # whether these are ids of images

# Columns of tasks that do not classify whole images, and what they ask for.
OTHER_TASKS = {
    r".*rle.*|encodedpixels|(.*_)?masks?": "masks",
    r"predictionstring|.*bbox.*|.*boxes|xmin": "boxes",
    r"inchi|captions?|text|transcription": "texts",
}
WANTS_PROBABILITY = re.compile(r"area under|auc\b|roc|log.?loss|multi.?class.?loss|cross.?entropy", re.IGNORECASE)


def guess_format(
    sample: pd.DataFrame | None,
    classes: list[str],
    label_values: list[str],
    kind: str,
    metric_words: str,
    are_images: AreImages,
    targets: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the fields of a Competition that say what is asked: submission_format, id_column, prediction_columns ...

    `kind` is the kind of task, `metric_words` the host's words for the metric, `targets` the names of the targets or
    values, where the task has several. Raises KcnnError where the sample asks
    for masks, boxes, texts, or for numbers where the labels are classes.
    """
    usual = "class_id" if label_values or are_numbered(classes) else "class_name"
    usual = {"multilabel": "multi_label", "regression": "value", "multioutput": "target_columns"}.get(kind, usual)
    names = list(targets) or classes
    if sample is None or len(sample.columns) < 2:
        whole = usual in ("value", "target_columns")
        values = {"prediction_columns": tuple(names), "class_columns": tuple(names)} if whole else {}
        return {"submission_format": usual, **values, **positive(classes)}
    ids, columns = sample_columns(sample)
    refuse_other_tasks(sample, ids, columns, set(classes) | set(label_values), are_images)
    asked: dict[str, Any] = {"id_column": ids, "prediction_columns": tuple(columns), **positive(classes)}
    if kind in ("regression", "multioutput"):
        ends = sample[ids].str.extract(row_pattern(names), expand=False)
        long = len(columns) == 1 and len(names) > 1 and len(sample) > 0 and bool(ends.notna().all())
        if long and not are_images(list(sample[ids])):
            return {**asked, "submission_format": "long", "class_columns": tuple(dict.fromkeys(ends))}
        return {**asked, "submission_format": usual, "class_columns": match_values(columns, names)}
    if len(columns) > 1:
        matched = tuple(match_classes(columns, classes, label_values))
        return {**asked, "submission_format": "probability_columns", "class_columns": matched}
    if parts := parts_of_rows(sample, ids, classes, label_values, are_images):
        return {
            **asked,
            "submission_format": "long",
            "class_columns": tuple(match_classes(parts, classes, label_values)),
        }
    if kind == "multilabel":
        return {**asked, "submission_format": "multi_label"}
    return {**asked, **guess_cell(sample[columns[0]], columns[0], classes, label_values, metric_words, usual)}


def sample_columns(sample: pd.DataFrame) -> tuple[str, list[str]]:
    """Return the id column of a sample and the columns to fill."""
    named = [name for name in sample.columns if name != ""]
    named = named if len(named) > 1 else list(sample.columns)
    return named[0], [name for name in named[1:] if name.strip().lower() != "usage"]


def guess_cell(
    cells: pd.Series, column: str, classes: list[str], label_values: list[str], metric_words: str, usual: str
) -> dict[str, Any]:
    """Return what the one column to fill asks for."""
    values = set(cells) - {""}
    known = set(classes) | set(label_values)
    lengths = [len(value.split()) for value in values if value not in known]
    if lengths and max(lengths) > 1:
        return {"submission_format": "top_k", "top_k": max(lengths)}
    if any(is_fraction(value) for value in values):
        if len(classes) == 2 and all(0 <= float(value) <= 1 for value in values):
            return {"submission_format": "probability"}
        value = next(value for value in values if is_fraction(value))
        raise KcnnError(
            f"kcnn does not support this task: the sample asks for numbers such as {value} in '{column}'",
            f"expected class names or numbers; kcnn found {len(classes)} classes in the labels",
        )
    if len(classes) == 2 and WANTS_PROBABILITY.search(metric_words):
        return {"submission_format": "probability"}
    if not values or values <= set(classes):
        return {"submission_format": usual}
    if values <= set(label_values):
        return {"submission_format": "class_id"}
    if all(value.isdecimal() for value in values):
        numbers = are_numbered(classes) or not all(name.isdecimal() for name in classes)
        return {"submission_format": "class_id" if numbers else "class_name"}
    return {"submission_format": "class_name"}


def match_values(columns: list[str], names: list[str]) -> tuple[str, ...]:
    """Return the value or target that each column of the sample asks for: by name, else by place.

    Raises KcnnError where there are not as many of one as of the other.
    """
    if set(columns) <= set(names):
        return tuple(columns)
    if len(columns) == len(names):
        return tuple(names)
    raise KcnnError(
        f"the sample asks for {len(columns)} columns ({', '.join(columns[:5])}), the labels hold {len(names)}",
        f"expected a column for each of {', '.join(names[:5])}",
    )


def positive(classes: list[str]) -> dict[str, str]:
    """Return the second of two classes as the one whose probability is asked for: 1 of 0 and 1, dog of cat and dog."""
    return {"positive": classes[1]} if len(classes) == 2 else {}


def parts_of_rows(
    sample: pd.DataFrame, ids: str, classes: list[str], label_values: list[str], are_images: AreImages
) -> list[str] | None:
    """Return the parts that follow an image's name in the ids, where the sample has a row for each image and part."""
    if are_images(list(sample[ids].head(500))):
        return None
    fitting = (parts for _, parts in split_ids(sample[ids]) if set(parts) <= {*classes, *label_values})
    return next(fitting, None)


def match_classes(columns: list[str], classes: list[str], label_values: list[str]) -> list[str]:
    """Return the class of each column: of the same name, except for case, dashes and what all columns share.

    Raises KcnnError where a column has no class, or two have the same.
    """
    plain = lambda text: re.sub(r"[\W_]+", "", text).casefold()  # noqa: E731
    shared = common_start(columns).rstrip("0123456789")
    ending = common_start([name[::-1] for name in columns])[::-1]
    for names in (classes, label_values):
        by_name = {plain(name): classes[number] for number, name in enumerate(names)}
        for trimmed in (
            columns,
            [name.removeprefix(shared) for name in columns],
            [name.removesuffix(ending) for name in columns],
        ):
            found = [by_name.get(plain(name), "") for name in trimmed]
            if "" not in found and len(set(found)) == len(columns):
                return found
    missing = [name for name in columns if plain(name) not in {plain(each) for each in classes}]
    raise KcnnError(
        f"the sample's column '{(missing or columns)[0]}' is not one of the {len(classes)} classes: "
        f"{', '.join(classes[:5])}{', ...' if len(classes) > 5 else ''}",
        "expected an id and a column for each class, or an id and one column",
    )


def refuse_other_tasks(
    sample: pd.DataFrame, ids: str, columns: list[str], known: set[str], are_images: AreImages
) -> None:
    """Raise KcnnError where the sample is one of masks, boxes, texts, or of a value for every pixel."""
    for pattern, what in OTHER_TASKS.items():
        for name in columns:
            if re.fullmatch(pattern, name.strip(), re.IGNORECASE) and name not in known:
                raise other_task(what, f"a column '{name}'")
    if not columns:
        raise KcnnError(
            f"the sample has no column for predictions, only {', '.join(sample.columns)}",
            "expected an id and a column for the prediction, or for each class",
        )
    rows = sample.head(500)
    cells = [cell for cell in rows[columns[0]] if cell not in known and cell.count(" ") >= 2]
    for cell in cells[:50]:
        words = cell.split()
        if (
            len(words) % 3 == 0
            and not words[0].isdecimal()
            and all(word.isdecimal() for number, word in enumerate(words) if number % 3)
        ):
            raise other_task("places in the image", f"cells such as '{cell[:40]}'")
    pixels = rows[ids].str.fullmatch(r".+_\d+_\d+")
    if len(columns) == 1 and len(rows) and pixels.all() and not are_images(list(rows[ids])):
        stems = list(dict.fromkeys(rows[ids].str.rsplit("_", n=2).str[0]))
        if are_images(stems) or columns[0].lower() == "value":
            raise other_task("a value for every pixel", f"ids such as '{rows[ids].iloc[0]}'")


def other_task(what: str, sign: str) -> KcnnError:
    return KcnnError(
        f"kcnn does not support this task: the sample asks for {what} ({sign})",
        "choose a competition that asks for classes, labels, grades or numbers of whole images",
    )
