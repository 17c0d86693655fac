"""runs, evaluate, predict: what runs are worth, and their submissions."""

from typing import Annotated

import typer

from kaggle_cnn.cli.results import print_measures, write_submission
from kaggle_cnn.cli.terminal import (
    BackendOption,
    CompetitionOption,
    JsonOption,
    RunsArgument,
    app,
    console,
    say_notes,
    show,
    talk,
)
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace

CropOption = Annotated[
    int | None,
    typer.Option(help="Cut larger views than in training; for networks with global pooling.", min=1),
]


@app.command()
def runs(competition: CompetitionOption = None, as_json: JsonOption = False) -> None:
    """List the runs, best first."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.insight import tables
    from kaggle_cnn.learn.run import list_runs

    workspace = Workspace.find()
    found = list_runs(workspace, open_competition(workspace, competition).name)
    found = sorted(found, key=lambda run: run.best_score()[1].get("accuracy", -1), reverse=True)
    if as_json:
        return show([{"id": run.id, **run.record} for run in found])
    screen = console()
    screen.print(tables.runs_table(found, screen.width))


@app.command()
def evaluate(
    names: RunsArgument = None,
    views: Annotated[
        list[int] | None, typer.Option(help="1, 2, 6 or 10; may be repeated; else all that are kept.")
    ] = None,
    crop: CropOption = None,
    competition: CompetitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the confusion table of a run, or of the mean of several."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.insight.metrics import measure_views
    from kaggle_cnn.learn.predictions import mean
    from kaggle_cnn.learn.run import open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    chosen = open_runs(workspace, found, names)
    for count in views or []:
        require_views(count)
    validation = mean([validated(run, found, views or [], crop) for run in chosen])
    by_views = {
        n: numbers for n, numbers in measure_views(validation, found.classes).items() if not views or n in views
    }
    if not as_json:
        return print_measures(by_views, found.classes)
    best = max(by_views.items())[1]  # at the top: the numbers of the most views
    show({"runs": [run.id for run in chosen], "classes": list(found.classes), **best, "views": by_views})


@app.command()
def predict(
    names: RunsArgument = None,
    views: Annotated[int | None, typer.Option(help="1, 2, 6 or 10; else as many as the recipe says.")] = None,
    crop: CropOption = None,
    backend: BackendOption = None,
    competition: CompetitionOption = None,
) -> None:
    """Predict the test images with a run, or the mean of several."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.data.dataset import load_dataset
    from kaggle_cnn.learn.backend import start_backend
    from kaggle_cnn.learn.run import open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    chosen = open_runs(workspace, found, names)
    if views is not None:
        require_views(views)
    dataset = load_dataset(found)
    say_notes(dataset.notes)
    for run in chosen:
        run.models  # noqa: B018  raises where one is gone, before Keras takes its seconds to start
    start_backend(backend or chosen[0].record["backend"])
    from kaggle_cnn.learn.predict import predict_run

    for run in chosen:
        wanted = views or run.record["knobs"]["views"]
        predictions, notes = predict_run(run, dataset, wanted, talk().track, crop)
        predictions.write(run.folder / "test.npz")
        say_notes(notes)
    typer.echo(write_submission(workspace, found, chosen))


def require_views(views: int) -> None:
    from kaggle_cnn.learn.recipe import VIEWS

    if views not in VIEWS:
        raise KcnnError(
            f"--views should be 1, 2, 6 or 10, got {views}", "10: four corners and centre, each mirrored too"
        )


def validated(run, competition, views: list[int], crop: int | None):
    """A run's out-of-fold predictions; made anew, by its models, where they are gone or one of `views` is not among
    them; for another `crop` than in training always, and those are not kept."""
    from kaggle_cnn.data.dataset import load_dataset
    from kaggle_cnn.learn.backend import start_backend
    from kaggle_cnn.learn.predictions import Predictions

    path = run.folder / "validation.npz"
    kept = Predictions.read(path) if path.is_file() and not crop else None
    if kept and set(views) <= set(kept.probabilities):
        return kept
    run.models  # noqa: B018  raises where one is gone, before Keras takes its seconds to start
    start_backend(run.record["backend"])
    from kaggle_cnn.learn.predict import validate_run

    wanted = {*views, run.record["knobs"]["views"]}
    counts = {6} & wanted | {max(wanted - {6}, default=6)}  # the six are not among the first of the ten
    parts = [validate_run(run, load_dataset(competition), count, talk().track, crop) for count in sorted(counts)]
    predictions = Predictions(parts[0].ids, parts[0].labels, {**parts[0].probabilities, **parts[-1].probabilities})
    if not crop:
        predictions.write(path)
    return predictions
