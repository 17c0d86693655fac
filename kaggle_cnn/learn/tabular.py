"""A run on the columns beside the images, without a network: logistic regression or gradient boosting by scikit-learn.

Its predictions are the same for every view, so it is averaged with any run of the same folds.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.data.columns import Columns, read_columns
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.learn.linear import CHOOSING, STRENGTHS, fit_linear, loss_of
from kaggle_cnn.progress import Progress
from kaggle_cnn.runs.describe import NO_NETWORK, describe, list_versions
from kaggle_cnn.runs.join import join_parts
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import Run, create_whole_run
from kaggle_cnn.workspace import Workspace

NAME = "tabular"
SOURCE = '"""The columns beside the images, by scikit-learn: kcnn tabular."""\n'
MOST_TREES = 2000  # of a fold: gradient boosting fits one for each class and round
ROUNDS = 100
Predict = Callable[[Array], Array]  # features (n, k) -> logits or values (n, outputs)


def train_tabular(workspace: Workspace, dataset: Dataset, progress: Progress) -> Run:
    """Fit a model for every fold on the columns beside the images, and return the complete run.

    The model is the one of least loss on the images that the first CHOOSING folds validate: logistic regression (of
    numbers ridge regression) of one of STRENGTHS, or gradient boosting. Raises KcnnError where there are no columns.
    """
    begun, task, columns = time.monotonic(), dataset.task, read_columns(dataset)
    named = f"{', '.join(columns.names[:8])}{', ...' if len(columns.names) > 8 else ''}"
    progress.say(f"{len(columns.names):,} features from {' and '.join(dict.fromkeys(columns.sources))}: {named}")
    fits = list_models(task)
    folds = list(range(dataset.folds.count))
    losses: dict[str, float] = {}
    for name, fit in progress.track(fits.items(), f"choosing among {len(fits)} models", len(fits)):
        losses[name] = float(np.mean([validate(dataset, columns, fit, fold) for fold in folds[:CHOOSING]]))
    chosen = min(losses, key=lambda name: losses[name])
    progress.say(f"{chosen}: loss {losses[chosen]:.4f}")
    made = []
    for fold in progress.track(folds, f"fitting {len(folds)} folds", len(folds)):
        rows, predict = fit_fold(dataset, columns, fits[chosen], fold)
        kept, logits = dataset.average_images(rows, predict(columns.train[rows]))
        targets = dataset.validated_targets(kept, fold)
        oof = Predictions.of_whole(dataset.ids[kept], logits, np.full(len(kept), fold), targets)
        made.append((oof, Predictions.of_whole(dataset.test_ids, predict(columns.test))))
    record = describe_run(dataset, columns, chosen, folds)

    def fill(run: Run) -> None:
        for fold, (oof, test) in zip(folds, made, strict=True):
            run.fold_folder(fold).mkdir()
            oof.write(run.fold_folder(fold) / "oof.npz")
            test.write(run.fold_folder(fold) / "test.npz")
            seconds = round((time.monotonic() - begun) / len(folds), 1)
            run.write_result(fold, status="finished", seconds=seconds, epochs=0, best_epoch=0)
        join_parts(run, task)

    return create_whole_run(workspace, dataset.competition.name, NAME, record, SOURCE, fill)


def fit_fold(
    dataset: Dataset, columns: Columns, fit: Callable[[Array, Array], Predict], fold: int
) -> tuple[Array, Predict]:
    """Return the rows that are validated in `fold`, and what was fitted on the others."""
    trained = dataset.folds.numbers != fold
    return np.flatnonzero(~trained), fit(columns.train[trained], dataset.targets[trained])


def validate(dataset: Dataset, columns: Columns, fit: Callable[[Array, Array], Predict], fold: int) -> float:
    rows, predict = fit_fold(dataset, columns, fit, fold)
    return loss_of(dataset.task, predict(columns.train[rows]), dataset.targets[rows])


def list_models(task: Task) -> dict[str, Callable[[Array, Array], Predict]]:
    """Return name -> a function of features and targets (n, outputs) that returns a function of features."""
    kind = "ridge regression" if task.kind == "regression" else "logistic regression"
    models: dict[str, Callable[[Array, Array], Predict]] = {
        f"{kind}, strength {strength:g}": partial(fit_line, task, strength) for strength in (*STRENGTHS, 1.0)
    }
    if ROUNDS * task.outputs <= MOST_TREES:
        models["gradient boosting"] = partial(boost, task)
    return models


def fit_line(task: Task, strength: float, features: Array, targets: Array) -> Predict:
    """Fit a linear model; of numbers on standardised ones."""
    mean, deviation = (targets.mean(axis=0), targets.std(axis=0)) if task.form == "values" else (0.0, 1.0)
    deviation = np.where(deviation > 0, deviation, 1)
    sizes = [count for _, count in task.heads]
    middle, scale = features.mean(axis=0), features.std(axis=0)  # in float64, which keeps the seconds of a date
    scale = np.where(scale > 0, scale, 1)

    def standardise(given: Array) -> Array:
        return np.asarray((given - middle) / scale, np.float32)

    linear = fit_linear(task.form, standardise(features), (targets - mean) / deviation, strength, sizes)
    return lambda given: (standardise(given) @ linear.kernel + linear.bias) * deviation + mean


def boost(task: Task, features: Array, targets: Array) -> Predict:
    """Fit gradient-boosted trees: one model for each value, label or target."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    settings: dict[str, Any] = {"max_iter": ROUNDS, "learning_rate": 0.1, "random_state": 0}
    if task.kind == "regression":
        fitted = [HistGradientBoostingRegressor(**settings).fit(features, column) for column in targets.T]
        return lambda given: np.stack([model.predict(given) for model in fitted], axis=1)
    places = [slice(n, n + 1) for n in range(task.outputs)] if task.kind == "multilabel" else task.places
    models = []
    for place in places:
        own = targets[:, place]
        labels = own[:, 0].astype(int) if task.kind == "multilabel" else own.argmax(axis=1)
        model = HistGradientBoostingClassifier(**settings) if len(np.unique(labels)) > 1 else None
        count = 2 if task.kind == "multilabel" else own.shape[1]
        models.append((model.fit(features, labels) if model else int(labels[0]), count))

    def predict(given: Array) -> Array:
        parts = []
        for model, count in models:
            chances = np.full((len(given), count), 1e-6)
            if isinstance(model, int):
                chances[:, model] = 1
            else:
                chances[:, model.classes_] = model.predict_proba(given)
            parts.append(chances[:, 1:] if task.kind == "multilabel" else chances)
        return task.deactivate(np.concatenate(parts, axis=1))

    return predict


def describe_run(dataset: Dataset, columns: Columns, model: str, folds: list[int]) -> dict[str, Any]:
    """Return the content of run.json."""
    return {
        **describe(NAME, NAME, dataset.competition.name, dataset.task),
        "settings": {**NO_NETWORK, "model": model, "features": len(columns.names)},
        "folds": {"file": dataset.folds.file, "digest": dataset.folds.digest, "numbers": folds},
        "versions": list_versions("numpy", "scikit-learn"),
    }
