"""One file over HTTP, come what may: it goes on where it broke off, within a command and from one to the next."""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import requests

from kaggle_cnn.competition.kaggle_client import pause_before, reason
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file

CHUNK_BYTES = 2**16  # what a broken connection loses at most


def download(begin: Callable[[], requests.Response], storage: requests.Session, target: Path, talk) -> str:
    """Brings a file to `target`, which is there only when whole; returns the name that its URL ends in.

    `begin()` opens the file: a streaming response, after redirects, from its first byte. What has come lies in
    `target`.partial, and is gone on with by Range and If-Range as long as size and validator (ETag or Last-Modified)
    are the same. An MD5 in x-goog-hash is compared. `talk` has say(text) and transfer(description), a context whose
    value is called with (bytes there, bytes in all).
    Raises what `requests` raises when several attempts in a row bring nothing, and KcnnError where the MD5 differs.
    """
    partial, note = Path(f"{target}.partial"), Path(f"{target}.partial.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    with talk.transfer(f"downloading {target.name}") as show:
        while True:
            have = partial.stat().st_size if partial.is_file() else 0
            try:
                identity, name = fetch_rest(begin, storage, partial, note, show)
                break
            except requests.RequestException as error:
                come = partial.is_file() and partial.stat().st_size > have
                failures = 1 if come else failures + 1
                pause = pause_before(error, failures)
                if pause is None:
                    raise
                talk.say(f"{reason(error)}: going on in {pause:.0f} s")
                time.sleep(pause)
    if identity["md5"] and identity["md5"] != md5_of(partial):
        partial.unlink()
        raise KcnnError(f"{target.name} arrived damaged: its MD5 is not what Kaggle gave", "run it again")
    partial.rename(target)
    note.unlink()
    return name


def fetch_rest(begin: Callable, storage: requests.Session, partial: Path, note: Path, show: Callable) -> tuple:
    """One attempt at what is still lacking of `partial`; returns the file's identity and name when it is whole."""
    response = begin()
    identity, size = identify(response), length(response)
    name = re.split(r"[?#]", response.url)[0].rpartition("/")[2]
    if not partial.is_file() or read_note(note) != identity:
        partial.write_bytes(b"")
        with whole_file(note) as temporary:
            temporary.write_text(json.dumps(identity), encoding="utf-8")
    have = partial.stat().st_size
    show(have, size)
    if have and have != size:
        response.close()
        ask = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
        response = storage.get(response.url, headers={**ask, **validator_header(identity["validator"])}, stream=True)
        response.raise_for_status()
        if response.status_code != 206:  # it sends all of it again
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


def identify(response: requests.Response) -> dict:
    """What tells one version of a file from another."""
    headers = response.headers
    md5 = re.search(r"md5=([\w+/=]+)", headers.get("x-goog-hash", ""))
    return {
        "size": length(response),
        "validator": headers.get("ETag") or headers.get("Last-Modified") or "",
        "md5": base64.b64decode(md5[1]).hex() if md5 else "",
    }


def length(response: requests.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def validator_header(validator: str) -> dict[str, str]:
    """If-Range takes no weak ETag (RFC 9110, 13.1.5)."""
    return {"If-Range": validator} if validator and not validator.startswith("W/") else {}


def read_note(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def md5_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
