"""show curves, confusion, mistakes, top, images: what came out, from what the run left behind; without Keras."""

from enum import StrEnum
from typing import Annotated

import typer

from kaggle_cnn.cli.pictures import (
    CountOption,
    RunArgument,
    SvgOption,
    as_file_name,
    dataset_of,
    entry_of,
    opened,
    present,
    require_one_class_each,
    show,
)
from kaggle_cnn.cli.terminal import CompetitionOption, RunsArgument, console
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace


class Order(StrEnum):
    given = "given"
    cluster = "cluster"


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

    from kaggle_cnn.insight import charts, metrics
    from kaggle_cnn.insight.evaluation import confusion_table
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
    text = confusion_table(counts.tolist(), classes, screen.width)
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
            **entry_of(found, str(predictions.ids[row])),
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
    path = run.folder / "pictures" / f"mistakes{as_file_name(of)}.png"
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
                **entry_of(found, str(predictions.ids[row])),
                "true": found.classes[predictions.labels[row]],
                "best": [(found.classes[number], float(probabilities[row, number])) for number in best],
            }
        )
    cells = []
    for each in entries:
        said = ", ".join(f"{name} {share:.0%}" for name, share in each["best"] if share >= 0.005)
        cells.append([each["name"], each["true"], said])
    text = tables.plain_table(["image", "true", "most probable"], cells)
    title = f"{run.id}: the five most probable classes of {len(entries)} validation images, the true one green"
    present(sheets.top(entries, title), run.folder / "pictures" / "top.png", svg, text)


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
    rows, files = [], dataset.train_files
    for number, name in enumerate(found.classes):
        own = dataset.targets[:, number].nonzero()[0]
        some = own[:: max(1, len(own) // count)][:count]
        rows.append((name, f"{len(own):,} images", [sheets.pixels_of(files[row]) for row in some]))
    title = f"{found.name}: {len(dataset.ids):,} training images of {len(found.classes)} classes"
    present(sheets.contact(rows, 96, title), workspace.runs(found.name) / "pictures" / "images.png", svg)


def number_of(competition, name: str | None) -> int | None:
    if name is None:
        return None
    if name not in competition.classes:
        import difflib

        near = difflib.get_close_matches(name, competition.classes, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(competition.classes[:20])}"
        raise KcnnError(f"there is no class '{name}'", hint)
    return competition.classes.index(name)
