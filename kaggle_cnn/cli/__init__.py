"""The commands: parse, call, print. The only room that talks to the terminal.

Results go to standard output, talk and progress to standard error. What is slow to import is imported by the command
that needs it: `kcnn --help` must come at once, and `fetch`, `look`, `runs` and `submit` never import Keras.
"""

from kaggle_cnn.cli.terminal import app, main  # noqa: I001  the order of the imports is that of `kcnn --help`
from kaggle_cnn.cli import competitions, training, runs, comparison, reporting, submissions, show_results, show_network

__all__ = [
    "app",
    "comparison",
    "competitions",
    "main",
    "reporting",
    "runs",
    "show_network",
    "show_results",
    "submissions",
    "training",
]
