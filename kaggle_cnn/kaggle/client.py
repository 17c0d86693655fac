"""Calls to Kaggle through the SDK of the `kaggle` package: time-outs, retries, and errors that a user understands."""

import contextlib
import importlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
from urllib3.util import Retry

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.kaggle.transport import OversizedError, response_seconds
from kaggle_cnn.progress import Progress

Result = TypeVar("Result")
LONGEST_PAUSE_SECONDS = 900
TEMPORARY = {408, 429, 500, 502, 503, 504}  # HTTP statuses of errors that a later attempt may not meet
SETTINGS_URL = "https://www.kaggle.com/settings"


@dataclass(frozen=True)
class Connection:
    """`clients`: the SDK's calls for a "competition" and for a "dataset"; `storage`: a session without credentials, for
    the URLs that Kaggle gives.

    `credential` says which credential is used and where it is stored, never its value; `secrets` are those values.
    """

    clients: dict[str, Any]
    storage: requests.Session
    credential: str
    secrets: tuple[str, ...]
    progress: Progress


def call(connection: Connection, method: str, patient: bool = True, service: str = "competition", **fields: Any) -> Any:
    """Call one method of the SDK, such as call(connection, "list_data_files", competition_name=...).

    `service` is "competition" or "dataset".
    With `patient`, a call that fails with a temporary error is repeated, see `retry`. Without it, the request is sent
    once at most. Raises the errors of `requests`; `explain_error` makes a KcnnError of them.
    """
    types = importlib.import_module(f"kagglesdk.{service}s.types.{service}_api_service")
    request = getattr(types, f"Api{''.join(word.capitalize() for word in method.split('_'))}Request")()
    for name, value in fields.items():
        setattr(request, name, value)

    def send() -> Any:
        try:
            return getattr(connection.clients[service], method)(request)
        except requests.RequestException:
            raise
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError) as error:
            raise unreadable(error) from None  # the SDK cannot read the response

    return retry(send, connection.progress) if patient else send()


def unreadable(error: Exception) -> requests.exceptions.InvalidJSONError:
    """Return the error of `requests` for a response that the SDK cannot read."""
    return requests.exceptions.InvalidJSONError(f"{type(error).__name__}: {error}")


def retry(attempt: Callable[[], Result], progress: Progress) -> Result:
    """Return what `attempt()` returns. Repeat it, with longer and longer pauses, while it fails with a temporary error.

    A pause is as long as the response's Retry-After says. Without that header there are six attempts, with pauses of
    1, 2, 4, 8 and 16 s; three attempts where Kaggle cannot be reached; two where no response comes in time. After the
    last attempt its error is raised. Any other error is raised at once.
    """
    failures = 0
    while True:
        try:
            return attempt()
        except requests.RequestException as error:
            failures += 1
            pause = pause_before(error, failures)
            if pause is None:
                raise
            progress.say(f"{reason(error)}: trying again in {pause:.0f} s")
            time.sleep(pause)


def pause_before(error: requests.RequestException, failures: int) -> float | None:
    """Return the seconds to wait before the next attempt, or None where there should be no other attempt.

    `failures` is the number of failed attempts so far, `error` is how the last one failed.
    """
    attempts = 6
    if isinstance(error, requests.HTTPError):
        if status_of(error) not in TEMPORARY:
            return None
        if wanted := retry_after(error):
            with contextlib.suppress(Exception):  # a header that is neither seconds nor a date
                pause = Retry().parse_retry_after(wanted)
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


def retry_after(error: requests.RequestException) -> str:
    """Return the Retry-After header of the response, or "" where there is none."""
    return "" if error.response is None else error.response.headers.get("Retry-After") or ""


def is_timeout(error: Exception) -> bool:
    """Return whether no data came in time. Within a body `requests` raises a ConnectionError for that."""
    return isinstance(error, requests.Timeout) or "Read timed out" in str(error)


def is_cut(error: Exception) -> bool:
    """Return whether a connection broke after it had been opened."""
    return any(word in str(error) for word in ("Connection aborted", "Connection broken", "IncompleteRead"))


def reason(error: requests.RequestException, host: str = "Kaggle") -> str:
    """Return in a few words why a request to `host` failed."""
    if status := status_of(error):
        return f"{host} responded with {status}"
    if is_timeout(error):
        return f"{host} did not respond within {response_seconds():.0f} s"
    return "the connection broke" if is_cut(error) else f"{host} cannot be reached"


def status_of(error: requests.RequestException) -> int | None:
    """Return the status that the response's JSON states, else its HTTP status; None where there is no response."""
    if error.response is None or isinstance(error, OversizedError):
        return None
    stated = body_of(error).get("code")
    return stated if isinstance(stated, int) and error.response.ok else error.response.status_code


def body_of(error: requests.RequestException) -> dict[str, Any]:
    """Return the response's JSON, without the {"error": ...} that may be around it; {} where it is not JSON."""
    if error.response is None:
        return {}
    try:
        body = error.response.json()
    except (ValueError, RuntimeError, requests.RequestException):  # not JSON, nested too deeply, or read before
        return {}
    content = body.get("error", body) if isinstance(body, dict) else {}
    return content if isinstance(content, dict) else {"message": content}


def message_of(error: requests.RequestException, connection: Connection | None = None) -> str:
    """Return the server's own message in one line without tags, or "". Secrets of the connection are replaced."""
    if error.response is None:
        return ""
    message = body_of(error).get("message")
    if message is None and error.response.headers.get("Content-Type", "").startswith("text/"):
        text = error.response.content.decode(errors="replace")  # its charset may be one that does not exist
        message = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
    for secret in connection.secrets if connection else ():
        message = str(message or "").replace(secret, "***")
    return " ".join(str(message or "").split())[:300]


def explain_error(error: requests.RequestException, doing: str, connection: Connection | None = None) -> KcnnError:
    """Return an error of `requests` as a KcnnError. `doing` says what failed, as in "listing the files"."""
    status, message = status_of(error), message_of(error, connection)
    details = f": {message}" if message else ""
    if status == 401:
        credential = f" with {connection.credential}" if connection else ""
        return KcnnError(
            f"Kaggle did not accept the credential while {doing}{credential} (401{details})",
            f"create a new token on {SETTINGS_URL} and replace the old one",
        )
    if status == 429:
        seconds = retry_after(error)
        when = f"in {seconds} s" if seconds.isdecimal() else "later"
        return KcnnError(
            f"Kaggle asks for a pause while {doing} (429{details})", f"run it again {when}; nothing is lost"
        )
    if status is not None:
        hint = "Kaggle has a problem: run it again later" if status >= 500 else "see the competition's page on Kaggle"
        return KcnnError(f"Kaggle responded with {status} while {doing}{details}", hint)
    if isinstance(error, requests.exceptions.SSLError):
        return KcnnError(
            f"the connection to Kaggle is not trusted while {doing}",
            "behind a company's proxy, set REQUESTS_CA_BUNDLE to the file with its certificates",
        )
    if isinstance(error, OversizedError):
        return KcnnError(
            f"Kaggle sent {error} while {doing}", "check whether a proxy is between this computer and Kaggle"
        )
    if isinstance(error, requests.exceptions.InvalidJSONError):
        return KcnnError(
            f"expected a response from Kaggle while {doing}, got something else",
            "check whether a proxy or a login page is between this computer and Kaggle",
        )
    hint = "set KCNN_TIMEOUT=120 to wait longer" if is_timeout(error) else "check the network and the proxy"
    return KcnnError(f"{reason(error)}, while {doing}", f"{hint}; run it again, nothing is lost")
