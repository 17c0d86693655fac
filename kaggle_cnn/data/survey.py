"""What a competition holds, for `kcnn look`: every image is opened, nothing is changed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from kaggle_cnn.competition.competition import ANSWERS, Competition
from kaggle_cnn.competition.submission import read_sample
from kaggle_cnn.data.dataset import Dataset, copies
from kaggle_cnn.data.decode import GREY_MODES
from kaggle_cnn.data.images import inspect


def survey(dataset: Dataset, track: Callable) -> dict:
    """Plain values: counts by class, and for train and test the number of images, grey, colour, corrupt and double
    ones, the smallest, median and largest (width, height) by area, and why each corrupt one cannot be read.

    An image is double where an earlier one has the same bytes; in the test part, where a training image has them.
    """
    competition = dataset.competition
    test_files = [competition.folder / name for name in dataset.test_files if name]
    train_files = dataset.train_files
    groups = copies(train_files + test_files)
    first = np.array([group == number for number, group in enumerate(groups)], dtype=bool)
    counts = dataset.targets.sum(axis=0, dtype=int)
    sample = read_sample(competition)
    in_train = len(train_files)
    notes = list(dataset.notes)
    if shared := int((groups[in_train:] < in_train).sum()):
        notes.append(f"{shared} test images are copies of training images")
    return {
        "competition": competition.name,
        "layout": competition.layout,
        "answer": competition.answer,
        "multi_label": competition.multi_label,
        "folds": int(dataset.folds.max(initial=0)) + 1,
        "classes": {
            name: {"train": int(count), "share": float(count / max(len(dataset.labels), 1))}
            for name, count in zip(competition.classes, counts, strict=True)
        },
        "train": describe(train_files, inspect(train_files, track), ~first[:in_train], competition.folder),
        "test": describe(test_files, inspect(test_files, track), ~first[in_train:], competition.folder),
        "submission": submission_form(competition, sample, len(dataset.test_ids)),
        "notes": notes,
    }


def submission_form(competition: Competition, sample, images: int) -> str:
    columns = ",".join([competition.id_column, *competition.answer_columns])
    columns = columns if len(columns) <= 60 else f"{columns[:57]}..."
    form = f"{columns} with {ANSWERS[competition.answer]}"
    if sample is not None:
        return f"{form}, {len(sample):,} rows, as in {competition.sample}"
    return f"{form}, {images:,} rows; there is no sample" if images else "nothing to submit: no test images"


def describe(files: list[Path], inspected: list, double: np.ndarray, folder: Path) -> dict:
    headers = [header for header, _ in inspected if header]
    by_area = sorted(((width, height) for width, height, _ in headers), key=lambda size: size[0] * size[1])
    grey = sum(mode in GREY_MODES for _, _, mode in headers)
    return {
        "images": len(files),
        "grey": grey,
        "colour": len(headers) - grey,
        "corrupt": len(files) - len(headers),
        "double": int(double.sum()),
        "smallest": by_area[0] if by_area else None,
        "median": by_area[len(by_area) // 2] if by_area else None,
        "largest": by_area[-1] if by_area else None,
        "problems": {
            path.relative_to(folder).as_posix(): reason
            for path, (_, reason) in zip(files, inspected, strict=True)
            if reason
        },
    }
