"""show: pictures of a run or a competition; what its kinds share."""

import re
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import app, console, print_picture, talk
from kaggle_cnn.competition.competition import IMAGE_SUFFIXES
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace

show = typer.Typer(help="Draw a picture of a run, or of the competition.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(show, name="show")

RunArgument = Annotated[str | None, typer.Argument(help="A run's id or its beginning; else the newest.", metavar="RUN")]
SvgOption = Annotated[bool, typer.Option("--svg", help="Write it as SVG too.")]
CountOption = Annotated[int, typer.Option("--count", "-n", min=1, max=200, help="How many images.")]


def opened(competition: str | None, run: str | None) -> tuple:
    """The competition, and the run of that name or the newest."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.learn.run import open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    [chosen] = open_runs(workspace, found, [run] if run else None)
    return found, chosen


def dataset_of(competition):
    from kaggle_cnn.data.dataset import load_dataset

    return load_dataset(competition, talk().track)


def loaded(run):
    """A run's first model."""
    from kaggle_cnn.learn.backend import start_backend

    path = run.models[0]
    start_backend(run.record["backend"])
    from kaggle_cnn.learn.predict import load_model

    return load_model(run, path)


def present(drawn, path: Path, svg: bool, text=None) -> None:
    """Writes the picture; shows it where the terminal can, else `text`; ends with the paths."""
    from kaggle_cnn.insight.canvas import save

    written = save(drawn, path, svg)
    if not print_picture(path) and text is not None:
        console().print(text, markup=False, emoji=False)  # a class may be called [red], or :smile:
    for each in written:
        typer.echo(each)


def require_one_class_each(competition, what: str) -> None:
    if competition.multi_label:
        raise KcnnError(f"{what} are of images with one class each", "kcnn evaluate has the scores of each label")


def short(competition, name: str) -> str:
    """A training image's id without the folder that all of them lie in."""
    return name.removeprefix(f"{competition.train}/") if competition.train else name


def entry_of(competition, image: str) -> dict:
    """A training image as the sheets want it: `name` and `pixels`."""
    from kaggle_cnn.insight.sheets import pixels_of

    return {"name": short(competition, image), "pixels": pixels_of(competition.folder / image)}


def as_file_name(name: str) -> str:
    """`name` without what a file cannot be called, and short: with a few signs of its own where some of it is cut."""
    name = re.sub(rf"({'|'.join(map(re.escape, IMAGE_SUFFIXES))})$", "", name, flags=re.IGNORECASE)
    clean = "".join(letter if letter.isalnum() or letter in "-_.#" else "_" for letter in name).encode()
    if len(clean) <= 100:
        return clean.decode()
    return f"{clean[-90:].decode(errors='ignore')}-{blake2b(name.encode(errors='replace'), digest_size=4).hexdigest()}"


def labels_of(dataset) -> list[str]:
    """The classes of each training image in words."""
    return [", ".join(dataset.competition.classes[place] for place in row.nonzero()[0]) for row in dataset.targets]
