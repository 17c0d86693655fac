"""What a competition holds, for `kcnn look`: every image is opened, nothing is changed."""

import unicodedata
from collections.abc import Callable

import numpy as np
import pandas as pd

from kaggle_cnn.competition.competition import ANSWERS, Competition
from kaggle_cnn.competition.listing import list_images
from kaggle_cnn.competition.local_host import answers
from kaggle_cnn.competition.pixel_rows import unused_rows
from kaggle_cnn.competition.submission import read_sample
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.inspection import inspect, near_pairs, perceptual_hashes, same_pixels


def survey(dataset: Dataset, images: pd.DataFrame) -> dict:
    """Plain values, of `images` as every_image has them: counts by class, and for train and test the number of images,
    grey, colour, corrupt and double ones, the smallest, median and largest (width, height) by area, and why each
    corrupt one cannot be read.

    An image is double where an earlier one has the same pixels, training images being earlier than test images.
    `same` has the groups of images of the same pixels, over all parts there are: how many, how many `across` parts,
    how many `conflicting`, in which images that have a label have different ones, and their members.
    """
    competition = dataset.competition
    first = images["group"] == images.index
    train = images.index < len(dataset.ids)
    test = ~train & images["file"].isin(dataset.test_files).to_numpy()
    counts = dataset.targets.sum(axis=0, dtype=int)
    notes = list(dataset.notes)
    if shared := int((images.loc[test, "group"] < train.sum()).sum()):
        notes.append(f"{shared} of the test images are copies of training images")
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
        "train": describe(images[train], ~first[train]),
        "test": describe(images[test], ~first[test]),
        "same": describe_same(images),
        "submission": submission_form(competition, read_sample(competition), len(dataset.test_ids)),
        "notes": notes,
    }


def every_image(dataset: Dataset, track: Callable) -> pd.DataFrame:
    """A row for each image of the competition: `file`, as in a dataset's ids; `part`, "train", "test" or the name of
    another part; `label`, "" where none is known; `group`, the row of the first with the same pixels; and the columns
    of `inspect`. Training images first, as the dataset has them, then the test images, then what is neither."""
    competition = dataset.competition
    names = [" ".join(competition.classes[place] for place in np.flatnonzero(row)) for row in dataset.targets]
    test = dict.fromkeys(name for name in dataset.test_files.tolist() if name)
    known = {*dataset.ids, *test}
    others = [file for file in list_images(competition.folder) if file not in known]
    unused = unused_rows(competition)
    told = told_elsewhere(dataset, [*test, *others], unused)
    parts = [
        pd.DataFrame({"file": dataset.ids.tolist(), "part": "train", "label": names}),
        *(
            pd.DataFrame({"file": list(files), "part": part, "label": [told.get(file, "") for file in files]})
            for files, part in ((test, "test"), (others, ""))
        ),
    ]
    cache = competition.folder / ".cache"
    inspected = [inspect([competition.folder / file for file in part["file"]], cache, track) for part in parts]
    images = pd.concat([pd.concat(each, ignore_index=True) for each in (parts, inspected)], axis=1)
    images["part"] = [
        unused.get(file, ("", ""))[0] or part or file.rpartition("/")[0].partition("/")[0] or "other"
        for file, part in zip(images["file"], images["part"], strict=True)
    ]
    return images.assign(group=same_pixels(images))


def told_elsewhere(dataset: Dataset, files: list[str], unused: dict[str, tuple[str, str]]) -> dict[str, str]:
    """The class of each of `files` that is not trained on, where it is known all the same: from the answers, from a
    CSV's rows of another Usage (`unused`), or as the name of a folder."""
    competition = dataset.competition
    if competition.layout == "pixels":
        raw = {row: label for row, (_, label) in unused.items()}
    elif competition.answers and len(competition.answer_columns) == 1:
        table = answers(competition)
        by_id = dict(zip(table[competition.id_column], table[competition.answer_columns[0]], strict=True))
        raw = {file: by_id.get(name, "") for name, file in zip(dataset.test_ids, dataset.test_files, strict=True)}
    else:
        folders = {file: unicodedata.normalize("NFC", file).split("/")[:-1] for file in files}
        raw = {
            file: next((part for part in parts if part in competition.classes), "") for file, parts in folders.items()
        }
    named = dict(zip(competition.codes, competition.classes, strict=True)) if competition.codes else {}
    return {file: named.get(label, label) for file, label in raw.items()}


def describe_same(images: pd.DataFrame) -> dict:
    """What is told of images of the same pixels; `images` as every_image has them."""
    sizes = images.groupby("group")["file"].transform("size")
    groups = [members for _, members in images[sizes > 1].groupby("group")]
    told = [members[["file", "part", "label"]].to_dict("records") for members in groups]
    labels = [{each["label"] for each in members} - {""} for members in told]
    return {
        "groups": len(told),
        "across": sum(len({each["part"] for each in members}) > 1 for members in told),
        "conflicting": sum(len(each) > 1 for each in labels),
        "members": told,
    }


def near(dataset: Dataset, images: pd.DataFrame, track: Callable) -> list[dict]:
    """Pairs of images that look alike, of different pixels: `distance` of their perceptual hashes and the `images`, two
    records of file, part and label; nearest first. See inspection.near_pairs."""
    files = [dataset.competition.folder / file for file in images["file"]]
    hashes = perceptual_hashes(files, dataset.competition.folder / ".cache", track)
    records = images[["file", "part", "label"]].to_dict("records")
    pairs = near_pairs(hashes, images["group"].to_numpy())
    return [{"distance": distance, "images": [records[one], records[other]]} for distance, one, other in pairs]


def submission_form(competition: Competition, sample, images: int) -> str:
    columns = ",".join([competition.id_column, *competition.answer_columns])
    columns = columns if len(columns) <= 60 else f"{columns[:57]}..."
    form = f"{columns} with {ANSWERS[competition.answer]}"
    if sample is not None:
        return f"{form}, {len(sample):,} rows, as in {competition.sample}"
    return f"{form}, {images:,} rows; there is no sample" if images else "nothing to submit: no test images"


def describe(images: pd.DataFrame, double: pd.Series) -> dict:
    whole = images[images["reason"] == ""]
    sizes = list(whole[["width", "height"]].itertuples(index=False, name=None))
    by_area = sorted(sizes, key=lambda size: size[0] * size[1])
    bad = images[images["reason"] != ""]
    return {
        "images": len(images),
        "grey": int(whole["grey"].sum()),
        "colour": int((~whole["grey"].astype(bool)).sum()),
        "corrupt": len(bad),
        "double": int(double.sum()),
        "smallest": by_area[0] if by_area else None,
        "median": by_area[len(by_area) // 2] if by_area else None,
        "largest": by_area[-1] if by_area else None,
        "problems": dict(zip(bad["file"], bad["reason"], strict=True)),
    }
