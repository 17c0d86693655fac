"""Test-time augmentation (TTA): the views of an image that are predicted, and the policies that average them.

A view is one crop of an image, mirrored or not. A policy is a name and a tuple of (view, weight); the weights sum to 1
and the logits of the views are averaged by them. One without a name is a text, "0.6*centre 0.4*centre-mirrored".
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kaggle_cnn.errors import KcnnError

Pixels = np.ndarray[Any, Any]
Policy = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class View:
    """One view: `row` and `column` say where it is cut, -1 at the start, 0 in the middle, 1 at the end; of a view that
    is `shifted` they are pixels from the middle. `mirrored` flips left and right."""

    row: int = 0
    column: int = 0
    shifted: bool = False
    mirrored: bool = False


PLACES = {
    "centre": View(),
    "top-left": View(-1, -1),
    "top-right": View(-1, 1),
    "bottom-left": View(1, -1),
    "bottom-right": View(1, 1),
    "shifted-up-left": View(-1, -1, shifted=True),
    "shifted-down-right": View(1, 1, shifted=True),
}
MIRRORED = "-mirrored"
WHOLE = "whole"  # in place of views: a prediction that is made of none, as that of a blend; it fits every policy
VIEWS = {name + end: View(view.row, view.column, view.shifted, mirrored)
         for name, view in PLACES.items() for mirrored, end in ((False, ""), (True, MIRRORED))}  # fmt: skip


def spread(weights: dict[str, float], mirrored: bool) -> Policy:
    """Make a policy; with `mirrored`, half of each weight goes to the view's mirror image."""
    ends = ("", MIRRORED) if mirrored else ("",)
    return tuple((name + end, weight / len(ends)) for name, weight in weights.items() for end in ends)


CORNERS = dict.fromkeys(list(PLACES)[:5], 0.2)
SHIFTS = {"centre": 0.5, "shifted-up-left": 0.25, "shifted-down-right": 0.25}
POLICIES: dict[str, Policy] = {
    "none": spread({"centre": 1.0}, mirrored=False),
    "flip": spread({"centre": 1.0}, mirrored=True),
    "shift": spread(SHIFTS, mirrored=True),  # Jordan 2024 (arXiv:2404.00498), section 3.4
    "shift-unmirrored": spread(SHIFTS, mirrored=False),
    "five-crop": spread(CORNERS, mirrored=False),
    "ten-crop": spread(CORNERS, mirrored=True),  # Krizhevsky et al. 2012, section 4.1
}
# Where a mirror image is another class: the policy without mirrored views.
UNMIRRORED = {"flip": "none", "shift": "shift-unmirrored", "ten-crop": "five-crop"}
LEAST_MARGIN = 2  # below it corners and centre are the same view


def find_policy(name: str) -> Policy:
    """Return the policy called `name`, or that a text of weights and views means. Raises KcnnError for another text."""
    if name in POLICIES:
        return POLICIES[name]
    pairs = [part.partition("*") for part in name.split()]
    try:
        found = tuple((view, float(weight)) for weight, _, view in pairs)
    except ValueError:
        found = ()
    known = all(view in VIEWS and 0 < weight <= 1 for view, weight in found)
    if not found or not known or abs(sum(weight for _, weight in found) - 1) > 1e-3:
        raise KcnnError(f"tta should be one of {', '.join(POLICIES)}, got '{name}'", "for example: flip")
    return found


def write_policy(weights: dict[str, float]) -> str:
    """Return weights of views as a text, which `find_policy` reads; those of 0 are left out."""
    return " ".join(f"{weight:g}*{view}" for view, weight in weights.items() if weight)


def name_policy(policy: str) -> str:
    """Return a policy's name; "searched" for one that is a text."""
    return policy if policy in POLICIES else "searched"


def require_policy(name: str, margin: int) -> None:
    """Raise KcnnError where there is no policy `name`, or where `margin` pixels are too few for its views to differ."""
    views = [VIEWS[view] for view, _ in find_policy(name)]
    if margin < LEAST_MARGIN and any((view.row or view.column) and not view.shifted for view in views):
        raise KcnnError(
            f"tta={name} needs a margin of at least {LEAST_MARGIN} pixels, and it is {margin}",
            "choose flip, or set a larger margin: --set margin=8",
        )


def without_mirror(name: str) -> str:
    """Return the policy that takes the same crops as policy `name`, none of them mirrored."""
    return UNMIRRORED.get(name, name)


def views_of(*names: str) -> tuple[str, ...]:
    """Return the views that the policies `names` need, each once."""
    return tuple(dict.fromkeys(view for name in names for view, _ in find_policy(name)))


def has_views(there: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether predictions of the views `there` have those that are `wanted`."""
    return there == (WHOLE,) or set(wanted) <= set(there)


def policies_from(views: tuple[str, ...]) -> list[str]:
    """Return the policies that can be computed from `views`."""
    return [name for name in POLICIES if has_views(views, views_of(name))]


def average(values: Pixels, views: tuple[str, ...], policy: str) -> Pixels:
    """Return the weighted mean over views of `values` (N, views, outputs): float32 (N, outputs)."""
    if views == (WHOLE,):
        return values[:, 0].astype(np.float32)
    weights = np.zeros(len(views))
    for view, weight in find_policy(policy):
        weights[views.index(view)] = weight
    return np.einsum("nvk,v->nk", values.astype(np.float64), weights).astype(np.float32)


def cut_view(pixels: Pixels, view: str, size: int) -> Pixels:
    """Return the view of images (N, side, side, channels) as (N, size, size, channels).

    Pixels beyond the edge, which only a shifted view of an image without margin asks for, are reflected.
    """
    wanted, side = VIEWS[view], pixels.shape[1]
    middle, end = (side - size) // 2, side - size
    step = {-1: 0, 0: middle, 1: end}
    top, left = (
        (middle + wanted.row, middle + wanted.column) if wanted.shifted else (step[wanted.row], step[wanted.column])
    )
    if wanted.shifted and side < size + 2:
        pixels = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        top, left = top + 1, left + 1
    cropped = pixels[:, top : top + size, left : left + size]
    return np.ascontiguousarray(cropped[:, :, ::-1] if wanted.mirrored else cropped)
