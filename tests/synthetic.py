"""Runs that no network made: predictions that a test draws, in the folders that a training would leave."""

import numpy as np
from conftest import dataset_in

from kaggle_cnn.runs.describe import NO_NETWORK, describe, list_versions
from kaggle_cnn.runs.join import join_parts
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import create_whole_run


def make_run(workspace, name, sure=1.0, seed=0, folds=None, views=("centre", "centre-mirrored"), truth=None):
    """A finished run of the current competition, whose logits are `sure` for the true class and noise; of the test
    images, whose classes are `truth`, likewise. With several views, each has noise of its own."""
    dataset, draw = dataset_in(workspace), np.random.default_rng(seed)
    task, numbers = dataset.task, range(dataset.folds.count) if folds is None else folds
    tested = np.eye(task.outputs)[truth] if truth is not None else np.zeros((len(dataset.test_ids), task.outputs))

    def noisy(marks):
        noise = draw.normal(0, 1, (len(marks), 1, task.outputs)) + draw.normal(
            0, 1, (len(marks), len(views), task.outputs)
        )
        return (sure * marks[:, None] + noise).astype(np.float32)

    def fill(run):
        for fold in numbers:
            rows = np.flatnonzero(dataset.folds.numbers == fold)
            run.fold_folder(fold).mkdir()
            targets = dataset.validated_targets(rows, fold)
            made = noisy(dataset.targets[rows])
            oof = Predictions(dataset.ids[rows], made, views, 16, np.full(len(rows), fold), targets)
            oof.write(run.fold_folder(fold) / "oof.npz")
            Predictions(dataset.test_ids, noisy(tested), views, 16).write(run.fold_folder(fold) / "test.npz")
            run.write_result(fold, status="finished", seconds=1.0, epochs=1, best_epoch=1)
        join_parts(run, task)

    record = {
        **describe("training", name, dataset.competition.name, task),
        "settings": {**NO_NETWORK, "size": 16, "margin": 4},
        "tta": "flip" if "centre-mirrored" in views else "none",
        "folds": {"file": dataset.folds.file, "digest": dataset.folds.digest, "numbers": list(numbers)},
        "versions": list_versions("numpy"),
    }
    return create_whole_run(workspace, dataset.competition.name, name, record, '"""Drawn."""\n', fill)
