"""tune: search settings of a recipe."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kaggle_cnn.cli.terminal import (
    BackendOption,
    CompetitionOption,
    JsonOption,
    SvgOption,
    app,
    console,
    present,
    print_json,
    say,
    training_progress,
)
from kaggle_cnn.workspace import Workspace


@app.command()
def tune(
    recipe: Annotated[Path, typer.Argument(help="A recipe: a name such as resnet, or a file.")],
    trials: Annotated[int, typer.Option(help="Go on until the study has so many trials.")] = 20,
    timeout: Annotated[
        str, typer.Option(help="Begin no trial after this time: 90s, 30m or 2h.", show_default=False)
    ] = "",
    space: Annotated[
        list[str] | None,
        typer.Option(help="Search a setting: name=low..high, name=low..high:log or name=a,b,c. Repeat it for more."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting in all trials: name=value. Repeat it for more.")
    ] = None,
    fold: Annotated[int, typer.Option(min=0, help="Validate on this fold.")] = 0,
    study: Annotated[str, typer.Option(help="The study's name. Default: the recipe's.", show_default=False)] = "",
    storage: Annotated[
        str, typer.Option(help="A database's URL, in place of a journal file.", show_default=False)
    ] = "",
    on: Annotated[
        str, typer.Option(help="Train trials as tasks of Ray: ray, or a cluster's address.", metavar="ray")
    ] = "",
    at_once: Annotated[int, typer.Option(min=1, help="On Ray, train so many trials at once.")] = 4,
    svg: SvgOption = False,
    backend: BackendOption = None,
    competition: CompetitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search settings of a recipe, in trials on one fold; go on where the study was stopped."""
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.parsing import parse_duration
    from kaggle_cnn.recipe import parse_settings
    from kaggle_cnn.tuning import tune as tune_recipe

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    seconds = parse_duration(timeout, "--timeout") if timeout else None
    values = parse_settings(settings or [])
    options: dict[str, Any] = {
        "study": study, "storage": storage, "backend": backend, "competition": found.name, "on": on, "at_once": at_once,
    }  # fmt: skip
    with training_progress(found.task.metric, lambda _: "ended trials are kept. The same command goes on") as shown:
        numbers = tune_recipe(
            recipe, trials, seconds, space or [], values, fold, workspace=workspace, progress=shown, **options
        )
    return print_json(numbers) if as_json else show_study(numbers, str(recipe), svg)


def show_study(numbers: dict[str, Any], recipe: str, svg: bool) -> None:
    """Print the tables of a study, and draw it."""
    from kaggle_cnn.insight.study_tables import study_tables
    from kaggle_cnn.pictures import study as pictures

    console().print(study_tables(numbers))
    if picture := pictures.draw(numbers):
        present(picture, svg)
    if numbers["best"] is not None:
        say(f"next: kcnn train {recipe} --best-of {numbers['study']}")
