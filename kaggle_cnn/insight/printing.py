"""What is printed: titles, names and errors come from others, and may hold codes that a terminal obeys."""

import re
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook
from rich.segment import Segment

# Control characters but for the line feed and the tab; marks that reverse the order of what follows (U+202A to 202E,
# 2066 to 2069) or that break a line; and halves of characters, as the names of files have that are not UTF-8.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
# What follows an escape: colours and the cursor, ended by a letter; titles and the clipboard, ended by a bell.
SEQUENCE = re.compile("(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)")
LEAST_WIDTH = 60  # columns; a narrower terminal breaks the lines itself, which is easier to read than our tables are
HALVES = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Return a text without what would do something to a terminal instead of being shown there."""
    return HALVES.sub("\ufffd", CONTROL.sub("", SEQUENCE.sub("", text)))


class Cleaning(RenderHook):
    """Cleans the text of everything that a console prints; its own codes, as for colours, stay."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [Cleaned(each) for each in renderables]


class Cleaned:
    """What another renderable gives, cleaned."""

    def __init__(self, inner: RenderableType):
        self.inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.inner, options):
            yield segment if segment.control else Segment(clean(segment.text), segment.style)


def make_console(stderr: bool = False, **options: Any) -> Console:
    """Return a console for tables, or with `stderr` for progress."""
    console = Console(stderr=stderr, highlight=False, **options)
    console.push_render_hook(Cleaning())
    console.width = max(console.width, LEAST_WIDTH)
    return console
