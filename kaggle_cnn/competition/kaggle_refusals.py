"""What a competition on Kaggle is called, and in words what it means when Kaggle refuses one."""

import contextlib
import difflib
import re
from collections.abc import Iterator

import requests

from kaggle_cnn.competition.kaggle_client import Connection, call, in_words, message_of, status_of
from kaggle_cnn.errors import KcnnError

SITE = "https://www.kaggle.com"


def slug_of(given: str) -> str | None:
    """The competition's slug in a name or a URL of Kaggle's; None where it looks like neither.

    Raises KcnnError for a URL of Kaggle's that is no competition's, an invitation link among them.
    """
    address = re.fullmatch(r"(?:https?://)?(?:www\.)?kaggle\.com/(.*)", given.strip(), re.IGNORECASE)
    if not address:
        return given.lower() if re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", given) else None
    if slug := re.match(r"(?:competitions|c)/([A-Za-z0-9-]+)", address[1]):
        return slug[1].lower()
    if address[1].startswith("t/"):
        raise KcnnError(
            f"{given} is an invitation link, which Kaggle's API cannot follow",
            "open it in a browser and join; then kcnn fetch NAME, the last part of the address you are then shown",
        )
    raise KcnnError(f"{given} is not the address of a competition", f"expected {SITE}/competitions/NAME")


def competition_url(slug: str) -> str:
    return f"{SITE}/competitions/{slug}"


@contextlib.contextmanager
def in_words_of(connection: Connection, slug: str, doing: str) -> Iterator[None]:
    """Turns what `requests` raises into KcnnError; what the competition itself forbids gets its own words."""
    try:
        yield
    except requests.RequestException as error:
        status = status_of(error)
        if status in (403, 404) and "CompetitionApiService" in error.response.url:  # not the storage's own
            raise refused(connection, slug, status, message_of(error, connection)) from None
        raise in_words(error, doing, connection) from None


def refused(connection: Connection, slug: str, status: int, message: str) -> KcnnError:
    """The words for a 403 or 404: rules not accepted, or no such competition (Kaggle says 403 to both)."""
    told = f"{status}: {message}" if message else str(status)
    if "rule" in message.lower():
        return KcnnError(
            f"you have not accepted the rules of '{slug}' ({told})",
            f"accept them on {competition_url(slug)}/rules and run it again",
        )
    near = near_names(connection, slug)
    guess = f"did you mean {' or '.join(near)}? if not" if near else "check the name; if it is right"
    return KcnnError(
        f"Kaggle has no competition '{slug}', or none for you ({told})",
        f"{guess}, join it and accept its rules: {competition_url(slug)}/rules",
    )


def near_names(connection: Connection, slug: str) -> list[str]:
    """Names like `slug` among the competitions that the user has entered, and those that Kaggle finds by its words."""
    from kagglesdk.competitions.types.competition_enums import CompetitionListTab

    found = []
    entered = CompetitionListTab.COMPETITION_LIST_TAB_ENTERED
    for asked in ({"group": entered}, {"search": slug.replace("-", " ")}):
        with contextlib.suppress(requests.RequestException):
            found += [slug_in(entry) for entry in list_competitions(connection, **asked)]
    return difflib.get_close_matches(slug, dict.fromkeys(name for name in found if name != slug), 3)


def list_competitions(connection: Connection, **asked) -> list:
    return list(call(connection, "list_competitions", patient=False, **asked).competitions or [])


def slug_in(entry) -> str:
    """The slug of a competition as the API lists it; its `ref` is a URL."""
    return str(entry.ref or entry.url or "").rstrip("/").rpartition("/")[2]


def not_created(error: requests.HTTPError, connection: Connection, slug: str) -> KcnnError:
    """The words for a submission that Kaggle did not take."""
    message = message_of(error, connection)
    if re.search(r"notebooks?\b|code competition|kernels? only", message, re.IGNORECASE):
        return code_only(slug, message)
    if re.search(r"submissions?\W.*(limit|per day|daily|today)|(daily|today).*submission", message, re.IGNORECASE):
        return KcnnError(f"Kaggle takes no more submissions today: {message}", "the count starts anew at midnight UTC")
    if re.search(r"deadline|has ended|is closed|late submission", message, re.IGNORECASE):
        return KcnnError(f"'{slug}' takes no submissions any more: {message}", f"see {competition_url(slug)}")
    if status_of(error) == 403 and "rule" in message.lower():
        return refused(connection, slug, 403, message)
    return in_words(error, "creating the submission", connection)


def code_only(slug: str, message: str = "") -> KcnnError:
    told = f" ({message})" if message else ""
    return KcnnError(
        f"'{slug}' is a code competition: it takes notebooks that run on Kaggle, not CSV files{told}",
        f"put the run's model into a notebook on {competition_url(slug)}/code and submit from there",
    )
