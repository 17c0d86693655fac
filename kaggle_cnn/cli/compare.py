"""compare: two runs on the same images."""

from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import (
    CompetitionOption,
    JsonOption,
    SvgOption,
    app,
    console,
    present,
    print_json,
)
from kaggle_cnn.workspace import Workspace


@app.command()
def compare(
    one: Annotated[str, typer.Argument(help="A run, by id or its beginning.", metavar="RUN")],
    other: Annotated[str, typer.Argument(help="The run to compare it with.", metavar="RUN")],
    svg: SvgOption = False,
    competition: CompetitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Test whether one run is better than another."""
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.insight import tables
    from kaggle_cnn.pictures import disagreements
    from kaggle_cnn.runs import compare as comparing
    from kaggle_cnn.runs.run import open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    runs = open_runs(workspace, found, [one, other])
    names = [run.id for run in runs]
    ids, targets, scores, decisions = comparing.shared_predictions(runs, found.task)
    numbers = comparing.compare(found.task, targets, scores, decisions)
    entries = disagreements.find(found, ids, targets, scores, decisions) if found.kind != "regression" else []
    if as_json:
        return print_json({"runs": names, **numbers, "disagreements": entries})
    console().print(tables.comparison(names, numbers, entries))
    if entries:
        present(disagreements.draw(workspace, found, names, entries), svg)
    return None
