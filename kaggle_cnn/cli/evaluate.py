"""evaluate: what runs score on their validation images."""

from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import (
    CompetitionOption,
    CropOption,
    JsonOption,
    RunsArgument,
    app,
    print_evaluation,
    print_json,
    progress,
)


@app.command()
def evaluate(
    runs: RunsArgument = None,
    tta: Annotated[
        list[str] | None,
        typer.Option(help="Average views by this policy: none, flip, shift or ten-crop. Repeat it for more."),
    ] = None,
    crop: CropOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show every class and the confusion matrix, where there are more than 30.")
    ] = False,
    competition: CompetitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the scores of a run, or of the mean of several."""
    from kaggle_cnn import api

    with progress() as shown:
        numbers = api.evaluate(runs or [], tta or [], crop, competition, progress=shown)
    if not as_json:
        return print_evaluation(numbers, every)
    # The numbers of the run's own policy come first, so that a script need not know its name.
    return print_json({**numbers, **numbers["tta"][numbers["primary"]]})
