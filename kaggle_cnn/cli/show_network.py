"""show filters, features, neighbours, cam, augment, model: what a network holds and does, from its saved model."""

from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from kaggle_cnn.cli.pictures import (
    CountOption,
    RunArgument,
    SvgOption,
    as_file_name,
    dataset_of,
    entry_of,
    labels_of,
    loaded,
    opened,
    present,
    show,
)
from kaggle_cnn.cli.terminal import CompetitionOption, console, talk
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace

RecipeOrRun = Annotated[
    str | None, typer.Argument(help="A recipe file, or a run; else the newest run.", metavar="RECIPE|RUN")
]
ImageArgument = Annotated[str, typer.Argument(help="An image file, or an id of the competition.", metavar="IMAGE|ID")]


class Metric(StrEnum):
    euclidean = "euclidean"
    cosine = "cosine"


@show.command()
def filters(
    run: RunArgument = None,
    layer: Annotated[str | None, typer.Option(help="Another convolution than the first, by its name.")] = None,
    svg: SvgOption = False,
    competition: CompetitionOption = None,
) -> None:
    """The filters of a convolution, each scaled to itself."""
    _, run = opened(competition, run)
    model = loaded(run)
    from kaggle_cnn.insight import sheets
    from kaggle_cnn.learn.inside import kernel

    name, values = kernel(model, layer)
    path = run.folder / "pictures" / f"filters{f'-{as_file_name(name)}' if layer else ''}.png"
    present(sheets.filters(name, values), path, svg)


@show.command()
def features(
    image: ImageArgument, run: RunArgument = None, svg: SvgOption = False, competition: CompetitionOption = None
) -> None:
    """What each layer makes of an image."""
    found, run = opened(competition, run)
    _, image, given, model, _ = examined(found, run, image)
    from kaggle_cnn.insight import sheets, tables
    from kaggle_cnn.learn.inside import activations

    walk = activations(model, given)
    if not walk:
        raise KcnnError("this network has no maps of features", "kcnn show model shows its layers")
    rows = [[layer, what, "x".join(map(str, maps.shape))] for layer, what, maps in walk]
    text = tables.plain_table(["layer", "step", "output"], rows, right=["output"])
    present(sheets.features(given[0], image.name, walk), file_for(run, "features", image), svg, text)


@show.command()
def neighbours(
    image: ImageArgument,
    run: RunArgument = None,
    metric: Annotated[Metric, typer.Option(help="Of the last hidden layer.")] = Metric.euclidean,
    count: CountOption = 11,
    svg: SvgOption = False,
    competition: CompetitionOption = None,
) -> None:
    """The training images that it finds most alike."""
    found, run = opened(competition, run)
    dataset, image, given, model, fold = examined(found, run, image)
    from kaggle_cnn.insight import sheets, tables
    from kaggle_cnn.learn.examine import embedded, nearest
    from kaggle_cnn.learn.inside import hidden
    from kaggle_cnn.learn.predict import answers

    rows, features_ = embedded(run, model, fold, dataset, talk().track)
    place = next((place for place, row in enumerate(rows) if row == image.row), -1)
    own = features_[place] if place >= 0 else answers(hidden(model), lambda _: given, [0], 1).reshape(-1)
    order, distances = nearest(features_, own, metric.value, count, place)
    names = labels_of(dataset)
    entries = [
        {
            **entry_of(found, str(dataset.ids[row])),
            "label": names[row],
            "distance": float(distance),
        }
        for row, distance in zip(rows[order], distances, strict=True)
    ]
    cells = [[each["name"], each["label"], f"{each['distance']:.4g}"] for each in entries]
    text = tables.plain_table(["image", "label", "distance"], cells, right=["distance"])
    title = f"{run.id}: the training images nearest in the last hidden layer, {metric.value}"
    drawn = sheets.neighbours(sheets.pixels_of(image.path), image.name, entries, title)
    present(drawn, file_for(run, f"neighbours-{metric.value}", image), svg, text)


@show.command()
def cam(
    image: ImageArgument, run: RunArgument = None, svg: SvgOption = False, competition: CompetitionOption = None
) -> None:
    """Where the network looks, by Grad-CAM."""
    found, run = opened(competition, run)
    dataset, image, given, model, _ = examined(found, run, image)
    from kaggle_cnn.insight import sheets
    from kaggle_cnn.insight.canvas import BLUE, GREEN, RED
    from kaggle_cnn.learn.inside import grad_cam
    from kaggle_cnn.learn.predict import answers

    [probabilities] = answers(model, lambda _: given, [0], 1)
    best = int(probabilities.argmax())
    true = None if image.row is None else [int(place) for place in dataset.targets[image.row].nonzero()[0]]
    wanted = {best: ("predicted", BLUE if true is None else GREEN if best in true else RED)}
    for number in true or []:
        wanted.setdefault(number, ("true", GREEN))
    looks = [
        (f"{what}: {found.classes[number]} {probabilities[number]:.0%}", colour, grad_cam(model, given, number))
        for number, (what, colour) in wanted.items()
    ]
    text = "\n".join(words for words, *_ in looks)
    present(sheets.cam(given[0], image.name, looks), file_for(run, "cam", image), svg, text)


@show.command()
def augment(
    source: RecipeOrRun = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=40, help="How many images.")] = 8,
    svg: SvgOption = False,
    competition: CompetitionOption = None,
) -> None:
    """Images as training sees them, after augmentation."""
    found, run, recipe, name = recipe_of(competition, source)
    import numpy as np

    from kaggle_cnn.data.images import load_images
    from kaggle_cnn.insight import sheets
    from kaggle_cnn.learn.examine import augmented_versions
    from kaggle_cnn.learn.predict import readable

    dataset = dataset_of(found)
    pixels = load_images(dataset.train_files, recipe.size, None, found.folder / ".cache", talk().track)
    whole = readable(np.arange(len(dataset.ids)), pixels)
    rows = whole[np.linspace(0, len(whole) - 1, min(count, len(whole))).astype(int)]
    made = augmented_versions(recipe, pixels.pixels, rows, 8)
    names = labels_of(dataset)
    sheet_rows = [
        (names[row], PurePosixPath(str(dataset.ids[row])).name, [pixels.pixels[row], *versions])
        for row, versions in zip(rows, made, strict=True)
    ]
    title = f"{name}: each image at {recipe.size}x{recipe.size}, and eight times as training sees it"
    present(sheets.contact(sheet_rows, 128, title), place_of(found, run, "augment", name), svg)


@show.command()
def model(source: RecipeOrRun = None, svg: SvgOption = False, competition: CompetitionOption = None) -> None:
    """The layers, their shapes, parameters and cost."""
    found, run, recipe, name = recipe_of(competition, source)
    from kaggle_cnn.insight import charts, tables
    from kaggle_cnn.learn.inside import outline

    if run:
        built = loaded(run)
    else:
        from kaggle_cnn.data.images import all_grey
        from kaggle_cnn.learn.fit import build

        dataset = dataset_of(found)
        built = build(recipe, 1 if all_grey(dataset.train_files) else 3, dataset)
    rows = outline(built)
    parameters, operations = (sum(row[key] for row in rows) for key in ("parameters", "operations"))
    title = f"{name}: {parameters:,} parameters, {operations:,} multiply-adds for an image"
    console().print(tables.layers_table(rows), title, sep="\n", markup=False, emoji=False)
    present(charts.graph(rows, title), place_of(found, run, "model", name), svg)


def examined(competition, run, image: str) -> tuple:
    """The image that is asked for, as found and as the network is given it; the model that did not see it in training,
    and its fold."""
    from kaggle_cnn.data.dataset import find_image
    from kaggle_cnn.learn.backend import start_backend

    dataset = dataset_of(competition)
    found = find_image(dataset, image)
    run.models  # noqa: B018  raises where one is gone, before Keras takes its seconds to start
    start_backend(run.record["backend"])
    from kaggle_cnn.learn.examine import as_given, model_for

    try:
        given = as_given(run, found.path)
    except Exception as error:  # Pillow's decoders raise nearly anything on a broken file
        raise KcnnError(f"{found.path} cannot be read: {error}", "expected an image file") from None
    return dataset, found, given, *model_for(run, dataset, found)


def recipe_of(competition: str | None, source: str | None) -> tuple:
    """The competition, the run or None, its recipe or that of the file `source`, and a name."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.learn.backend import start_backend
    from kaggle_cnn.learn.recipe import compile_recipe, load_recipe, set_knobs

    if source and source.endswith(".py"):
        path, run = Path(source), None
        found = open_competition(Workspace.find(), competition)
    else:
        found, run = opened(competition, source)
        path = run.folder / "recipe.py"
    compile_recipe(path)  # its mistakes are told before Keras takes its seconds to start
    start_backend(run.record["backend"] if run else None)
    recipe = load_recipe(path)
    return (found, run, set_knobs(recipe, run.record["knobs"]), run.id) if run else (found, None, recipe, path.stem)


def place_of(competition, run, kind: str, name: str) -> Path:
    """Where a picture of a run goes, or of a recipe that was not trained."""
    if run:
        return run.folder / "pictures" / f"{kind}.png"
    return Workspace.find().runs(competition.name) / "pictures" / f"{kind}-{name}.png"


def file_for(run, kind: str, image) -> Path:
    """Where a picture of one image goes."""
    return run.folder / "pictures" / f"{kind}-{as_file_name(image.name)}.png"
