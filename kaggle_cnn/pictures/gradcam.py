"""Where a network looks, by Grad-CAM."""

import numpy as np

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.data.dataset import Dataset, FoundImage
from kaggle_cnn.insight import sheets
from kaggle_cnn.insight.canvas import BLUE, GREEN, GREY, RED
from kaggle_cnn.pictures.picture import Picture, as_file_name, picture_path
from kaggle_cnn.runs.decision import Decision
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace

Wanted = dict[int, tuple[str, str]]  # an output: what it is, and the colour of its text


def draw(workspace: Workspace, dataset: Dataset, run: Run, image: FoundImage, layer: str | None = None) -> Picture:
    """Draw what speaks for the predicted class of `image`, or for all labels that reach the threshold, and for its true
    ones, at the map of `layer` or of the last layer that will do. Keras must be running."""
    from kaggle_cnn.learn.distribution import predict_batch
    from kaggle_cnn.learn.model import cut_head
    from kaggle_cnn.learn.network import grad_cam
    from kaggle_cnn.learn.single_images import open_model_for, read_centre

    task = dataset.task
    given = read_centre(run, dataset, image.path)
    logits = cut_head(open_model_for(run, dataset, image)[0], task)
    [scores] = task.activate(predict_batch(logits, given))
    marks = None if image.row is None else dataset.targets[image.row]
    decision = Decision.read(run.folder / "decision.json")
    several = task.several
    decided = decision.decide(scores[None])[0]
    predicted = np.flatnonzero(decided).tolist() if several or task.kind == "regression" else [int(decided)]
    shown = "{:.4g}" if task.kind == "regression" else "{:.0%}"
    looks = []
    for number, (what, colour) in choose_outputs(task, scores, marks, predicted).items():
        heat = grad_cam(logits, given, number, layer)
        nothing = "" if heat.any() else "; nothing in the image speaks for it"
        words = f"{what}: {task.classes[number]} {shown.format(scores[number])}{nothing}"
        looks.append((words, colour if heat.any() else GREY, heat))
    text = "\n".join(words for words, *_ in looks)
    if several and not predicted:
        text = f"no label reaches the threshold of {decision.threshold:.0%}\n{text}"
    name = f"gradcam-{as_file_name(image.name)}{f'-{as_file_name(layer)}' if layer else ''}"
    path = picture_path(workspace, dataset.competition, run, name)
    return Picture(sheets.gradcam(given[0], image.name, looks), path, lambda width: text)


def choose_outputs(task: Task, scores: Array, marks: Array | None, predicted: list[int]) -> Wanted:
    """Return the outputs to draw, those of the highest score first: of a regression all; else the `predicted` ones, or
    where there is none the most probable; and the true ones, which `marks`, (classes,), has with 1."""
    if task.kind == "regression":
        return dict.fromkeys(range(task.outputs), ("value", BLUE))
    order = (-scores).argsort(kind="stable").tolist()
    several = task.several
    wanted: Wanted = {}
    for number in sorted(predicted, key=order.index):
        right = marks is not None and marks[number]
        wanted[number] = ("predicted", BLUE if marks is None else GREEN if right else RED)
    if not predicted:
        wanted[order[0]] = ("below the threshold", GREY)
    for number in order:
        if marks is not None and marks[number] and number not in predicted:
            wanted[number] = ("true, not predicted", RED) if several else ("true", GREEN)
    return wanted
