"""recipes, train: from a recipe to a run."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from kaggle_cnn.cli.results import print_measures, write_submission
from kaggle_cnn.cli.terminal import BackendOption, CompetitionOption, app, console, say, say_notes, talk
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace


@app.command()
def recipes() -> None:
    """List the recipes with their first lines and their knobs."""
    from kaggle_cnn.insight import tables
    from kaggle_cnn.learn.recipe import read_outline, shipped_recipes

    here = sorted((Workspace.find().root / "recipes").glob("*.py"))
    if not here:
        say("no recipes/ here; these come with kcnn, and kcnn init puts them here")
    console().print(tables.recipes_table([(path.stem, *read_outline(path)) for path in here or shipped_recipes()]))


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe file, such as recipes/resnet.py.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="A knob, as name=value; may be repeated.")] = None,
    fold: Annotated[int, typer.Option(min=0, max=4, help="The fold to validate on.")] = 0,
    folds: Annotated[str | None, typer.Option(help="'all': one model for each fold.", metavar="all")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with this recipe's newest unfinished run.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write logs for TensorBoard.")] = False,
    backend: BackendOption = None,
    competition: CompetitionOption = None,
) -> None:
    """Train a recipe; ends with a confusion table and a submission."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.data.dataset import FOLDS, load_dataset
    from kaggle_cnn.insight.metrics import measure_views, summary
    from kaggle_cnn.insight.progress import TrainingProgress
    from kaggle_cnn.learn.backend import find_device, start_backend
    from kaggle_cnn.learn.predictions import Predictions
    from kaggle_cnn.learn.recipe import compile_recipe, load_recipe, parse_settings, require_same, set_knobs
    from kaggle_cnn.learn.run import open_unfinished

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    values = parse_settings(settings or [])
    if folds not in (None, "all"):
        raise KcnnError(f"--folds should be all, got '{folds}'", "for one fold: --fold N")
    if tensorboard and find_spec("tensorboard") is None:
        raise KcnnError("--tensorboard needs the package tensorboard", "pip install 'kcnn[tensorboard]'")
    run = open_unfinished(workspace, found.name, recipe.stem) if resume else None
    path = run.folder / "recipe.py" if run else recipe
    compile_recipe(path)  # its mistakes are told before Keras takes its seconds to start
    dataset = load_dataset(found)

    start_backend(backend or (run.record["backend"] if run else None))
    chosen = set_knobs(load_recipe(path), run.record["knobs"] if run else values)
    if run:
        require_same(chosen, set_knobs(chosen, values))
    device = find_device()
    say(f"training {recipe.stem} on '{found.name}': {device.name}")
    say_notes(dataset.notes)
    from kaggle_cnn.learn.train import train as train_run

    wanted = run.record["folds"] if run else list(range(FOLDS)) if folds else [fold]
    screen = console(stderr=True)
    try:
        with TrainingProgress(screen) as progress:
            run = train_run(
                workspace, dataset, chosen, recipe, wanted, device, progress, talk().track, run, tensorboard
            )
    except KeyboardInterrupt:
        say()
        go_on = f"epochs that were done are kept. To go on: kcnn train {recipe} --resume"
        say(f"stopped; {go_on if progress.steps else 'training had not begun'}")
        raise typer.Exit(130) from None
    validation = Predictions.read(run.folder / "validation.npz")
    by_views = measure_views(validation, run.record["classes"])
    run.updated(scores=summary(by_views))
    print_measures(by_views, run.record["classes"])
    if len(dataset.test_ids):
        typer.echo(f"submission  {write_submission(workspace, found, [run])}")
    typer.echo(f"run         {run.folder}")
    if tensorboard:
        say(f"logs: tensorboard --logdir {workspace.runs(found.name)}")
    if len(dataset.test_ids):
        say("next: kcnn submit")
