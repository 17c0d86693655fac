"""What run.json says of every run; each kind of run adds its own."""

from datetime import UTC, datetime
from importlib.metadata import version
from platform import python_version
from typing import Any

from kaggle_cnn.competition.task import Task

NO_NETWORK = {"size": 1, "margin": 0, "epochs": 0}  # settings of a run whose predictions are not made of views


def describe(kind: str, recipe: str, competition: str, task: Task) -> dict[str, Any]:
    """Return what every run.json has, with the values of a run without a network."""
    return {
        "kind": kind,
        "recipe": recipe,
        "competition": competition,
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
        "set": {},
        "seed": 0,
        "tta": "none",
        "task": {"kind": task.kind, "classes": list(task.classes), "metric": task.metric.name},
        "members": [],
        "channels": 1,
        "parameters": 0,
        "backend": "tensorflow",
        "device": "CPU",
        "precision": "float32",
        "commit": None,
    }


def list_versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python, of kcnn and of `packages`."""
    return {"python": python_version(), **{name: version(name) for name in ("kcnn", *packages)}}
