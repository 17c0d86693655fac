"""A linear layer fitted by scikit-learn: logistic regression for classes and labels, ridge regression for numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kaggle_cnn.competition.loss import loss_each
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task

STRENGTHS = [1e-4, 1e-3, 1e-2, 1e-1]  # of features that are standardised; see fit_linear
CHOOSING = 2  # folds on which a strength, or the kind of model, is chosen
NEVER = -20.0  # the logit of a class that no image has
MOST_ITERATIONS = 500


@dataclass(frozen=True)
class Linear:
    """The weights of a dense layer, float32: `kernel` (k, outputs) and `bias` (outputs,)."""

    kernel: Array
    bias: Array


def fit_linear(form: str, features: Array, targets: Array, strength: float, sizes: Sequence[int] = ()) -> Linear:
    """Return the layer from `features` float32 (n, k) to raw outputs, fitted on `targets` float32 (n, outputs) as
    model.encode_targets gives them.

    form: "classes", of `sizes` each where there are several targets; "labels"; or "values"; see model.form_of.
    Features are standardised for the fit, and that is in the weights. `strength` is scikit-learn's C of a logistic
    regression, 1 / alpha of a ridge regression.
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scale = np.where(deviation > 1e-6, deviation, np.inf)
    given = ((features - mean) / scale).astype(np.float32)
    if form == "values":
        kernel, bias = fit_values(given, targets, strength)
    elif form == "labels":
        parts = [fit_classes(given, targets[:, n].astype(int), 2, strength) for n in range(targets.shape[1])]
        kernel = np.stack([part[0][:, 1] - part[0][:, 0] for part in parts], axis=1)
        bias = np.array([part[1][1] - part[1][0] for part in parts])
    else:
        parts = []
        for own in np.split(targets, np.cumsum(sizes)[:-1], axis=1) if sizes else [targets]:
            parts.append(fit_classes(given, own.argmax(axis=1), own.shape[1], strength))
        kernel, bias = (np.concatenate([part[n] for part in parts], axis=-1) for n in (0, 1))
    kernel = kernel / scale[:, None]
    return Linear(kernel.astype(np.float32), (bias - mean @ kernel).astype(np.float32))


def fit_classes(features: Array, labels: Array, classes: int, strength: float) -> tuple[Array, Array]:
    """Return kernel (k, classes) and bias of a multinomial logistic regression; a class without images has the logit
    NEVER."""
    from sklearn.linear_model import LogisticRegression

    kernel, bias = np.zeros((features.shape[1], classes)), np.full(classes, NEVER)
    present = np.unique(labels)
    if len(present) == 1:
        bias[present] = -NEVER
        return kernel, bias
    model = LogisticRegression(C=strength, max_iter=MOST_ITERATIONS).fit(features, labels)
    if len(present) == 2:  # one column, of the second class
        kernel[:, present[1]], bias[present] = model.coef_[0], [0, model.intercept_[0]]
    else:
        kernel[:, present], bias[present] = model.coef_.T, model.intercept_
    return kernel, bias


def fit_values(features: Array, targets: Array, strength: float) -> tuple[Array, Array]:
    """Return kernel (k, values) and bias of a ridge regression."""
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=1 / strength).fit(features, targets)
    return model.coef_.reshape(targets.shape[1], -1).T, np.atleast_1d(model.intercept_)


def loss_of(task: Task, logits: Array, targets: Array) -> float:
    """Return the loss of logits or values (n, outputs) by which strengths are compared: the log loss, of several
    targets its mean; of a regression the mean squared error, each value in its deviations."""
    return float(loss_each(task, task.targets_of(targets), task.activate(logits)).mean())
