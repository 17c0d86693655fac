"""Show the progress of training, downloads and other long work on a rich console."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from kaggle_cnn.progress import Part, Transferred

Item = TypeVar("Item")
LONG = 1000  # items from which `track` writes a line where no bar can be shown


class ConsoleProgress:
    """A kaggle_cnn.progress.Progress: live bars on a terminal, lines of text elsewhere.

    Use it as a context manager: the live bar of a training is then removed at the end, also after an error. The line of
    an epoch shows the validation score of the metric `metric_name` under the title `metric_title`.
    """

    def __init__(self, console: Console, metric: tuple[str, str] = ("accuracy", "accuracy")):
        self.console = console
        self.metric_name, self.metric_title = metric
        self.bar = self.make_bar(MofNCompleteColumn(), TextColumn("steps"), TimeRemainingColumn())
        self.task: TaskID | None = None
        self.steps = self.epochs = self.first_epoch = 0
        self.begun = 0.0
        self.table: Live | None = None
        self.said: dict[str, int] = {}  # part -> the last epoch that is printed

    def __enter__(self) -> "ConsoleProgress":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the live bar of the training."""
        if self.table is not None:
            self.table.stop()
            self.table = None
        if self.task is not None:  # where there is none, rich would print an empty line
            self.bar.stop()
            self.bar.remove_task(self.task)
            self.task = None

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(Text(text), soft_wrap=True)

    def track(self, items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
        """Yield `items` and show a live bar; where there is no terminal, print one line if the items are many."""
        if not self.console.is_terminal:
            if total >= LONG:
                self.say(f"{description}: {total:,} items")
            yield from items
            return
        with self.pause(), self.make_bar(MofNCompleteColumn(), TimeRemainingColumn()) as bar:
            yield from bar.track(items, total=total, description=description)

    @contextmanager
    def transfer(self, description: str) -> Iterator[Transferred]:
        """Show a bar of bytes with speed and time left. Call the value with the bytes so far and in all."""
        if not self.console.is_terminal:
            yield lambda done, total: None
            return
        columns = DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn()
        with self.pause(), self.make_bar(*columns) as bar:
            task = bar.add_task(description, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    @contextmanager
    def wait(self, description: str) -> Iterator[None]:
        """Show a spinner during the block; where there is no terminal, print one line."""
        if not self.console.is_terminal:
            self.say(description)
            yield
            return
        with self.pause(), self.console.status(Text(description)):
            yield

    def fold(self, fold: int, images: int, steps: int, epochs: int, done: int) -> None:
        """Start to show the training of a fold, of which `done` epochs exist already."""
        resumed = f", going on after epoch {done}" if done else ""
        self.say(f"fold {fold}: training on {images:,} images, {epochs} x {steps} steps{resumed}")
        self.steps, self.epochs = steps, epochs
        self.begun, self.first_epoch = time.monotonic(), done
        if self.console.is_terminal:
            self.task = self.bar.add_task("", total=steps * epochs, completed=steps * done)
            self.bar.start()

    def step(self, epoch: int, step: int, numbers: Mapping[str, float]) -> None:
        """Update the live bar: `epoch` counts from 0, `step` from 1."""
        if self.task is not None:
            description = f"epoch {epoch + 1}/{self.epochs}  {format_training(numbers)}"
            self.bar.update(self.task, completed=epoch * self.steps + step, description=description)

    def epoch(self, row: Mapping[str, float], better: bool, seconds: float) -> None:
        """Print the line of an epoch, its validation score in green if it is the best so far."""
        now, epoch = time.monotonic(), int(row["epoch"])
        left = (now - self.begun) / max(epoch - self.first_epoch, 1) * (self.epochs - epoch)
        known = f"val_{self.metric_name}" in row
        title, name = (self.metric_title, self.metric_name) if known else ("loss", "loss")
        line = Text(f"epoch {epoch:>{len(str(self.epochs))}}/{self.epochs}  {format_training(row)}  ")
        line.append(f"validation {title} {row[f'val_{name}']:.4f}", style="bold green" if better else "")
        line.append(f"  {seconds:.{0 if seconds >= 100 else 1}f} s")
        line.append(f", {format_time(left)} left" if epoch < self.epochs else "", style="dim")
        self.console.print(line, soft_wrap=True)
        if epoch == self.epochs:
            self.close()

    def parts(self, parts: Sequence[Part]) -> None:
        """Show a live table of the parts; where there is no terminal, a line for each epoch of each."""
        if self.console.is_terminal:
            if self.table is None:
                self.table = Live(console=self.console, transient=True)
                self.table.start()
            self.table.update(self.draw_parts(parts))
            if all(part.state == "done" for part in parts):
                self.close()
            return
        for part in parts:
            if part.row and self.said.get(part.name, 0) < part.epoch:
                self.said[part.name] = part.epoch
                self.say(f"{part.name}: epoch {part.epoch}/{part.epochs}  {self.format_scores(part)}")

    def draw_parts(self, parts: Sequence[Part]) -> Table:
        """Return a table with a row for each part."""
        table = Table(box=None, header_style="dim")
        for name in ("", "epoch", "loss", f"validation {self.metric_title}", "left", "on"):
            table.add_column(name, justify="left" if name in ("", "on") else "right")
        for part in parts:
            if not part.row:
                table.add_row(Text(part.name), part.state, "", "", "", Text(part.machine))
                continue
            left = format_time((part.epochs - part.epoch) * part.seconds) if part.state == "training" else part.state
            loss, score = f"{part.row['loss']:.4f}", part.row.get(f"val_{self.metric_name}", math.nan)
            table.add_row(
                Text(part.name), f"{part.epoch}/{part.epochs}", loss, f"{score:.4f}", left, Text(part.machine)
            )
        return table

    def format_scores(self, part: Part) -> str:
        """Return the numbers of a part's last epoch."""
        score = part.row.get(f"val_{self.metric_name}", math.nan)
        numbers = f"{format_training(part.row)}  validation {self.metric_title} {score:.4f}"
        return f"{numbers}  {part.seconds:.1f} s"

    def make_bar(self, *columns: ProgressColumn) -> Progress:
        """Return a live bar with a description before it and `columns` after it."""
        description = TextColumn("{task.description}", markup=False)
        return Progress(description, BarColumn(), *columns, console=self.console, transient=True)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Hide the bar of the training during the block: before version 14.1 rich shows only one live bar."""
        self.bar.stop()
        try:
            yield
        finally:
            if self.task is not None:
                self.bar.start()


def format_training(numbers: Mapping[str, float]) -> str:
    """Return the numbers of the training as text, the loss first, without those of validation."""
    names = [name for name in numbers if name not in ("epoch", "learning_rate", "loss") and name[:4] != "val_"]
    return "  ".join(f"{name.replace('_', ' ')} {numbers[name]:.4f}" for name in ["loss", *names])


def format_time(seconds: float) -> str:
    """Return minutes and seconds, and hours if there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
