"""What the commands share: the app, its options, how results, talk and mistakes are printed."""

import errno
import json
import sys
from typing import Annotated

import typer

from kaggle_cnn.errors import KcnnError

app = typer.Typer(
    name="kcnn",
    help="From a competition's name to an honest, high score: fetch, train, submit.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich help takes twice as long to come
    pretty_exceptions_enable=False,
)

CompetitionOption = Annotated[
    str | None, typer.Option("--competition", "-c", help="A fetched competition; else the current one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
RunsArgument = Annotated[
    list[str] | None, typer.Argument(help="Runs, by id or its beginning; else the newest.", metavar="RUN")
]
BackendOption = Annotated[
    str | None, typer.Option(help="tensorflow, jax or torch; else KERAS_BACKEND, else tensorflow.")
]


def main() -> None:
    """The entry point: runs a command; a user's mistake ends in `error:` and `hint:` lines and exit code 1."""
    try:
        app()
    except KcnnError as error:
        fail(error.message, error.hint)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            fail(
                f"no room left to write {error.filename or 'to this disk'}",
                "make room and run it again; nothing is lost",
            )
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            fail(f"not allowed to use {error.filename}", "check its owner and permissions")
        raise


def fail(message: str, hint: str) -> None:
    for word, text in (("error", message), ("hint", hint)):
        print(f"{word}: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(1)


def console(stderr: bool = False):
    """Where tables go; with `stderr`, where progress goes."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def print_picture(path) -> bool:
    """Shows the picture of that file where the terminal speaks kitty's protocol or sixel; whether it does."""
    if not sys.stdout.isatty():
        return False
    try:
        from textual_image.renderable import Image, SixelImage, TGPImage  # asks the terminal, once

        if Image not in (SixelImage, TGPImage):
            return False
        console().print(Image(path))
    except Exception:  # what a terminal answers, or that it does not know its own size, is no mistake of the user's
        return False
    return True


def say(text: str = "") -> None:
    """Talk, which is no result."""
    typer.echo(text, err=True)


def say_notes(notes: list[str]) -> None:
    for note in notes:
        say(f"note: {note}")


def show(value) -> None:
    """One result as JSON."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))


def talk():
    """What is told of work that takes time; see insight.progress.Talk."""
    from kaggle_cnn.insight.progress import Talk

    return Talk(console(stderr=True))
