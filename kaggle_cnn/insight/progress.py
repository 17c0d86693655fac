"""How training goes, and whatever else takes time, on a rich console: live bars on a terminal, lines elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text


class TrainingProgress:
    """What learn.train calls as it goes. Use as a context, so that the live bar is taken down whatever happens."""

    def __init__(self, console: Console):
        self.console = console
        columns = [
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
        ]
        self.bar = Progress(*columns, console=console, transient=True)
        self.task, self.steps = None, 0

    def __enter__(self) -> "TrainingProgress":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self.bar.stop()
        if self.task is not None:
            self.bar.remove_task(self.task)
            self.task = None

    def say(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)

    def fold(self, fold: int, images: int, steps: int, epochs: int, done: int) -> None:
        """Training begins, or goes on after `done` epochs."""
        resumed = f", going on after epoch {done}" if done else ""
        self.say(f"fold {fold}: training on {images:,} images, {epochs} x {steps} steps{resumed}")
        self.steps, self.epochs = steps, epochs
        self.begun, self.first_epoch = time.monotonic(), done
        if self.console.is_terminal:
            self.task = self.bar.add_task("", total=steps * epochs, completed=steps * done)
            self.bar.start()

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """`epoch` from 0, `step` from 1."""
        if self.task is not None:
            description = f"epoch {epoch + 1}/{self.epochs}  loss {loss:.4f}  accuracy {accuracy:.4f}"
            self.bar.update(self.task, completed=epoch * self.steps + step, description=description)

    def epoch(self, row: dict[str, float], better: bool, seconds: float) -> None:
        """An epoch has ended and is on disk; `row` as in history.csv, `better` if its model is the best so far,
        `seconds` what training and validation took."""
        now, epoch = time.monotonic(), int(row["epoch"])
        left = (now - self.begun) / (epoch - self.first_epoch) * (self.epochs - epoch)
        line = Text(f"epoch {epoch:>{len(str(self.epochs))}}/{self.epochs}  ")
        line.append(f"loss {row['loss']:.4f}  accuracy {row['accuracy']:.4f}  ")
        line.append(f"validation {row['val_accuracy']:.4f}", style="bold green" if better else "")
        line.append(f"  {seconds:.{0 if seconds >= 100 else 1}f} s")
        line.append(f", {clock(left)} left" if epoch < self.epochs else "", style="dim")
        self.console.print(line, soft_wrap=True)
        if epoch == self.epochs:
            self.close()


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Talk:
    """What takes its time without being training: `say`, `track` what is gone through, `transfer` bytes, `wait`."""

    def __init__(self, console: Console):
        self.console = console

    def say(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)

    def track(self, iterable: Iterable, description: str, total: int) -> Iterator:
        """On a terminal a live bar, gone when done; elsewhere one line, and only where there is much to do."""
        if not self.console.is_terminal:
            if total >= 1000:
                self.say(f"{description}, {total:,} to go")
            yield from iterable
            return
        columns = [
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        ]
        with Progress(*columns, console=self.console, transient=True) as progress:
            yield from progress.track(iterable, total=total, description=description)

    @contextmanager
    def transfer(self, description: str) -> Iterator[Callable[[int, int | None], None]]:
        """A bar of bytes with speed and time left; call its value with (bytes there, bytes in all)."""
        if not self.console.is_terminal:
            yield lambda there, total: None
            return
        columns = [
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        ]
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(description, total=None)
            yield lambda there, total: progress.update(task, completed=there, total=total)

    @contextmanager
    def wait(self, description: str) -> Iterator[None]:
        """A spinner meanwhile, or on no terminal one line."""
        if self.console.is_terminal:
            with self.console.status(description):
                yield
        else:
            self.say(description)
            yield
