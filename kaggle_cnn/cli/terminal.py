"""What the commands share: the app, its options, how results, notes and mistakes are printed."""

import errno
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_cnn.cli.streams import close_streams, open_streams
from kaggle_cnn.errors import KcnnError

if TYPE_CHECKING:
    from rich.console import Console

    from kaggle_cnn.competition.competition import Competition
    from kaggle_cnn.competition.metrics import Metric
    from kaggle_cnn.insight.progress import ConsoleProgress
    from kaggle_cnn.pictures.picture import Picture
    from kaggle_cnn.runs.run import Run
    from kaggle_cnn.workspace import Workspace

app = typer.Typer(
    name="kcnn",
    help="Fetch a Kaggle image competition, train a network, submit its predictions.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # rich help takes twice as long to come
    pretty_exceptions_enable=False,
)

# Commands as hints name them, which take -c.
COMMANDS = re.compile(
    r"\bkcnn (train|tune|look|runs|evaluate|predict|compare|blend|tta|doctor|report|show \w+|submissions|submit|"
    r"leaderboard)\b(?! -c)"
)

CompetitionOption = Annotated[
    str | None, typer.Option("--competition", "-c", help="Use this fetched competition, not the current one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
RunArgument = Annotated[
    str | None, typer.Argument(help="A run's id or its beginning. Default: the newest run.", metavar="RUN")
]
RunsArgument = Annotated[
    list[str] | None, typer.Argument(help="Runs, by id or its beginning. Default: the newest run.", metavar="RUN")
]
OfflineOption = Annotated[
    bool,
    typer.Option("--offline", callback=lambda value: forbid_downloads(value), help="Download no weights of backbones."),
]
BackendOption = Annotated[
    str | None,
    typer.Option(help="Use tensorflow, jax or torch. Default: the run's, else KERAS_BACKEND, else tensorflow."),
]
SvgOption = Annotated[bool, typer.Option("--svg", help="Write the picture as SVG too.")]
CropOption = Annotated[
    int | None, typer.Option(min=1, help="Cut views of this many pixels; for networks with global pooling.")
]


def print_version(wanted: bool) -> None:
    """Print the version of kcnn and of the libraries that a result depends on, and end."""
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        typer.echo(f"kcnn {version('kcnn')}")
        for name in ("keras", "tensorflow", "jax", "torch"):
            with suppress(PackageNotFoundError):
                typer.echo(f"{name} {version(name)}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the versions of kcnn, Keras and its backends.", callback=print_version),
    ] = False,
) -> None:
    """Fetch a Kaggle image competition, train a network, submit its predictions."""


def main() -> None:
    """Run a command; a mistake of the user, or of kcnn, ends in `error:` and `hint:` lines and exit code 1."""
    open_streams()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it says where its cache cannot be written
    try:
        app(prog_name="kcnn")
    except Exception as error:
        print_error(error)
        sys.exit(1)
    finally:
        if why := close_streams():
            print(f"error: cannot write to standard output: {why}\nhint: nothing else is lost", file=sys.stderr)
            os._exit(1)


def explain(error: Exception) -> tuple[str, str]:
    """Return the error and the hint for an exception."""
    if isinstance(error, KcnnError):
        return error.message, error.hint
    if isinstance(error, MemoryError):
        return "there is not enough memory", "use smaller images or batches, or a computer with more memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"no room left to write {error.filename or 'to this disk'}", (
            "make room and run it again; nothing is lost"
        )
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"not allowed to use {error.filename}", "check its owner and permissions"
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return f"cannot use {error.filename}: {(error.strerror or str(error)).lower()}", "check that file or folder"
    from kaggle_cnn.cli.unforeseen import hide_secrets, write_report

    path = write_report(error)
    words = hide_secrets(f"{type(error).__name__}: {error}")[:300]
    hint = f"the report {path} says where; it has no secret in it, so you can send it" if path else "run it again"
    return f"kcnn has a defect: {words}", hint


def print_error(error: Exception, whose: str = "") -> None:
    """Print an exception as an error and a hint; `whose` comes before the error."""
    from kaggle_cnn.insight.printing import clean

    message, hint = explain(error)
    for word, text in (("error", whose + message), ("hint", name_competition(hint))):
        print(f"{word}: {clean(' '.join(text.split()))}", file=sys.stderr)


def forbid_downloads(offline: bool) -> bool:
    """Let nothing be downloaded by this process, where that is asked for."""
    if offline:
        from kaggle_cnn.backbones.weights import OFFLINE

        os.environ[OFFLINE] = "1"
    return offline


def print_line(text: object) -> None:
    """Print a line of the result."""
    from kaggle_cnn.insight.printing import clean

    typer.echo(clean(str(text)).replace("\n", " "))


def console(stderr: bool = False) -> "Console":
    """Return where tables go; with `stderr`, where progress goes."""
    from kaggle_cnn.insight.printing import make_console

    return make_console(stderr)


def progress() -> "ConsoleProgress":
    """Return what shows how work goes on, on standard error."""
    from kaggle_cnn.insight.progress import ConsoleProgress

    return ConsoleProgress(console(stderr=True))


@contextmanager
def training_progress(metric: "Metric", words: Callable[["ConsoleProgress"], str]) -> Iterator["ConsoleProgress"]:
    """Give what shows how trainings go on by `metric`. Ctrl-C ends the command with exit code 130, and says that it is
    stopped, and `words`: what is kept."""
    with progress() as shown:
        shown.metric_name, shown.metric_title = metric.name, metric.title
        try:
            yield shown
        except KeyboardInterrupt:
            shown.__exit__(None, None, None)
            say()
            say(f"stopped; {words(shown)}")
            raise typer.Exit(130) from None


def present(picture: "Picture", svg: bool) -> None:
    """Write a picture; show it where the terminal can, else its table; print the paths last."""
    from kaggle_cnn.insight.canvas import save

    written = save(picture.figure, picture.path, svg)
    if not print_picture(picture.path) and picture.table is not None:
        screen = console()
        screen.print(picture.table(screen.width), markup=False, emoji=False)  # a class may be called [red], or :smile:
    for path in written:
        print_line(path)


def print_picture(path: Path) -> bool:
    """Show a picture where the terminal speaks kitty's protocol or sixel; return whether it does."""
    if not sys.stdout.isatty():
        return False
    try:
        from rich.console import Console
        from textual_image.renderable import Image, SixelImage, TGPImage  # asks the terminal, once

        if Image not in (SixelImage, TGPImage):
            return False
        Console().print(Image(path))
    except Exception:  # what a terminal replies, or that it does not know its own size, is not the user's mistake
        return False
    return True


def say(text: str = "") -> None:
    """Print a note, which is not a result."""
    from kaggle_cnn.insight.printing import clean

    typer.echo(clean(name_competition(text)), err=True)


def name_competition(text: str) -> str:
    """Return a hint with -c NAME in the commands that it names, where this command was given it."""
    pairs = zip(sys.argv[1:], sys.argv[2:], strict=False)
    name = next((name for option, name in pairs if option in ("-c", "--competition")), "")
    return COMMANDS.sub(lambda command: f"{command[0]} -c {quote(name)}", text) if name else text


def say_notes(notes: list[str]) -> None:
    for note in notes:
        say(f"note: {note}")


def print_json(value: Any) -> None:
    """Print one result as JSON, in which what a terminal would obey is escaped."""
    from kaggle_cnn.insight.printing import CONTROL, HALVES

    text = json.dumps(value, indent=1, ensure_ascii=False)
    for pattern in (CONTROL, HALVES):
        text = pattern.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    typer.echo(text)


def complete_run(run: "Run", competition: "Competition", workspace: "Workspace") -> Path | None:
    """Write the submission of a finished run, print its scores and where both are; return the submission, or None where
    there are no test images."""
    from kaggle_cnn import api

    path = api.write_submission(run, competition, workspace)  # before anything is printed, which may fail
    print_evaluation(api.evaluate([run.id], competition=competition.name, workspace=workspace))
    if path:
        print_line(f"submission  {path}")
    print_line(f"run         {run.folder}")
    return path


def print_evaluation(numbers: dict[str, Any], whole: bool = False) -> None:
    """Print the tables of an evaluation, of many classes the worst or the `whole`; `numbers` are those of
    api.evaluate."""
    from kaggle_cnn.insight.evaluation import measures, scores_table

    screen = console()
    names = (numbers["metric"], numbers["primary"])
    tables = measures(numbers["tta"], numbers["classes"], screen.width, *names, whole)
    parts: list[Any] = ["", tables, ""]
    if len(numbers["members"]) > 1:
        mean = numbers["tta"][numbers["primary"]]["scores"]
        parts += [scores_table("run", {**numbers["members"], "their mean": mean}, numbers["metric"]), ""]
    screen.print(*parts, sep="\n")
