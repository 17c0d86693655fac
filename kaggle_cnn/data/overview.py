"""Summarise what a competition contains, for `kcnn look`. Every image is opened, and no file of the data is changed."""

import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from kaggle_cnn.competition.competition import SUBMISSION_FORMATS, Competition
from kaggle_cnn.competition.layouts.pixel_rows import unused_rows
from kaggle_cnn.competition.listing import list_images, split_images
from kaggle_cnn.competition.local_host import read_solution
from kaggle_cnn.competition.submission import read_sample
from kaggle_cnn.data.advice import MUCH_LOST, advise, advise_columns
from kaggle_cnn.data.columns import find_columns
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.duplicates import inspect, same_pixels
from kaggle_cnn.data.near_duplicates import find_looks, join_looks, near_pairs
from kaggle_cnn.progress import Progress, Silent


def summarise(dataset: Dataset, images: pd.DataFrame, progress: Progress | None = None) -> dict[str, Any]:
    """Return a summary of the competition as plain values. `images` is the table of `every_image`.

    See `count_classes`, `describe_values`, `describe_part`, `describe_duplicates` and `find_near` for the keys
    `classes`, `values`, `train` and `test`, `same`, and `near`. For `train` and `test`, an image is a duplicate if an
    earlier one has the same pixels. Training images come before test images. `advice` says which recipe and settings
    fit; see `advise`.
    """
    competition = dataset.competition
    repeated = images["group"] != images.index
    train = images.index < len(dataset.ids)
    test = ~train & images["file"].isin(dataset.test_images[0]).to_numpy()
    notes = list(dataset.notes)
    if shared := int((images.loc[test, "group"] < train.sum()).sum()):
        notes.append(f"{shared} of the test images are copies of training images")
    columns, table = find_columns(competition, dataset.test_files.tolist())
    described, classes = describe_part(images[train], repeated[train]), count_classes(dataset)
    return {
        "competition": competition.name,
        "layout": competition.layout,
        "submission_format": competition.submission_format,
        "kind": competition.kind,
        "folds": dataset.folds.count,
        "classes": classes,
        "values": describe_values(dataset),
        "train": described,
        "test": describe_part(images[test], repeated[test]),
        "same": describe_duplicates(images),
        "near": find_near(dataset, images, progress or Silent()),
        "kept_together": competition.keep_together,
        "submission": describe_submission(competition, read_sample(competition), len(dataset.test_ids)),
        "notes": notes,
        "columns": columns,
        "advice": [*advise(dataset.task, described, classes), *advise_columns(columns, competition.labels, table)],
    }


def count_classes(dataset: Dataset) -> dict[str, dict[str, float]]:
    """Return the number of training images of each class and their share. It is empty for a regression."""
    if dataset.task.kind == "regression":
        return {}
    counts = dataset.targets.sum(axis=0, dtype=int)
    images = max(len(dataset.targets), 1)
    return {
        name: {"train": int(count), "share": float(count / images)}
        for name, count in zip(dataset.task.classes, counts, strict=True)
    }


def describe_values(dataset: Dataset) -> dict[str, dict[str, float]]:
    """Return count, minimum, mean and maximum of each value of a regression. It is empty for the other kinds."""
    if dataset.task.kind != "regression" or not len(dataset.targets):
        return {}
    columns = dataset.targets.T.astype(float)
    return {
        name: {
            "count": len(values),
            "min": float(values.min()),
            "mean": float(values.mean()),
            "max": float(values.max()),
        }
        for name, values in zip(dataset.task.classes, columns, strict=True)
    }


def every_image(dataset: Dataset, progress: Progress) -> pd.DataFrame:
    """Return a table with a row for each image of the competition.

    Columns: `file`, a name as in `dataset.ids`; `part`, "train", "test" or the name of another part; `label`, "" if it
    is not known; `group`, the row of the first image with the same pixels; and the columns of `inspect`. The training
    images come first, in the order of the dataset, then the test images, then all others.
    """
    competition = dataset.competition
    test = list(dict.fromkeys(dataset.test_images[0]))
    known = {image for name in (*dataset.ids.tolist(), *test) for image in split_images(name)}
    others = [file for file in list_images(competition.folder, competition.ignore) if file not in known]
    unused = unused_rows(competition)
    labels = find_other_labels(dataset, [*test, *others], unused)
    parts = [
        pd.DataFrame({"file": dataset.ids.tolist(), "part": "train", "label": dataset.label_names}),
        *(
            pd.DataFrame({"file": files, "part": part, "label": [labels.get(file, "") for file in files]})
            for files, part in ((test, "test"), (others, ""))
        ),
    ]
    tables = [inspect(competition.folder, part["file"].tolist(), dataset.cache, progress) for part in parts]
    images = pd.concat([pd.concat(parts, ignore_index=True), pd.concat(tables, ignore_index=True)], axis=1)
    images["part"] = [
        unused.get(file, ("", ""))[0] or part or file.rpartition("/")[0].partition("/")[0] or "other"
        for file, part in zip(images["file"], images["part"], strict=True)
    ]
    return images.assign(group=same_pixels(images))


def find_other_labels(dataset: Dataset, files: Iterable[str], unused: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Return the labels of those of `files` that are not trained on but have a known label.

    A label is known from the solution, from the rows of a CSV with another Usage (`unused`), or from the name of a
    folder. It is spelled as in `Dataset.label_names`.
    """
    competition = dataset.competition
    if competition.layout == "pixels":
        cells = {row: label for row, (_, label) in unused.items()}
    elif (
        competition.solution
        and not (competition.folder / competition.solution).is_dir()  # whose class folders are read below
        and len(competition.prediction_columns) == 1
        and (solution := read_solution(competition)) is not None
    ):
        column = competition.prediction_columns[0]
        by_id = dict(zip(solution[competition.id_column], solution[column], strict=True))
        tests = zip(dataset.test_ids.tolist(), dataset.test_files.tolist(), strict=True)
        cells = {file: by_id.get(name, "") for name, file in tests}
    elif competition.kind == "regression":
        cells = {}
    else:
        folders = {file: unicodedata.normalize("NFC", file).split("/")[:-1] for file in files}
        return {
            file: next((name for name in above if name in competition.classes), "") for file, above in folders.items()
        }
    return {file: spell_label(competition, cell) for file, cell in cells.items()}


def spell_label(competition: Competition, cell: str) -> str:
    """Return a cell of a table of labels in the spelling of `Dataset.label_names`, or "" for an empty cell."""
    if not cell:
        return ""
    if competition.kind == "regression":
        try:
            return f"{np.float32(cell):g}"
        except ValueError:
            return cell
    words = cell.split(competition.separator or " ") if competition.kind == "multilabel" else [cell]
    by_value = dict(zip(competition.label_values, competition.classes, strict=False))
    order = {name: number for number, name in enumerate(competition.classes)}
    names = [by_value.get(word, word) for word in words]
    return ", ".join(sorted(names, key=lambda name: order.get(name, len(order))))


def describe_duplicates(images: pd.DataFrame) -> dict[str, Any]:
    """Return the groups of images that have the same pixels, in all parts. `images` is the table of `every_image`.

    `groups` is the number of groups, `across` of those with images of several parts, and `conflicting` of those with
    different labels. `members` has the records (file, part, label) of each group.
    """
    sizes = images.groupby("group")["file"].transform("size")
    groups = [group for _, group in images[sizes > 1].groupby("group")]
    members = [group[["file", "part", "label"]].to_dict("records") for group in groups]
    labels = [{each["label"] for each in group} - {""} for group in members]
    return {
        "groups": len(members),
        "across": sum(len({each["part"] for each in group}) > 1 for group in members),
        "conflicting": sum(len(each) > 1 for each in labels),
        "members": members,
    }


def find_near(dataset: Dataset, images: pd.DataFrame, progress: Progress) -> list[dict[str, Any]]:
    """Return the pairs of near-duplicates: those of different parts or with different labels first, then the nearest.

    `images` is the table of `every_image`. Each pair has the `distance` of the perceptual hashes, `images`, two records
    of file, part and label, and whether it is `across` parts and `conflicting`, with different labels. See
    `near_duplicates.near_pairs`.
    """
    files, train = images["file"].tolist(), len(dataset.ids)
    folder, cache = dataset.competition.folder, dataset.cache
    parts = [find_looks(folder, some, cache, progress) for some in (files[:train], files[train:])]
    records = images[["file", "part", "label"]].to_dict("records")
    pairs = []
    for distance, *rows in near_pairs(join_looks(parts), images["group"].to_numpy()):
        both = [records[row] for row in rows]
        across = both[0]["part"] != both[1]["part"]
        conflicting = len({each["label"] for each in both} - {""}) > 1
        pairs.append({"distance": distance, "images": both, "across": across, "conflicting": conflicting})
    return sorted(pairs, key=lambda pair: not (pair["across"] or pair["conflicting"]))


def describe_submission(competition: Competition, sample: pd.DataFrame | None, images: int) -> str:
    """Return the columns, contents and number of rows of a submission for `images` test images, as one line."""
    columns = ",".join([competition.id_column, *competition.prediction_columns])
    columns = columns if len(columns) <= 60 else f"{columns[:57]}..."
    form = f"{columns} with {SUBMISSION_FORMATS[competition.submission_format]}"
    if sample is not None:
        return f"{form}, {len(sample):,} rows, as in {competition.sample}"
    return f"{form}, {images:,} rows; there is no sample" if images else "nothing to submit: no test images"


def spread(pixels: "pd.Series[int]") -> tuple[int, int, int] | None:
    """Return the smallest, the median and the largest of some numbers, None where there are none."""
    return (int(pixels.min()), int(pixels.median()), int(pixels.max())) if len(pixels) else None


def measure_cut(readable: pd.DataFrame) -> "pd.Series[float]":
    """Return the share of each image that its central square leaves out, from 0 to below 1."""
    sides = readable[["width", "height"]]
    return 1 - sides.min(axis=1) / sides.max(axis=1)


def describe_part(images: pd.DataFrame, repeated: pd.Series) -> dict[str, Any]:
    """Return the counts, sizes and problems of some rows of the table of `every_image`.

    Counts: `images`, `grey`, `colour`, `corrupt`, and `duplicates`, the number of true values in `repeated`. `width`
    and `height`: the smallest, the median and the largest in pixels, or None where no image can be read. `cut`: the
    share of the `median` image that its central square leaves out, and of how many images that is `much`. `problems`
    maps each corrupt file to the reason why it cannot be read.
    """
    readable = images[images["reason"] == ""]
    corrupt = images[images["reason"] != ""]
    lost = measure_cut(readable)
    return {
        "images": len(images),
        "grey": int(readable["grey"].sum()),
        "colour": int((~readable["grey"].astype(bool)).sum()),
        "corrupt": len(corrupt),
        "duplicates": int(repeated.sum()),
        **{side: spread(readable[side]) for side in ("width", "height")},
        "cut": {"median": float(lost.median()) if len(lost) else 0.0, "much": int((lost >= MUCH_LOST).sum())},
        "problems": dict(zip(corrupt["file"], corrupt["reason"], strict=True)),
    }
