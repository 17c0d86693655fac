"""doctor: labels that may be wrong."""

from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import (
    CompetitionOption,
    JsonOption,
    SvgOption,
    app,
    console,
    present,
    print_json,
    print_line,
    progress,
    say,
)
from kaggle_cnn.workspace import Workspace


@app.command()
def doctor(
    run: Annotated[
        str, typer.Argument(help="A run, by id or its beginning. Default: the newest.", show_default=False)
    ] = "",
    svg: SvgOption = False,
    competition: CompetitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """List labels that may be wrong, outliers, and classes that are confused both ways."""
    from kaggle_cnn.doctor import find_label_problems
    from kaggle_cnn.insight.doctor_tables import doctor_tables
    from kaggle_cnn.pictures import label_errors

    workspace = Workspace.find()
    with progress() as shown:
        found = find_label_problems(run, competition, workspace, shown)
    rows = found.table.to_dict("records")
    if as_json:
        confused = [
            {"classes": [pair.one, pair.other], "images": pair.images, "confused": pair.confused}
            for pair in found.confused
        ]
        return print_json({"run": found.run.id, "images": found.images, "suspects": rows, "confused": confused})
    console().print(doctor_tables(found.images, found.table, found.confused))
    if rows:
        present(label_errors.draw(workspace, found.competition, found.run, found.table), svg)
    print_line(found.path)
    if found.kept:
        say(f"note: {found.kept:,} decisions of your earlier {found.path.name} were taken over")
    if rows:
        recipe = found.run.record["recipe"]
        say(f"next: look at the picture, change `keep` in the CSV, then kcnn train {recipe} --exclude {found.path}")
    return None
