"""report: a run as one HTML file."""

from typing import TYPE_CHECKING, Any

from kaggle_cnn.cli.terminal import CompetitionOption, RunArgument, app, print_line, progress
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace

if TYPE_CHECKING:
    from kaggle_cnn.runs.run import Run


@app.command()
def report(run: RunArgument = None, competition: CompetitionOption = None) -> None:
    """Write a run's report: one HTML file."""
    from kaggle_cnn import api
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.files import whole_file
    from kaggle_cnn.runs.run import open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    [chosen] = open_runs(workspace, found, [run] if run else None)
    with progress() as shown:
        [predictions] = api.validated(workspace, found, [chosen], progress=shown)
        from kaggle_cnn.insight.report import report as make_report

        first = read_first_kernel(chosen)
        html = make_report(chosen, found, predictions, first, shown)
    path = chosen.folder / "report.html"
    with whole_file(path) as temporary:
        temporary.write_bytes(html.encode("utf-8", "replace"))  # a file's name may not be Unicode
    print_line(path)


def read_first_kernel(run: "Run") -> "tuple[str, Any] | None":
    """Return the name and the weights of a run's first convolution, None where it has none, or no network."""
    if not run.has_network:
        return None
    from kaggle_cnn.learn.backend import start_backend

    [model, *_] = run.models
    start_backend(run.record["backend"])
    from kaggle_cnn.learn.network import read_kernel
    from kaggle_cnn.learn.predict import load_model

    try:
        return read_kernel(load_model(run, model))
    except KcnnError:  # a network without convolutions
        return None
