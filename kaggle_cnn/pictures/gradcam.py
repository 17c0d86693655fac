"""Where a network looks, by Grad-CAM."""

import numpy as np

from kaggle_cnn.data.dataset import Dataset, FoundImage
from kaggle_cnn.insight import sheets
from kaggle_cnn.insight.canvas import BLUE, GREEN, RED
from kaggle_cnn.pictures.picture import Picture, as_file_name, picture_path
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace


def draw(workspace: Workspace, dataset: Dataset, run: Run, image: FoundImage) -> Picture:
    """Draw what speaks for the predicted class of `image`, and for its true ones. Keras must be running."""
    from kaggle_cnn.learn.model import cut_head
    from kaggle_cnn.learn.network import grad_cam
    from kaggle_cnn.learn.predict import run_batch
    from kaggle_cnn.learn.single_images import open_model_for, read_centre

    task = dataset.task
    given = read_centre(run, image.path)
    logits = cut_head(open_model_for(run, dataset, image)[0], task)
    [scores] = task.activate(run_batch(logits, given))
    if task.kind == "regression":
        wanted = dict.fromkeys(range(task.outputs), ("value", BLUE))
    else:
        best = int(scores.argmax())
        true = None if image.row is None else np.flatnonzero(dataset.targets[image.row]).tolist()
        wanted = {best: ("predicted", BLUE if true is None else GREEN if best in true else RED)}
        for number in true or []:
            wanted.setdefault(number, ("true", GREEN))
    shown = "{:.4g}" if task.kind == "regression" else "{:.0%}"
    looks = [
        (f"{what}: {task.classes[number]} {shown.format(scores[number])}", colour, grad_cam(logits, given, number))
        for number, (what, colour) in wanted.items()
    ]
    text = "\n".join(words for words, *_ in looks)
    path = picture_path(workspace, dataset.competition, run, f"gradcam-{as_file_name(image.name)}")
    return Picture(sheets.gradcam(given[0], image.name, looks), path, lambda width: text)
