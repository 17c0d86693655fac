import io
from itertools import takewhile

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from kaggle_cnn.insight.evaluation import abbreviations, class_table, confusion_table, summary_table
from kaggle_cnn.insight.metrics import measure

SIMPSONS = [
    "abraham_grampa_simpson", "agnes_skinner", "apu_nahasapeemapetilon", "barney_gumble", "bart_simpson",
    "carl_carlson", "charles_montgomery_burns", "chief_wiggum", "cletus_spuckler", "comic_book_guy", "disco_stu",
    "edna_krabappel", "fat_tony", "gil", "groundskeeper_willie", "homer_simpson", "kent_brockman", "krusty_the_clown",
    "lenny_leonard", "lionel_hutz",
]  # fmt: skip


def drawn(value, width):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(value)
    return console.file.getvalue().rstrip("\n").split("\n")


def predictions(classes, per_class, seed=0):
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    return labels, draw.dirichlet(np.full(classes, 0.3), len(labels)) + 0.1 * np.eye(classes)[labels]


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("count", [2, 5, 10, 20, 50, 99])
@pytest.mark.parametrize("names", ["simpsons", "wide", "long", "markup"])
def test_every_row_is_one_line_that_fits(width, count, names):
    make = {
        "simpsons": lambda k: SIMPSONS[k % 20] + str(k // 20) * (k > 19),
        "wide": lambda k: f"電車{k}号線",
        "long": lambda k: f"class number {k} with a name that has no end",
        "markup": lambda k: f"[bold]{k}[/]",
    }[names]
    classes = [make(k) for k in range(count)]
    numbers = measure(*predictions(count, 30), classes)
    lines = drawn(confusion_table(numbers["confusion"], classes, width), width)
    assert max(map(cell_len, lines)) <= width
    assert set(lines[1]) == {"─"}  # one line of headings, then the rule, then a line a class
    body = list(takewhile(lambda line: is_cell(line.split(" ")[-1]), lines[2:]))
    assert len(body) >= min(count, 12)
    for row in body:  # as many cells as rows: nothing cut off on the right
        assert all(map(is_cell, row.split()[-len(body) :]))
    if len(body) < count:
        assert any(f"the {len(body)} of {count} classes with the most errors" in line for line in lines)
    if count >= 5:
        assert sum("taken for" in line for line in lines) == 5


def is_cell(text):
    return text in ("·", "✓") or text.isdecimal()


def test_twenty_classes_in_a_hundred_columns():
    labels, probabilities = predictions(20, 500)
    lines = drawn(confusion_table(measure(labels, probabilities, SIMPSONS)["confusion"], SIMPSONS, 100), 100)
    heads = lines[0].split()[-20:]
    assert len(set(heads)) == 20
    for head, name, row in zip(heads, SIMPSONS, lines[2:22], strict=True):
        assert row.startswith(head)
        assert any(f"{head} {name}" in line for line in lines[22:])  # the legend


def test_counts_too_wide_for_the_terminal_become_percentages():
    confusion = (np.full((20, 20), 10) + 4000 * np.eye(20, dtype=int)).tolist()
    confusion[1] = [0, 50, *[0] * 18]
    for width in (80, 100):
        lines = drawn(confusion_table(confusion, SIMPSONS, width), width)
        assert lines[2].split()[-20:] == ["95", *["0"] * 19]
        assert lines[3].split()[-20:] == ["·", "✓", *["·"] * 18]
        assert any(line.startswith("in percent of the row") for line in lines)


def test_short_names_stand_whole_over_their_columns():
    lines = drawn(confusion_table([[5, 1], [0, 7]], ["cat", "dog"], 80), 80)
    assert lines[0].split() == ["true", "cat", "dog"]
    assert lines[2].split() == ["cat", "5", "1"]
    assert "  1 of 6 cat taken for dog (17%)" in lines


def test_no_errors_and_an_empty_class():
    lines = drawn(confusion_table([[5, 0], [0, 0]], ["cat", "dog"], 80), 80)
    assert lines[-1] == "no errors"


def test_abbreviations_differ():
    for names in (SIMPSONS, [f"class {k}" for k in range(120)], ["!", "?", "a", "A", ""], ["same"] * 12):
        for length in (2, 3):
            short = abbreviations(names, length)
            assert len(set(short)) == len(names)
            assert {cell_len(name) <= length for name in short} == {True}


@pytest.mark.parametrize("width", [80, 120])
def test_class_table_and_summary_fit(width):
    numbers = measure(*predictions(20, 10), SIMPSONS)
    lines = drawn(class_table(numbers, width), width)
    assert max(map(cell_len, lines)) <= width
    assert len([line for line in lines if line.strip()]) == 2 + 20 + 2
    assert "macro average" in lines[-2]
    assert f"{numbers['macro_f1']:.3f}" in lines[-2]
    assert drawn(summary_table({1: numbers, 10: numbers}), width)[-1].split()[0] == "10"
