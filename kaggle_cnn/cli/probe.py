"""probe: a linear layer on the features of a frozen backbone."""

from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import (
    BackendOption,
    CompetitionOption,
    OfflineOption,
    app,
    complete_run,
    progress,
    say,
)
from kaggle_cnn.workspace import Workspace


@app.command()
def probe(
    backbone: Annotated[
        str, typer.Argument(help="A backbone, as kcnn backbones lists them, a preset of KerasHub, or run:RUN.")
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting of the recipe pretrained: name=value. Repeat it for more."),
    ] = None,
    offline: OfflineOption = False,
    backend: BackendOption = None,
    competition: CompetitionOption = None,
) -> None:
    """Fit a linear layer on the features of a frozen backbone, for every fold."""
    from kaggle_cnn import training
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.recipe import parse_settings

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    with progress() as shown:
        run = training.probe(backbone, parse_settings(settings or []), backend, found.name, workspace, shown)
        path = complete_run(run, found, workspace)
    if path:
        say("next: kcnn submit")
