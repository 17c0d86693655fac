"""What each layer makes of an image."""

from kaggle_cnn.data.dataset import Dataset, FoundImage
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight import sheets, tables
from kaggle_cnn.pictures.picture import Picture, as_file_name, picture_path
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace


def draw(workspace: Workspace, dataset: Dataset, run: Run, image: FoundImage) -> Picture:
    """Draw the maps of each layer for `image`. Keras must be running."""
    from kaggle_cnn.learn.network import activations
    from kaggle_cnn.learn.single_images import open_model_for, read_centre

    given = read_centre(run, dataset, image.path)
    walk = activations(open_model_for(run, dataset, image)[0], given)
    if not walk:
        raise KcnnError("this network has no feature maps", "kcnn show model shows its layers")
    rows = [[layer, what, "x".join(map(str, maps.shape))] for layer, what, maps in walk]
    table = tables.plain_table(["layer", "step", "output"], rows, right=["output"])
    path = picture_path(workspace, dataset.competition, run, f"activations-{as_file_name(image.name)}")
    return Picture(sheets.activations(given[0], image.name, walk), path, lambda width: table)
