"""Kaggle as a host: describe, files, download, limits, submit, status, submissions, leaderboard.

Every verb takes a Connection and a competition's slug, and raises KcnnError with the reason in words.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import requests

from kaggle_cnn.competition.download import download as download_to
from kaggle_cnn.competition.kaggle_client import Connection, call, in_words, patiently, status_of
from kaggle_cnn.competition.kaggle_refusals import (
    code_only,
    competition_url,
    in_words_of,
    list_competitions,
    not_created,
    slug_in,
)
from kaggle_cnn.errors import KcnnError

PAGE = 200  # the most that Kaggle lists at once
LEADERBOARD_PAGES = 50


@dataclass(frozen=True)
class RemoteFile:
    name: str
    size: int  # bytes


@dataclass(frozen=True)
class Submitted:
    """One submission as Kaggle lists it. Scores are the texts Kaggle gives, "" where there is none (yet)."""

    ref: int
    file: str
    date: str  # UTC, "2026-11-21 14:05:00"
    message: str
    status: str  # "pending", "complete" or "error"
    public: str
    private: str
    reason: str  # why it could not be scored
    team: str


@dataclass(frozen=True)
class Limits:
    today: int  # submissions made today
    left: int  # submissions still allowed today
    of_all: bool  # whether it is the number of all submissions, not of today's, that ends them


def describe(connection: Connection, slug: str) -> dict:
    """Title, metric, deadline (UTC), daily_limit, entered, code_only and closed, as far as Kaggle tells; else {}."""
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
        "metric": entry.evaluation_metric or "",
        "deadline": date_text(entry.deadline),
        "daily_limit": entry.max_daily_submissions or 0,
        "entered": bool(entry.user_has_entered),
        "code_only": bool(entry.is_kernels_submissions_only),
        "closed": bool(entry.submissions_disabled),
    }


def date_text(date: datetime | None) -> str:
    """ "2026-11-21 14:05:00", or "" for none and for the year 1 that an empty field is read as."""
    return date.strftime("%Y-%m-%d %H:%M:%S") if date and date.year > 1 else ""


def pages(connection: Connection, method: str, slug: str, part: str, size: int = PAGE) -> Iterator:
    """What stands under `part` in every page of a listing."""
    token = ""
    while True:
        answer = call(connection, method, competition_name=slug, page_size=size, page_token=token)
        entries = getattr(answer, part) or []
        yield from entries
        following = answer.next_page_token or ""
        if not following or following == token or not entries:
            return
        token = following


def files(connection: Connection, slug: str) -> list[RemoteFile]:
    """Every file of the competition, all pages."""
    with in_words_of(connection, slug, f"listing the files of '{slug}'"):
        listed = pages(connection, "list_data_files", slug, "files")
        return list({entry.name: RemoteFile(entry.name, entry.total_bytes) for entry in listed}.values())


def download(connection: Connection, slug: str, file: str | None, target: Path, talk) -> str:
    """One file of the competition, or with None the zip of all, to `target`; returns the name Kaggle gave it."""
    asked = {"file_name": file} if file else {}
    method = "download_data_file" if file else "download_data_files"
    begin = lambda: call(connection, method, patient=False, competition_name=slug, **asked)  # noqa: E731
    with in_words_of(connection, slug, f"downloading {file or f'the data of {slug!r}'}"):
        return download_to(begin, connection.storage, target, talk)


def limits(connection: Connection, slug: str) -> Limits | None:
    """How many submissions are left; None where Kaggle does not tell, which is no reason not to try."""
    try:
        answer = call(connection, "get_submission_limits", patient=False, competition_name=slug)
    except requests.RequestException:
        return None
    return Limits(answer.num_today or 0, answer.num_allowed_now or 0, bool(answer.limited_by_total))


def require_open(connection: Connection, slug: str) -> int | None:
    """How many submissions are left today, None where Kaggle does not tell.

    Raises KcnnError where none is left, or where the competition takes no CSV files (any more).
    """
    about = describe(connection, slug)
    if about.get("code_only"):
        raise code_only(slug)
    if about.get("closed"):
        raise KcnnError(f"'{slug}' takes no submissions any more", f"see {competition_url(slug)}")
    allowed = limits(connection, slug)
    if allowed and allowed.left <= 0:
        if allowed.of_all:
            raise KcnnError("no submission is left: all that are allowed were made", f"see {competition_url(slug)}")
        raise KcnnError(
            f"no submission is left today: {allowed.today} were made", "the count starts anew at midnight UTC"
        )
    return allowed.left if allowed else None


def submit(connection: Connection, slug: str, name: str, content: bytes, message: str) -> int:
    """Uploads `content` as the file `name` and creates a submission of it; returns its number.

    Upload and its preparation are tried again when they fail in passing. The call that creates the submission is made
    once: where its answer is lost, nobody knows whether it counts, and that is said.
    """
    with in_words_of(connection, slug, "preparing the upload"):
        upload = call(
            connection,
            "start_submission_upload",
            competition_name=slug,
            file_name=name,
            content_length=len(content),
            last_modified_epoch_seconds=int(time.time()),
        )
    with in_words_of(connection, slug, f"uploading {name}"):
        patiently(lambda: put(connection, upload.create_url, content), connection.say)
    try:
        answer = call(
            connection,
            "create_submission",
            patient=False,
            competition_name=slug,
            blob_file_tokens=upload.token,
            submission_description=message,
        )
    except KeyboardInterrupt:
        raise unknown("it was interrupted") from None
    except requests.RequestException as error:
        status = status_of(error)
        if status is None or status >= 500:
            raise unknown(in_words(error, "submitting", connection).message) from None
        raise not_created(error, connection, slug) from None
    if not answer.ref:
        raise KcnnError(
            f"Kaggle created no submission: {answer.message or 'it gave no reason'}",
            f"see {competition_url(slug)}/submissions",
        )
    return answer.ref


def unknown(why: str) -> KcnnError:
    return KcnnError(
        f"the answer to the submission was lost: {why}",
        "kcnn scores shows whether Kaggle has it; submit again only if not",
    )


def put(connection: Connection, url: str, content: bytes) -> None:
    connection.storage.put(url, data=content, headers={"Content-Type": "application/octet-stream"}).raise_for_status()


def status(connection: Connection, slug: str, ref: int) -> Submitted | None:
    """The submission numbered `ref` as it now stands; None where Kaggle does not list it."""
    try:
        return submitted(call(connection, "get_submission", ref=ref))
    except requests.RequestException as error:
        if status_of(error) not in (400, 403, 404, 501):
            with in_words_of(connection, slug, "waiting for the score"):
                raise
    return next((each for each in submissions(connection, slug) if each.ref == ref), None)


def submissions(connection: Connection, slug: str) -> list[Submitted]:
    """Every submission of the user's team, newest first."""
    with in_words_of(connection, slug, f"listing the submissions to '{slug}'"):
        listed = pages(connection, "list_submissions", slug, "submissions", 100)
        found = {each.ref: each for each in map(submitted, listed)}
    return sorted(found.values(), key=lambda each: (each.date, each.ref), reverse=True)


def submitted(entry) -> Submitted:
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
    """(team, public score, date) from the first place on, at most 10,000 teams; empty where there is none yet."""
    with in_words_of(connection, slug, f"reading the leaderboard of '{slug}'"):
        rows = []
        for entry in pages(connection, "get_leaderboard", slug, "submissions"):
            score = number(entry.score)
            if score is not None:
                rows.append((entry.team_name or str(entry.team_id), score, date_text(entry.submission_date)))
            if len(rows) >= LEADERBOARD_PAGES * PAGE:
                break
        return rows


def number(text: str | None) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def place(board: list[tuple[str, float, str]], score: float) -> int | None:
    """The place that `score` takes on a leaderboard, ties with the better; None where its order tells no direction."""
    scores = [each for _, each, _ in board]
    if not scores or scores[0] == scores[-1]:
        return None
    higher_is_better = scores[0] > scores[-1]
    return 1 + sum(each > score if higher_is_better else each < score for each in scores)


def best_place(board: list[tuple[str, float, str]], own: list[Submitted]) -> int | None:
    """The place that the best of `own` public scores takes, listed or not; None where there is none."""
    places = [place(board, score) for each in own if (score := number(each.public)) is not None]
    return min((each for each in places if each), default=None)


def wait_for_score(connection: Connection, slug: str, ref: int, pause: Callable[[float], None], limit: float):
    """Asks until the submission is scored or `limit` seconds have passed; pauses of 2 s that grow to 30 s.

    Returns the Submitted, still "pending" where time ran out, or None where Kaggle never listed it.
    """
    passed, wait = 0.0, 2.0
    while True:
        found = status(connection, slug, ref)
        if (found and found.status != "pending") or passed >= limit:
            return found
        pause(wait)
        passed, wait = passed + wait, min(wait * 1.25, 30)
