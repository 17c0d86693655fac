"""Hill climbing with replacement (Caruana et al. 2004): weights of a mean, from an ensemble that grows one by one."""

from collections.abc import Callable

import numpy as np

from kaggle_cnn.competition.metrics import Array

ROUNDS = 100  # so the weights are hundredths
PATIENCE = 25  # rounds without a better ensemble


def climb(parts: Array, merit: Callable[[Array], float]) -> Array:
    """Return the weights, float (K,), sum 1, of the mean of `parts` (K, ...) at which `merit` of the mean is best.

    In each round the part is added, again where it is in already, with which the mean is best; the best of all rounds
    is taken.
    """
    counts, total = np.zeros(len(parts), int), np.zeros(parts.shape[1:])
    best, chosen, since = -np.inf, counts, 0
    for size in range(1, ROUNDS + 1):
        merits = [merit((total + part) / size) for part in parts]
        added = int(np.argmax(merits))
        total, counts = total + parts[added], counts + (np.arange(len(parts)) == added)
        since += 1
        if merits[added] > best + 1e-12:
            best, chosen, since = merits[added], counts, 0
        if since == PATIENCE:
            break
    return np.asarray(chosen / max(chosen.sum(), 1))
