"""submit, scores, leaderboard: what the host says."""

import time
from pathlib import Path
from typing import Annotated

import typer

from kaggle_cnn.cli.results import write_submission
from kaggle_cnn.cli.terminal import CompetitionOption, JsonOption, app, console, say, show, talk
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace

LONGEST_WAIT_SECONDS = 3600


@app.command()
def submit(
    csv: Annotated[Path | None, typer.Argument(help="A submission; else the newest run's.", metavar="CSV")] = None,
    message: Annotated[str, typer.Option("--message", "-m", help="Kept with the score.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for Kaggle's score.")] = False,
    competition: CompetitionOption = None,
) -> None:
    """Check a submission, ask, send it to the host and show its score."""
    from kaggle_cnn.competition import kaggle_host, ledger, local_host, submission
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.competition.kaggle_login import connect
    from kaggle_cnn.competition.table import as_csv, read_table
    from kaggle_cnn.data.dataset import load_dataset
    from kaggle_cnn.learn.run import list_runs, open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    if csv is None:
        csv = write_submission(workspace, found, open_runs(workspace, found))
    run = next((run for run in list_runs(workspace, found.name) if run.id == csv.stem), None)
    table = read_table(csv)
    submission.check(found, table, load_dataset(found).test_ids)
    views, accuracy = submitted_score(run) if run else (None, None)
    folder = workspace.submissions(found.name)
    ledger.read(folder)  # a ledger that cannot be read is to be mended before something is sent

    kaggle = connect(say) if found.host == "kaggle" else None
    left = kaggle_host.require_open(kaggle, found.name) if kaggle else None
    typer.echo(f"competition  {found.name}\nfile         {csv}, {len(table):,} rows, checked")
    if accuracy is not None:
        typer.echo(f"validation   {accuracy:.4f}")
    if left is not None:
        typer.echo(f"left today   {left}")
    if (before := ledger.last_sent(folder)) is not None:
        changed = submission.changed_rows(found, before, table)
        typer.echo(f"changed      {changed:,} of {len(table):,} rows against the last submission")
    try:
        agreed = yes or typer.confirm("submit it?", err=True)
    except typer.Abort:  # Ctrl-C, or nobody there to answer
        agreed = False
        say()
    if not agreed:
        raise KcnnError("not submitted, since the answer was not yes", "kcnn submit --yes does not ask")
    entry = {"file": csv.name, "run": run.id if run else None, "views": views, "validation": accuracy}
    if kaggle is None:
        score = local_host.submit(found, table)
        ledger.enter(folder, **entry, public=score, status="complete", message=message)
        ledger.keep_sent(folder, table)
        typer.echo(f"public score {score:.4f}")
        return None
    content = as_csv(table)  # what was checked, and no byte else
    ref = kaggle_host.submit(kaggle, found.name, csv.name, content, message or (run.id if run else csv.stem))
    ledger.enter(folder, ref=ref, **entry, status="pending", message=message)
    ledger.keep_sent(folder, table)
    if no_wait:
        typer.echo(f"submitted    as {ref}")
        return say("kcnn scores shows its score, once there is one")
    wait_and_show(kaggle, found, ref, csv, folder)


def wait_and_show(kaggle, found, ref: int, csv: Path, folder: Path) -> None:
    """Waits for Kaggle's verdict on submission `ref` and prints it. Raises KcnnError where it is an error."""
    from kaggle_cnn.competition import kaggle_host, ledger, submission
    from kaggle_cnn.competition.kaggle_refusals import competition_url

    try:
        with talk().wait(f"submitted as {ref}, waiting for the score (Ctrl-C stops waiting, not scoring)"):
            verdict = kaggle_host.wait_for_score(kaggle, found.name, ref, time.sleep, LONGEST_WAIT_SECONDS)
    except KeyboardInterrupt:
        say(f"\nsubmitted as {ref}; kcnn scores shows its score, once there is one")
        raise typer.Exit(130) from None
    except KcnnError as error:
        raise KcnnError(
            f"submitted as {ref}, but its score could not be asked for: {error.message}",
            "kcnn scores shows it later; do not submit it again",
        ) from None
    if verdict is None or verdict.status == "pending":
        return say(f"submitted as {ref}, and not scored yet; kcnn scores shows its score, once there is one")
    ledger.update(folder, [verdict])
    if verdict.status == "error":
        for line in submission.pointed_at(csv, verdict.reason):
            say(line)
        raise KcnnError(
            f"Kaggle could not score it: {verdict.reason or 'it gives no reason'}",
            f"all of it stands on {competition_url(found.name)}/submissions",
        )
    typer.echo(f"public score {verdict.public or 'hidden'}")
    if verdict.private:
        typer.echo(f"private      {verdict.private}")
    score = kaggle_host.number(verdict.public)
    try:
        board = kaggle_host.leaderboard(kaggle, found.name) if score is not None else []
    except KcnnError as error:  # the score is what was asked for
        return say(f"note: {error.message}")
    if place := kaggle_host.place(board, score):
        typer.echo(f"place        {place} of {len(board):,} on the leaderboard")


def submitted_score(run) -> tuple[int, float | None]:
    """How many views a run's test predictions average, and the validation accuracy for as many."""
    from kaggle_cnn.learn.predictions import Predictions

    views = Predictions.read(run.folder / "test.npz").best()[0]
    return views, run.scores().get(views, {}).get("accuracy")


@app.command()
def scores(competition: CompetitionOption = None, as_json: JsonOption = False) -> None:
    """List what was submitted: validation score beside the host's."""
    from kaggle_cnn.competition import kaggle_host, ledger
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.competition.kaggle_login import connect
    from kaggle_cnn.insight import tables

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    folder = workspace.submissions(found.name)
    listed = []
    if found.host == "kaggle":
        try:
            listed = kaggle_host.submissions(connect(say), found.name)
        except KcnnError as error:
            say(f"note: these are the scores as last seen: {error.message}")
    entries = ledger.update(folder, listed)
    if as_json:
        return show(entries)
    console().print(tables.scores_table(entries))
    if together := ledger.correlation(entries):
        typer.echo(f"correlation of validation and public score: {together[0]:.2f}, over {together[1]} submissions")


@app.command()
def leaderboard(
    top: Annotated[int, typer.Option(min=1, help="How many places to show.")] = 20,
    competition: CompetitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the top of Kaggle's leaderboard, and your own place."""
    from kaggle_cnn.competition import kaggle_host
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.competition.kaggle_login import connect
    from kaggle_cnn.insight import tables

    found = open_competition(Workspace.find(), competition)
    if found.host != "kaggle":
        raise KcnnError(f"'{found.name}' is not on Kaggle: it has no leaderboard", "kcnn scores lists your own scores")
    kaggle = connect(say)
    board = kaggle_host.leaderboard(kaggle, found.name)
    own = kaggle_host.submissions(kaggle, found.name)
    teams = {each.team for each in own}
    best = kaggle_host.best_place(board, own)
    rows = [
        {"place": number, "team": team, "score": score, "date": date, "own": team in teams}
        for number, (team, score, date) in enumerate(board, 1)
    ]
    if as_json:
        return show({"teams": len(board), "own_place": best, "top": rows[:top]})
    shown = rows[:top] + [row for row in rows[top:] if row["own"]]
    console().print(tables.leaderboard_table(shown))
    say(
        f"your best score takes place {best:,} of {len(board):,}"
        if best
        else f"{len(board):,} teams, no score of yours"
    )
