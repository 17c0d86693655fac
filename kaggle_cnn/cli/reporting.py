"""report: a run as one HTML file."""

import typer

from kaggle_cnn.cli.pictures import RunArgument, loaded, opened
from kaggle_cnn.cli.terminal import CompetitionOption, app, talk
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file


@app.command()
def report(run: RunArgument = None, competition: CompetitionOption = None) -> None:
    """Write a run's report: one HTML file, for a browser."""
    from kaggle_cnn.learn.predictions import Predictions

    found, run = opened(competition, run)
    predictions = Predictions.read(run.folder / "validation.npz")
    model = loaded(run)
    from kaggle_cnn.insight.report import report as make_report
    from kaggle_cnn.learn.inside import kernel

    try:
        first = kernel(model)
    except KcnnError:  # a network without convolutions
        first = None
    html = make_report(run, found.folder, predictions, first, talk().track)
    path = run.folder / "report.html"
    with whole_file(path) as temporary:
        temporary.write_bytes(html.encode("utf-8", "replace"))  # a file's name may be no Unicode
    typer.echo(path)
