"""The commands, a file each, named after it: options, a call into the package, printing.

Results go to standard output, progress and notes to standard error. What is slow to import is imported by the command
that needs it: `kcnn --help` must come at once, and `fetch`, `look`, `runs` and `submit` never import Keras.
"""

from kaggle_cnn.cli.terminal import app, main  # noqa: I001  the order of the imports is that of `kcnn --help`
from kaggle_cnn.cli import (
    init,
    fetch,
    look,
    recipes,
    backbones,
    probe,
    tabular,
    compete,
    tune,
    train,
    runs,
    evaluate,
    predict,
    compare,
    blend,
    tta,
    doctor,
    show,
    report,
    submit,
    submissions,
    leaderboard,
)

__all__ = [
    "app",
    "backbones",
    "blend",
    "compare",
    "compete",
    "doctor",
    "evaluate",
    "fetch",
    "init",
    "leaderboard",
    "look",
    "main",
    "predict",
    "probe",
    "recipes",
    "report",
    "runs",
    "show",
    "submissions",
    "submit",
    "tabular",
    "train",
    "tta",
    "tune",
]
