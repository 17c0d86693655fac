"""Submissions are written as the sample has them, and checked; the ledger keeps what was sent."""

import numpy as np
import pytest

from kaggle_cnn.competition import ledger, submission
from kaggle_cnn.competition.opening import open_competition
from kaggle_cnn.competition.table import read_table, write_table
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.decision import Decision


def make(competition, ids, *classes):
    """The submission that names `classes`, by number, for `ids`."""
    scores = np.eye(3, dtype=np.float32)[list(classes)]
    return submission.make(competition, np.array(ids), scores, Decision("argmax").decide(scores))


@pytest.fixture
def colours(tiny_workspace):
    return open_competition(tiny_workspace, "colours")


def test_rows_and_columns_stand_as_in_the_sample(colours, tmp_path):
    ids = np.array(["1", "2", "3", "4", "5", "6"])
    made = make(colours, ids, 0, 1, 2, 0, 1, 2)
    write_table(tmp_path / "a.csv", made)
    b, g, r = colours.classes
    expected = [("6", r), ("5", g), ("4", b), ("3", r), ("2", g), ("1", b)]
    text = (tmp_path / "a.csv").read_bytes().decode()
    assert text == "id,character\n" + "".join(f"{name},{label}\n" for name, label in expected)
    submission.check(colours, read_table(tmp_path / "a.csv"), ids)


def test_ids_keep_their_zeros_and_names_that_look_like_nothing(colours, tmp_path):
    (colours.folder / "sample_submission.csv").write_bytes("\ufeffid,character\r\n007,NA\r\n1e5,NA\r\n".encode())
    made = make(colours, ["1e5", "007"], 0, 2)
    assert made.to_numpy().tolist() == [["007", colours.classes[2]], ["1e5", colours.classes[0]]]


def test_an_id_without_prediction_is_an_error(colours):
    with pytest.raises(KcnnError, match="1 ids without a prediction, the first is '6'"):
        make(colours, ["1", "2", "3", "4", "5"], 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda rows: rows[:-1], "1 of the submission's ids are missing, the first is '1'"),
        (lambda rows: [*rows, rows[0]], "1 of the submission's ids occur more than once, the first is '6'"),
        (lambda rows: [*rows, "7,blue"], "1 of the submission's ids are not in the sample, the first is '7'"),
        (lambda rows: ["06,blue", *rows[1:]], "ids are missing, the first is '6'"),
        (lambda rows: ["6,bluish", *rows[1:]], "1 rows name a class that is not in the competition.* 'bluish'"),
        (lambda rows: ["6,", *rows[1:]], "have no label, the first is '6'"),
        (lambda rows: ["6,NaN", *rows[1:]], "have no label, the first is '6'"),
    ],
)
def test_what_is_wrong_with_a_submission(colours, tmp_path, change, error):
    rows = [f"{number},blue" for number in range(6, 0, -1)]
    (tmp_path / "a.csv").write_text("id,character\n" + "\n".join(change(rows)) + "\n")
    with pytest.raises(KcnnError, match=error):
        submission.check(colours, read_table(tmp_path / "a.csv"), np.array([]))


@pytest.mark.parametrize("header", ["character,id", "id,label", "id", "id,character,more"])
def test_columns_are_checked(colours, tmp_path, header):
    (tmp_path / "a.csv").write_text(f"{header}\n{','.join('1' * len(header.split(',')))}\n")
    with pytest.raises(KcnnError, match="expected the columns id, character, got"):
        submission.check(colours, read_table(tmp_path / "a.csv"), np.array([]))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"PK\x03\x04\xff\xff", b'a,b\n"1,2\n'])
def test_what_is_not_a_csv(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(KcnnError, match="is not a CSV"):
        read_table(tmp_path / "a.csv")


def test_without_a_sample_the_test_images_are_the_rows(colours, tiny_workspace):
    text = (colours.folder / "competition.toml").read_text().replace('"sample_submission.csv"', '""')
    (colours.folder / "competition.toml").write_text(text)
    colours = open_competition(tiny_workspace, "colours")
    ids = np.array(["1", "2"])
    made = make(colours, ids, 1, 1)
    assert made["id"].tolist() == ["1", "2"]
    submission.check(colours, made, ids)
    with pytest.raises(KcnnError, match="are missing, the first is '2'"):
        submission.check(colours, made[:1], ids)


def test_decisions_are_written_not_the_most_probable_class(colours, tmp_path):
    scores = np.tile(np.array([[0.5, 0.3, 0.2]], np.float32), (6, 1))
    ids = np.array(["1", "2", "3", "4", "5", "6"])
    made = submission.make(colours, ids, scores, np.array([2, 1, 0, 2, 1, 0]))
    assert made["character"].tolist() == [colours.classes[label] for label in (0, 1, 2, 0, 1, 2)]


def test_what_changed_since_the_last_submission(colours):
    ids = np.array(["1", "2", "3", "4", "5", "6"])
    before, after = make(colours, ids, 0, 1, 2, 0, 1, 2), make(colours, ids, 0, 1, 2, 0, 2, 1)
    assert submission.changed_rows(colours, before, before) == 0
    assert submission.changed_rows(colours, before, after) == 2
    assert submission.changed_rows(colours, before[::-1], after) == 2
    assert submission.changed_rows(colours, before[:5], before) == 1
    assert submission.changed_rows(colours, before.rename(columns={"character": "label"}), after) == 6


def test_the_lines_that_a_reason_names(tmp_path):
    (tmp_path / "a.csv").write_text("id,label\n1,red\n2,pink\n3,blue\n")
    lines = [
        "line 1 of a.csv: id,label",
        "line 2 of a.csv: 1,red",
        "line 3 of a.csv: 2,pink",
        "line 4 of a.csv: 3,blue",
    ]
    found = {
        "ERROR: Unable to find value in row 2": [lines[2]],
        "on line 2: wrong": [lines[1]],
        "the value 'pink' is unknown": [lines[2]],
        'ids "1" and "3" repeat': [lines[1], lines[3]],
        "row 99": [],
        "no reason": [],
    }
    for reason, expected in found.items():
        assert submission.find_lines(tmp_path / "a.csv", reason) == expected


def test_ledger_keeps_every_line(tmp_path):
    ledger.enter(tmp_path, file="a.csv", run="tiny-001", validation=0.5, public=1 / 3, message='said "so", twice')
    ledger.enter(tmp_path, file="b.csv", run=None, public=1.0)
    table = ledger.read(tmp_path)
    assert table["file"].tolist() == ["a.csv", "b.csv"]
    assert table["public"].tolist() == ["0.33333", "1.00000"]
    assert table["run"].tolist() == ["tiny-001", ""]
    assert table["message"].tolist() == ['said "so", twice', ""]
