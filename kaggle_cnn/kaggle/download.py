"""Download one file over HTTP. A broken download continues where it stopped, also in the next run of the command."""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import sync, whole_file
from kaggle_cnn.kaggle.client import pause_before, reason
from kaggle_cnn.kaggle.transport import read_some, response_seconds
from kaggle_cnn.progress import Progress, Transferred

LEAST_PROGRESS = 2**16  # bytes; an attempt that gets fewer counts as failed
SLOWEST = 100  # bytes a second; a slower connection counts as a broken one


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it comes: its name, "" of the zip of all files; the number of its bytes, unless it
    comes packed; and the most they may be, each None where it is not known. `host` is who sends it, for messages."""

    name: str = ""
    size: int | None = None
    most: int | None = None
    host: str = "Kaggle"


def download(
    begin: Callable[[], requests.Response],
    storage: requests.Session,
    target: Path,
    expected: Expected,
    progress: Progress,
) -> str:
    """Download a file to `target`, which exists only when it is complete. Return the name at the end of its URL.

    `begin()` opens the file: it returns a streaming response, after redirects, from the first byte. The bytes so far
    are in `target`.partial. The download continues there with Range and If-Range, as long as the size and the validator
    (ETag or Last-Modified) stay the same. An MD5 in x-goog-hash is compared; where the response states no length, the
    size is compared with that of `expected`.
    Raises the error of `requests` where several attempts in a row get no data, and KcnnError where the MD5 differs, or
    more bytes come than are expected.
    """
    partial, note = Path(f"{target}.partial"), Path(f"{target}.partial.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    with progress.transfer(f"downloading {target.name}") as show:
        while True:
            have = partial.stat().st_size if partial.is_file() else 0
            try:
                identity, name = fetch_rest(begin, storage, partial, note, expected, show)
                break
            except requests.RequestException as error:
                grown = partial.is_file() and partial.stat().st_size >= have + LEAST_PROGRESS
                failures = 1 if grown else failures + 1
                pause = pause_before(error, failures)
                if pause is None:
                    raise
                progress.say(f"{reason(error, expected.host)}: continuing in {pause:.0f} s")
                time.sleep(pause)
    if identity["md5"] and identity["md5"] != md5_of(partial):
        partial.unlink()
        raise KcnnError(
            f"{target.name} is damaged: expected the MD5 {identity['md5']}, got another one",
            "run it again to download it again",
        )
    sync(partial)
    partial.rename(target)
    sync(target.parent)
    note.unlink()
    return name


def fetch_rest(
    begin: Callable[[], requests.Response],
    storage: requests.Session,
    partial: Path,
    note: Path,
    expected: Expected,
    show: Transferred,
) -> tuple[dict[str, Any], str]:
    """Try once to download what is missing in `partial`. Return the file's identity and name when it is complete."""
    response = require_file(begin())
    identity, size = identify(response), length_of(response)
    name = re.split(r"[?#]", response.url)[0].rpartition("/")[2]
    require_fitting(size, expected, partial)
    if not partial.is_file() or read_note(note) != identity:
        partial.write_bytes(b"")
        with whole_file(note) as temporary:
            temporary.write_text(json.dumps(identity), encoding="utf-8")
    have = partial.stat().st_size
    have = 0 if size is not None and have > size else have
    show(have, size)
    if have and have != size:
        response.close()
        response, have = continue_from(have, storage, response.url, identity["validator"])
    with response, partial.open("r+b") as stream:
        stream.truncate(have)
        stream.seek(have)
        for part in read_parts(response) if have != size else ():
            stream.write(part)
            have += len(part)
            stream.flush()
            require_fitting(have, expected, partial)
            show(have, size)
    if size is not None and have != size:
        raise requests.ConnectionError(f"Connection broken: {have} of {size} bytes")
    packed = name.lower().endswith(".zip") and not expected.name.lower().endswith(".zip")
    if expected.size and not packed and have != expected.size:
        if size is None:
            raise requests.ConnectionError(f"Connection broken: {have} of {expected.size} bytes")
        partial.unlink()
        raise KcnnError(
            f"{expected.name} has {have:,} bytes, and Kaggle lists {expected.size:,}",
            "check whether a proxy or a login page is between this computer and Kaggle; then run it again",
        )
    return identity, name


def require_file(response: requests.Response) -> requests.Response:
    """Return a response that begins with a file's first byte. Raises HTTPError for any other."""
    if response.status_code != 200:
        response.close()
        response._content = b""  # what follows is not looked at
        raise requests.HTTPError(f"expected a file, got the status {response.status_code}", response=response)
    return response


def continue_from(have: int, storage: requests.Session, url: str, validator: str) -> tuple[requests.Response, int]:
    """Return the response for the bytes from `have` on, and where it begins: at 0 where the server sends the whole file
    again."""
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
    response = storage.get(url, headers=headers | validator_header(validator), stream=True)
    if response.status_code == 416:  # what is here is longer than the file
        response = storage.get(url, headers={"Accept-Encoding": "identity"}, stream=True)
    response.raise_for_status()
    begins = re.match(r"bytes (\d{1,18})-", response.headers.get("Content-Range", ""))
    if response.status_code == 206 and begins and int(begins[1]) != have:
        raise requests.ConnectionError(f"Connection broken: asked for the bytes from {have} on, got {begins[1]}")
    return response, have if response.status_code == 206 else 0


def read_parts(response: requests.Response) -> Iterator[bytes]:
    """Yield the bytes of a response as they come. Raises ReadTimeout where they come too slowly."""
    seconds = response_seconds()
    since, got = time.monotonic(), 0
    while part := read_some(response):
        yield part
        got += len(part)
        if time.monotonic() - since > seconds:
            if got < SLOWEST * seconds:
                raise requests.exceptions.ReadTimeout(f"Read timed out: {got} bytes in {seconds:.0f} s")
            since, got = time.monotonic(), 0


def require_fitting(size: int | None, expected: Expected, partial: Path) -> None:
    """Raise KcnnError where more bytes come than the file can have; what has come is removed."""
    if size is not None and expected.most is not None and size > expected.most:
        partial.unlink(missing_ok=True)
        raise KcnnError(
            f"{partial.stem} is larger than {expected.host} lists: {size / 2**20:,.1f} MiB or more, expected at most "
            f"{expected.most / 2**20:,.1f}",
            "run it again later; see the files on the competition's page",
        )


def identify(response: requests.Response) -> dict[str, Any]:
    """Return what distinguishes one version of a file from another."""
    headers = response.headers
    md5 = re.search(r"md5=([\w+/=]+)", headers.get("x-goog-hash", ""))
    return {
        "size": length_of(response),
        "validator": headers.get("ETag") or headers.get("Last-Modified") or "",
        "md5": as_hexadecimal(md5[1]) if md5 else "",
    }


def as_hexadecimal(text: str) -> str:
    """Return an MD5 in base64 as hexadecimal digits, or "" where it is none."""
    try:
        return base64.b64decode(text).hex()
    except ValueError:
        return ""


def length_of(response: requests.Response) -> int | None:
    """Return the Content-Length, or None where the response states none."""
    text = response.headers.get("Content-Length", "")
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None


def validator_header(validator: str) -> dict[str, str]:
    """Return the If-Range header, or none for a weak ETag: RFC 9110, 13.1.5 does not allow it there."""
    return {"If-Range": validator} if validator and not validator.startswith("W/") else {}


def read_note(path: Path) -> dict[str, Any] | None:
    """Return the identity of the partial file, or None where it cannot be read."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content


def md5_of(path: Path) -> str:
    """Return the MD5 of a file as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
