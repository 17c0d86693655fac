"""What kcnn leaves out or chooses among folders is said, with the option that chooses otherwise."""

import pytest
from conftest import save_greys

from kaggle_cnn.competition.layouts.recognise import guess


def names(*patterns):
    """Images 10001.png to 10004.png, or of other numbers, in each folder: `a/{}:5` begins at 10005."""
    found = []
    for pattern in patterns:
        place, _, first = pattern.partition(":")
        found += [f"{place}/{10000 + int(first or 1) + n}.png" for n in range(4)]
    return found


@pytest.mark.parametrize(
    ("folders", "doubt"),
    [
        (("yes:1", "no:5", "all/yes:1", "all/no:5"), "left out, as a copy of the folders beside: the folder 'all'"),
        (
            ("photos/a:1", "photos/b:5", "masks/a:1", "masks/b:5"),
            "left out, as other forms of the images beside: the folder 'masks'",
        ),
        (
            ("Train/a:1", "Train/b:5", "train/a:1", "train/b:5", "Test:9"),
            "trained on 'Train', not on the folder 'train'; to choose: --train FOLDER",
        ),
        (
            (
                "Lung/train/a:1",
                "Lung/train/b:5",
                "Lung/test/a:9",
                "Heart/train/a:21",
                "Heart/train/b:25",
                "Heart/test/a:29",
            ),
            "kcnn takes 'Heart'; for another: --train 'Lung'",
        ),
        (
            ("north/oats:1", "north/rye:5", "south/oats:11", "south/rye:15"),
            "the classes are the folders 'north', 'south'; every one holds 'oats', 'rye'; if these are the classes: "
            "--train '*'",
        ),
    ],
)
def test_what_else_the_folders_may_mean(tmp_path, folders, doubt):
    said = guess(save_greys(tmp_path / "x", *names(*folders))).doubts
    assert any(doubt in sentence for sentence in said), said


def test_nothing_is_said_where_nothing_is_in_doubt(tmp_path):
    folder = save_greys(
        tmp_path / "x", *names("train/a:1", "train/b:5", "val/a:9", "val/b:13", "test/a:17", "test/b:21")
    )
    assert guess(folder).doubts == []


def test_columns_that_may_hold_the_labels_are_said(tmp_path):
    folder = save_greys(tmp_path / "x", *(f"{n}.png" for n in range(12)))
    rows = "".join(f"{n},{'ab'[n % 2]},{'xyz'[n % 3]},{n % 5}\n" for n in range(12))
    (folder / "list.csv").write_text(f"image,diagnosis,target,age\n{rows}")
    found = guess(folder)
    assert found.fields["label_columns"] == ("diagnosis",)
    [said] = found.doubts
    assert said.startswith("the labels are taken from the column 'diagnosis' of list.csv; it may also be 'target': ")
    assert said.endswith("--label-column NAME chooses")
