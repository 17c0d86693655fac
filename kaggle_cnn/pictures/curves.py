"""Loss and metric of runs, epoch by epoch."""

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight import charts, tables
from kaggle_cnn.pictures.picture import Picture, picture_path
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace


def draw(workspace: Workspace, competition: Competition, runs: list[Run]) -> Picture:
    """Draw the curves of `runs`. Raises KcnnError where one has not ended an epoch yet."""
    chosen = list({run.id: run for run in runs}.values())
    histories = {run.id: run.histories() for run in chosen}
    if probes := [run.id for run in chosen if run.record["kind"] != "training"]:
        raise KcnnError(f"{probes[0]} has no epochs: it is fitted by scikit-learn", f"kcnn show confusion {probes[0]}")
    if empty := [name for name, folds in histories.items() if not folds]:
        raise KcnnError(f"run {empty[0]} has not ended an epoch yet", "kcnn train RECIPE --resume goes on with it")
    metric = competition.task.metric
    by = f"val_{metric.name}"
    if not all(by in history for folds in histories.values() for history in folds):
        by = "val_loss"  # trained when the competition had another metric
    higher = metric.higher_is_better and by != "val_loss"
    name = "curves" if len(chosen) == 1 else f"curves-{'+'.join(run.id for run in chosen)}"[-190:]
    path = picture_path(workspace, competition, chosen[0] if len(chosen) == 1 else None, name)
    figure = charts.curves(histories, by, higher)
    return Picture(figure, path, lambda width: tables.curves_table(histories, by, higher))
