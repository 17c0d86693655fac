"""Images as training sees them, after augmentation."""

from pathlib import PurePosixPath

import numpy as np

from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.training_set import readable
from kaggle_cnn.insight import sheets
from kaggle_cnn.pictures.picture import Picture, picture_path
from kaggle_cnn.progress import Progress
from kaggle_cnn.recipe import Recipe
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace

VERSIONS = 8


def draw(
    workspace: Workspace, dataset: Dataset, run: Run | None, recipe: Recipe, name: str, count: int, progress: Progress
) -> Picture:
    """Draw `count` training images, each in eight versions. `name` is the run's or the recipe's. Keras must be
    running."""
    from kaggle_cnn.learn.predict import load_train_images
    from kaggle_cnn.learn.single_images import augment_images

    images = load_train_images(dataset, recipe.stored_size, recipe.fit, progress)
    whole = readable(np.arange(len(dataset.ids)), images)
    rows = whole[np.linspace(0, len(whole) - 1, min(count, len(whole))).astype(int)]
    made = augment_images(recipe, images.pixels, rows, VERSIONS)
    names = dataset.label_names
    sheet = [
        (names[row], PurePosixPath(str(dataset.ids[row])).name, [images.pixels[row], *versions])
        for row, versions in zip(rows, made, strict=True)
    ]
    side = recipe.stored_size
    title = f"{name}: each image at {side}x{side}, and eight times as training sees it"
    kind = "augmentation" if run else f"augmentation-{name}"
    return Picture(sheets.contact(sheet, 128, title), picture_path(workspace, dataset.competition, run, kind))
