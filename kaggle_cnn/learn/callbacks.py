"""What happens beside `model.fit`, in this order: Watch (progress, a loss that is not a number), then Checkpoint, then
Scalars where TensorBoard's logs are asked for."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import keras
import numpy as np
import pandas as pd

from kaggle_cnn.competition.metrics import Array, Metric
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file
from kaggle_cnn.learn.model import Network
from kaggle_cnn.learn.phases import list_optimizers, read_rate
from kaggle_cnn.learn.processes import by_itself, follow, is_first, share_values
from kaggle_cnn.progress import Progress
from kaggle_cnn.runs.run import Run

STATE, BEST, MODEL = "state.npz", "best.npz", "model.keras"
OPTIMIZER = "optimizer/"  # the beginning of the names of an optimizer's variables in the state
SUM = "sum/"  # and of the sums of the weights of several epochs
Row = dict[str, float]


class Watch(keras.callbacks.Callback):
    """Show how training goes, a few times a second, and stop it when the loss is not a number any more: before
    Checkpoint, if it comes before it, has kept such a model.
    """

    def __init__(self, progress: Progress):
        super().__init__()
        self.progress, self.epoch, self.last = progress, 0, -math.inf

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        # Reading a metric waits for the device, so not at every step.
        if time.monotonic() - self.last > 0.25:
            self.last = time.monotonic()
            self.require_number(logs)
            self.progress.step(self.epoch, batch + 1, {name: float(value) for name, value in (logs or {}).items()})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.require_number(logs)

    def require_number(self, logs: Mapping[str, Any] | None) -> None:
        loss = float((logs or {})["loss"])
        if not math.isfinite(loss):
            rate = read_rate(list_optimizers(self.model.optimizer)[0])
            raise KcnnError(
                f"the loss became {loss} in epoch {self.epoch + 1}",
                f"use a lower learning rate: --set learning_rate=VALUE; it is {rate:g} now",
            )


class Checkpoint(keras.callbacks.Callback):
    """Validate after each epoch; keep the weights where the metric is the best so far, and the state to resume from.

    `validate()` measures the network, {"val_loss": ...}, among them `metric` as "val_" and its name. Not by fit's
    `validation_data`, which builds a tf.data pipeline for every epoch: to end one held up every other epoch of the
    baseline by 4 s of 10 (LOG.md). `plateau` epochs without a better one divide the rate by ten; 0 never does.

    Keras' own ModelCheckpoint and BackupAndRestore write in place, where a kill leaves half a file, forget the best
    score, and save no dropout seeds. Here every file is renamed when whole. best.npz has the best epoch's weights;
    state.npz, written after it, every variable there is by its path: weights, seeds, optimizer, and with them the place
    in the learning-rate schedule. A thread writes, while the next epoch is trained; when all is written,
    `progress.epoch(row, better, seconds)` is called. Use as a context: at its end, model.keras is written.

    `network` is validated and kept; it follows `fitted`, the one that learns: itself, or that across several processes,
    of which the first alone writes.

    `averaged` are the numbers of the epochs, from 0, of whose weights the mean is tried after the last one; its row
    then has the numbers of the mean, where these are the best.
    """

    def __init__(
        self,
        run: Run,
        fold: int,
        network: Network,
        fitted: Network,
        validate: Callable[[], Row],
        metric: Metric,
        plateau: int,
        progress: Progress,
        averaged: range = range(0),
    ):
        super().__init__()
        self.run, self.fold, self.folder = run, fold, run.fold_folder(fold)
        self.network, self.fitted = network, fitted
        self.validate, self.metric, self.plateau, self.progress = validate, metric, plateau, progress
        self.averaged, self.sums = averaged, dict[str, Array]()
        self.history: list[Row] = []
        self.seconds = 0.0
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self.writing: Future[None] | None = None

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.shutdown()
        try:
            if kind is None:
                self.wait()
                self.require_numbers()
        finally:
            self.save_best()
        if kind is None:
            share_values(self.network.whole.variables)

    def wait(self) -> None:
        """Wait until what is being written is whole. Raises what went wrong with it."""
        if self.writing:
            self.writing.result()

    def save_best(self) -> None:
        """Write model.keras with the weights of the best epoch, where there has been one."""
        if not is_first() or not (self.folder / BEST).is_file():
            return
        with np.load(self.folder / BEST) as best:
            for name, variable in name_variables(self.network.whole.variables).items():
                variable.assign(best[name])
        with whole_file(self.folder / MODEL) as temporary:
            self.network.whole.save(temporary)

    def read_epochs(self) -> int:
        """Return how many epochs have been trained."""
        path = self.folder / STATE
        if not path.is_file():
            return 0
        with self.explain_state(), np.load(path) as state:
            columns = [str(name) for name in state["columns"]]
            self.history = [dict(zip(columns, map(float, row), strict=True)) for row in state["history"]]
            self.seconds = float(state["seconds"])
            self.sums = {name.removeprefix(SUM): state[name] for name in state.files if name.startswith(SUM)}
        return len(self.history)

    def restore(self, model: keras.Model, begins_stage: bool = False) -> None:
        """Put the last whole epoch's state into a compiled `model`, its optimizer built; where the next epoch
        `begins_stage`, without that of the optimizer, which is another one."""
        path = self.folder / STATE
        if not path.is_file():
            return
        with self.explain_state(), np.load(path) as state:
            for name, variable in training_state(model).items():
                if not (begins_stage and name.startswith(OPTIMIZER)):
                    variable.assign(state[name])

    @contextmanager
    def explain_state(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, ValueError, OSError) as error:
            path = self.folder / STATE
            raise KcnnError(f"{path} does not fit this recipe: {error}", "train again, without --resume") from None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.begun = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.wait()
        with averaged_weights(self.model), by_itself():
            follow(self.network.whole, self.fitted.whole)
            row = {"epoch": epoch + 1, **(logs or {}), **self.validate()}
            row = {name: float(value) for name, value in row.items()}
            row = self.try_mean(epoch, row) if epoch in self.averaged else row
            better = self.merit(row) > max(map(self.merit, self.history), default=-math.inf) or not self.history
            best = copy_values(name_variables(self.network.whole.variables)) if better else None
        optimizers = list_optimizers(self.model.optimizer)
        row["learning_rate"] = read_rate(optimizers[0])
        seconds = time.monotonic() - self.begun
        self.seconds += seconds
        self.history.append(row)
        if self.plateau and has_stalled([self.merit(each) for each in self.history], self.plateau):
            for optimizer in optimizers:
                optimizer.learning_rate = read_rate(optimizer) / 10
        values = copy_values(training_state(self.model))
        values |= {"seconds": np.array(self.seconds), **{f"{SUM}{name}": each for name, each in self.sums.items()}}
        if is_first():
            self.writing = self.writer.submit(self.write, list(self.history), best, values, seconds)

    def try_mean(self, epoch: int, row: Row) -> Row:
        """Add the weights after an epoch to the sums; after the last one give the network their mean, where that is
        better than all epochs. Return the epoch's row, or that of the mean."""
        variables = name_variables(self.network.whole.variables)
        own = {name: value for name, value in copy_values(variables).items() if np.issubdtype(value.dtype, np.floating)}
        self.sums = {name: self.sums.get(name, 0) + value for name, value in own.items()}
        if epoch + 1 < self.averaged.stop:
            return row
        for name in own:
            variables[name].assign(self.sums[name] / len(self.averaged))
        mean = {**row, **{name: float(value) for name, value in self.validate().items()}}
        if self.merit(mean) > max(map(self.merit, [*self.history, row])):
            return mean
        for name, value in own.items():
            variables[name].assign(value)
        return row

    def merit(self, row: Row) -> float:
        """Return a number that is larger for a better epoch; the least for one whose network predicts no numbers."""
        merit = self.metric.merit(row[f"val_{self.metric.name}"])
        return merit if math.isfinite(merit) else -math.inf

    def require_numbers(self) -> None:
        """Raise KcnnError where no epoch's network predicts numbers."""
        if self.history and max(map(self.merit, self.history)) == -math.inf:
            raise KcnnError(
                f"fold {self.fold}: the network predicts values that are not numbers after every epoch",
                "use a lower learning rate: --set learning_rate=VALUE; or look for a division by zero in its layers",
            )

    def write(
        self, history: list[Row], best: dict[str, Array] | None, values: dict[str, Array], seconds: float
    ) -> None:
        """Write what an epoch leaves, in the writer's thread."""
        if best is not None:
            write_arrays(self.folder / BEST, best)
        table = pd.DataFrame(history)
        columns = {"history": table.to_numpy(float), "columns": np.array(table.columns, dtype=str)}
        write_arrays(self.folder / STATE, {**values, **columns})
        with whole_file(self.folder / "history.csv") as temporary:
            table.astype({"epoch": int}).to_csv(temporary, index=False)
        best_epoch = int(np.argmax([self.merit(row) for row in history])) + 1
        spent = round(float(values["seconds"]), 1)
        self.run.write_result(self.fold, status="training", seconds=spent, epochs=len(history), best_epoch=best_epoch)
        self.progress.epoch(history[-1], best is not None, seconds)


class Scalars(keras.callbacks.Callback):
    """Write each epoch's numbers, once `checkpoint` has them, for TensorBoard: those of training and of validation as
    two runs, and the learning rate. On every backend: the package tensorboard needs no TensorFlow.
    """

    def __init__(self, folder: Path, checkpoint: Checkpoint):
        super().__init__()
        self.folder, self.checkpoint = folder, checkpoint

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        from tensorboard.summary import Writer

        self.writers = {part: Writer(str(self.folder / part)) for part in ("train", "validation")}

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        for name, value in self.checkpoint.history[-1].items():
            if name != "epoch":
                part = "validation" if name.startswith("val_") else "train"
                self.writers[part].add_scalar(f"epoch_{name.removeprefix('val_')}", value, epoch + 1)
        for writer in self.writers.values():
            writer.flush()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        for writer in self.writers.values():
            writer.close()


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Give a model in training the running average of its weights, where its optimizer keeps one, for the block."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # behind the loss scale of mixed_float16
    if not list_optimizers(model.optimizer)[0].use_ema:
        yield
        return
    own = [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.trainable_variables]
    optimizer.finalize_variable_values(model.trainable_variables)
    for variable in model.trainable_variables:  # JAX shares the array on assignment, and the next call takes it away
        variable.assign(keras.ops.copy(variable))
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, own, strict=True):
            variable.assign(value)


def has_stalled(merits: list[float], patience: int) -> bool:
    """Whether the last of `merits` is the last of `patience` in a row without a new best; the next is then the first
    of the next row."""
    best, since = -math.inf, 0
    for merit in merits:
        since = 0 if merit > best else since % patience + 1
        best = max(best, merit)
    return since == patience


def training_state(model: keras.Model) -> dict[str, Any]:
    """Return every variable of a compiled model and its optimizer by path; without images that live in it, which are
    uint8."""
    own = name_variables([variable for variable in model.variables if variable.dtype != "uint8"])
    # The name of an optimizer counts how many were made before it; those of its variables stay.
    optimizer = name_variables(model.optimizer.variables, lambda path: path.rpartition("/")[2])
    return {**own, **{f"{OPTIMIZER}{name}": variable for name, variable in optimizer.items()}}


def name_variables(variables: list[Any], shorten: Callable[[str], str] = str) -> dict[str, Any]:
    """Return the variables by path. Models in models may have layers of one name: later ones get a number."""
    named: dict[str, Any] = {}
    for variable in variables:
        path = name = shorten(variable.path)
        number = 1
        while name in named:
            number += 1
            name = f"{path}#{number}"
        named[name] = variable
    return named


def copy_values(variables: Mapping[str, Any]) -> dict[str, Array]:
    """Return copies: what convert_to_numpy gives may be the variable's own memory."""
    return {name: np.array(keras.ops.convert_to_numpy(variable)) for name, variable in variables.items()}


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write a .npz. Its keys are paths, so by a stream: np.savez takes a key `file` for an argument."""
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)
