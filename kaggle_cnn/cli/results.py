"""What several commands end with: the measures of a run on the screen, its submission on the disk."""

from pathlib import Path

from kaggle_cnn.cli.terminal import console
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace


def print_measures(by_views: dict[int, dict], classes: list[str]) -> None:
    from kaggle_cnn.insight.evaluation import measures

    screen = console()
    screen.print("", measures(by_views, classes, screen.width), "", sep="\n")


def write_submission(workspace: Workspace, competition, runs: list) -> Path:
    """submissions/<name>/<run>.csv from the test predictions of `runs`, their mean where there are several."""
    from kaggle_cnn.competition import submission
    from kaggle_cnn.competition.table import write_table
    from kaggle_cnn.learn.predictions import Predictions, mean

    predictions = mean([Predictions.read(run.folder / "test.npz") for run in runs])
    if not len(predictions.ids):
        raise KcnnError(
            f"'{competition.name}' has no test images: nothing to submit", "kcnn evaluate shows the validation"
        )
    path = workspace.submissions(competition.name) / f"{'+'.join(run.id for run in runs)}.csv"
    views, probabilities = predictions.best()
    thresholds = [run.scores().get(views, {}).get("threshold", 0.5) for run in runs]
    table = submission.make(competition, predictions.ids, probabilities, sum(thresholds) / len(thresholds))
    submission.check(competition, table, predictions.ids)
    write_table(path, table)
    return path
