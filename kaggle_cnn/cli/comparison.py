"""compare: two runs on the same images."""

from typing import Annotated

import typer

from kaggle_cnn.cli.pictures import SvgOption, present, require_one_class_each, short
from kaggle_cnn.cli.terminal import CompetitionOption, JsonOption, app, console, show
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace


@app.command()
def compare(
    one: Annotated[str, typer.Argument(help="A run, by id or its beginning.", metavar="RUN")],
    other: Annotated[str, typer.Argument(help="The run to set beside it.", metavar="RUN")],
    svg: SvgOption = False,
    competition: CompetitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether one run is better than another, or within noise."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.insight import compare as comparing
    from kaggle_cnn.insight import sheets, tables
    from kaggle_cnn.learn.predictions import Predictions
    from kaggle_cnn.learn.run import open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    require_one_class_each(found, "comparisons")
    runs = open_runs(workspace, found, [one, other])
    names = [run.id for run in runs]
    parts = [Predictions.read(run.folder / "validation.npz") for run in runs]
    ids, labels, *probabilities = comparing.shared(*parts)
    if not len(ids):
        raise KcnnError(f"{names[0]} and {names[1]} validated no image in common", "train both with the same --fold")
    numbers = comparing.compare(labels, *probabilities)
    parted = comparing.parted(labels, *probabilities)
    entries = [
        {
            "id": str(ids[row]),
            "name": short(found, str(ids[row])),
            "true": found.classes[labels[row]],
            "said": [(found.classes[each[row].argmax()], float(each[row].max())) for each in probabilities],
            "right": [bool(each[row].argmax() == labels[row]) for each in probabilities],
        }
        for row in parted
    ]
    if as_json:
        return show({"runs": names, **numbers, "parted": entries})
    console().print(tables.comparison(names, numbers, entries))
    if entries:
        for entry in entries[:24]:
            entry["pixels"] = sheets.pixels_of(found.folder / entry["id"])
        title = f"{names[0]} and {names[1]}: {min(24, len(entries))} of {len(entries):,} images that just one has right"
        path = workspace.runs(found.name) / "pictures" / f"compare-{'-'.join(names)}.png"
        present(sheets.parted(entries[:24], names, title), path, svg)
