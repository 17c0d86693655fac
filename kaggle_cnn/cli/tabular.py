"""tabular: a run on the columns beside the images."""

from kaggle_cnn.cli.terminal import CompetitionOption, app, complete_run, progress, say
from kaggle_cnn.workspace import Workspace


@app.command()
def tabular(competition: CompetitionOption = None) -> None:
    """Fit a model on the columns beside the images, for every fold."""
    from kaggle_cnn import training
    from kaggle_cnn.competition.opening import open_competition

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    with progress() as shown:
        run = training.train_tabular(found.name, workspace, shown)
        complete_run(run, found, workspace)
    say(f"next: kcnn predict {run.id} RUN averages it with another run")
