"""What stands of a finished run in RESULTS.md: one row of its table, from the run's folder alone.

    python benchmarks/receipt.py runs/fer/emotion-001 ...

Of images of one class each. Accuracy is that of the out-of-fold predictions: on one view, the centre, and by the run's
own policy of test-time augmentation. The difference between both is of the same images, and its standard error that of
the mean of their differences (right with the policy minus right on one view: -1, 0 or 1).
"""

import sys
from pathlib import Path

from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.insight.measures import points_gained
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import read_run


def row(folder: Path) -> str:
    run = read_run(folder)
    record, predictions = run.record, Predictions.read(run.predictions_path("oof"))
    named = record["task"]
    task = Task(named["kind"], tuple(named["classes"]), find_metric(named["metric"]))
    one, own = (predictions.scores(task, policy) for policy in ("none", run.policy))
    accuracy = [float((scores.argmax(axis=1) == predictions.true).mean()) for scores in (one, own)]
    several = run.policy != "none"
    gain = "{:+.2f} ± {:.2f}".format(*points_gained(predictions.true, one, own)) if several else ""
    return " | ".join(
        [
            f"| {record['recipe']}", f"{record['parameters']:,}", str(run.settings["epochs"]),
            f"{run.seconds / 60:.1f}", f"{accuracy[0]:.4f}",
            f"{accuracy[1]:.4f} ({run.policy})" if several else "", f"{gain} |",
        ]
    )  # fmt: skip


if __name__ == "__main__":
    print("| recipe | parameters | epochs | minutes | one view | tta | difference, points |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in sys.argv[1:]:
        print(row(Path(name)))
