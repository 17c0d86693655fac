"""A data set on Kaggle: describe, files, download, as competitions.py does it for a competition.

Every function takes a Connection and a slug, OWNER/NAME, and raises KcnnError where Kaggle refuses.
"""

import contextlib
from pathlib import Path
from typing import Any

import requests

from kaggle_cnn.kaggle.client import Connection, call
from kaggle_cnn.kaggle.competitions import RemoteFile, pages
from kaggle_cnn.kaggle.download import download as download_to
from kaggle_cnn.kaggle.errors import explain_errors
from kaggle_cnn.progress import Progress


def describe(connection: Connection, slug: str) -> dict[str, Any]:
    """Return its title; {} if Kaggle has none."""
    with contextlib.suppress(requests.RequestException):
        entry = call(connection, "get_dataset", patient=False, service="dataset", **split(slug))
        return {"title": entry.title or ""}
    return {}


def files(connection: Connection, slug: str) -> list[RemoteFile]:
    """Return every file of the data set."""
    with explain_errors(connection, slug, f"listing the files of '{slug}'"):
        fields: dict[str, Any] = {"service": "dataset", **split(slug)}
        listed = pages(connection, "list_dataset_files", "dataset_files", **fields)
        return list({entry.name: RemoteFile(entry.name, entry.total_bytes) for entry in listed}.values())


def download(connection: Connection, slug: str, file: str | None, target: Path, progress: Progress) -> str:
    """Download one file of the data set to `target`, or the zip of all files where `file` is None.

    Returns the name that Kaggle gives it.
    """
    fields = {"service": "dataset", **split(slug), **({"file_name": file} if file else {})}

    def begin() -> requests.Response:
        response: requests.Response = call(connection, "download_dataset", patient=False, **fields)
        return response

    with explain_errors(connection, slug, f"downloading {file or f'the data of {slug!r}'}"):
        return download_to(begin, connection.storage, target, progress)


def split(slug: str) -> dict[str, str]:
    """Return OWNER/NAME as the API's two fields."""
    owner, _, name = slug.partition("/")
    return {"owner_slug": owner, "dataset_slug": name}
