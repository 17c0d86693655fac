"""What stands of a finished run in RESULTS.md: one row of its table, from the run's folder alone.

    python benchmarks/receipt.py runs/fer/emotion-001 ...

Accuracy is that of the validation images. The difference between the most views and one is of the same images, and its
standard error that of the mean of their differences (right with many views minus right with one: -1, 0 or 1).
"""

import sys
from pathlib import Path

from kaggle_cnn.insight.metrics import points_gained
from kaggle_cnn.learn.predictions import Predictions
from kaggle_cnn.learn.run import read_run


def row(folder: Path) -> str:
    run = read_run(folder)
    validation = Predictions.read(folder / "validation.npz")
    most, _ = validation.best()
    accuracy = {views: numbers["accuracy"] for views, numbers in run.scores().items()}
    gain = "{:+.2f} ± {:.2f}".format(*points_gained(validation, 1, most)) if most > 1 else ""
    record = run.record
    return " | ".join(
        [
            f"| {record['recipe']}", f"{record['parameters']:,}", str(record["knobs"]["epochs"]),
            f"{record['seconds'] / 60:.1f}", f"{accuracy[1]:.4f}",
            f"{accuracy[most]:.4f} ({most})" if most > 1 else "", f"{gain} |",
        ]
    )  # fmt: skip


if __name__ == "__main__":
    print("| recipe | parameters | epochs | minutes | one view | more views | difference, points |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in sys.argv[1:]:
        print(row(Path(name)))
