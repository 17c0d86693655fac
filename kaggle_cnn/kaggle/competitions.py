"""Kaggle as a host: describe, files, download, limits, submit, status, submissions, leaderboard.

Every function takes a Connection and a competition's slug, and raises KcnnError where Kaggle refuses.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.kaggle.client import Connection, call, explain_error, retry, status_of
from kaggle_cnn.kaggle.download import download as download_to
from kaggle_cnn.kaggle.errors import (
    code_only,
    competition_url,
    explain_errors,
    explain_rejection,
    list_competitions,
    slug_in,
)
from kaggle_cnn.progress import Progress

PAGE = 200  # Kaggle lists at most this many entries at once
LEADERBOARD_PAGES = 50


@dataclass(frozen=True)
class RemoteFile:
    """One file of a competition as Kaggle lists it."""

    name: str
    size: int  # bytes


@dataclass(frozen=True)
class Submitted:
    """One submission as Kaggle lists it. Scores are texts, as Kaggle sends them; "" where there is none (yet)."""

    ref: int
    file: str
    date: str  # UTC, "2026-11-21 14:05:00"
    message: str
    status: str  # "pending", "complete" or "error"
    public: str
    private: str
    reason: str  # why Kaggle could not score it
    team: str


@dataclass(frozen=True)
class Limits:
    """How many submissions Kaggle allows."""

    today: int  # submissions made today
    left: int  # submissions still allowed today
    of_all: bool  # whether the limit counts all submissions, not only those of one day


def describe(connection: Connection, slug: str) -> dict[str, Any]:
    """Return title, metric_words, deadline (UTC), daily_limit, entered, code_only and closed; {} if Kaggle has none.

    `metric_words` is the metric in the host's own words.
    """
    entry = None
    with contextlib.suppress(requests.RequestException):
        entry = call(connection, "get_competition", patient=False, competition_name=slug)
    if entry is None or not (entry.ref or entry.title):
        with contextlib.suppress(requests.RequestException):
            entry = next((each for each in list_competitions(connection, search=slug) if slug_in(each) == slug), None)
    if entry is None:
        return {}
    return {
        "title": entry.title or "",
        "metric_words": entry.evaluation_metric or "",
        "deadline": date_text(entry.deadline),
        "daily_limit": entry.max_daily_submissions or 0,
        "entered": bool(entry.user_has_entered),
        "code_only": bool(entry.is_kernels_submissions_only),
        "closed": bool(entry.submissions_disabled),
    }


def date_text(date: datetime | None) -> str:
    """Return a date as "2026-11-21 14:05:00", or "" for None and for the year 1: the SDK's value of an empty field."""
    return date.strftime("%Y-%m-%d %H:%M:%S") if date and date.year > 1 else ""


def pages(connection: Connection, method: str, part: str, size: int = PAGE, **fields: Any) -> Iterator[Any]:
    """Yield the entries of the field `part` from every page of a list; `fields` are those of `call`."""
    token = ""
    while True:
        response = call(connection, method, page_size=size, page_token=token, **fields)
        entries = getattr(response, part) or []
        yield from entries
        following = response.next_page_token or ""
        if not following or following == token or not entries:
            return
        token = following


def files(connection: Connection, slug: str) -> list[RemoteFile]:
    """Return every file of the competition."""
    with explain_errors(connection, slug, f"listing the files of '{slug}'"):
        listed = pages(connection, "list_data_files", "files", competition_name=slug)
        return list({entry.name: RemoteFile(entry.name, entry.total_bytes) for entry in listed}.values())


def download(connection: Connection, slug: str, file: str | None, target: Path, progress: Progress) -> str:
    """Download one file of the competition to `target`, or the zip of all files where `file` is None.

    Returns the name that Kaggle gives it.
    """
    fields = {"file_name": file} if file else {}
    method = "download_data_file" if file else "download_data_files"

    def begin() -> requests.Response:
        response: requests.Response = call(connection, method, patient=False, competition_name=slug, **fields)
        return response

    with explain_errors(connection, slug, f"downloading {file or f'the data of {slug!r}'}"):
        return download_to(begin, connection.storage, target, progress)


def limits(connection: Connection, slug: str) -> Limits | None:
    """Return how many submissions are left, or None where Kaggle does not say. A submission is still possible then."""
    try:
        response = call(connection, "get_submission_limits", patient=False, competition_name=slug)
    except requests.RequestException:
        return None
    return Limits(response.num_today or 0, response.num_allowed_now or 0, bool(response.limited_by_total))


def require_open(connection: Connection, slug: str) -> int | None:
    """Return how many submissions are left today, or None where Kaggle does not say.

    Raises KcnnError where none is left, or where the competition does not (or no longer) accept CSV files.
    """
    about = describe(connection, slug)
    if about.get("code_only"):
        raise code_only(slug)
    if about.get("closed"):
        raise KcnnError(f"'{slug}' no longer accepts submissions", f"see {competition_url(slug)}")
    allowed = limits(connection, slug)
    if allowed and allowed.left <= 0:
        if allowed.of_all:
            raise KcnnError("no submission is left: all allowed submissions are used", f"see {competition_url(slug)}")
        raise KcnnError(
            f"no submission is left today: {allowed.today} were made",
            "submit after midnight UTC, when a new day starts",
        )
    return allowed.left if allowed else None


def submit(connection: Connection, slug: str, name: str, content: bytes, message: str) -> int:
    """Upload `content` as the file `name` and create a submission from it. Return the submission's number.

    The upload is repeated after a temporary error. The call that creates the submission is made only once: where its
    response is lost, nobody knows whether the submission counts, and the error says so.
    """
    with explain_errors(connection, slug, "preparing the upload"):
        upload = call(
            connection,
            "start_submission_upload",
            competition_name=slug,
            file_name=name,
            content_length=len(content),
            last_modified_epoch_seconds=int(time.time()),
        )
    with explain_errors(connection, slug, f"uploading {name}"):
        retry(lambda: put(connection, upload.create_url, content), connection.progress)
    try:
        response = call(
            connection,
            "create_submission",
            patient=False,
            competition_name=slug,
            blob_file_tokens=upload.token,
            submission_description=message,
        )
    except KeyboardInterrupt:
        raise explain_lost("it was interrupted") from None
    except requests.RequestException as error:
        status = status_of(error)
        if status is None or status >= 500:
            raise explain_lost(explain_error(error, "submitting", connection).message) from None
        raise explain_rejection(error, connection, slug) from None
    if not response.ref:
        raise KcnnError(
            f"Kaggle created no submission: {response.message or 'it gave no reason'}",
            f"see {competition_url(slug)}/submissions",
        )
    return int(response.ref)


def explain_lost(why: str) -> KcnnError:
    """Return the error for a submission whose response did not arrive."""
    return KcnnError(
        f"the response to the submission was lost: {why}",
        "check with kcnn submissions whether Kaggle has it; submit again only if not",
    )


def put(connection: Connection, url: str, content: bytes) -> None:
    """Upload `content` to the storage."""
    connection.storage.put(url, data=content, headers={"Content-Type": "application/octet-stream"}).raise_for_status()


def status(connection: Connection, slug: str, ref: int) -> Submitted | None:
    """Return the current state of the submission with the number `ref`, or None where Kaggle does not list it."""
    try:
        return parse_submission(call(connection, "get_submission", ref=ref))
    except requests.RequestException as error:
        if status_of(error) not in (400, 403, 404, 501):
            with explain_errors(connection, slug, "waiting for the score"):
                raise
    return next((each for each in submissions(connection, slug) if each.ref == ref), None)


def submissions(connection: Connection, slug: str) -> list[Submitted]:
    """Return every submission of the user's team, newest first."""
    with explain_errors(connection, slug, f"listing the submissions to '{slug}'"):
        listed = pages(connection, "list_submissions", "submissions", 100, competition_name=slug)
        found = {each.ref: each for each in map(parse_submission, listed)}
    return sorted(found.values(), key=lambda each: (each.date, each.ref), reverse=True)


def parse_submission(entry: Any) -> Submitted:
    """Return a submission from the SDK's object."""
    return Submitted(
        ref=entry.ref,
        file=entry.file_name or "",
        date=date_text(entry.date),
        message=entry.description or "",
        status=entry.status.name.lower(),
        public=entry.public_score or "",
        private=entry.private_score or "",
        reason=" ".join((entry.error_description or "").split()),
        team=entry.team_name or "",
    )


def leaderboard(connection: Connection, slug: str) -> list[tuple[str, float, str]]:
    """Return (team, public score, date) of each team, best first, at most 10,000; empty where there is none yet."""
    with explain_errors(connection, slug, f"reading the leaderboard of '{slug}'"):
        rows: list[tuple[str, float, str]] = []
        for entry in pages(connection, "get_leaderboard", "submissions", competition_name=slug):
            score = number(entry.score)
            if score is not None:
                rows.append((entry.team_name or str(entry.team_id), score, date_text(entry.submission_date)))
            if len(rows) >= LEADERBOARD_PAGES * PAGE:
                break
        return rows


def number(text: str | None) -> float | None:
    """Return a score as a number, or None where it is not a number."""
    try:
        return None if text is None else float(text)
    except (TypeError, ValueError):
        return None


def place(board: list[tuple[str, float, str]], score: float) -> int | None:
    """Return the place of `score` on a leaderboard; equal scores get the better place.

    Returns None where the order of the board does not show whether higher or lower scores are better.
    """
    scores = [each for _, each, _ in board]
    if not scores or scores[0] == scores[-1]:
        return None
    higher_is_better = scores[0] > scores[-1]
    return 1 + sum(each > score if higher_is_better else each < score for each in scores)


def best_place(board: list[tuple[str, float, str]], own: list[Submitted]) -> int | None:
    """Return the place of the best public score of `own`, even if the board does not list it; None without a score."""
    places = [place(board, score) for each in own if (score := number(each.public)) is not None]
    return min((each for each in places if each), default=None)


def wait_for_score(
    connection: Connection, slug: str, ref: int, pause: Callable[[float], None], limit: float
) -> Submitted | None:
    """Wait until the submission has a score or `limit` seconds have passed. The pauses grow from 2 s to 30 s.

    Returns the submission, with the status "pending" where time runs out, or None where Kaggle does not list it.
    """
    passed, wait = 0.0, 2.0
    while True:
        found = status(connection, slug, ref)
        if (found and found.status != "pending") or passed >= limit:
            return found
        pause(wait)
        passed, wait = passed + wait, min(wait * 1.25, 30)
