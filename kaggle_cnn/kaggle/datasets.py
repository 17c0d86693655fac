"""A data set on Kaggle: describe, files, download, as competitions.py does it for a competition.

Every function takes a Connection and a slug, OWNER/NAME, and raises KcnnError where Kaggle refuses.
"""

import contextlib
from pathlib import Path
from typing import Any

import requests

from kaggle_cnn.kaggle.client import Connection, call
from kaggle_cnn.kaggle.competitions import About, RemoteFile, as_text, expect, pages, read_files
from kaggle_cnn.kaggle.download import download as download_to
from kaggle_cnn.kaggle.errors import explain_errors
from kaggle_cnn.progress import Progress


def describe(connection: Connection, slug: str) -> About:
    """Return its title; {} if Kaggle has none."""
    with contextlib.suppress(requests.RequestException):
        entry = call(connection, "get_dataset", patient=False, service="dataset", **split(slug))
        return {"title": as_text(entry.title)}
    return {}


def files(connection: Connection, slug: str) -> list[RemoteFile]:
    """Return every file of the data set."""
    with explain_errors(connection, slug, f"listing the files of '{slug}'"):
        fields: dict[str, Any] = {"service": "dataset", **split(slug)}
        return read_files(pages(connection, "list_dataset_files", "dataset_files", **fields))


def download(
    connection: Connection, slug: str, file: str | None, listed: list[RemoteFile], target: Path, progress: Progress
) -> str:
    """Download one file of the data set to `target`, or the zip of all files where `file` is None.

    `listed` are the files that are to come. Returns the name that Kaggle gives it.
    """
    fields = {"service": "dataset", **split(slug), **({"file_name": file} if file else {})}

    def begin() -> requests.Response:
        response: requests.Response = call(connection, "download_dataset", patient=False, **fields)
        return response

    with explain_errors(connection, slug, f"downloading {file or f'the data of {slug!r}'}"):
        return download_to(begin, connection.storage, target, expect(file, listed), progress)


def split(slug: str) -> dict[str, str]:
    """Return OWNER/NAME as the API's two fields."""
    owner, _, name = slug.partition("/")
    return {"owner_slug": owner, "dataset_slug": name}
