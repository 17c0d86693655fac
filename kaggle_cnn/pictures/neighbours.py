"""The training images that a network finds most similar to an image."""

from kaggle_cnn.data.dataset import Dataset, FoundImage
from kaggle_cnn.insight import sheets, tables
from kaggle_cnn.pictures.picture import Picture, as_file_name, entry_of, picture_path
from kaggle_cnn.progress import Progress
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace


def draw(
    workspace: Workspace, dataset: Dataset, run: Run, image: FoundImage, metric: str, count: int, progress: Progress
) -> Picture:
    """Draw the `count` nearest by the "euclidean" or "cosine" distance of the last features. Keras must be running."""
    from kaggle_cnn.learn.single_images import (
        features_of,
        find_nearest,
        open_model_for,
        read_centre,
        training_features,
    )

    given = read_centre(run, dataset, image.path)
    model, fold = open_model_for(run, dataset, image)
    rows, features = training_features(run, model, fold, dataset, progress)
    place = next((place for place, row in enumerate(rows) if row == image.row), -1)
    own = features[place] if place >= 0 else features_of(model, given)
    order, distances = find_nearest(features, own, metric, count, place)
    names = dataset.label_names
    entries = [
        {
            **entry_of(dataset.competition, str(dataset.ids[row])),
            "label": names[row],
            "distance": float(distance),
        }
        for row, distance in zip(rows[order], distances, strict=True)
    ]
    cells = [[each["name"], each["label"], f"{each['distance']:.4g}"] for each in entries]
    table = tables.plain_table(["image", "label", "distance"], cells, right=["distance"])
    title = f"{run.id}: the training images nearest in the last features, {metric} distance"
    path = picture_path(workspace, dataset.competition, run, f"neighbours-{metric}-{as_file_name(image.name)}")
    figure = sheets.neighbours(sheets.pixels_of(image.path), image.name, entries, title)
    return Picture(figure, path, lambda width: table)
