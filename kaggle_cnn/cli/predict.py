"""predict: a submission of the test images."""

from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import (
    BackendOption,
    CompetitionOption,
    CropOption,
    RunsArgument,
    app,
    print_line,
    progress,
)


@app.command()
def predict(
    runs: RunsArgument = None,
    tta: Annotated[
        str, typer.Option(help="Average views by this policy. Default: the recipe's own.", show_default=False)
    ] = "",
    crop: CropOption = None,
    backend: BackendOption = None,
    competition: CompetitionOption = None,
) -> None:
    """Write the submission of a run, or of the mean of several."""
    from kaggle_cnn import api

    with progress() as shown:
        path = api.predict(runs or [], tta, crop, backend, competition, progress=shown)
    print_line(path)
