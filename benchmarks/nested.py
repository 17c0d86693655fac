"""Does the nested gain of a fitted rule tell the gain on fresh images? Synthetic predictions, no training.

    python benchmarks/nested.py [IMAGES] [DRAWS]

For each rule: the mean over the draws of the gain by nested cross-validation, of that on 100,000 fresh images and of
that on the images it was fitted on; in how many draws the interval holds the fresh gain, as it is and before it is
widened; and in how many the rule is kept.
"""

import sys

import numpy as np

from kaggle_cnn.competition.metrics import Array, find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.runs.decision import usual_decision
from kaggle_cnn.runs.fit_decision import choose_fit, merit_of, use
from kaggle_cnn.runs.nested import WIDENED, judge, predict_nested

FRESH = 100_000


def task_of(kind: str, metric: str) -> Task:
    return Task(kind, tuple("abcde"), find_metric(metric))


def draw_grades(images: int, draw: np.random.Generator) -> tuple[Task, Array, Array]:
    """Grades whose expected value is shrunk to the mean, as a network's is."""
    task, true = task_of("ordinal", "quadratic_weighted_kappa"), draw.choice(5, images, p=[0.5, 0.1, 0.25, 0.05, 0.1])
    value = 1.15 + (true - 1.15) * 0.6 + draw.normal(0, 0.45, images)
    return task, true, task.activate(-((value[:, None] - np.arange(5)) ** 2) / 0.98)


def draw_classes(images: int, draw: np.random.Generator, metric: str = "macro_f1") -> tuple[Task, Array, Array]:
    """Classes of unequal frequency."""
    task, share = task_of("multiclass", metric), np.array([0.6, 0.2, 0.1, 0.06, 0.04])
    true = draw.choice(5, images, p=share)
    return task, true, task.activate(np.log(share) + 1.6 * np.eye(5)[true] + draw.normal(0, 1, (images, 5)))


def draw_labels(images: int, draw: np.random.Generator) -> tuple[Task, Array, Array]:
    """Labels whose probabilities are each wrong in another way."""
    task, logits = (
        task_of("multilabel", "samples_f2"),
        np.array([-2.5, -1.5, -1, 0, -3]) + draw.normal(0, 1.5, (images, 5)),
    )
    true = (draw.random((images, 5)) < 1 / (1 + np.exp(-logits))).astype(np.uint8)
    return task, true, task.activate(logits * np.array([0.6, 1.4, 1, 0.8, 1.2]) + np.array([0, 0.8, -0.8, 0, 1]))


def draw_chances(images: int, draw: np.random.Generator) -> tuple[Task, Array, Array]:
    return draw_classes(images, draw, "log_loss")


def measure(make, images: int, draws: int) -> str:
    fresh, rows = make(FRESH, np.random.default_rng(10**6)), []
    for seed in range(draws):
        task, true, scores = make(images, np.random.default_rng(seed))
        name, fit = choose_fit(task, images)
        gain = judge(
            task, true, *predict_nested(true, [use(rule, task, true, scores) for rule in (usual_decision, fit)])
        )
        usual, fitted = usual_decision(task, true, scores), fit(task, true, scores)
        gains = [merit_of(task, fresh[1], fitted, fresh[2]) - merit_of(task, fresh[1], usual, fresh[2]),
                 merit_of(task, true, fitted, scores) - merit_of(task, true, usual, scores)]  # fmt: skip
        rows.append((gain.difference, gain.low, gain.high, *gains))
    nested, low, high, true_gain, naive = np.array(rows).T
    narrow = [nested - (nested - low) / WIDENED, nested + (high - nested) / WIDENED]
    held = ((low <= true_gain) & (true_gain <= high)).sum()
    before = ((narrow[0] <= true_gain) & (true_gain <= narrow[1])).sum()
    return (
        f"{name:12} {task.metric.name:26} nested {nested.mean():+.4f}  fresh {true_gain.mean():+.4f}  same images "
        f"{naive.mean():+.4f}  held {held} of {draws} (not widened {before})  kept {(low > 0).sum()}"
    )


if __name__ == "__main__":
    images, draws = (int(text) for text in (*sys.argv[1:], *("1000", "200")[len(sys.argv) - 1 :]))
    for make in (draw_grades, draw_classes, draw_labels, draw_chances):
        print(measure(make, images, draws), flush=True)
