"""kcnn: fetch a Kaggle image competition, train a network, submit its predictions. See README.md.

The names below are loaded when they are used: `import kaggle_cnn` takes no time.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
_HOMES = {
    "KcnnError": "errors",
    "Phase": "recipe",
    "Recipe": "recipe",
    "blend": "api",
    "compare": "api",
    "compete": "competing",
    "evaluate": "api",
    "fetch": "api",
    "find_label_problems": "doctor",
    "predict": "api",
    "probe": "training",
    "submit": "submitting",
    "train": "training",
    "train_tabular": "training",
    "tune": "tuning",
}
__all__ = [
    "KcnnError",
    "Phase",
    "Recipe",
    "__version__",
    "blend",
    "compare",
    "compete",
    "evaluate",
    "fetch",
    "find_label_problems",
    "predict",
    "probe",
    "submit",
    "train",
    "train_tabular",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kaggle_cnn' has no attribute '{name}'")
    return getattr(import_module(f"kaggle_cnn.{_HOMES[name]}"), name)
