"""Both sides of a comparison in one run, in turns, several rounds: a machine's mood then falls on both."""

import os
import statistics
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table


def cpu_seconds() -> float:
    """Of this process and of the children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def compare(title: str, sides: dict[str, Callable[[], int]], rounds: int = 5) -> None:
    """Calls every side once to warm up, then all of them in turn, `rounds` times, and prints a table.

    A side does its work and returns how many images that was. Ratios are to the first side, of the same round; the
    spread is that of the rounds.
    """
    for side in sides.values():
        side()
    walls, cpus = {name: [] for name in sides}, {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            wall, cpu = time.perf_counter(), cpu_seconds()
            images = side()
            walls[name].append((time.perf_counter() - wall) / images)
            cpus[name].append((cpu_seconds() - cpu) / images)
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in ("images/s", "us/image", "CPU us/image", "times as fast", "least", "most", "by CPU"):
        table.add_column(heading, justify="right")
    first = next(iter(sides))
    for name in sides:
        times = [other / own for own, other in zip(walls[name], walls[first], strict=True)]
        by_cpu = statistics.median(other / own for own, other in zip(cpus[name], cpus[first], strict=True))
        wall, cpu = statistics.median(walls[name]), statistics.median(cpus[name])
        table.add_row(
            name,
            f"{1 / wall:,.4g}",
            f"{wall * 1e6:,.4g}",
            f"{cpu * 1e6:,.4g}",
            *(f"{value:.2f}" for value in (statistics.median(times), min(times), max(times), by_cpu)),
        )
    Console(width=120).print(table)
