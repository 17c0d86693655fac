"""show: what a network learned and where it errs, as pictures."""

from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import CompetitionOption, RunsArgument, app, console, print_picture, talk
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace

show = typer.Typer(help="Draw a picture of a run, or of the competition.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(show, name="show")

RunArgument = Annotated[str | None, typer.Argument(help="A run's id or its beginning; else the newest.", metavar="RUN")]
RecipeOrRun = Annotated[
    str | None, typer.Argument(help="A recipe file, or a run; else the newest run.", metavar="RECIPE|RUN")
]
ImageArgument = Annotated[str, typer.Argument(help="An image file, or an id of the competition.", metavar="IMAGE|ID")]
SvgOption = Annotated[bool, typer.Option("--svg", help="Write it as SVG too.")]
CountOption = Annotated[int, typer.Option("--count", "-n", min=1, max=200, help="How many images.")]


class Order(StrEnum):
    given = "given"
    cluster = "cluster"


class Metric(StrEnum):
    euclidean = "euclidean"
    cosine = "cosine"


def opened(competition: str | None, run: str | None) -> tuple:
    """The competition, and the run of that name or the newest."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.learn.run import open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    [chosen] = open_runs(workspace, found, [run] if run else None)
    return found, chosen


def dataset_of(competition):
    from kaggle_cnn.data.dataset import load_dataset

    return load_dataset(competition, talk().track)


def loaded(run):
    """A run's first model."""
    from kaggle_cnn.learn.backend import start_backend

    path = run.models[0]
    start_backend(run.record["backend"])
    from kaggle_cnn.learn.predict import load_model

    return load_model(run, path)


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


def present(drawn, path: Path, svg: bool, text=None) -> None:
    """Writes the picture; shows it where the terminal can, else `text`; ends with the paths."""
    from kaggle_cnn.insight.canvas import save

    written = save(drawn, path, svg)
    if not print_picture(path) and text is not None:
        console().print(text)
    for each in written:
        typer.echo(each)


def require_one_class_each(competition, what: str) -> None:
    if competition.multi_label:
        raise KcnnError(f"{what} are of images with one class each", "kcnn evaluate has the scores of each label")


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
    path = run.folder / "pictures" / f"filters{f'-{name}' if layer else ''}.png"
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
def curves(runs: RunsArgument = None, svg: SvgOption = False, competition: CompetitionOption = None) -> None:
    """Loss and accuracy of runs, epoch by epoch."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.insight import charts, tables
    from kaggle_cnn.learn.run import open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    chosen = list({run.id: run for run in open_runs(workspace, found, runs)}.values())
    histories = {run.id: run.histories() for run in chosen}
    if empty := [name for name, folds in histories.items() if not folds]:
        raise KcnnError(f"run {empty[0]} has not ended an epoch yet", "kcnn train RECIPE --resume goes on with it")
    by = "val_loss" if found.multi_label else "val_accuracy"
    name = "curves.png" if len(chosen) == 1 else f"curves-{'+'.join(run.id for run in chosen)}.png"
    path = (chosen[0].folder if len(chosen) == 1 else workspace.runs(found.name)) / "pictures" / name[-200:]
    present(charts.curves(histories, by), path, svg, tables.curves_table(histories, by))


@show.command()
def confusion(
    run: RunArgument = None,
    order: Annotated[Order, typer.Option(help="As given, or those side by side that are confused.")] = Order.given,
    svg: SvgOption = False,
    competition: CompetitionOption = None,
) -> None:
    """The confusion matrix of the validation images."""
    found, run = opened(competition, run)
    require_one_class_each(found, "confusion matrices")
    import numpy as np

    from kaggle_cnn.insight import charts, metrics, tables
    from kaggle_cnn.learn.predictions import Predictions

    views, probabilities = (predictions := Predictions.read(run.folder / "validation.npz")).best()
    counts = np.array(metrics.measure(predictions.labels, probabilities, list(found.classes))["confusion"])
    classes = list(found.classes)
    if order == Order.cluster:
        places = charts.clustered(counts)
        counts, classes = counts[np.ix_(places, places)], [classes[place] for place in places]
    right = np.trace(counts) / counts.sum()
    title = f"{run.id}: {right:.2%} of {counts.sum():,} validation images, {views} view{'s' if views > 1 else ''}"
    path = run.folder / "pictures" / f"confusion{'-cluster' if order == Order.cluster else ''}.png"
    screen = console()
    text = tables.confusion_table(counts.tolist(), classes, screen.width)
    present(charts.confusion(counts, classes, title), path, svg, text)


@show.command()
def mistakes(
    run: RunArgument = None,
    true: Annotated[str | None, typer.Option(help="Only images of this class.")] = None,
    predicted: Annotated[str | None, typer.Option(help="Only images taken for this class.")] = None,
    count: CountOption = 24,
    svg: SvgOption = False,
    competition: CompetitionOption = None,
) -> None:
    """The errors of which the network is surest."""
    found, run = opened(competition, run)
    require_one_class_each(found, "mistakes")
    from kaggle_cnn.insight import sheets, tables
    from kaggle_cnn.insight.metrics import mistakes as find_mistakes
    from kaggle_cnn.learn.predictions import Predictions

    predictions = Predictions.read(run.folder / "validation.npz")
    _, probabilities = predictions.best()
    cell = [number_of(found, name) for name in (true, predicted)]
    rows = find_mistakes(predictions.labels, probabilities, *cell)
    of = "".join(f", {what} {name}" for what, name in (("true", true), ("predicted", predicted)) if name)
    if not len(rows):
        raise KcnnError(f"{run.id} has no mistakes{of}", "kcnn show confusion shows which there are")
    entries = [
        {
            "name": str(predictions.ids[row]),
            "pixels": sheets.pixels_of(found.folder / str(predictions.ids[row])),
            "true": found.classes[predictions.labels[row]],
            "predicted": found.classes[probabilities[row].argmax()],
            "probability": float(probabilities[row].max()),
        }
        for row in rows[:count]
    ]
    title = (
        f"{run.id}: {'all' if len(entries) == len(rows) else 'the surest'} {len(entries)} of {len(rows):,} mistakes{of}"
    )
    cells = [[each["name"], each["true"], each["predicted"], f"{each['probability']:.0%}"] for each in entries]
    text = tables.plain_table(["image", "true", "predicted", "sure"], cells, right=["sure"])
    path = run.folder / "pictures" / f"mistakes{of.replace(', ', '-').replace('/', '_')}.png"
    present(sheets.mistakes(entries, title), path, svg, text)


@show.command()
def top(
    run: RunArgument = None,
    image: Annotated[list[str] | None, typer.Option("--image", help="This validation image; may be repeated.")] = None,
    count: CountOption = 12,
    svg: SvgOption = False,
    competition: CompetitionOption = None,
) -> None:
    """Images with their five most probable classes."""
    found, run = opened(competition, run)
    require_one_class_each(found, "rankings")
    import numpy as np

    from kaggle_cnn.data.dataset import find_image
    from kaggle_cnn.insight import sheets, tables
    from kaggle_cnn.learn.predictions import Predictions

    predictions = Predictions.read(run.folder / "validation.npz")
    _, probabilities = predictions.best()
    if image:
        names = [find_image(dataset_of(found), name).name for name in image]
        places = {name: row for row, name in enumerate(predictions.ids)}
        if missing := [name for name in names if name not in places]:
            raise KcnnError(f"{missing[0]} is no validation image of {run.id}", f"one is {predictions.ids[0]}")
        rows = [places[name] for name in names]
    else:
        rows = np.linspace(0, len(predictions.ids) - 1, min(count, len(predictions.ids))).astype(int)
    entries = []
    for row in rows:
        best = np.argsort(-probabilities[row], kind="stable")[:5]
        entries.append(
            {
                "name": str(predictions.ids[row]),
                "pixels": sheets.pixels_of(found.folder / str(predictions.ids[row])),
                "true": found.classes[predictions.labels[row]],
                "best": [(found.classes[number], float(probabilities[row, number])) for number in best],
            }
        )
    cells = [
        [each["name"], each["true"], "  ".join(f"{name} {share:.0%}" for name, share in each["best"])]
        for each in entries
    ]
    text = tables.plain_table(["image", "true", "most probable"], cells)
    title = f"{run.id}: the five most probable classes of {len(entries)} validation images, the true one green"
    present(sheets.top(entries, title), run.folder / "pictures" / "top.png", svg, text)


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
    if image.row is not None and image.row in rows:
        own = features_[list(rows).index(image.row)]
    else:
        own = answers(hidden(model), lambda _: given, [0], 1).reshape(-1)
    order, distances = nearest(features_, own, metric.value, count)
    names = labels_of(dataset)
    entries = [
        {
            "name": str(dataset.ids[row]),
            "label": names[row],
            "distance": float(distance),
            "pixels": sheets.pixels_of(found.folder / str(dataset.ids[row])),
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
def images(
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=40, help="How many of each class.")] = 10,
    svg: SvgOption = False,
    competition: CompetitionOption = None,
) -> None:
    """A contact sheet of the competition by class."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.insight import sheets

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    dataset = dataset_of(found)
    rows = []
    for number, name in enumerate(found.classes):
        own = dataset.targets[:, number].nonzero()[0]
        some = own[:: max(1, len(own) // count)][:count]
        pixels = [each for row in some if (each := sheets.pixels_of(found.folder / str(dataset.ids[row]))) is not None]
        rows.append((name, f"{len(own):,} images", pixels))
    title = f"{found.name}: {len(dataset.ids):,} training images of {len(found.classes)} classes"
    present(sheets.contact(rows, 96, title), workspace.runs(found.name) / "pictures" / "images.png", svg)


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

        dataset = dataset_of(found)
        built = recipe.model((recipe.crop, recipe.crop, 1 if all_grey(dataset.train_files) else 3), len(found.classes))
    rows = outline(built)
    parameters, operations = (sum(row[key] for row in rows) for key in ("parameters", "operations"))
    title = f"{name}: {parameters:,} parameters, {operations:,} multiply-adds for an image"
    console().print(tables.layers_table(rows), title, sep="\n")
    present(charts.graph(rows, title), place_of(found, run, "model", name), svg)


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
    name = image.name.removesuffix(image.path.suffix)
    name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)
    return run.folder / "pictures" / f"{kind}-{name[-80:]}.png"


def labels_of(dataset) -> list[str]:
    """The classes of each training image in words."""
    return [", ".join(dataset.competition.classes[place] for place in row.nonzero()[0]) for row in dataset.targets]


def number_of(competition, name: str | None) -> int | None:
    if name is None:
        return None
    if name not in competition.classes:
        import difflib

        near = difflib.get_close_matches(name, competition.classes, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(competition.classes[:20])}"
        raise KcnnError(f"there is no class '{name}'", hint)
    return competition.classes.index(name)
