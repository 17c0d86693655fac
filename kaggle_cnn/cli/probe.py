"""probe: a linear layer on the features of a frozen backbone."""

from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import (
    BackendOption,
    CompetitionOption,
    OfflineOption,
    app,
    print_evaluation,
    print_line,
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
    from kaggle_cnn import api
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.recipe import parse_settings

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    with progress() as shown:
        run = api.probe(backbone, parse_settings(settings or []), backend, found.name, workspace, shown)
        path = api.write_submission(run, found, workspace)
        print_evaluation(api.evaluate([run.id], competition=found.name, workspace=workspace))
    if path:
        print_line(f"submission  {path}")
    print_line(f"run         {run.folder}")
    if path:
        say("next: kcnn submit")
