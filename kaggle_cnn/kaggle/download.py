"""Download one file over HTTP. A broken download continues where it stopped, also in the next run of the command."""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file
from kaggle_cnn.kaggle.client import pause_before, reason
from kaggle_cnn.progress import Progress, Transferred

CHUNK_BYTES = 2**16  # a broken connection loses at most this much


def download(
    begin: Callable[[], requests.Response], storage: requests.Session, target: Path, progress: Progress
) -> str:
    """Download a file to `target`, which exists only when it is complete. Return the name at the end of its URL.

    `begin()` opens the file: it returns a streaming response, after redirects, from the first byte. The bytes so far
    are in `target`.partial. The download continues there with Range and If-Range, as long as the size and the validator
    (ETag or Last-Modified) stay the same. An MD5 in x-goog-hash is compared.
    Raises the error of `requests` where several attempts in a row get no data, and KcnnError where the MD5 differs.
    """
    partial, note = Path(f"{target}.partial"), Path(f"{target}.partial.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    with progress.transfer(f"downloading {target.name}") as show:
        while True:
            have = partial.stat().st_size if partial.is_file() else 0
            try:
                identity, name = fetch_rest(begin, storage, partial, note, show)
                break
            except requests.RequestException as error:
                grown = partial.is_file() and partial.stat().st_size > have
                failures = 1 if grown else failures + 1
                pause = pause_before(error, failures)
                if pause is None:
                    raise
                progress.say(f"{reason(error)}: continuing in {pause:.0f} s")
                time.sleep(pause)
    if identity["md5"] and identity["md5"] != md5_of(partial):
        partial.unlink()
        raise KcnnError(
            f"{target.name} is damaged: expected the MD5 {identity['md5']}, got another one",
            "run it again to download it again",
        )
    partial.rename(target)
    note.unlink()
    return name


def fetch_rest(
    begin: Callable[[], requests.Response], storage: requests.Session, partial: Path, note: Path, show: Transferred
) -> tuple[dict[str, Any], str]:
    """Try once to download what is missing in `partial`. Return the file's identity and name when it is complete."""
    response = begin()
    identity, size = identify(response), length_of(response)
    name = re.split(r"[?#]", response.url)[0].rpartition("/")[2]
    if not partial.is_file() or read_note(note) != identity:
        partial.write_bytes(b"")
        with whole_file(note) as temporary:
            temporary.write_text(json.dumps(identity), encoding="utf-8")
    have = partial.stat().st_size
    show(have, size)
    if have and have != size:
        response.close()
        headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
        headers |= validator_header(identity["validator"])
        response = storage.get(response.url, headers=headers, stream=True)
        response.raise_for_status()
        if response.status_code != 206:  # the server sends the whole file again
            have = 0
    with response, partial.open("r+b") as stream:
        stream.truncate(have)
        stream.seek(have)
        for chunk in response.iter_content(CHUNK_BYTES) if have != size else ():
            stream.write(chunk)
            have += len(chunk)
            stream.flush()
            show(have, size)
    if size is not None and have != size:
        raise requests.ConnectionError(f"Connection broken: {have} of {size} bytes")
    return identity, name


def identify(response: requests.Response) -> dict[str, Any]:
    """Return what distinguishes one version of a file from another."""
    headers = response.headers
    md5 = re.search(r"md5=([\w+/=]+)", headers.get("x-goog-hash", ""))
    return {
        "size": length_of(response),
        "validator": headers.get("ETag") or headers.get("Last-Modified") or "",
        "md5": base64.b64decode(md5[1]).hex() if md5 else "",
    }


def length_of(response: requests.Response) -> int | None:
    """Return the Content-Length, or None where the response states none."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


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
