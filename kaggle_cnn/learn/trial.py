"""One trial of a study: a fold is trained, its validation measured; nothing else is kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna

from kaggle_cnn.data.columns import attach_metadata, find_metadata
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.files import whole_file
from kaggle_cnn.learn.backbone import PLACE, Place
from kaggle_cnn.learn.backend import find_device
from kaggle_cnn.learn.callbacks import BEST, MODEL, STATE
from kaggle_cnn.learn.fit import Training, fit_fold, plan_fold, rehearse_fold, require_consistent
from kaggle_cnn.learn.predict import load_train_images
from kaggle_cnn.learn.train import describe_run, require_both_parts, set_precision
from kaggle_cnn.progress import CURRENT, Progress
from kaggle_cnn.recipe import Recipe, takes
from kaggle_cnn.runs.record import FORMAT
from kaggle_cnn.runs.run import Run, write_json
from kaggle_cnn.workspace import Workspace


class Pruning:
    """A Progress that reports each epoch to a trial, and ends it where the trial should be pruned."""

    def __init__(self, progress: Progress, trial: Any, column: str, epochs: int):
        self.progress, self.trial, self.column, self.epochs = progress, trial, column, epochs

    def __getattr__(self, name: str) -> Any:
        return getattr(self.progress, name)

    def epoch(self, row: Mapping[str, float], better: bool, seconds: float) -> None:
        self.progress.epoch(row, better, seconds)
        self.trial.report(row[self.column], step=int(row["epoch"]))
        if row["epoch"] < self.epochs and self.trial.should_prune():
            raise optuna.TrialPruned


def train_trial(
    workspace: Workspace,
    dataset: Dataset,
    recipe: Recipe,
    path: Path,
    source: str,
    changed: Mapping[str, Any],
    fold: int,
    folder: Path,
    trial: Any,
    progress: Progress,
    rehearsed: bool,
) -> float:
    """Train the model that validates on `fold` with the settings of a trial; return the best epoch's metric.

    `folder` keeps run.json, recipe.py, history.csv and result.json; models are removed. With `rehearsed`, the recipe
    has gone through its rehearsal before. Raises optuna.TrialPruned where the trial is pruned, and
    KcnnError where it cannot be trained.
    """
    CURRENT.set(progress)
    PLACE.set(Place(workspace, dataset.competition.name, dataset.folds.digest))
    images = load_train_images(dataset, recipe.stored_size, recipe.fit, progress)
    columns = find_metadata(dataset) if takes(recipe.model, "metadata") else None
    images = attach_metadata(dataset, images, columns, "train")
    require_both_parts(dataset, images, fold)
    device = find_device()
    set_precision(recipe, device)
    plan = plan_fold(recipe, dataset, images, fold)
    require_consistent(recipe)
    compiled = None if rehearsed else rehearse_fold(recipe, dataset, images, device, plan, path, source)
    record = describe_run(workspace, dataset, recipe, path, [fold], device, plan, changed)
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / "recipe.py") as temporary:
        temporary.write_text(source, encoding="utf-8")
    write_json(folder / "run.json", {"format": FORMAT, **record, "kind": "trial"})
    run = Run(folder, record)  # type: ignore[arg-type]  # it is what read_record would return
    column = f"val_{dataset.task.metric.name}"
    shown: Any = Pruning(progress, trial, column, recipe.epochs)
    try:
        fit_fold(Training(run, recipe, dataset, images, device, shown, False, columns), fold, plan, compiled)
    finally:
        for name in (STATE, BEST, MODEL):
            (run.fold_folder(fold) / name).unlink(missing_ok=True)
    values = run.histories()[0][column]
    return float(values.max() if dataset.task.metric.higher_is_better else values.min())
