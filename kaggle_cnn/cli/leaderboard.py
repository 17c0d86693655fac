"""leaderboard: where the user stands."""

from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import CompetitionOption, JsonOption, app, console, print_json, progress, say
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace


@app.command()
def leaderboard(
    top: Annotated[int, typer.Option(min=1, help="Show this many places.")] = 20,
    competition: CompetitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show Kaggle's leaderboard and your own place."""
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.insight import tables
    from kaggle_cnn.kaggle import competitions as kaggle
    from kaggle_cnn.kaggle.login import connect

    found = open_competition(Workspace.find(), competition)
    if found.host != "kaggle":
        raise KcnnError(
            f"'{found.name}' is not on Kaggle: it has no leaderboard", "kcnn submissions lists your own scores"
        )
    with progress() as shown:
        connection = connect(shown)
        board = kaggle.leaderboard(connection, found.slug)
        own = kaggle.submissions(connection, found.slug)
    teams = {each.team for each in own}
    best = kaggle.best_place(board, own)
    rows = [
        {"place": number, "team": team, "score": score, "date": date, "own": team in teams}
        for number, (team, score, date) in enumerate(board, 1)
    ]
    if as_json:
        return print_json({"teams": len(board), "own_place": best, "top": rows[:top]})
    shown_rows = rows[:top] + [row for row in rows[top:] if row["own"]]
    console().print(tables.leaderboard_table(shown_rows))
    if best:
        return say(f"your best score is on place {best:,} of {len(board):,}")
    return say(f"{len(board):,} teams; you have no score yet")
