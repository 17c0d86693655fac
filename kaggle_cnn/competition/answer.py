"""What a submission wants, read off the sample: how its answer columns are filled, and what is no classification.

name: the class's name. index: its code, or its number from 0. probabilities: a column for each class. score: the
probability of one of two classes. labels: all classes that apply, in one cell. ranked: the most probable few, in one
cell. rows: a row for each image and class.
"""

import re

import pandas as pd

from kaggle_cnn.competition.label_table import split_ids
from kaggle_cnn.competition.labels import counted, is_fraction
from kaggle_cnn.errors import KcnnError

# Answer columns of tasks that are no classification, and what they ask for.
OTHER_TASKS = {
    r".*rle.*|encodedpixels|(.*_)?masks?": "masks",
    r"predictionstring|.*bbox.*|.*boxes|xmin": "boxes",
    r"inchi|captions?|text|transcription": "texts",
}
WANTS_PROBABILITY = re.compile(r"area under|\bauc\b|roc|log.?loss|multiclass loss|cross.?entropy", re.IGNORECASE)


def guess_answer(
    sample: pd.DataFrame | None, classes: list[str], codes: list[str], multi_label: bool, metric: str, is_image
) -> dict:
    """The fields of a Competition that say what is asked: answer, id_column, answer_columns, positive, codes ...

    `is_image(ids)` says whether these are ids of images. Raises KcnnError where the sample asks for masks, boxes,
    texts or measures.
    """
    by_labels = "labels" if multi_label else "index" if codes or counted(classes) else "name"
    if sample is None or len(sample.columns) < 2:
        return {"answer": by_labels, **positive(classes)}
    named = [name for name in sample.columns if name != ""]
    named = named if len(named) > 1 else list(sample.columns)
    ids, columns = named[0], [name for name in named[1:] if name.strip().lower() != "usage"]
    refuse_other_tasks(sample, ids, columns, set(classes) | set(codes), is_image)
    asked = {"id_column": ids, "answer_columns": tuple(columns), **positive(classes)}
    if len(columns) > 1:
        return {**asked, "answer": "probabilities", "class_columns": tuple(match_classes(columns, classes, codes))}
    if parts := parts_of_rows(sample, ids, classes, codes, is_image):
        return {**asked, "answer": "rows", "class_columns": tuple(match_classes(parts, classes, codes))}
    return {**asked, **guess_cell(sample[columns[0]], columns[0], classes, codes, multi_label, metric, by_labels)}


def guess_cell(
    cells: pd.Series, column: str, classes: list[str], codes: list[str], multi_label: bool, metric: str, by_labels: str
) -> dict:
    """What the one answer column asks for."""
    values = set(cells) - {""}
    known = set(classes) | set(codes)
    if multi_label:
        return {"answer": "labels"}
    lengths = [len(value.split()) for value in values if value not in known]
    if lengths and max(lengths) > 1:
        return {"answer": "ranked", "top": max(lengths)}
    if any(is_fraction(value) for value in values):
        if len(classes) == 2 and all(0 <= float(value) <= 1 for value in values):
            return {"answer": "score"}
        value = next(value for value in values if is_fraction(value))
        raise KcnnError(
            f"this is no classification: the sample asks for measures such as {value} in '{column}'",
            f"kcnn trains classifiers; here it found {len(classes)} classes",
        )
    if len(classes) == 2 and WANTS_PROBABILITY.search(metric):
        return {"answer": "score"}
    if not values or values <= set(classes):
        return {"answer": by_labels}
    if values <= set(codes):
        return {"answer": "index"}
    if all(value.isdecimal() for value in values):
        return {"answer": "index" if counted(classes) or not all(name.isdecimal() for name in classes) else "name"}
    return {"answer": "name"}


def positive(classes: list[str]) -> dict:
    """Of two classes the second, 1 of 0 and 1, dog of cat and dog, is the one whose probability is asked for."""
    return {"positive": classes[1]} if len(classes) == 2 else {}


def parts_of_rows(sample: pd.DataFrame, ids: str, classes: list[str], codes: list[str], is_image) -> list[str] | None:
    """The parts that follow an image's name in the sample's ids, where it has a row for each image and part."""
    if is_image(list(sample[ids].head(500))):
        return None
    heads = classes[0].count("|") + 1
    for _, parts in split_ids(sample[ids]):
        if set(parts) <= {*classes, *codes} or (heads > 1 and len(parts) == heads):
            return parts
    return None


def match_classes(columns: list[str], classes: list[str], codes: list[str]) -> list[str]:
    """The class of each answer column: of the same name, but for case, dashes and what all columns have in common.

    Raises KcnnError where that gives no pairs of one column and one class.
    """
    if any("|" in name for name in classes):  # several answers for one image: the columns are its parts
        return columns
    plain = lambda text: re.sub(r"[\W_]+", "", text).casefold()  # noqa: E731
    shared = re.match(r"(.*?)\d*$", common_start(columns))[1]
    ending = common_start([name[::-1] for name in columns])[::-1]
    for names in (classes, codes):
        by_name = {plain(name): classes[number] for number, name in enumerate(names)}
        for trimmed in (
            columns,
            [name.removeprefix(shared) for name in columns],
            [name.removesuffix(ending) for name in columns],
        ):
            found = [by_name.get(plain(name)) for name in trimmed]
            if None not in found and len(set(found)) == len(columns):
                return found
    missing = [name for name in columns if plain(name) not in {plain(each) for each in classes}]
    raise KcnnError(
        f"the sample's column '{(missing or columns)[0]}' is none of the {len(classes)} classes: "
        f"{', '.join(classes[:5])}{', ...' if len(classes) > 5 else ''}",
        "expected a column for each class, or an id and one answer",
    )


def common_start(texts: list[str]) -> str:
    least, most = min(texts), max(texts)
    return least[: next((place for place, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), len(least))]


def refuse_other_tasks(sample: pd.DataFrame, ids: str, columns: list[str], known: set[str], is_image) -> None:
    """Raises KcnnError where the sample is one of masks, boxes, texts, or of values for every pixel."""
    for pattern, what in OTHER_TASKS.items():
        for name in columns:
            if re.fullmatch(pattern, name.strip(), re.IGNORECASE) and name not in known:
                raise other_task(what, f"a column '{name}'")
    rows = sample.head(500)
    cells = [cell for cell in rows[columns[0]] if cell not in known and cell.count(" ") >= 2]
    for cell in cells[:50]:
        words = cell.split()
        if (
            len(words) % 3 == 0
            and not words[0].isdecimal()
            and all(word.isdecimal() for number, word in enumerate(words) if number % 3)
        ):
            raise other_task("places in the image", f"answers such as '{cell[:40]}'")
    pixels = rows[ids].str.fullmatch(r".+_\d+_\d+")
    if len(columns) == 1 and len(rows) and pixels.all() and not is_image(list(rows[ids])):
        stems = list(dict.fromkeys(rows[ids].str.rsplit("_", n=2).str[0]))
        if is_image(stems) or columns[0].lower() == "value":
            raise other_task("a value for every pixel", f"ids such as '{rows[ids].iloc[0]}'")


def other_task(what: str, sign: str) -> KcnnError:
    return KcnnError(
        f"this is no classification: the sample asks for {what} ({sign})", "kcnn trains classifiers of whole images"
    )
