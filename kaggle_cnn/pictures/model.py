"""The layers of a network, their shapes, parameters and cost."""

from rich.console import Group
from rich.text import Text

from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.insight import charts, tables
from kaggle_cnn.pictures.picture import Picture, picture_path
from kaggle_cnn.recipe import Recipe
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace


def draw(workspace: Workspace, dataset: Dataset, run: Run | None, recipe: Recipe, name: str) -> Picture:
    """Draw the network of a run, or that of a recipe. `name` is the run's or the recipe's. Keras must be running."""
    from kaggle_cnn.learn.network import outline

    if run:
        from kaggle_cnn.learn.predict import load_model

        network = load_model(run, run.models[0])
    else:
        from kaggle_cnn.data.image_cache import count_channels
        from kaggle_cnn.learn.model import build_network

        files = (dataset.competition.folder / str(each) for each in dataset.ids)
        network = build_network(recipe, count_channels(list(files)), dataset.task).whole
    rows = outline(network)
    parameters, operations = (sum(row[key] for row in rows) for key in ("parameters", "operations"))
    title = f"{name}: {parameters:,} parameters, {operations:,} multiply-adds for an image"
    path = picture_path(workspace, dataset.competition, run, "model" if run else f"model-{name}")
    return Picture(charts.graph(rows, title), path, lambda width: Group(tables.layers_table(rows), Text(title)))
