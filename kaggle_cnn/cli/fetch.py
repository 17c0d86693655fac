"""fetch: from a name to files that are understood."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import app, print_line, progress, say, say_notes
from kaggle_cnn.plural import count_of
from kaggle_cnn.workspace import Workspace


class Kept(StrEnum):
    same = "same"
    near = "near"


@app.command()
def fetch(
    competition: Annotated[
        str | None,
        typer.Argument(
            help="A competition's name or address on Kaggle, a data set's address there, demo, or a folder or zip. "
            "Default: the current one, or demo."
        ),
    ] = None,
    include: Annotated[str, typer.Option(help="Download only Kaggle's files that match, such as '*.csv'.")] = "",
    keep_archive: Annotated[
        bool, typer.Option("--keep-archive", help="Keep the zip that Kaggle sent, beside the folder.")
    ] = False,
    folds: Annotated[int, typer.Option(help="Draw this many folds. Default: five.", show_default=False)] = 0,
    group: Annotated[
        str,
        typer.Option(help="Keep images with one value in this column of the labels in one fold.", metavar="COLUMN"),
    ] = "",
    keep_together: Annotated[
        Kept | None, typer.Option(help="Keep near-duplicates in one fold, or only images of the same pixels.")
    ] = None,
    train: Annotated[
        str, typer.Option(help="Its folders are the classes, or it has the training images.", metavar="FOLDER")
    ] = "",
    test: Annotated[str, typer.Option(help="The folder with the test images.", metavar="FOLDER")] = "",
    labels: Annotated[str, typer.Option(help="The CSV with the labels.", metavar="CSV")] = "",
    label_column: Annotated[str, typer.Option(help="Its column with the label.", metavar="COLUMN")] = "",
    name: Annotated[str, typer.Option(help="Call the competition so.")] = "",
) -> None:
    """Fetch a competition and make it the current one."""
    from kaggle_cnn import api
    from kaggle_cnn.competition.competition import SUBMISSION_FORMATS
    from kaggle_cnn.competition.layouts.recognise import Choices
    from kaggle_cnn.competition.opening import open_competition

    workspace = Workspace.find()
    if competition is None:
        current = workspace.current()
        say(f"fetching the current competition, {current}" if current else "no competition named: fetching the demo")
        competition = open_competition(workspace, current).source if current else "demo"
    with progress() as shown:
        choices = Choices(train.rstrip("/"), test.rstrip("/"), labels, label_column)
        kept = keep_together or ""
        dataset, new = api.fetch(
            competition, include, keep_archive, folds, group, kept, choices, name, workspace, shown
        )
    fetched = dataset.competition
    if not new:
        say(f"{fetched.name} is here already, nothing was downloaded")
    say_notes(dataset.notes)
    tests = count_of(len(dataset.test_ids), "test image") if len(dataset.test_ids) else "no test images"
    what = "number" if fetched.kind == "regression" else "class"
    images = f"{count_of(len(dataset.ids), 'training image')} of {count_of(len(fetched.classes), what)}"
    print_line(f"{fetched.name}: {images}, {tests}")
    print_line(f"{what}{'es' if what == 'class' else 's'}: {dataset.list_classes(most=8)}")
    form = SUBMISSION_FORMATS[fetched.submission_format]
    wanted = f"a submission holds {form}" if len(dataset.test_ids) else "nothing to submit"
    print_line(f"layout {fetched.layout}, {fetched.kind}, metric {fetched.task.metric.title}; {wanted}")
    print_line(f"in {fetched.folder}")
    say("next: kcnn look, then kcnn train recipes/resnet.py" if Path("recipes").is_dir() else "next: kcnn init")
