"""submit: send a submission to the host."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_cnn.cli.terminal import CompetitionOption, app, print_line, progress, say
from kaggle_cnn.errors import KcnnError

if TYPE_CHECKING:
    from kaggle_cnn.submitting import Outcome


@app.command()
def submit(
    csv: Annotated[
        Path | None, typer.Argument(help="A submission. Default: the one that was written last.", metavar="CSV")
    ] = None,
    message: Annotated[str, typer.Option("--message", "-m", help="Keep this text with the score.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for Kaggle's score.")] = False,
    competition: CompetitionOption = None,
) -> None:
    """Check a submission, send it and show its score."""
    from kaggle_cnn import submitting
    from kaggle_cnn.competition.metrics import find_metric

    with progress() as shown:
        reviewed = submitting.review(csv, competition, progress=shown)
        print_line(f"competition  {reviewed.competition.name}")
        print_line(f"file         {reviewed.path}, {len(reviewed.table):,} rows, checked")
        if origin := reviewed.origin:
            title = find_metric(origin.metric).title
            print_line(f"validation   {origin.validation:.4f} {title}, tta {origin.tta}")
        if reviewed.better:
            print_line("better       {} validated {:.4f}: kcnn predict {}".format(*reviewed.better, reviewed.better[0]))
        if reviewed.left is not None:
            print_line(f"left today   {reviewed.left}")
        if reviewed.changed is not None:
            print_line(f"changed      {reviewed.changed:,} of {len(reviewed.table):,} rows since the last submission")
        try:
            agreed = yes or typer.confirm("submit it?", err=True)
        except typer.Abort:  # Ctrl-C, or nobody there to reply
            agreed = False
            say()
        if not agreed:
            raise KcnnError("not submitted: it was not confirmed", "run it again and confirm, or use kcnn submit --yes")
        try:
            outcome = submitting.send(reviewed, message, not no_wait, shown)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
    show_outcome(outcome)
    sys.stdout.flush()
    submitting.settle(reviewed)


def show_outcome(outcome: "Outcome") -> None:
    """Print what became of a submission."""
    if not outcome.public:
        print_line(f"submitted    as {outcome.ref}")
        return say("not scored yet: kcnn submissions shows its score, once there is one")
    print_line(f"public score {outcome.public}")
    if outcome.private:
        print_line(f"private      {outcome.private}")
    if outcome.place:
        print_line(f"place        {outcome.place} of {outcome.teams:,} on the leaderboard")
    return None
