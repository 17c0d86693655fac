"""The names of competitions and data sets on Kaggle, and what it means when Kaggle refuses a request for one."""

import contextlib
import difflib
import re
from collections.abc import Iterator
from typing import Any

import requests

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.kaggle.client import Connection, call, explain_error, message_of, status_of

SITE = "https://www.kaggle.com"


def slug_of(given: str) -> str | None:
    """Return the slug of the competition that a name or a URL of Kaggle means, or of the data set that a URL means,
    OWNER/NAME; None where it looks like none of these.

    Raises KcnnError for a URL of Kaggle that leads to neither, such as an invitation link.
    """
    address = re.fullmatch(r"(?:https?://)?(?:www\.)?kaggle\.com/(.*)", given.strip(), re.IGNORECASE)
    if not address:
        return given.lower() if re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", given) else None
    if slug := re.match(r"(?:competitions|c)/([A-Za-z0-9-]+)", address[1]):
        return slug[1].lower()
    if slug := re.match(r"datasets/([A-Za-z0-9-]+/[A-Za-z0-9-]+)", address[1]):
        return slug[1].lower()
    if address[1].startswith("t/"):
        raise KcnnError(
            f"{given} is an invitation link, and Kaggle's API cannot open it",
            "open it in a browser and join; then run kcnn fetch NAME with the last part of the page's address",
        )
    raise KcnnError(
        f"{given} is not the address of a competition or a data set",
        f"use an address like {SITE}/competitions/NAME or {SITE}/datasets/OWNER/NAME",
    )


def competition_url(slug: str) -> str:
    """Return the address of the competition's page."""
    return f"{SITE}/competitions/{slug}"


def dataset_url(slug: str) -> str:
    """Return the address of the data set's page; `slug` is OWNER/NAME."""
    return f"{SITE}/datasets/{slug}"


@contextlib.contextmanager
def explain_errors(connection: Connection, slug: str, doing: str) -> Iterator[None]:
    """Raise KcnnError in place of what `requests` raises. `doing` says what failed, as in "listing the files"."""
    try:
        yield
    except requests.RequestException as error:
        status, response = status_of(error), error.response
        # The file storage uses the same statuses, and they mean something else there.
        if response is not None and status in (403, 404) and "ApiService" in response.url:
            raise explain_refusal(connection, slug, status, message_of(error, connection)) from None
        raise explain_error(error, doing, connection) from None


def explain_refusal(connection: Connection, slug: str, status: int, message: str) -> KcnnError:
    """Return the error for a 403 or 404: the rules are not accepted, or there is no such competition or data set.

    Kaggle uses 403 for both.
    """
    details = f"{status}: {message}" if message else str(status)
    if "/" in slug:
        return KcnnError(
            f"Kaggle has no data set '{slug}', or you have no access to it ({details})",
            f"check the address: {dataset_url(slug)}",
        )
    if "rule" in message.lower():
        return KcnnError(
            f"you have not accepted the rules of '{slug}' ({details})",
            f"accept them on {competition_url(slug)}/rules and run it again",
        )
    near = near_names(connection, slug)
    guess = f"did you mean {' or '.join(near)}? if not" if near else "check the name; if it is right"
    return KcnnError(
        f"Kaggle has no competition '{slug}', or you have no access to it ({details})",
        f"{guess}, join it and accept its rules: {competition_url(slug)}/rules",
    )


def near_names(connection: Connection, slug: str) -> list[str]:
    """Return names like `slug`: of competitions that the user entered, and of those that Kaggle's search finds."""
    from kagglesdk.competitions.types.competition_enums import CompetitionListTab

    found: list[str] = []
    entered = CompetitionListTab.COMPETITION_LIST_TAB_ENTERED
    queries: tuple[dict[str, Any], ...] = ({"group": entered}, {"search": slug.replace("-", " ")})
    for query in queries:
        with contextlib.suppress(requests.RequestException):
            found += [slug_in(entry) for entry in list_competitions(connection, **query)]
    return difflib.get_close_matches(slug, dict.fromkeys(name for name in found if name != slug), 3)


def list_competitions(connection: Connection, **query: Any) -> list[Any]:
    """Return the competitions that match the query, as the SDK's objects."""
    return list(call(connection, "list_competitions", patient=False, **query).competitions or [])


def slug_in(entry: Any) -> str:
    """Return the slug of a competition as the API lists it. Its `ref` is a URL."""
    return str(entry.ref or entry.url or "").rstrip("/").rpartition("/")[2]


def explain_rejection(error: requests.RequestException, connection: Connection, slug: str) -> KcnnError:
    """Return the error for a submission that Kaggle did not accept."""
    message = message_of(error, connection)
    if re.search(r"notebooks?\b|code competition|kernels? only", message, re.IGNORECASE):
        return code_only(slug, message)
    if re.search(r"submissions?\W.*(limit|per day|daily|today)|(daily|today).*submission", message, re.IGNORECASE):
        return KcnnError(
            f"Kaggle accepts no more submissions today: {message}", "submit after midnight UTC, when a new day starts"
        )
    if re.search(r"deadline|has ended|is closed|late submission", message, re.IGNORECASE):
        return KcnnError(f"'{slug}' no longer accepts submissions: {message}", f"see {competition_url(slug)}")
    if status_of(error) == 403 and "rule" in message.lower():
        return explain_refusal(connection, slug, 403, message)
    return explain_error(error, "creating the submission", connection)


def code_only(slug: str, message: str = "") -> KcnnError:
    """Return the error for a competition that accepts only notebooks."""
    details = f" ({message})" if message else ""
    return KcnnError(
        f"'{slug}' is a code competition: it accepts notebooks that run on Kaggle, not CSV files{details}",
        f"put the run's model into a notebook on {competition_url(slug)}/code and submit from there",
    )
