"""What every long piece of work reports to: one protocol, and one that keeps silent."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Part:
    """A part of a work that goes on beside others: `state` is "waiting", "training" or "done", `row` that of its last
    epoch as in history.csv, `seconds` what this took, `machine` where it is."""

    name: str
    state: str = "waiting"
    machine: str = ""
    epoch: int = 0
    epochs: int = 0
    row: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0


CURRENT: "ContextVar[Progress]" = ContextVar("progress")
Transferred = Callable[[int, int | None], None]


class Progress(Protocol):
    """Shows how work goes on. The command line draws it (insight.progress); a library user may pass `Silent()`."""

    def say(self, text: str) -> None:
        """Show one line."""

    def track(self, items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
        """Yield `items` as they are, `total` of them, and show how many have been taken."""

    def transfer(self, description: str) -> AbstractContextManager[Transferred]:
        """Give a function to call with (bytes so far, bytes in all or None)."""

    def wait(self, description: str) -> AbstractContextManager[None]:
        """Show that the block waits for something."""

    def fold(self, fold: int, images: int, steps: int, epochs: int, done: int) -> None:
        """Start the training of `fold` on `images`, in `epochs` of `steps`, of which `done` epochs are done already."""

    def step(self, epoch: int, step: int, numbers: Mapping[str, float]) -> None:
        """Show the training so far: `epoch` from 0, `step` from 1, `numbers` as in history.csv."""

    def epoch(self, row: Mapping[str, float], better: bool, seconds: float) -> None:
        """Show an epoch that is on the disk: `row` as in history.csv, `better` where its model is the best so far."""

    def parts(self, parts: Sequence[Part]) -> None:
        """Show how parts of a work go on that are done at the same time; called a few times a second."""


class Silent:
    """A Progress that shows nothing."""

    def say(self, text: str) -> None:
        pass

    def track(self, items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
        return iter(items)

    def transfer(self, description: str) -> AbstractContextManager[Transferred]:
        return nullcontext(lambda done, total: None)

    def wait(self, description: str) -> AbstractContextManager[None]:
        return nullcontext()

    def fold(self, fold: int, images: int, steps: int, epochs: int, done: int) -> None:
        pass

    def step(self, epoch: int, step: int, numbers: Mapping[str, float]) -> None:
        pass

    def epoch(self, row: Mapping[str, float], better: bool, seconds: float) -> None:
        pass

    def parts(self, parts: Sequence[Part]) -> None:
        pass


def current_progress() -> Progress:
    """Return the Progress of the training that calls a recipe: a recipe's functions are not given one."""
    return CURRENT.get(Silent())
