"""The metrics by which competitions are judged: by name, with a direction, computed by scikit-learn where it has them.

A metric compares `targets` with predictions in two forms. `scores` (N, outputs): probabilities, or the predicted values
of a regression. `decisions`: what a decision rule makes of them, in the form of the targets. Targets are int (N,) for
one class an image (multiclass, ordinal), uint8 (N, classes) of 0 and 1 for several labels (multilabel) or one class of
each of several targets (multioutput), float (N, values) for regression.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from kaggle_cnn.competition import class_counts
from kaggle_cnn.errors import KcnnError

Array = np.ndarray[Any, Any]
ONE_CLASS, SEVERAL, VALUES = ("multiclass", "ordinal"), ("multilabel",), ("regression",)
TARGETS = ("multioutput",)
EPSILON = 1e-15  # what a probability of 0 counts as in a logarithm


@dataclass(frozen=True)
class Metric:
    """One metric. `score(targets, scores, decisions, weights)` takes arrays as above and weights (N,) or None.

    needs: "scores" or "decisions", the form of prediction that it reads. kinds: the kinds of task that it fits.
    each: where the metric is a mean over images, the value of each image, float (N,); its mean, through `finish`, is
        the score.
    """

    name: str
    title: str
    higher_is_better: bool
    needs: str
    kinds: tuple[str, ...]
    score: Callable[[Array, Array | None, Array | None, Array | None], float]
    each: Callable[[Array, Array | None, Array | None], Array] | None = None
    finish: Callable[[Any], Any] = lambda mean: mean

    def is_better(self, one: float, other: float) -> bool:
        """Whether score `one` is better than `other`; one that is nan never is."""
        if np.isnan(other):
            return not np.isnan(one)
        return one > other if self.higher_is_better else one < other

    def merit(self, score: float) -> float:
        """Return a number that is larger for a better score, for sorting; minus infinity for one that is nan."""
        return -np.inf if np.isnan(score) else score if self.higher_is_better else -score


def mean_metric(name: str, title: str, higher: bool, needs: str, kinds: tuple[str, ...], each: Callable[..., Array],
                finish: Callable[[Any], Any] = lambda mean: mean) -> Metric:  # fmt: skip
    """Make a metric that is the mean of a value of each image."""

    def score(targets: Array, scores: Array | None, decisions: Array | None, weights: Array | None) -> float:
        return float(finish(np.average(each(targets, scores, decisions), weights=weights)))

    return Metric(name, title, higher, needs, kinds, score, each, finish)


def scikit_metric(name: str, title: str, needs: str, kinds: tuple[str, ...], function: str, **settings: Any) -> Metric:
    """Make a metric of a function of sklearn.metrics, imported when it is first used: it takes a second."""

    def score(targets: Array, scores: Array | None, decisions: Array | None, weights: Array | None) -> float:
        import sklearn.metrics

        given = scores if needs == "scores" else decisions
        return float(getattr(sklearn.metrics, function)(targets, given, sample_weight=weights, **settings))

    return Metric(name, title, True, needs, kinds, score)


def right_each(targets: Array, scores: Array | None, decisions: Array | None) -> Array:
    """1 for an image whose class, or whole set of labels, is right."""
    right = np.asarray(decisions) == targets
    return (right if right.ndim == 1 else right.all(axis=1)).astype(float)


def log_loss_each(targets: Array, scores: Array | None, decisions: Array | None) -> Array:
    """Minus the natural logarithm of the true class's share, rows scaled to sum 1; of several labels the mean of the
    binary log losses of the columns."""
    chances = np.asarray(scores, np.float64)
    if targets.ndim == 2:
        certain = np.clip(chances, 1e-7, 1 - 1e-7)
        return np.asarray(-np.where(targets, np.log(certain), np.log1p(-certain)).mean(axis=1))
    rows = chances + EPSILON
    return np.asarray(-np.log(rows[np.arange(len(rows)), targets] / rows.sum(axis=1)))


def column_log_loss_each(targets: Array, scores: Array | None, decisions: Array | None) -> Array:
    """The mean over columns of the binary log loss; a class of each image counts as a column of 0 and 1."""
    return log_loss_each(as_columns(targets, np.asarray(scores).shape[1]), scores, decisions)


def as_columns(targets: Array, classes: int) -> Array:
    """Targets as (N, classes) of 0 and 1."""
    return targets if targets.ndim == 2 else np.eye(classes, dtype=np.uint8)[targets]


def samples_f_each(targets: Array, scores: Array | None, decisions: Array | None, beta: float) -> Array:
    """F-beta of each image's set of labels; 1 where there are none and none is predicted."""
    chosen = np.asarray(decisions)
    hits = (targets & chosen).sum(axis=1, dtype=float)
    lower = beta**2 * targets.sum(axis=1, dtype=float) + chosen.sum(axis=1, dtype=float)
    return np.where(lower > 0, (1 + beta**2) * hits / np.maximum(lower, 1), 1.0)


def top_k_each(targets: Array, scores: Array | None, decisions: Array | None, k: int) -> Array:
    """1 for an image whose class is among the `k` most probable. A class whose score is minus infinity never is."""
    chances = np.asarray(scores)
    order = np.argsort(-chances, axis=1, kind="stable")[:, :k]
    listed = np.take_along_axis(chances, order, axis=1) > -np.inf
    return ((order == targets[:, None]) & listed).any(axis=1).astype(float)


def average_precision_each(targets: Array, scores: Array | None, decisions: Array | None, k: int) -> Array:
    """Average precision at `k` of each image: of one class, 1 / its rank, 0 beyond `k` (Kaggle's MAP@k). A class whose
    score is minus infinity has no rank."""
    chances = np.asarray(scores)
    order = np.argsort(-chances, axis=1, kind="stable")[:, :k]
    true = as_columns(targets, chances.shape[1])
    listed = np.take_along_axis(chances, order, axis=1) > -np.inf
    hits = (np.take_along_axis(true, order, axis=1) * listed).astype(float)
    precision = hits.cumsum(axis=1) / np.arange(1, order.shape[1] + 1)
    return np.asarray((precision * hits).sum(axis=1) / np.maximum(np.minimum(true.sum(axis=1), k), 1))


def column_auc(targets: Array, scores: Array | None, decisions: Array | None, weights: Array | None) -> float:
    """The area under the ROC curve of each column, averaged; of two classes that of the second. Columns whose targets
    are all alike have none and do not count; nan where no column has one."""
    chances = np.asarray(scores)
    true = as_columns(targets, chances.shape[1])
    each = np.ones(len(chances)) if weights is None else np.asarray(weights, np.float64)
    columns = range(chances.shape[1])
    if targets.ndim == 1 and chances.shape[1] == 2:
        columns = range(1, 2)
    seen = true if weights is None else true[np.asarray(weights) > 0]
    areas = [area_under(true[:, n], chances[:, n], each) for n in columns if np.ptp(seen[:, n])]
    return float(np.mean(areas)) if areas else float("nan")


def area_under(true: Array, chances: Array, weights: Array) -> float:
    """The area under the ROC curve: how often a true one has the larger chance than a false one, equal ones by half.

    As scikit-learn's roc_auc_score, in a fiftieth of its time for 100 images: an interval takes 800 values.
    """
    order = np.argsort(chances, kind="stable")
    ranked, own, mark = chances[order], weights[order], true[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))  # of each run of equal chances
    right, wrong = (np.add.reduceat(own * part, starts) for part in (mark, 1.0 - mark))
    below = np.cumsum(wrong) - wrong
    return float((right * (below + wrong / 2)).sum() / (right.sum() * wrong.sum()))


def kappa(targets: Array, scores: Array | None, decisions: Array | None, weights: Array | None) -> float:
    """Cohen's kappa with quadratic weights (Cohen 1968); 1 where all images have one grade, and are predicted so.

    As 1 - mean((true - given)^2) / mean of the same over all pairs of a true and a given grade, which is what
    scikit-learn's cohen_kappa_score computes from a table, in 2 ms where this takes 0.1: cut points are fitted by it.
    """
    true, given = targets.astype(np.float64), np.asarray(decisions, np.float64)
    mean = np.average(true, weights=weights), np.average(given, weights=weights)
    spread = sum(np.average((each - m) ** 2, weights=weights) for each, m in zip((true, given), mean, strict=True))
    apart = float(spread + (mean[0] - mean[1]) ** 2)
    return 1.0 if apart == 0 else 1 - float(np.average((true - given) ** 2, weights=weights)) / apart


def squared_each(targets: Array, scores: Array | None, decisions: Array | None) -> Array:
    return np.asarray(((np.asarray(scores, float) - targets) ** 2).mean(axis=1))


def absolute_each(targets: Array, scores: Array | None, decisions: Array | None) -> Array:
    return np.asarray(np.abs(np.asarray(scores, float) - targets).mean(axis=1))


FIXED = [
    mean_metric("accuracy", "accuracy", True, "decisions", (*ONE_CLASS, *SEVERAL), right_each),
    Metric("balanced_accuracy", "balanced accuracy", True, "decisions", ONE_CLASS, class_counts.balanced_accuracy),
    Metric("macro_recall", "macro recall", True, "decisions", (*ONE_CLASS, *SEVERAL), class_counts.macro_recall),
    Metric("macro_f1", "macro F1", True, "decisions", (*ONE_CLASS, *SEVERAL), class_counts.macro_f1),
    Metric("micro_f1", "micro F1", True, "decisions", (*ONE_CLASS, *SEVERAL), class_counts.micro_f1),
    Metric("weighted_f1", "weighted F1", True, "decisions", (*ONE_CLASS, *SEVERAL), class_counts.weighted_f1),
    mean_metric("log_loss", "log loss", False, "scores", (*ONE_CLASS, *SEVERAL), log_loss_each),
    mean_metric("mean_column_log_loss", "mean column-wise log loss", False, "scores", (*ONE_CLASS, *SEVERAL),
                column_log_loss_each),
    Metric("auc", "AUC", True, "scores", (*ONE_CLASS, *SEVERAL), column_auc),
    Metric("mean_column_auc", "mean column-wise AUC", True, "scores", (*ONE_CLASS, *SEVERAL), column_auc),
    Metric("quadratic_weighted_kappa", "quadratic weighted kappa", True, "decisions", ONE_CLASS, kappa),
    scikit_metric("matthews_correlation", "Matthews correlation", "decisions", ONE_CLASS, "matthews_corrcoef"),
    mean_metric("rmse", "RMSE", False, "scores", VALUES, squared_each, np.sqrt),
    mean_metric("mae", "MAE", False, "scores", VALUES, absolute_each),
    scikit_metric("r2", "R2", "scores", VALUES, "r2_score"),
]  # fmt: skip
METRICS = {metric.name: metric for metric in FIXED}
NUMBERED = "top_K_accuracy, map_at_K and samples_fB with a number in place of K and B"
DEFAULTS = {"multiclass": "accuracy", "multilabel": "samples_f1", "multioutput": "macro_recall",
            "ordinal": "quadratic_weighted_kappa", "regression": "rmse"}  # fmt: skip


def find_metric(name: str, heads: Sequence[int] = ()) -> Metric:
    """Return the metric called `name`: one of METRICS, top_5_accuracy, map_at_3, samples_f2 and the like.

    `heads` are the numbers of classes of a multioutput task's targets. There it is the mean over the targets; `name`
    may have one metric for each, and weights: "2*macro_recall macro_recall accuracy".
    Raises KcnnError where there is none of that name.
    """
    if heads or " " in name or "*" in name:
        return average_heads(name, heads)
    if name in METRICS:
        return METRICS[name]
    if match := re.fullmatch(r"top_([1-9]\d{0,3})_accuracy", name):
        k = int(match[1])
        return mean_metric(name, f"top-{k} accuracy", True, "scores", ONE_CLASS, partial(top_k_each, k=k))
    if match := re.fullmatch(r"map_at_([1-9]\d{0,3})", name):
        k = int(match[1])
        kinds = (*ONE_CLASS, *SEVERAL)
        return mean_metric(name, f"MAP@{k}", True, "scores", kinds, partial(average_precision_each, k=k))
    if match := re.fullmatch(r"samples_f([1-9](?:\.\d)?|0\.[1-9])", name):
        each = partial(samples_f_each, beta=float(match[1]))
        return mean_metric(name, f"samples F{match[1]}", True, "decisions", SEVERAL, each)
    raise KcnnError(f"there is no metric '{name}'", f"the metrics are: {', '.join(METRICS)}, {NUMBERED}")


def average_heads(name: str, heads: Sequence[int]) -> Metric:
    """Return the weighted mean of a metric of each target; see find_metric."""
    parts = [read_part(part) for part in name.split()]
    parts = parts * len(heads) if len(parts) == 1 else parts
    metrics = [metric for _, metric in parts]
    if len({metric.higher_is_better for metric in metrics}) != 1 or (heads and len(parts) != len(heads)):
        count = f"one metric, or {len(heads)} of one direction" if heads else "metrics of one direction"
        raise KcnnError(f"expected {count}, got '{name}'", 'for example metric = "2*macro_recall macro_recall"')
    edges = np.cumsum([0, *heads])

    def score(targets: Array, scores: Array | None, decisions: Array | None, weights: Array | None) -> float:
        found = []
        for metric, start, end in zip(metrics, edges, edges[1:], strict=False):
            own = [None if each is None else np.asarray(each)[:, start:end] for each in (targets, scores, decisions)]
            true, chosen = (None if each is None else each.argmax(axis=1) for each in (own[0], own[2]))
            assert true is not None
            found.append(metric.score(true, own[1], chosen, weights))
        return float(np.average(found, weights=[weight for weight, _ in parts]))

    title = " and ".join(dict.fromkeys(metric.title for metric in metrics))
    title = f"weighted {title}" if len({weight for weight, _ in parts}) > 1 else title
    needs = "scores" if any(metric.needs == "scores" for metric in metrics) else "decisions"
    return Metric(name, title, metrics[0].higher_is_better, needs, TARGETS, score)


def read_part(text: str) -> tuple[float, Metric]:
    """Return the weight and the metric of "2*macro_recall", or of "accuracy", whose weight is 1."""
    weight, _, name = text.rpartition("*")
    metric = find_metric(name)
    if weight and not (re.fullmatch(r"\d{1,6}(\.\d{1,6})?", weight) and float(weight) > 0):
        raise KcnnError(f"expected a number above 0 before the * of '{text}', got '{weight}'", "as in 2*macro_recall")
    if "multiclass" not in metric.kinds:
        raise KcnnError(f"{name} does not fit a target with classes", f"for example {DEFAULTS['multioutput']}")
    return float(weight or 1), metric


# Kaggle's own words for the evaluation, as in its API's evaluation_metric, in the form of `plain_words`, and the
# metric that they mean. The first that fits counts; "" is a metric that kcnn does not have.
NUMBER, BETA = r"([1-9]\d{0,3})(?![\d.])", r"([1-9](?:\.\d)?|0\.[1-9])(?![\d.])"
F1 = r"\bf ?(?:1|score|measure)\b"
WORDS = [
    (r"\bweighted\b(?!.*kappa)(?!.*\bf ?(?:1|score|measure)\b)", ""),
    (r"\bnormali[sz]ed|\bpartial|\bprobabilistic|\bp ?f1\b|precision recall|\bau ?prc?\b|\bpr auc\b", ""),
    (r"log(?:arithmic)? error|rmsle\b|percentage|\bhierarchical", ""),
    (rf"\b(?:mapk?|m ap|mean average precision)(?: at| k)* {NUMBER}", "map_at_{}"),
    (r"\b(?:map|m ap|mean average precision)(?: at)? k\b|\bmapk\b", "map_at_K"),
    (rf"\btop ?{NUMBER}.*(?:accuracy|categori[sz]ation)(?!.*error)", "top_{}_accuracy"),
    (r"column.*kappa", ""),
    (r"quadratic.*kappa|\bqwk\b", "quadratic_weighted_kappa"),
    (r"\bmatthews|\bmcc\b", "matthews_correlation"),
    (r"(?:column|label) ?wise.*(?:\bauc\b|area under|\broc\b)|mean column.*(?:\bauc\b|area under)|\bmc ?auc\b",
     "mean_column_auc"),
    (r"(?:column|label) ?wise.*log ?loss|mean column.*log ?loss|multi ?label.*log ?loss", "mean_column_log_loss"),
    (r"area under|\bauc\b|\broc\b|\baucroc\b|\brocauc\b", "auc"),
    (r"\blog(?:arithmic)? ?loss|multi ?class ?loss|cross ?entropy", "log_loss"),
    (rf"^(?!.*(?:macro|micro|weighted)).*\b(?:f\b.*\bbeta|fbeta|f ?score.*beta) ?{BETA}", "samples_f{}"),
    (rf"^(?!.*(?:macro|micro|weighted)).*\bf ?(?!1(?![\d.])){BETA}", "samples_f{}"),
    (r"beta", ""),
    (rf"(?:macro|column ?wise).*{F1}|{F1}.*macro", "macro_f1"),
    (rf"micro.*{F1}|{F1}.*micro", "micro_f1"),
    (rf"weighted.*{F1}|{F1}.*weighted", "weighted_f1"),
    (rf"\b(?:mean|samples?)\b.*{F1}|{F1}.*\bsamples?\b", "samples_f1"),
    (F1, "one_f1"),
    (r"macro.*recall", "macro_recall"),
    (r"balanced.*accuracy|(?:class|category) ?wise accuracy|mean per ?class (?:accuracy|recall)",
     "balanced_accuracy"),
    (r"column.*(?:root )?mean square|\bmcrmse\b", ""),
    (r"root mean square|\brmse\b", "rmse"),
    (r"mean absolute error|\bmae\b", "mae"),
    (r"\br ?2\b|\br squared|coefficient of determination", "r2"),
    (r"accuracy|categori[sz]ation(?!.*error)", "accuracy"),
]  # fmt: skip


def plain_words(words: str) -> str:
    """Return a host's words in lower case, with one space between them: "mean f score" for MeanFScore and Mean F-Score.

    A point is kept in numbers only.
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})", " ", words)
    return " ".join(re.sub(r"[^a-z0-9.]|(?<!\d)\.|\.(?!\d)", " ", spaced.lower()).split())


def recognise_metric(words: str, kind: str, top_k: int = 0) -> str:
    """Return the name of the metric that a host's `words` mean for a task of `kind`; "" where that is not known.

    `top_k` is the number of classes that the sample asks for: Kaggle writes MAP@{K} whatever K is.
    """
    if kind == "multioutput":
        return recognise_metric(words, "multiclass", top_k)
    plain = plain_words(words)
    found = next(((match, name) for pattern, name in WORDS if (match := re.search(pattern, plain))), None)
    if found is None:
        return ""
    number = next((group for group in found[0].groups() if group), "0")
    name = found[1].format(f"{float(number):g}")
    if name == "map_at_K":
        name = f"map_at_{top_k}" if top_k else ""
    if name == "top_1_accuracy":
        name = "accuracy"
    if name.startswith("samples_f") and kind in ONE_CLASS:
        name = "micro_f1" if name == "samples_f1" else ""  # Kaggle's Mean F-Score of one label an image
    if name == "one_f1":  # of one class an image it may be that of the second class, or an average
        name = "samples_f1" if kind == "multilabel" else ""
    if kind == "multilabel":
        name = {"auc": "mean_column_auc", "log_loss": "mean_column_log_loss"}.get(name, name)
    return name if name and kind in find_metric(name).kinds else ""
