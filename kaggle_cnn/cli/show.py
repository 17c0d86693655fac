"""show KIND: pictures of a run, or of the competition."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_cnn.cli.terminal import CompetitionOption, RunArgument, RunsArgument, SvgOption, app, present, progress
from kaggle_cnn.workspace import Workspace

if TYPE_CHECKING:
    from kaggle_cnn.competition.competition import Competition
    from kaggle_cnn.data.dataset import Dataset, FoundImage
    from kaggle_cnn.recipe import Recipe
    from kaggle_cnn.runs.join import Validated
    from kaggle_cnn.runs.run import Run

show = typer.Typer(help="Draw a picture of a run, or of the competition.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(show, name="show")

CountOption = Annotated[int, typer.Option("--count", "-n", min=1, max=200, help="Show this many images.")]
FewOption = Annotated[int, typer.Option("--count", "-n", min=1, max=40, help="Show this many images.")]
RecipeOrRun = Annotated[
    str | None, typer.Argument(help="A recipe file, or a run. Default: the newest run.", metavar="RECIPE|RUN")
]
ImageArgument = Annotated[str, typer.Argument(help="An image file, or an id of the competition.", metavar="IMAGE|ID")]


class Order(StrEnum):
    given = "given"
    cluster = "cluster"


class Distance(StrEnum):
    euclidean = "euclidean"
    cosine = "cosine"


@show.command()
def curves(runs: RunsArgument = None, svg: SvgOption = False, competition: CompetitionOption = None) -> None:
    """Draw loss and metric of runs, epoch by epoch."""
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.pictures import curves
    from kaggle_cnn.runs.run import open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    present(curves.draw(workspace, found, open_runs(workspace, found, runs)), svg)


@show.command()
def confusion(
    run: RunArgument = None,
    order: Annotated[
        Order, typer.Option(help="Order the classes as given, or put confused ones side by side.")
    ] = Order.given,
    svg: SvgOption = False,
    competition: CompetitionOption = None,
) -> None:
    """Draw the confusion matrix of the validation images."""
    workspace, found, chosen, known = open_validated(competition, run)
    from kaggle_cnn.pictures import confusion

    present(confusion.draw(workspace, found, chosen, known, order == Order.cluster), svg)


@show.command()
def mistakes(
    run: RunArgument = None,
    true: Annotated[str | None, typer.Option(help="Show only images of this class, or that miss this label.")] = None,
    predicted: Annotated[
        str | None, typer.Option(help="Show only images predicted as this class, or wrongly as this label.")
    ] = None,
    count: CountOption = 24,
    svg: SvgOption = False,
    competition: CompetitionOption = None,
) -> None:
    """Show the mistakes of which the network is surest."""
    workspace, found, chosen, known = open_validated(competition, run)
    from kaggle_cnn.pictures import mistakes

    present(mistakes.draw(workspace, found, chosen, known, true, predicted, count), svg)


@show.command()
def predictions(
    run: RunArgument = None,
    image: Annotated[
        list[str] | None, typer.Option("--image", help="Show this validation image. Repeat it for more.")
    ] = None,
    count: FewOption = 12,
    svg: SvgOption = False,
    competition: CompetitionOption = None,
) -> None:
    """Show images with their five most probable classes or labels, or with their values."""
    workspace, found, chosen, known = open_validated(competition, run)
    from kaggle_cnn.data.dataset import find_image
    from kaggle_cnn.pictures import predictions

    names = [find_image(open_dataset(workspace, found), name).name for name in image or []]
    present(predictions.draw(workspace, found, chosen, known, names, count), svg)


@show.command()
def samples(count: FewOption = 10, svg: SvgOption = False, competition: CompetitionOption = None) -> None:
    """Show some images of each class."""
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.pictures import samples

    workspace = Workspace.find()
    dataset = open_dataset(workspace, open_competition(workspace, competition))
    present(samples.draw(workspace, dataset, count), svg)


@show.command()
def filters(
    run: RunArgument = None,
    layer: Annotated[str | None, typer.Option(help="Show the convolution of this name, not the first.")] = None,
    svg: SvgOption = False,
    competition: CompetitionOption = None,
) -> None:
    """Draw the filters of a convolution."""
    workspace, found, chosen = open_run_of(competition, run)
    start_keras(chosen)
    from kaggle_cnn.pictures import filters

    present(filters.draw(workspace, found, chosen, layer), svg)


@show.command()
def activations(
    image: ImageArgument, run: RunArgument = None, svg: SvgOption = False, competition: CompetitionOption = None
) -> None:
    """Show what each layer makes of an image."""
    workspace, dataset, chosen, found = open_image(competition, run, image)
    from kaggle_cnn.pictures import activations

    present(activations.draw(workspace, dataset, chosen, found), svg)


@show.command()
def neighbours(
    image: ImageArgument,
    run: RunArgument = None,
    metric: Annotated[Distance, typer.Option(help="Measure the distance of the last features.")] = Distance.euclidean,
    count: CountOption = 11,
    svg: SvgOption = False,
    competition: CompetitionOption = None,
) -> None:
    """Show the training images that are most similar."""
    workspace, dataset, chosen, found = open_image(competition, run, image)
    from kaggle_cnn.pictures import neighbours

    with progress() as shown:
        picture = neighbours.draw(workspace, dataset, chosen, found, metric.value, count, shown)
    present(picture, svg)


@show.command()
def gradcam(
    image: ImageArgument,
    run: RunArgument = None,
    layer: Annotated[str | None, typer.Option(help="Look at the map of this layer.")] = None,
    svg: SvgOption = False,
    competition: CompetitionOption = None,
) -> None:
    """Show where the network looks, by Grad-CAM."""
    workspace, dataset, chosen, found = open_image(competition, run, image)
    from kaggle_cnn.pictures import gradcam

    present(gradcam.draw(workspace, dataset, chosen, found, layer), svg)


@show.command()
def augmentation(
    source: RecipeOrRun = None, count: FewOption = 8, svg: SvgOption = False, competition: CompetitionOption = None
) -> None:
    """Show images as training sees them."""
    workspace, dataset, run, recipe, name = open_recipe(competition, source)
    from kaggle_cnn.pictures import augmentation

    with progress() as shown:
        picture = augmentation.draw(workspace, dataset, run, recipe, name, count, shown)
    present(picture, svg)


@show.command()
def model(source: RecipeOrRun = None, svg: SvgOption = False, competition: CompetitionOption = None) -> None:
    """Draw the layers, their shapes, parameters and cost."""
    workspace, dataset, run, recipe, name = open_recipe(competition, source)
    from kaggle_cnn.pictures import model

    present(model.draw(workspace, dataset, run, recipe, name), svg)


def open_run_of(competition: str | None, run: str | None) -> "tuple[Workspace, Competition, Run]":
    """Return the workspace, the competition, and the run of that name or the newest."""
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.runs.run import open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    [chosen] = open_runs(workspace, found, [run] if run else None)
    return workspace, found, chosen


def open_validated(competition: str | None, run: str | None) -> "tuple[Workspace, Competition, Run, Validated]":
    """Return the same and the run's out-of-fold predictions."""
    from kaggle_cnn import api

    workspace, found, chosen = open_run_of(competition, run)
    with progress() as shown:
        return workspace, found, chosen, api.validate(found, [chosen], workspace, shown)


def open_dataset(workspace: Workspace, competition: "Competition") -> "Dataset":
    from kaggle_cnn import api

    with progress() as shown:
        return api.open_dataset(workspace, competition, None, shown)


def open_image(competition: str | None, run: str | None, image: str) -> "tuple[Workspace, Dataset, Run, FoundImage]":
    """Return the workspace, the dataset, the run and the image that is asked for; start Keras."""
    from kaggle_cnn.data.dataset import find_image

    workspace, found, chosen = open_run_of(competition, run)
    dataset = open_dataset(workspace, found)
    found_image = find_image(dataset, image)
    start_keras(chosen)
    return workspace, dataset, chosen, found_image


def start_keras(run: "Run | None") -> None:
    from kaggle_cnn.learn.backend import start_backend

    if run:
        run.models  # noqa: B018  raises where one is missing, before Keras takes its seconds to start
    start_backend(run.record["backend"] if run else None)


def open_recipe(competition: str | None, source: str | None) -> "tuple[Workspace, Dataset, Run | None, Recipe, str]":
    """Return the workspace, the dataset, the run or None, its recipe or that of the file `source`, and a name."""
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.recipe import apply_settings, compile_recipe, load_recipe, read_recipe

    workspace, run = Workspace.find(), None
    if source and source.endswith(".py"):
        path, found = Path(source), open_competition(workspace, competition)
    else:
        workspace, found, run = open_run_of(competition, source)
        path = run.folder / "recipe.py"
    text = read_recipe(path)
    compile_recipe(path, text)  # its mistakes are shown before Keras takes its seconds to start
    dataset = open_dataset(workspace, found)
    start_keras(run)
    recipe = load_recipe(path, text)
    recipe = apply_settings(recipe, run.settings) if run else recipe
    return workspace, dataset, run, recipe, run.id if run else path.stem
