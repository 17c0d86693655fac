"""blend: several runs as one."""

from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import CompetitionOption, JsonOption, app, complete_run, console, print_json, progress
from kaggle_cnn.workspace import Workspace


@app.command()
def blend(
    runs: Annotated[list[str], typer.Argument(help="Two runs or more, by id or its beginning.", metavar="RUN RUN ...")],
    weights: Annotated[
        str, typer.Option(help="Find the weights by hill climbing on the loss or on the metric, or take equal ones.")
    ] = "loss",
    form: Annotated[
        str, typer.Option(help="Average probabilities, calibrated ones, logits or ranks.")
    ] = "probabilities",
    competition: CompetitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Blend runs of the same folds into one: the weighted mean of their predictions."""
    from kaggle_cnn import api
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.insight.blend_tables import blend_tables
    from kaggle_cnn.parsing import read_json

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    with progress() as shown:
        run = api.blend(runs, weights, form, found.name, workspace, shown)
        numbers = read_json(dict, run.folder / "blend.json", "blend again")
        if as_json:
            api.write_submission(run, found, workspace)
            members = [{**each, **own} for each, own in zip(run.record["members"], numbers["members"], strict=True)]
            return print_json({"id": run.id, **numbers, "members": members})
        console().print(blend_tables(run.record["members"], numbers, found.task.metric), "")
        complete_run(run, found, workspace)
    return None
