"""Kaggle as a host: describe, files, download, limits, submit, status, submissions, leaderboard.

Every function takes a Connection and a competition's slug, and raises KcnnError where Kaggle refuses.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import requests
from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.kaggle.client import Connection, call, explain_error, retry, status_of
from kaggle_cnn.kaggle.download import Expected
from kaggle_cnn.kaggle.download import download as download_to
from kaggle_cnn.kaggle.errors import (
    code_only,
    competition_url,
    explain_errors,
    explain_rejection,
    list_competitions,
    slug_in,
)
from kaggle_cnn.parsing import parse
from kaggle_cnn.progress import Progress

PAGE = 200  # Kaggle lists at most this many entries at once
MOST_PAGES = 5000  # a million files
UNKNOWN = "run it again later; where it stays so, kcnn and Kaggle do not speak the same language any more"
# A path of at most 64 folders, without control characters.
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^/\x00-\x1f\x7f]*(/[^/\x00-\x1f\x7f]*){0,64}$")
]
Count = Annotated[int, Field(ge=0)]
LEADERBOARD_PAGES = 50
LONGEST_REASON = 1000  # letters


@dataclass(frozen=True)
class RemoteFile:
    """One file of a competition as Kaggle lists it."""

    name: Name
    size: Count  # bytes; 0 where Kaggle does not say


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

    today: Count  # submissions made today
    left: int  # submissions still allowed today
    of_all: bool  # whether the limit counts all submissions, not only those of one day


@dataclass(frozen=True)
class Upload:
    """Where the bytes of a submission go, and what stands for them afterwards."""

    token: str
    url: Annotated[str, StringConstraints(pattern="^https?://")]


class About(TypedDict, total=False):
    """What Kaggle says of a competition; `metric_words` is the metric in the host's own words, `deadline` is UTC."""

    title: str
    metric_words: str
    deadline: str
    daily_limit: Count
    entered: bool
    code_only: bool
    closed: bool


def describe(connection: Connection, slug: str) -> About:
    """Return what Kaggle says of a competition; {} if it has none of that name."""
    entry = None
    with contextlib.suppress(requests.RequestException):
        entry = call(connection, "get_competition", patient=False, competition_name=slug)
    if entry is None or not (entry.ref or entry.title):
        with contextlib.suppress(requests.RequestException):
            entry = next((each for each in list_competitions(connection, search=slug) if slug_in(each) == slug), None)
    if entry is None:
        return {}
    about = {
        "title": entry.title or "",
        "metric_words": entry.evaluation_metric or "",
        "deadline": date_text(entry.deadline),
        "daily_limit": entry.max_daily_submissions or 0,
        "entered": bool(entry.user_has_entered),
        "code_only": bool(entry.is_kernels_submissions_only),
        "closed": bool(entry.submissions_disabled),
    }
    return parse(About, about, f"Kaggle's description of '{slug}'", UNKNOWN)


def date_text(date: datetime | None) -> str:
    """Return a date as "2026-11-21 14:05:00", or "" for None and for the year 1: the SDK's value of an empty field."""
    return date.strftime("%Y-%m-%d %H:%M:%S") if date and date.year > 1 else ""


def pages(connection: Connection, method: str, part: str, size: int = PAGE, **fields: Any) -> Iterator[Any]:
    """Yield the entries of the field `part` from every page of a list; `fields` are those of `call`.

    Raises KcnnError where the list does not end: a page comes a second time, or there are more than MOST_PAGES.
    """
    token = ""
    seen: set[str] = set()
    while True:
        response = call(connection, method, page_size=size, page_token=token, **fields)
        entries = getattr(response, part) or []
        yield from entries
        token = str(response.next_page_token or "")
        if not token or not entries:
            return
        if token in seen or len(seen) >= MOST_PAGES:
            what = "comes to the same page again" if token in seen else f"has more than {MOST_PAGES:,} pages"
            raise KcnnError(f"Kaggle's list does not end: it {what}", UNKNOWN)
        seen.add(token)


def files(connection: Connection, slug: str) -> list[RemoteFile]:
    """Return every file of the competition."""
    with explain_errors(connection, slug, f"listing the files of '{slug}'"):
        return read_files(pages(connection, "list_data_files", "files", competition_name=slug))


def read_files(entries: Iterator[Any]) -> list[RemoteFile]:
    """Return the files of a list, each once. Raises KcnnError where pages have nothing new."""
    found: dict[str, RemoteFile] = {}
    for number, entry in enumerate(entries, 1):
        content = {"name": getattr(entry, "name", None), "size": getattr(entry, "total_bytes", None) or 0}
        file = parse(RemoteFile, content, "Kaggle's list of files", UNKNOWN)
        found[file.name] = file
        if number > 10 * PAGE and number > 2 * len(found):
            raise KcnnError("Kaggle's list does not end: it has the same files again and again", UNKNOWN)
    return list(found.values())


def download(
    connection: Connection, slug: str, file: str | None, listed: list[RemoteFile], target: Path, progress: Progress
) -> str:
    """Download one file of the competition to `target`, or the zip of all files where `file` is None.

    `listed` are the files that are to come. Returns the name that Kaggle gives it.
    """
    fields = {"file_name": file} if file else {}
    method = "download_data_file" if file else "download_data_files"

    def begin() -> requests.Response:
        response: requests.Response = call(connection, method, patient=False, competition_name=slug, **fields)
        return response

    with explain_errors(connection, slug, f"downloading {file or f'the data of {slug!r}'}"):
        return download_to(begin, connection.storage, target, expect(file, listed), progress)


def expect(file: str | None, listed: list[RemoteFile]) -> Expected:
    """Return the size that a download of `listed` should have. Kaggle may send a file, and sends all files, as a zip:
    of images it is a little larger."""
    total = sum(each.size for each in listed)
    most = int(1.01 * total) + 1024 * len(listed) + 2**20
    return Expected(file or "", total if file else None, most if all(each.size for each in listed) else None)


def limits(connection: Connection, slug: str) -> Limits | None:
    """Return how many submissions are left, or None where Kaggle does not say. A submission is still possible then."""
    try:
        response = call(connection, "get_submission_limits", patient=False, competition_name=slug)
    except requests.RequestException:
        return None
    allowed = {"today": response.num_today, "left": response.num_allowed_now, "of_all": response.limited_by_total}
    return parse(Limits, {name: value or 0 for name, value in allowed.items()}, "Kaggle's limits", UNKNOWN)


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
        begun = call(
            connection,
            "start_submission_upload",
            competition_name=slug,
            file_name=name,
            content_length=len(content),
            last_modified_epoch_seconds=int(time.time()),
        )
        upload = parse(Upload, {"token": begun.token, "url": begun.create_url}, "Kaggle's place for uploads", UNKNOWN)
    with explain_errors(connection, slug, f"uploading {name}"):
        retry(lambda: put(connection, upload.url, content), connection.progress)
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
    response = connection.storage.put(url, data=content, headers={"Content-Type": "application/octet-stream"})
    if not 200 <= response.status_code < 300:
        raise requests.HTTPError(f"the storage responded with {response.status_code}", response=response)


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
    content = {
        "ref": entry.ref,
        "file": as_text(entry.file_name),
        "date": date_text(entry.date),
        "message": as_text(entry.description),
        "status": as_text(getattr(entry.status, "name", "")).lower(),
        "public": as_text(entry.public_score),
        "private": as_text(entry.private_score),
        "reason": " ".join(as_text(entry.error_description).split())[:LONGEST_REASON],
        "team": as_text(entry.team_name),
    }
    return parse(Submitted, content, "Kaggle's list of submissions", UNKNOWN)


def as_text(value: Any) -> str:
    """Return what Kaggle calls a text, where it may send a number or nothing."""
    return "" if value is None else str(value)


def leaderboard(connection: Connection, slug: str) -> list[tuple[str, float, str]]:
    """Return (team, public score, date) of each team, best first, at most 10,000; empty where there is none yet."""
    with explain_errors(connection, slug, f"reading the leaderboard of '{slug}'"):
        rows: list[tuple[str, float, str]] = []
        for entry in pages(connection, "get_leaderboard", "submissions", competition_name=slug):
            score = number(entry.score)
            if score is not None:
                team = as_text(entry.team_name) or as_text(entry.team_id)
                rows.append((team, score, date_text(entry.submission_date)))
            if len(rows) >= LEADERBOARD_PAGES * PAGE:
                break
        return rows


def number(text: str | None) -> float | None:
    """Return a score as a number, or None where it is not a finite number."""
    try:
        value = math.nan if text is None else float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


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
