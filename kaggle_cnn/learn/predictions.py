"""Probabilities with their ids: what a run leaves behind for scoring and submitting. No Keras here."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file


@dataclass(frozen=True)
class Predictions:
    """`ids` (N,) str; `labels` (N,) int, or None where they are not known; `probabilities`: number of views averaged
    -> (N, classes) float32, each row summing to 1."""

    ids: np.ndarray
    labels: np.ndarray | None
    probabilities: dict[int, np.ndarray]

    def write(self, path: Path) -> None:
        arrays = {f"views_{views}": values for views, values in self.probabilities.items()}
        if self.labels is not None:
            arrays["labels"] = self.labels
        with whole_file(path) as temporary:
            np.savez(temporary, ids=self.ids, **arrays)

    @classmethod
    def read(cls, path: Path) -> "Predictions":
        """Raises KcnnError where the file is missing or broken."""
        try:
            with np.load(path) as arrays:
                views = {int(name[6:]): arrays[name] for name in arrays.files if name.startswith("views_")}
                return cls(arrays["ids"], arrays["labels"] if "labels" in arrays.files else None, views)
        except FileNotFoundError:
            raise KcnnError(
                f"{path} is not there: the run has not got so far", "kcnn train RECIPE --resume goes on"
            ) from None
        except (ValueError, KeyError, OSError, EOFError) as error:
            raise KcnnError(f"{path} cannot be read: {error}", "kcnn predict makes the test predictions anew") from None

    def best(self) -> tuple[int, np.ndarray]:
        """The most views there are, and their probabilities."""
        return max(self.probabilities.items())


def mean(parts: list[Predictions]) -> Predictions:
    """The mean of several predictions of the same ids, for each number of views that all of them have.

    Raises KcnnError where they are not of the same ids.
    """
    first = parts[0]
    if any(len(part.ids) != len(first.ids) or (part.ids != first.ids).any() for part in parts):
        raise KcnnError(
            "these runs predicted different images", "runs of the same folds and the same test images can be averaged"
        )
    shared = set.intersection(*(set(part.probabilities) for part in parts))
    return Predictions(
        first.ids, first.labels, {v: np.mean([part.probabilities[v] for part in parts], axis=0) for v in sorted(shared)}
    )


def joined(parts: list[Predictions]) -> Predictions:
    """Predictions of different images, one after the other."""
    shared = set.intersection(*(set(part.probabilities) for part in parts))
    return Predictions(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.labels for part in parts]),
        {views: np.concatenate([part.probabilities[views] for part in parts]) for views in sorted(shared)},
    )
