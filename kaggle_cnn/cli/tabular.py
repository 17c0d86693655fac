"""tabular: a run on the columns beside the images."""

from kaggle_cnn.cli.terminal import CompetitionOption, app, print_evaluation, print_line, progress, say
from kaggle_cnn.workspace import Workspace


@app.command()
def tabular(competition: CompetitionOption = None) -> None:
    """Fit a model on the columns beside the images, for every fold."""
    from kaggle_cnn import api
    from kaggle_cnn.competition.opening import open_competition

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    with progress() as shown:
        run = api.train_tabular(found.name, workspace, shown)
        path = api.write_submission(run, found, workspace)
        print_evaluation(api.evaluate([run.id], ["none"], competition=found.name, workspace=workspace))
    if path:
        print_line(f"submission  {path}")
    print_line(f"run         {run.folder}")
    say(f"next: kcnn predict {run.id} RUN averages it with another run")
