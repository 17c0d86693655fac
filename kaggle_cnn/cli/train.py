"""train: from a recipe to a complete run."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kaggle_cnn.cli.guard import guard
from kaggle_cnn.cli.terminal import (
    BackendOption,
    CompetitionOption,
    OfflineOption,
    app,
    complete_run,
    print_line,
    say,
    training_progress,
)
from kaggle_cnn.group import find_group
from kaggle_cnn.workspace import Workspace


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe: a name such as resnet, or a file.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting: name=value. Repeat it for more.")
    ] = None,
    folds: Annotated[str, typer.Option(help="Train a model for each of these folds: 0, 0,2,4 or all.")] = "0",
    seeds: Annotated[int, typer.Option(help="Train so many models for each fold, and average them.")] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the most recent unfinished run of this recipe.")
    ] = False,
    exclude: Annotated[
        Path | None, typer.Option(help="Leave out of training what this CSV of doctor does not keep.")
    ] = None,
    relabel: Annotated[
        Path | None, typer.Option(help="Train what this CSV of doctor does not keep with the suggested label.")
    ] = None,
    within: Annotated[
        str, typer.Option(help="Choose the epochs so that all is done in this time: 90s, 30m or 2h.")
    ] = "",
    best_of: Annotated[
        str, typer.Option(help="Take the settings of the best trial of this study of tune.", metavar="STUDY")
    ] = "",
    pseudo: Annotated[
        str, typer.Option(help="Train on test images too, with the labels that this run predicts.", metavar="RUN")
    ] = "",
    above: Annotated[float, typer.Option(help="Only labels of at least this probability.")] = 0.95,
    soft: Annotated[bool, typer.Option("--soft", help="Take the probabilities as labels.")] = False,
    devices: Annotated[
        str | None,
        typer.Option(help="Share each batch among so many devices of this machine, or all. Default: all GPUs."),
    ] = None,
    on: Annotated[
        str, typer.Option(help="Train each model as a task of Ray: ray, or a cluster's address.", metavar="ray")
    ] = "",
    offline: OfflineOption = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write logs for TensorBoard.")] = False,
    backend: BackendOption = None,
    competition: CompetitionOption = None,
) -> None:
    """Train a recipe; print scores and write a submission."""
    from kaggle_cnn.parsing import parse_duration
    from kaggle_cnn.recipe import parse_settings

    options: dict[str, Any] = {
        "settings": parse_settings(settings or []), "folds": folds, "resume": resume, "tensorboard": tensorboard,
        "backend": backend, "exclude": exclude, "relabel": relabel, "seeds": seeds, "pseudo": pseudo, "above": above,
        "soft": soft, "best_of": best_of, "devices": devices, "on": on,
        "within": parse_duration(within, "--within") if within else None,
    }  # fmt: skip
    return guard(lambda: train_recipe(recipe, competition, options), recipe)


def train_recipe(recipe: Path, competition: str | None, options: dict[str, Any]) -> None:
    """Train, and complete the run; `options` are those of training.train."""
    from kaggle_cnn import training
    from kaggle_cnn.competition.opening import open_competition

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    resumed = f"finished epochs are kept. To go on: kcnn train {recipe} --resume"
    with training_progress(
        found.task.metric, lambda shown: resumed if shown.steps else "training had not started"
    ) as shown:
        run = training.train(recipe, competition=found.name, workspace=workspace, progress=shown, **options)
        if find_group().rank:  # the first of the group completes it
            return None
        if not run.finished:  # another process trains the other folds
            return print_line(f"run         {run.folder}")
        path = complete_run(run, found, workspace)
    if options["tensorboard"]:
        say(f"logs: tensorboard --logdir {workspace.runs(found.name)}")
    if path:
        say("next: kcnn submit")
    return None
