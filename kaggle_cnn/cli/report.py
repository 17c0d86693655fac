"""report: a run as one HTML file."""

from kaggle_cnn.cli.terminal import CompetitionOption, RunArgument, app, print_line, progress
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace


@app.command()
def report(run: RunArgument = None, competition: CompetitionOption = None) -> None:
    """Write a run's report: one HTML file."""
    from kaggle_cnn import api
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.files import whole_file
    from kaggle_cnn.learn.backend import start_backend
    from kaggle_cnn.runs.run import open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    [chosen] = open_runs(workspace, found, [run] if run else None)
    with progress() as shown:
        [predictions] = api.validated(workspace, found, [chosen], progress=shown)
        [model, *_] = chosen.models
        start_backend(chosen.record["backend"])
        from kaggle_cnn.insight.report import report as make_report
        from kaggle_cnn.learn.network import read_kernel
        from kaggle_cnn.learn.predict import load_model

        try:
            first = read_kernel(load_model(chosen, model))
        except KcnnError:  # a network without convolutions
            first = None
        html = make_report(chosen, found, predictions, first, shown)
    path = chosen.folder / "report.html"
    with whole_file(path) as temporary:
        temporary.write_bytes(html.encode("utf-8", "replace"))  # a file's name may not be Unicode
    print_line(path)
