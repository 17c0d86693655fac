"""Predictions on disk: the logits of every view of every image, from which all scores and submissions are derived."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_cnn import tta
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file


@dataclass(frozen=True)
class Predictions:
    """`ids` (N,) str; `logits` float32 (N, views, outputs), of a regression its numbers; `views`: the name of each
    view, see tta.VIEWS, or tta.WHOLE alone; `crop`: the side of the views in pixels. Of validation images also `fold`
    int (N,), by whose model they are predicted, and `targets` in the form that metrics take."""

    ids: Array
    logits: Array
    views: tuple[str, ...]
    crop: int
    fold: Array | None = None
    targets: Array | None = None

    @classmethod
    def of_whole(
        cls, ids: Array, logits: Array, fold: Array | None = None, targets: Array | None = None
    ) -> "Predictions":
        """Return predictions that are not made of views, of logits (N, outputs)."""
        return cls(ids, logits[:, None].astype(np.float32), (tta.WHOLE,), 1, fold, targets)

    def write(self, path: Path) -> None:
        known = {"fold": self.fold, "targets": self.targets}
        arrays: dict[str, Any] = {name: values for name, values in known.items() if values is not None}
        with whole_file(path) as temporary, temporary.open("wb") as stream:
            np.savez(
                stream, ids=self.ids, logits=self.logits, view_names=np.array(self.views, str), crop=self.crop, **arrays
            )

    @classmethod
    def read(cls, path: Path) -> "Predictions":
        """Raise KcnnError where the file is missing or broken."""
        if not path.is_file():
            raise KcnnError(f"{path} is not there: the run is not finished", "kcnn train RECIPE --resume")
        try:
            with np.load(path) as arrays:
                known = {name: arrays[name] for name in ("fold", "targets") if name in arrays.files}
                views = tuple(map(str, arrays["view_names"]))
                made = cls(arrays["ids"], arrays["logits"], views, int(arrays["crop"]), **known)
            made.require_sound()
            return made
        except Exception as error:  # NumPy and zipfile raise many kinds on a broken file
            hint = "remove it; kcnn evaluate and kcnn predict make it again"
            raise KcnnError(f"{path} cannot be read: {error}", hint) from None

    def require_sound(self) -> None:
        """Raise ValueError where the arrays do not fit together."""
        count = len(self.ids)
        if self.ids.dtype.kind != "U" or self.logits.dtype.kind != "f":
            raise ValueError(f"ids of type {self.ids.dtype}, logits of type {self.logits.dtype}")
        if self.logits.ndim != 3 or self.logits.shape[:2] != (count, len(self.views)):
            raise ValueError(f"logits of shape {self.logits.shape} for {count} ids")
        if not np.isfinite(self.logits).all():
            raise ValueError("logits that are not numbers")
        if not set(self.views) <= {*tta.VIEWS, tta.WHOLE} or self.crop < 1:
            raise ValueError(f"views {', '.join(self.views)} of {self.crop} pixels")
        for name, values in (("folds", self.fold), ("targets", self.targets)):
            if values is not None and (len(values) != count or values.dtype.kind not in "iuf"):
                raise ValueError(f"{name} of shape {values.shape} and type {values.dtype} for {count} ids")

    @property
    def policies(self) -> list[str]:
        """The TTA policies that these views allow."""
        return tta.policies_from(self.views)

    def scores(self, task: Task, policy: str) -> Array:
        """Return probabilities or values, float32 (N, outputs): the activation of the policy's mean of the logits.

        Raises KcnnError where a view of the policy is missing.
        """
        if not tta.has_views(self.views, tta.views_of(policy)):
            raise KcnnError(f"the views of tta={policy} are not predicted", f"--tta {policy} predicts them")
        return task.activate(tta.average(self.logits, self.views, policy))

    @property
    def true(self) -> Array:
        """The targets of validation images. Raises ValueError for test images, which have none."""
        if self.targets is None:
            raise ValueError("predictions of test images have no targets")
        return self.targets

    def with_views(self, other: "Predictions") -> "Predictions":
        """Return these predictions with the views of `other`, of the same images, that are missing here."""
        new = [number for number, view in enumerate(other.views) if view not in self.views]
        logits = np.concatenate([self.logits, other.logits[:, new]], axis=1)
        return replace(self, logits=logits, views=(*self.views, *(other.views[number] for number in new)))


def join_folds(parts: list[Predictions]) -> Predictions:
    """Return the out-of-fold predictions of several folds as one, for the views that all have."""
    views = shared_views(parts)
    picked = [pick_views(part, views) for part in parts]
    return replace(
        picked[0],
        ids=np.concatenate([part.ids for part in picked]),
        logits=np.concatenate([part.logits for part in picked]),
        fold=np.concatenate([part.fold for part in picked if part.fold is not None]),
        targets=np.concatenate([part.targets for part in picked if part.targets is not None]),
    )


def average_folds(parts: list[Predictions]) -> Predictions:
    """Return the mean of the logits of several folds' models for the same images, for the views that all have."""
    views = shared_views(parts)
    picked = [pick_views(part, views) for part in parts]
    mean = np.mean([part.logits for part in picked], axis=0, dtype=np.float64)
    return replace(picked[0], logits=np.asarray(mean, np.float32))


def shared_views(parts: list[Predictions]) -> tuple[str, ...]:
    return tuple(view for view in parts[0].views if all(view in part.views for part in parts))


def pick_views(predictions: Predictions, views: tuple[str, ...]) -> Predictions:
    places = [predictions.views.index(view) for view in views]
    return replace(predictions, logits=predictions.logits[:, places], views=views)


def average_scores(parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return the ids (N,) and the mean scores (N, outputs) of several (ids, scores), for the ids that all have, in the
    order of the first. Raises KcnnError where they have no image in common."""
    ids = parts[0][0]
    shared = set(ids).intersection(*(set(other) for other, _ in parts[1:]))
    kept = np.array([name in shared for name in ids], dtype=bool)
    if len(ids) and not kept.any():
        raise KcnnError("these runs predicted no image in common", "train them on the same folds: --folds")
    total = np.zeros((int(kept.sum()), parts[0][1].shape[1]))
    for other, scores in parts:
        place = {name: number for number, name in enumerate(other)}
        total += scores[[place[name] for name in ids[kept]]]
    return ids[kept], (total / len(parts)).astype(np.float32)
