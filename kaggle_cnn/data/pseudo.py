"""Pseudo-labels: test images with the labels that a run predicts, in the training set of each fold."""

from dataclasses import dataclass

from kaggle_cnn.competition.metrics import Array


@dataclass(frozen=True)
class PseudoLabels:
    """`rows` int (n,): places in the dataset's list of test images; `targets` float32 (n, outputs), which may be
    soft."""

    rows: Array
    targets: Array
