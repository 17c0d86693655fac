"""Calls to Kaggle by the `kaggle` package's own SDK, one method a call: time-outs, patience, its errors in words."""

import contextlib
import importlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from kaggle_cnn.errors import KcnnError

Answer = TypeVar("Answer")
CONNECT_SECONDS, LONGEST_PAUSE_SECONDS = 10, 900
PASSING = {408, 429, 500, 502, 503, 504}  # HTTP statuses that a later attempt may not meet again
SETTINGS_URL = "https://www.kaggle.com/settings"


@dataclass(frozen=True)
class Connection:
    """`client`: the SDK's competition calls; `storage`: a session without credentials, for the URLs they give out.

    `credential` names what proves who the user is and where it lies, never its value; `secrets` are those values.
    """

    client: Any
    storage: requests.Session
    credential: str
    secrets: tuple[str, ...]
    say: Callable[[str], None]


def answer_seconds() -> float:
    """How long one answer may take: the environment's KCNN_TIMEOUT, else 30."""
    text = os.environ.get("KCNN_TIMEOUT", "30")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < 1e6:
        raise KcnnError(f"KCNN_TIMEOUT should be a number of seconds, got '{text}'", "KCNN_TIMEOUT=60")
    return seconds


class Bounded(HTTPAdapter):
    """Gives every request a time-out, since neither the client nor requests has one."""

    def send(self, request, **options):
        options["timeout"] = options.get("timeout") or (CONNECT_SECONDS, answer_seconds())
        return super().send(request, **options)


def call(connection: Connection, method: str, patient: bool = True, **fields) -> Any:
    """One call of the SDK, such as call(connection, "list_data_files", competition_name=...).

    With `patient`, what may pass (see `patiently`) is tried again; without, the request is sent once at most. Raises
    what `requests` raises, for `in_words`.
    """
    types = importlib.import_module("kagglesdk.competitions.types.competition_api_service")
    request = getattr(types, f"Api{''.join(word.capitalize() for word in method.split('_'))}Request")()
    for name, value in fields.items():
        setattr(request, name, value)

    def send():
        try:
            return getattr(connection.client, method)(request)
        except requests.RequestException:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # the SDK met what is no answer of Kaggle's
            raise unreadable(error) from None

    return patiently(send, connection.say) if patient else send()


def unreadable(error: Exception) -> requests.exceptions.InvalidJSONError:
    return requests.exceptions.InvalidJSONError(f"{type(error).__name__}: {error}")


def patiently(attempt: Callable[[], Answer], say: Callable[[str], None]) -> Answer:
    """What `attempt()` returns; tried again, later and later, while it fails in a way that may pass.

    A pause is as long as Retry-After says, where the answer has one. Six attempts, the pauses 1, 2, 4, 8 and 16 s;
    three where nobody can be reached, two where nobody answers in time. Then its error is raised, as any other is.
    """
    number = 0
    while True:
        try:
            return attempt()
        except requests.RequestException as error:
            number += 1
            pause = pause_before(error, number)
            if pause is None:
                raise
            say(f"{reason(error)}: trying again in {pause:.0f} s")
            time.sleep(pause)


def pause_before(error: requests.RequestException, failures: int) -> float | None:
    """Seconds to wait before the next attempt, after `failures` that ended in `error`; None where none is worth it."""
    attempts = 6
    if isinstance(error, requests.HTTPError):
        if status_of(error) not in PASSING:
            return None
        if asked := error.response.headers.get("Retry-After"):
            with contextlib.suppress(Exception):  # a header that is neither seconds nor a date
                pause = Retry().parse_retry_after(asked)
                return pause if pause <= LONGEST_PAUSE_SECONDS and failures < attempts else None
    elif is_timeout(error):
        attempts = 2
    elif isinstance(error, requests.exceptions.SSLError):
        return None
    elif isinstance(error, requests.ConnectionError) and not is_cut(error):
        attempts = 3
    elif not is_cut(error):
        return None
    return 2.0 ** (failures - 1) if failures < attempts else None


def is_timeout(error: Exception) -> bool:
    """Whether nothing came in time; within a body requests calls that a ConnectionError."""
    return isinstance(error, requests.Timeout) or "Read timed out" in str(error)


def is_cut(error: Exception) -> bool:
    """Whether a connection that had been made broke off."""
    return any(word in str(error) for word in ("Connection aborted", "Connection broken", "IncompleteRead"))


def reason(error: requests.RequestException) -> str:
    """Why a request failed, in a few words."""
    if status := status_of(error):
        return f"Kaggle answered {status}"
    if is_timeout(error):
        return f"Kaggle did not answer within {answer_seconds():.0f} s"
    return "the connection broke off" if is_cut(error) else "Kaggle cannot be reached"


def status_of(error: requests.RequestException) -> int | None:
    """The HTTP status, or the one that the answer's JSON claims; None where there was no answer."""
    if error.response is None:
        return None
    claimed = body_of(error).get("code")
    return claimed if isinstance(claimed, int) and error.response.ok else error.response.status_code


def body_of(error: requests.RequestException) -> dict:
    """The answer's JSON, without the {"error": ...} that may be around it; {} where it is none."""
    try:
        body = error.response.json()
    except (ValueError, RuntimeError, requests.RequestException):  # no JSON, or a stream that is used up
        return {}
    told = body.get("error", body) if isinstance(body, dict) else {}
    return told if isinstance(told, dict) else {"message": told}


def message_of(error: requests.RequestException, connection: Connection | None = None) -> str:
    """What the server itself said, in one line without tags, or ""; no secret of the connection's is in it."""
    if error.response is None:
        return ""
    message = body_of(error).get("message")
    if message is None and error.response.headers.get("Content-Type", "").startswith("text/"):
        message = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", error.response.text, flags=re.DOTALL)
    for secret in connection.secrets if connection else ():
        message = str(message or "").replace(secret, "***")
    return " ".join(str(message or "").split())[:300]


def in_words(error: requests.RequestException, doing: str, connection: Connection | None = None) -> KcnnError:
    """An error of `requests` as one for the user; `doing` says what was attempted, as in "listing the files"."""
    status, message = status_of(error), message_of(error, connection)
    told = f": {message}" if message else ""
    if status == 401:
        with_what = f" with {connection.credential}" if connection else ""
        return KcnnError(
            f"Kaggle refused the credential while {doing}{with_what} (401{told})",
            f"make a new token on {SETTINGS_URL} and put it in its place",
        )
    if status == 429:
        asked = error.response.headers.get("Retry-After")
        return KcnnError(
            f"Kaggle asks for a pause while {doing} (429{told})",
            f"run it again {f'in {asked} s' if asked and asked.isdecimal() else 'in a while'}; nothing is lost",
        )
    if status is not None:
        hint = (
            "Kaggle has trouble: run it again in a while" if status >= 500 else "see the competition's page on Kaggle"
        )
        return KcnnError(f"Kaggle answered {status} while {doing}{told}", hint)
    if isinstance(error, requests.exceptions.SSLError):
        return KcnnError(
            f"the connection to Kaggle is not trusted while {doing}",
            "behind a company's proxy, name its certificates in REQUESTS_CA_BUNDLE",
        )
    if isinstance(error, requests.exceptions.InvalidJSONError):
        return KcnnError(
            f"what came while {doing} is no answer of Kaggle's", "a proxy or login page may stand in between"
        )
    hint = "KCNN_TIMEOUT=120 waits longer" if is_timeout(error) else "check the network and the proxy"
    return KcnnError(f"{reason(error)}, while {doing}", f"{hint}; run it again, nothing is lost")
