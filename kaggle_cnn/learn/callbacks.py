"""What happens beside `model.fit`, in this order: Watch (progress, a loss that is no number), then Checkpoint, then
Scalars where it is asked for."""

import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file

STATE = "state.npz"


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


class Checkpoint(keras.callbacks.Callback):
    """After each epoch: validation; model.keras if `worth(row)`, row as in history.csv, is the most so far; state.npz;
    history.csv.

    What is validated and saved is `twin`, a model built as the `trained` one: it is given the epoch's weights, then
    `validate()` measures it, {"val_loss": ...}. Not by fit's `validation_data`, which builds a tf.data pipeline for
    every epoch: to take one down held up every other epoch of the baseline by 4 s of 10 (LOG.md). `plateau` epochs
    without a better one divide the rate by ten; 0 never does.

    Keras' own ModelCheckpoint and BackupAndRestore write in place, where a kill leaves half a file, forget the best
    score, and save no dropout seeds. Here every file is renamed when whole, and state.npz, written after model.keras,
    holds every variable there is: weights, seeds, optimizer, and with them the place in the learning-rate schedule.
    A thread writes, while the next epoch is trained; when all is written, `progress.epoch(row, better, seconds)` is
    told. Use as a context, so that the last is waited for.
    """

    def __init__(
        self,
        folder: Path,
        trained: keras.Model,
        twin: keras.Model,
        validate: Callable[[], dict[str, float]],
        worth: Callable[[dict[str, float]], float],
        plateau: int,
        progress,
    ):
        super().__init__()
        self.folder, self.trained, self.twin = folder, trained, twin
        self.validate, self.worth, self.plateau, self.progress = validate, worth, plateau, progress
        self.history: list[dict[str, float]] = []
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self.writing: Future | None = None

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(self, kind, *_) -> None:
        self.writer.shutdown()
        if kind is None:
            self.wait()

    def wait(self) -> None:
        """Until what is being written is whole; raises what went wrong with it."""
        if self.writing:
            self.writing.result()

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

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.wait()
        self.give_twin_weights()
        row = {"epoch": epoch + 1, **logs, **self.validate()}
        row = {name: float(value) for name, value in row.items()}
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seconds = time.monotonic() - self.begun
        better = self.worth(row) > max(map(self.worth, self.history), default=-math.inf)
        self.history.append(row)
        if self.plateau and stalled([self.worth(each) for each in self.history], self.plateau):
            self.model.optimizer.learning_rate = row["learning_rate"] / 10
        # Copies: what convert_to_numpy gives may be the variable's own memory.
        values = {name: np.array(keras.ops.convert_to_numpy(each)) for name, each in variables(self.model).items()}
        self.writing = self.writer.submit(self.write, list(self.history), better, values, seconds)

    def give_twin_weights(self) -> None:
        """The trained model's, or the running average of them where the optimizer keeps one."""
        for kept, current in zip(self.twin.variables, self.trained.variables, strict=True):
            kept.assign(current)
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # behind the loss scale of mixed_float16
        if optimizer.use_ema:  # it assigns in the order of the model that it trains, which is the twin's
            optimizer.finalize_variable_values(self.twin.trainable_variables)
        for kept in self.twin.variables:  # JAX shares the array on assignment, and takes it away with the next call
            kept.assign(keras.ops.copy(kept))

    def write(self, history: list[dict[str, float]], better: bool, values: dict, seconds: float) -> None:
        if better:
            with whole_file(self.folder / "model.keras") as temporary:
                self.twin.save(temporary)
        table = pd.DataFrame(history)
        with whole_file(self.folder / STATE) as temporary:
            np.savez(temporary, history=table.to_numpy(float), columns=np.array(table.columns, dtype=str), **values)
        with whole_file(self.folder / "history.csv") as temporary:
            table.astype({"epoch": int}).to_csv(temporary, index=False)
        self.progress.epoch(history[-1], better, seconds)


class Scalars(keras.callbacks.Callback):
    """Writes each epoch's numbers, once `checkpoint` has them, for TensorBoard: loss and accuracy as two runs, train
    and validation, and the learning rate. On every backend: the package tensorboard needs no TensorFlow.
    """

    def __init__(self, folder: Path, checkpoint: Checkpoint):
        super().__init__()
        self.folder, self.checkpoint = folder, checkpoint

    def on_train_begin(self, logs=None):
        from tensorboard.summary import Writer

        self.writers = {part: Writer(str(self.folder / part)) for part in ("train", "validation")}

    def on_epoch_end(self, epoch, logs=None):
        row = self.checkpoint.history[-1]
        for part, prefix in (("train", ""), ("validation", "val_")):
            for name in ("loss", "accuracy"):
                self.writers[part].add_scalar(f"epoch_{name}", row[prefix + name], epoch + 1)
        self.writers["train"].add_scalar("epoch_learning_rate", row["learning_rate"], epoch + 1)
        for writer in self.writers.values():
            writer.flush()

    def on_train_end(self, logs=None):
        for writer in self.writers.values():
            writer.close()


def stalled(worths: list[float], patience: int) -> bool:
    """Whether the last of `worths` is the last of `patience` in a row without a new best; the next is then the first
    of the next row."""
    best, since = -math.inf, 0
    for worth in worths:
        since = 0 if worth > best else since % patience + 1
        best = max(best, worth)
    return since == patience


def variables(model: keras.Model) -> dict:
    """Every variable of a compiled model and its optimizer under a name that a model built alike gives it too; but for
    images that live in it, which are uint8."""
    own = [variable for variable in model.variables if variable.dtype != "uint8"]
    owned = [("model", own), ("optimizer", model.optimizer.variables)]
    return {f"{owner}_{number}": variable for owner, each in owned for number, variable in enumerate(each)}
