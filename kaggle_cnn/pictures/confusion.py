"""The confusion matrix of a run's validation images; of several labels what is right, missed and false of each; of a
regression predicted against true values, and the residuals."""

import numpy as np
from rich.console import Group

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.insight import charts
from kaggle_cnn.insight.evaluation import class_table, confusion_table
from kaggle_cnn.insight.measures import measure
from kaggle_cnn.insight.value_tables import grade_table, value_tables
from kaggle_cnn.pictures.picture import Picture, picture_path
from kaggle_cnn.runs.join import Validated
from kaggle_cnn.runs.run import Run
from kaggle_cnn.tta import name_policy
from kaggle_cnn.workspace import Workspace


def draw(workspace: Workspace, competition: Competition, run: Run, known: Validated, cluster: bool = False) -> Picture:
    """Draw the matrix; with `cluster`, classes that are confused with each other side by side. Of several labels, draw
    a bar for each; of a regression a panel for each value."""
    numbers = measure(competition.task, known.targets, known.scores, known.decision)
    path = picture_path(workspace, competition, run, f"confusion{'-cluster' if cluster else ''}")
    metric = competition.task.metric
    score = f"{metric.title} {numbers['scores'][metric.name]:.4f}"
    title = f"{run.id}: {score} on {numbers['images']:,} validation images, tta {name_policy(run.policy)}"
    if competition.kind == "regression":
        figure = charts.residuals(known.targets, known.scores, list(competition.classes), title)
        return Picture(figure, path, lambda width: value_tables(numbers, width))
    if competition.task.several:
        return Picture(charts.outcomes(numbers["outcomes"], title), path, lambda width: class_table(numbers, width))
    counts, classes = np.array(numbers["confusion"]), list(competition.classes)
    if cluster:
        counts, classes = order_by_confusion(counts, classes)
    right = np.trace(counts) / counts.sum()
    title = f"{run.id}: {right:.2%} of {counts.sum():,} validation images right, tta {name_policy(run.policy)}"
    figure = charts.confusion(counts, classes, title)
    if competition.kind != "ordinal":
        return Picture(figure, path, lambda width: confusion_table(counts.tolist(), classes, width))
    grades = grade_table(numbers, 80)
    return Picture(figure, path, lambda width: Group(confusion_table(counts.tolist(), classes, width), "", grades))


def order_by_confusion(counts: Array, classes: list[str]) -> tuple[Array, list[str]]:
    """Return the matrix and the classes in an order that puts confused classes side by side."""
    places = charts.cluster_order(counts)
    return counts[np.ix_(places, places)], [classes[place] for place in places]
