"""What stands of a finished run in RESULTS.md: one row of its table, from the run's folder alone.

    python benchmarks/receipt.py runs/fer/emotion-001 ...

Accuracy is that of the validation images. The difference between the most views and one is of the same images, and its
standard error that of the mean of their differences (right with many views minus right with one: -1, 0 or 1).
"""

import sys
from pathlib import Path

import numpy as np

from kaggle_cnn.learn.predictions import Predictions
from kaggle_cnn.learn.run import read_run


def right(predictions: Predictions, views: int) -> np.ndarray:
    """bool (N,): whether the most probable class is the true one."""
    return predictions.probabilities[views].argmax(axis=1) == predictions.labels


def row(folder: Path) -> str:
    run = read_run(folder)
    validation = Predictions.read(folder / "validation.npz")
    most, _ = validation.best()
    one, many = right(validation, 1), right(validation, most)
    difference = many.astype(float) - one
    error = difference.std() / len(difference) ** 0.5
    gain = f"{100 * difference.mean():+.2f} ± {100 * error:.2f}" if most > 1 else ""
    record = run.record
    return " | ".join(
        [
            f"| {record['recipe']}", f"{record['parameters']:,}", str(record["knobs"]["epochs"]),
            f"{record['seconds'] / 60:.1f}", f"{one.mean():.4f}",
            f"{many.mean():.4f} ({most})" if most > 1 else "", f"{gain} |",
        ]
    )  # fmt: skip


if __name__ == "__main__":
    print("| recipe | parameters | epochs | minutes | one view | more views | difference, points |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in sys.argv[1:]:
        print(row(Path(name)))
