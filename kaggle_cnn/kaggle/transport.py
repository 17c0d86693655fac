"""One response over HTTP: it comes within a time, and is not larger than any needs to be."""

import os
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter

from kaggle_cnn.errors import KcnnError

Result = TypeVar("Result")
CONNECT_SECONDS = 10
SLOW_LINE = 2**14  # bytes a second: what an upload may take longer
LARGEST_RESPONSE = 16 * 2**20  # bytes, unpacked; a page of 200 files has 0.1 MiB. JSON takes 25 times that of memory
LARGEST_REFUSAL = 2**16  # bytes, of what comes with an error's status
CHUNK_BYTES = 2**16


class OversizedError(requests.exceptions.InvalidJSONError):
    """The response is larger than LARGEST_RESPONSE."""


def response_seconds() -> float:
    """Return how many seconds a response may take: KCNN_TIMEOUT from the environment, or 30.

    Raises KcnnError where KCNN_TIMEOUT is not a number of seconds.
    """
    text = os.environ.get("KCNN_TIMEOUT", "30")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < 1e6:
        raise KcnnError(
            f"KCNN_TIMEOUT should be a number of seconds, got '{text}'", "set it like this: KCNN_TIMEOUT=60"
        )
    return seconds


class BoundedAdapter(HTTPAdapter):
    """Gives every request a time-out and every response a limit. The SDK and `requests` set none."""

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        return send_bounded(super().send, request, **options)


def send_bounded(
    send: Callable[..., requests.Response], request: requests.PreparedRequest, **options: Any
) -> requests.Response:
    """Return the response of an adapter's `send`, its body read; with stream=True, and no error, left to be read.

    Raises ReadTimeout where it is not all there KCNN_TIMEOUT seconds after the connection, however often a byte comes,
    and OversizedError.
    """
    stream = options.pop("stream", False)
    connecting, seconds = min(CONNECT_SECONDS, response_seconds()), response_seconds()
    options["timeout"] = (connecting, seconds)

    def receive() -> requests.Response:
        try:
            response = send(request, stream=True, **options)
        except requests.RequestException:
            raise
        except Exception as error:  # an address that no host can have, for one
            raise requests.exceptions.ConnectionError(f"{type(error).__name__}: {error}") from None
        if response.status_code in (307, 308) and request.method != "GET":
            response.headers.pop("Location", None)  # to follow it would create a second submission
        is_json = "application/json" in response.headers.get("Content-Type", "")
        if response.status_code >= 300 or not stream or (is_json and "ApiService" in response.url):
            read_body(response)
        elif is_json:  # a file from the storage: the SDK would read all of it, to look for an error in it
            response.headers["Content-Type"] = "application/octet-stream"
        return response

    body = request.body or b""
    upload = len(body) / SLOW_LINE if isinstance(body, bytes | str) else 0
    return finish_within(connecting + seconds + upload, receive)


def finish_within(seconds: float, action: Callable[[], Result]) -> Result:
    """Return what `action` returns. Raises ReadTimeout where it takes longer; its thread is left alone then."""
    done: queue.SimpleQueue[tuple[Result | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((action(), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = done.get(timeout=seconds)
    except queue.Empty:
        raise requests.exceptions.ReadTimeout("Read timed out: the response is not complete") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def read_body(response: requests.Response) -> None:
    """Read a response, of a refusal only the beginning. Raises OversizedError."""
    most = LARGEST_RESPONSE if response.ok else LARGEST_REFUSAL
    parts, size = [], 0
    while size <= most and (part := read_some(response)):
        parts.append(part)
        size += len(part)
    response.close()
    if size > most and response.ok:
        raise OversizedError(f"a response of more than {most // 2**20} MiB", response=response)
    response._content = b"".join(parts)[:most]
    response._content_consumed = True  # type: ignore[attr-defined]


def read_some(response: requests.Response) -> bytes:
    """Return the bytes of a response's body that are there next, unpacked, at most CHUNK_BYTES; b"" at its end."""
    try:
        return bytes(response.raw.read1(CHUNK_BYTES, decode_content=True))
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.exceptions.ReadTimeout(f"Read timed out: {error}") from None
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(str(error)) from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.exceptions.ConnectionError(f"Connection broken: {error}") from None
