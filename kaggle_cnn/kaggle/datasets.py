"""A data set on Kaggle: describe, files, download, as competitions.py does it for a competition.

Every function takes a Connection and a slug, OWNER/NAME, and raises KcnnError where Kaggle refuses.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.kaggle.client import Connection, call, explain_error, status_of
from kaggle_cnn.kaggle.competitions import RemoteFile, pages
from kaggle_cnn.kaggle.download import download as download_to
from kaggle_cnn.kaggle.errors import dataset_url
from kaggle_cnn.progress import Progress


def describe(connection: Connection, slug: str) -> dict[str, Any]:
    """Return its title; {} if Kaggle has none."""
    with contextlib.suppress(requests.RequestException):
        entry = call(connection, "get_dataset", patient=False, service="dataset", **split(slug))
        return {"title": entry.title or ""}
    return {}


def files(connection: Connection, slug: str) -> list[RemoteFile]:
    """Return every file of the data set."""
    with explain_refusal(connection, slug, f"listing the files of '{slug}'"):
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

    with explain_refusal(connection, slug, f"downloading {file or f'the data of {slug!r}'}"):
        return download_to(begin, connection.storage, target, progress)


def split(slug: str) -> dict[str, str]:
    """Return OWNER/NAME as the API's two fields."""
    owner, _, name = slug.partition("/")
    return {"owner_slug": owner, "dataset_slug": name}


@contextlib.contextmanager
def explain_refusal(connection: Connection, slug: str, doing: str) -> Iterator[None]:
    """Raise KcnnError in place of what `requests` raises. `doing` says what failed."""
    try:
        yield
    except requests.RequestException as error:
        status, response = status_of(error), error.response
        # The file storage uses the same statuses, and they mean something else there.
        if response is not None and status in (403, 404) and "DatasetApiService" in response.url:
            raise KcnnError(
                f"Kaggle has no data set '{slug}', or you have no access to it ({status})",
                f"check the address: {dataset_url(slug)}",
            ) from None
        raise explain_error(error, doing, connection) from None
