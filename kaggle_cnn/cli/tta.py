"""tta: what test-time augmentation gains."""

from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import CompetitionOption, JsonOption, app, console, print_json, print_line, progress, say
from kaggle_cnn.workspace import Workspace


@app.command()
def tta(
    run: Annotated[
        str, typer.Argument(help="A run, by id or its beginning. Default: the newest.", show_default=False)
    ] = "",
    policies: Annotated[
        list[str] | None,
        typer.Option("--tta", help="Predict the views of this policy too. Repeat it for more.", show_default=False),
    ] = None,
    search: Annotated[
        bool, typer.Option("--search", help="Search weights of the views, and keep them where they gain.")
    ] = False,
    competition: CompetitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each policy of test-time augmentation gains, and what it costs."""
    from kaggle_cnn import api
    from kaggle_cnn.insight.decision_words import format_gain
    from kaggle_cnn.insight.tables import policies_table

    with progress() as shown:
        found = api.judge_tta(run, policies or [], search, competition, Workspace.find(), shown)
    if as_json:
        return print_json(found)
    console().print(policies_table(found["policies"], found["metric"]))
    if searched := found["searched"]:
        kept = "kept" if searched["kept"] else "not kept: the gain is within noise"
        print_line(f"searched    {searched['policy']}")
        print_line(f"gain        {format_gain(searched['gain'])} over {searched['over']}, nested; {kept}")
        if searched["kept"]:
            say(f"next: kcnn predict {found['run']}")
    return None
