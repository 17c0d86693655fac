"""The confusion matrix of a run's validation images."""

import numpy as np

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.insight import charts
from kaggle_cnn.insight.evaluation import confusion_table
from kaggle_cnn.insight.measures import measure
from kaggle_cnn.pictures.picture import Picture, picture_path, require_one_class_each
from kaggle_cnn.runs.join import Validated
from kaggle_cnn.runs.run import Run
from kaggle_cnn.workspace import Workspace


def draw(workspace: Workspace, competition: Competition, run: Run, known: Validated, cluster: bool = False) -> Picture:
    """Draw the matrix; with `cluster`, classes that are confused with each other side by side."""
    require_one_class_each(competition, "confusion matrices")
    counts = np.array(measure(competition.task, known.targets, known.scores, known.decision)["confusion"])
    classes = list(competition.classes)
    if cluster:
        places = charts.cluster_order(counts)
        counts, classes = counts[np.ix_(places, places)], [classes[place] for place in places]
    right = np.trace(counts) / counts.sum()
    title = f"{run.id}: {right:.2%} of {counts.sum():,} validation images right, tta {run.policy}"
    path = picture_path(workspace, competition, run, f"confusion{'-cluster' if cluster else ''}")
    figure = charts.confusion(counts, classes, title)
    return Picture(figure, path, lambda width: confusion_table(counts.tolist(), classes, width))
