"""The backbones of keras.applications, with what is known of their ImageNet weights; see applications.csv.

Names, files and hashes are those of Keras 3.15; the parameters are those without the last layer, counted; the licences
are those that Keras' documentation and the original repositories state for the weights.
"""

import csv
import difflib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kaggle_cnn.errors import KcnnError


@dataclass(frozen=True)
class Backbone:
    """`size` is the side of the images that it was trained on, in pixels; `url` where its weights are; `hash` their MD5
    or SHA-256, "" where none is known."""

    name: str
    parameters: int
    size: int
    licence: str
    url: str
    hash: str

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def megabytes(self) -> float:
        """About how many million bytes its weights take: four for each parameter."""
        return self.parameters * 4 / 1e6


@cache
def list_backbones() -> dict[str, Backbone]:
    """Return name -> backbone, the smallest first."""
    with Path(__file__).with_name("applications.csv").open(encoding="utf-8", newline="") as stream:
        found = [
            Backbone(row["name"], int(row["parameters"]), int(row["size"]), row["licence"], row["url"], row["hash"])
            for row in csv.DictReader(stream)
        ]
    return {each.name: each for each in sorted(found, key=lambda each: each.parameters)}


def find_backbone(name: str) -> Backbone:
    """Return the backbone of that name. Raises KcnnError where there is none, naming the nearest ones."""
    known = list_backbones()
    lowered = {each.lower(): each for each in known}
    if name.lower() not in lowered:
        near = difflib.get_close_matches(name.lower(), lowered, 3)
        hint = f"did you mean {', '.join(lowered[each] for each in near)}?" if near else "kcnn backbones lists them"
        raise KcnnError(f"there is no backbone '{name}'", hint)
    return known[lowered[name.lower()]]
