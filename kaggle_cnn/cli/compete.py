"""compete: all of it, in a given time."""

from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import (
    BackendOption,
    CompetitionOption,
    JsonOption,
    OfflineOption,
    app,
    console,
    print_evaluation,
    print_json,
    print_line,
    say,
    training_progress,
)
from kaggle_cnn.workspace import Workspace


@app.command()
def compete(
    within: Annotated[str, typer.Option(help="The time for all of it: 30m, 2h, 1h30m.")],
    on: Annotated[
        str, typer.Option(help="Train each model as a task of Ray: ray, or a cluster's address.", metavar="ray")
    ] = "",
    offline: OfflineOption = False,
    backend: BackendOption = None,
    competition: CompetitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try recipes, train folds of the best, blend, and write a submission, in a given time."""
    from kaggle_cnn import api
    from kaggle_cnn.competing import FILE
    from kaggle_cnn.competing import compete as run_contest
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.insight.contest_tables import contest_table, write_report
    from kaggle_cnn.parsing import parse_duration

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    seconds = parse_duration(within, "--within")
    with training_progress(found.task.metric, lambda _: "what was done is kept. The same command goes on") as shown:
        state = run_contest(seconds, backend, found.name, workspace, shown, on)
    report = write_report(workspace.runs(found.name) / FILE, state, found.task.metric)
    if as_json:
        return print_json(state)
    console().print(contest_table(state, found.task.metric), "")
    if state["best"]:
        print_evaluation(api.evaluate([state["best"]], competition=found.name, workspace=workspace))
        print_line(f"submission  {workspace.submissions(found.name) / state['best']}.csv")
        print_line(f"run         {workspace.runs(found.name) / state['best']}")
    print_line(f"report      {report}")
    say("next: kcnn submit")
    return None
