"""look: what a competition holds."""

from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import CompetitionOption, JsonOption, app, console, print_json, print_line, progress
from kaggle_cnn.workspace import Workspace


@app.command()
def look(
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Draw classes, sizes, duplicates and images that look alike.")
    ] = False,
    competition: CompetitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show classes, sizes, corrupt images, duplicates and near-duplicates."""
    from rich.text import Text

    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.data.dataset import load_dataset
    from kaggle_cnn.data.overview import every_image, summarise
    from kaggle_cnn.insight import tables

    workspace = Workspace.find()
    with progress() as shown:
        dataset = load_dataset(workspace, open_competition(workspace, competition), shown)
        images = every_image(dataset, shown)
        found = summarise(dataset, images, shown)
        if pictures:
            from kaggle_cnn.insight.competition_pictures import draw

            folder = workspace.runs(dataset.competition.name) / "pictures"
            found["pictures"] = [str(path) for path in draw(dataset.competition, images, found, folder)]
    if as_json:
        return print_json(found)
    screen = console()
    for part in tables.overview_tables(found):
        screen.print(part, soft_wrap=isinstance(part, Text))  # a path is never broken
    for path in found.get("pictures", []):
        print_line(path)
    return None
