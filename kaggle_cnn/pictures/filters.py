"""The filters of a convolution, each scaled to itself."""

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.insight import sheets
from kaggle_cnn.pictures.picture import Picture, as_file_name, picture_path
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace


def draw(workspace: Workspace, competition: Competition, run: Run, layer: str | None = None) -> Picture:
    """Draw the first convolution of a run's first model, or the one called `layer`. Keras must be running."""
    from kaggle_cnn.learn.network import read_kernel
    from kaggle_cnn.learn.predict import load_model

    name, values = read_kernel(load_model(run, run.models[0]), layer)
    path = picture_path(workspace, competition, run, f"filters{f'-{as_file_name(name)}' if layer else ''}")
    return Picture(sheets.filters(name, values), path)
