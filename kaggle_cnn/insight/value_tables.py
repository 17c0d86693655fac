"""Tables of what is counted in numbers: the values of a regression, grades, and the targets of a multioutput task."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.insight.cells import make_table, truncate

MOST_RANGES = 4  # values of a regression whose ranges are shown
Numbers = dict[str, Any]  # of one TTA policy, as measures.measure returns them


def value_tables(numbers: Numbers, width: int) -> RenderableType:
    """Return RMSE, MAE, R2 and support of each value of a regression, and the errors by range of the true value."""
    names = ("rmse", "mae", "r2")
    table = make_table("value", [*(find_metric(name).title for name in names), "support"], max(width - 60, 12))
    for name, scores in numbers["per_value"].items():
        table.add_row(Text(name), *(f"{scores[each]:.4f}" for each in names), f"{scores['support']:,}")
    parts: list[RenderableType] = [table]
    for name in list(numbers["per_range"])[:MOST_RANGES]:
        heads = ["mean error", "mean absolute error", "support"]
        ranges = make_table(truncate(f"{name}, from low to high", max(width - 48, 12)), heads)
        for each in numbers["per_range"][name]:
            ends = f"{each['low']:.4g} to {each['high']:.4g}"
            ranges.add_row(ends, f"{each['error']:+.4g}", f"{each['absolute_error']:.4g}", f"{each['support']:,}")
        parts += ["", ranges]
    return Group(*parts)


def grade_table(numbers: Numbers, width: int) -> RenderableType:
    """Return the errors by grade, and by which rule a grade is decided."""
    heads = ["mean prediction", "mean error", "mean absolute error", "within one", "support"]
    table = make_table("grade", heads, max(width - 66, 8))
    for name, each in numbers["per_grade"].items():
        cells = [f"{each['expected']:.2f}", f"{each['error']:+.2f}", f"{each['absolute_error']:.2f}"]
        table.add_row(Text(name), *cells, f"{each['within_one']:.1%}", f"{each['support']:,}")
    return table


def target_table(numbers: Numbers, width: int) -> RenderableType:
    """Return the scores of each target."""
    metrics = ["accuracy", "macro_recall", "macro_f1", "log_loss"]
    table = make_table("target", ["classes", *(find_metric(name).title for name in metrics)], max(width - 60, 12))
    for name, each in numbers["per_target"].items():
        table.add_row(Text(name), f"{each['classes']:,}", *(f"{each[metric]:.4f}" for metric in metrics))
    return table
