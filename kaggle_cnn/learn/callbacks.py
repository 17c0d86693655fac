"""What happens beside `model.fit`, in this order: Watch (progress, a loss that is no number), Validate, Checkpoint."""

import math
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from kaggle_cnn.data.batches import Batch
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import whole_file

STATE = "state.npz"


class Checkpoint(keras.callbacks.Callback):
    """After each epoch: model.keras if `worth(row)`, row as in history.csv, is the most so far; state.npz; history.csv.

    Keras' own ModelCheckpoint and BackupAndRestore write in place, where a kill leaves half a file, forget the best
    score, and save no dropout seeds. Here every file is renamed when whole, and state.npz, written after model.keras,
    holds every variable there is: weights, seeds, optimizer, and with them the place in the learning-rate schedule.
    When all is written, `progress.epoch(row, better)` is told.
    """

    def __init__(self, folder: Path, progress, worth: Callable[[dict[str, float]], float]):
        super().__init__()
        self.folder, self.progress, self.worth = folder, progress, worth
        self.history: list[dict[str, float]] = []

    @property
    def best(self) -> float:
        return max(map(self.worth, self.history), default=-math.inf)

    def restore(self, model: keras.Model) -> int:
        """Puts the last whole epoch's state into a compiled `model`; returns how many epochs have been trained."""
        path = self.folder / STATE
        if not path.is_file():
            return 0
        model.optimizer.build(model.trainable_variables)
        try:
            with np.load(path) as state:
                self.history = pd.DataFrame(state["history"], columns=state["columns"]).to_dict("records")
                for name, variable in variables(model).items():
                    variable.assign(state[name])
        except (KeyError, ValueError, OSError) as error:
            raise KcnnError(f"{path} does not fit this recipe: {error}", "train again, without --resume") from None
        return len(self.history)

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}}
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        better = self.worth(row) > self.best
        if better:
            with whole_file(self.folder / "model.keras") as temporary:
                self.model.save(temporary)
        self.history.append(row)
        table = pd.DataFrame(self.history)
        values = {name: keras.ops.convert_to_numpy(variable) for name, variable in variables(self.model).items()}
        with whole_file(self.folder / STATE) as temporary:
            np.savez(temporary, history=table.to_numpy(float), columns=np.array(table.columns, dtype=str), **values)
        with whole_file(self.folder / "history.csv") as temporary:
            table.astype({"epoch": int}).to_csv(temporary, index=False)
        self.progress.epoch(row, better)


def variables(model: keras.Model) -> dict:
    """Every variable of a compiled model and its optimizer under a name that a model built alike gives it too."""
    owned = [("model", model.variables), ("optimizer", model.optimizer.variables)]
    return {f"{owner}_{number}": variable for owner, each in owned for number, variable in enumerate(each)}


class Validate(keras.callbacks.Callback):
    """After each epoch, `val_loss` and the other metrics over `batch_at(0)` to `batch_at(steps - 1)`, into the logs.

    In place of fit's `validation_data`: on TensorFlow that builds a tf.data pipeline for every epoch, and taking it
    down again held up every other epoch of the baseline by 4 s of 10 (LOG.md).
    """

    def __init__(self, batch_at: Callable[[int], Batch], steps: int):
        super().__init__()
        self.batch_at, self.steps = batch_at, steps

    def on_epoch_end(self, epoch, logs=None):
        sums, images = Counter(), 0
        for step in range(self.steps):
            batch = self.batch_at(step)
            self.model.reset_metrics()
            for name, value in self.model.test_on_batch(*batch, return_dict=True).items():
                sums[name] += float(value) * len(batch[0])
            images += len(batch[0])
        logs.update({f"val_{name}": value / images for name, value in sums.items()})


class Watch(keras.callbacks.Callback):
    """Tells `progress.step(epoch, step, loss, accuracy)` how training goes, a few times a second, and stops it when
    the loss is no number any more: before Checkpoint, if it stands before it, has written such a model.
    """

    def __init__(self, progress):
        super().__init__()
        self.progress, self.epoch, self.last = progress, 0, -math.inf

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        # Reading a metric waits for the device, so not at every step.
        if time.monotonic() - self.last > 0.25:
            self.last = time.monotonic()
            self.require_number(logs)
            self.progress.step(self.epoch, batch + 1, float(logs["loss"]), float(logs["accuracy"]))

    def on_epoch_end(self, epoch, logs=None):
        self.require_number(logs)

    def require_number(self, logs):
        if not math.isfinite(float(logs["loss"])):
            raise KcnnError(
                f"the loss became {float(logs['loss'])} in epoch {self.epoch + 1}",
                "a lower rate usually helps: --set learning_rate=VALUE; it is "
                f"{float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)):g} now",
            )
