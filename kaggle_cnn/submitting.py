"""Sending a submission: check it, say what is known of it, upload it, wait for the score."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kaggle_cnn.api import open_dataset, predict
from kaggle_cnn.competition import ledger, local_host, submission
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.opening import open_competition
from kaggle_cnn.competition.table import as_csv, read_table
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import one_at_a_time
from kaggle_cnn.kaggle import competitions as kaggle
from kaggle_cnn.kaggle.errors import competition_url
from kaggle_cnn.kaggle.login import connect
from kaggle_cnn.progress import Progress, Silent
from kaggle_cnn.runs.export import Origin, last_submission, origin_of
from kaggle_cnn.runs.run import list_runs
from kaggle_cnn.runs.scores import best_scores
from kaggle_cnn.workspace import Workspace

LONGEST_WAIT_SECONDS = 3600


@dataclass(frozen=True)
class Review:
    """A submission that has been checked and not been sent yet. `origin` is None where it was made elsewhere; `left`
    says how many submissions are left today, `changed` how many rows differ from the last one that was sent, each None
    where that is not known; `better` is a run with a better validation score, and that score, or None; `connection` is
    to Kaggle, None for a local competition; `sent` is its number there, where an earlier command sent it and was
    stopped before it could keep that."""

    competition: Competition
    path: Path
    table: pd.DataFrame
    origin: Origin | None
    left: int | None
    changed: int | None
    better: tuple[str, float] | None
    connection: Any
    folder: Path
    sent: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a submission: its number on Kaggle, its scores as texts, "" where there is none (yet), its place
    on a leaderboard of `teams`, None where that is not known."""

    ref: int | None
    public: str = ""
    private: str = ""
    place: int | None = None
    teams: int = 0


def review(
    path: Path | None = None,
    competition: str | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> Review:
    """Check a submission: the file `path`, else the one that was written last, else that of the newest run.

    Raises KcnnError where it would be refused, where no submission is left today, or where the competition takes none.
    """
    workspace, progress = workspace or Workspace.find(), progress or Silent()
    found = open_competition(workspace, competition)
    path = path or last_submission(workspace, found.name)
    path = path or predict(competition=found.name, workspace=workspace, progress=progress)
    table = submission.respell_ids(found, read_table(path, exact=found.id_column))
    submission.check(found, table, open_dataset(workspace, found, None, progress).test_ids)
    folder = workspace.submissions(found.name)
    ledger.require_writable(folder)
    connection = connect(progress) if found.host == "kaggle" else None
    sent = find_sent(connection, found.slug, folder, table) if connection else None
    left = kaggle.require_open(connection, found.slug) if connection and sent is None else None
    before = ledger.last_sent(folder)
    changed = None if before is None else submission.changed_rows(found, before, table)
    origin = origin_of(path)
    better = find_better(workspace, found, origin) if origin else None
    return Review(found, path, table, origin, left, changed, better, connection, folder, sent)


def find_sent(connection: Any, slug: str, folder: Path, table: pd.DataFrame) -> int | None:
    """Return the number on Kaggle of a submission that an earlier command began to send, or None where there is none,
    or it did not arrive."""
    sending = ledger.read_sending(folder)
    if sending is None or sending.digest != ledger.digest_of(as_csv(table)):
        return None
    listed = kaggle.submissions(connection, slug)
    return max(
        (each.ref for each in listed if each.ref not in sending.known and each.message == sending.text), default=None
    )


def find_better(workspace: Workspace, competition: Competition, origin: Origin) -> tuple[str, float] | None:
    """Return the run with the best validation score, where it is better than that of a submission from `origin`."""
    task = competition.task
    if origin.metric != task.metric.name:
        return None
    scored = {run.id: best_scores(run, task)[1].get(task.metric.name) for run in list_runs(workspace, competition.name)}
    known = {name: value for name, value in scored.items() if value is not None}
    name = max(known, key=lambda name: task.metric.merit(known[name]), default="")
    if not name or task.metric.merit(known[name]) <= task.metric.merit(origin.validation):
        return None
    return name, known[name]


def send(reviewed: Review, message: str = "", wait: bool = True, progress: Progress | None = None) -> Outcome:
    """Send a reviewed submission and enter it into the ledger; with `wait`, wait for its score. Call `settle` after it.

    Raises KcnnError where the host refuses it or cannot score it.
    """
    progress, found, origin = progress or Silent(), reviewed.competition, reviewed.origin
    metric = found.task.metric.name
    entry: dict[str, Any] = {"file": reviewed.path.name, "metric": metric, "message": message}
    if origin:
        entry |= {"run": "+".join(origin.runs), "tta": origin.tta}
        entry |= {"validation": origin.validation} if origin.metric == metric else {}  # another one has another scale
    if reviewed.connection is None:
        score = local_host.score(found, reviewed.table)
        ledger.enter(reviewed.folder, **entry, public=score.public, private=score.private, status="complete")
        ledger.keep_sent(reviewed.folder, reviewed.table)
        return Outcome(None, f"{score.public:.4f}", "" if score.private is None else f"{score.private:.4f}")
    with one_at_a_time(reviewed.folder / ledger.SENDING):
        ref = send_to_kaggle(reviewed, message or (entry.get("run") or reviewed.path.stem), progress)
        if str(ref) not in set(ledger.read(reviewed.folder)["ref"]):
            ledger.enter(reviewed.folder, ref=ref, **entry, status="pending")
        ledger.keep_sent(reviewed.folder, reviewed.table)
        try:
            return wait_for_outcome(reviewed, ref, progress) if wait else Outcome(ref)
        except BaseException:  # which says that it was sent; a kill says nothing
            settle(reviewed)
            raise


def settle(reviewed: Review) -> None:
    """Forget that a submission was on its way, once its outcome is shown: until then the same command again does not
    send it, but waits for its score."""
    ledger.end_sending(reviewed.folder)


def send_to_kaggle(reviewed: Review, text: str, progress: Progress) -> int:
    """Return the number of a submission on Kaggle: of the one that an earlier command sent, or of a new one."""
    if reviewed.sent is not None:
        progress.say(f"it was sent as {reviewed.sent} before, by a kcnn that was stopped")
        return reviewed.sent
    slug, content = reviewed.competition.slug, as_csv(reviewed.table)  # exactly what was checked
    known = [each.ref for each in kaggle.submissions(reviewed.connection, slug)]
    ledger.begin_sending(reviewed.folder, ledger.Sending(ledger.digest_of(content), text, known))
    return kaggle.submit(reviewed.connection, slug, reviewed.path.name, content, text)


def wait_for_outcome(reviewed: Review, ref: int, progress: Progress) -> Outcome:
    """Wait for Kaggle's verdict on submission `ref`. Raises KcnnError where it is an error."""
    found, connection = reviewed.competition, reviewed.connection
    try:
        with progress.wait(f"submitted as {ref}, waiting for the score (Ctrl-C stops waiting, not scoring)"):
            verdict = kaggle.wait_for_score(connection, found.slug, ref, time.sleep, LONGEST_WAIT_SECONDS)
    except KeyboardInterrupt:
        progress.say(f"submitted as {ref}; kcnn submissions shows its score, once there is one")
        raise
    except KcnnError as error:
        raise KcnnError(
            f"submitted as {ref}, but the request for its score failed: {error.message}",
            "kcnn submissions shows it later; do not submit it again",
        ) from None
    if verdict is None or verdict.status == "pending":
        return Outcome(ref)
    ledger.update(reviewed.folder, [verdict])
    if verdict.status == "error":
        for line in submission.find_lines(reviewed.path, verdict.reason):
            progress.say(line)
        raise KcnnError(
            f"Kaggle could not score it: {verdict.reason or 'it gives no reason'}",
            f"see {competition_url(found.slug)}/submissions",
        )
    score = kaggle.number(verdict.public)
    try:
        board = kaggle.leaderboard(connection, found.slug) if score is not None else []
    except KcnnError as error:  # the score is what was asked for
        progress.say(f"note: {error.message}")
        board = []
    place = kaggle.place(board, score) if score is not None else None
    return Outcome(ref, verdict.public or "hidden", verdict.private, place, len(board))


def submit(
    path: str | Path | None = None,
    message: str = "",
    wait: bool = True,
    competition: str | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Check a submission and send it, without asking: the file `path`, else the one that was written last.

    Raises KcnnError where it would be refused, or where the host refuses it.
    """
    reviewed = review(Path(path) if path else None, competition, workspace, progress)
    outcome = send(reviewed, message, wait, progress)
    settle(reviewed)
    return outcome
