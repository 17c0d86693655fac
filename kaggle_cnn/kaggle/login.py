"""Sign in to Kaggle: use the credential that the `kaggle` package finds, and explain what is wrong with it.

Importing `kaggle` signs in, prints help, closes standard input and may wait without end (2.2.4 and 2.2.5). All of it
happens in `connect` and nowhere else.
"""

import base64
import contextlib
import importlib
import io
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.kaggle.client import SETTINGS_URL, Connection, explain_error, unreadable
from kaggle_cnn.kaggle.transport import BoundedAdapter, response_seconds, send_bounded
from kaggle_cnn.progress import Progress


def connect(progress: Progress) -> Connection:
    """Sign in with the credential that the client finds. `progress` shows every pause of later calls.

    Raises KcnnError where there is no credential, where Kaggle does not accept it, or where two conflict.
    """
    response_seconds()
    with contain_sign_in():
        try:
            api = importlib.import_module("kaggle").api
        except (OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            # While it is imported, it makes its folder and reads its files.
            raise KcnnError(
                f"the kaggle client cannot start: {error}", "set KAGGLE_CONFIG_DIR to another folder for its settings"
            ) from None
        environment = importlib.import_module("kagglesdk.kaggle_env")
        try:
            token, token_source = environment.get_access_token_from_env()
            if not api._authenticated:
                sign_in(api, token, token_source)
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            raise KcnnError(
                f"the credential of Kaggle cannot be read: {type(error).__name__}",
                f"create a new token on {SETTINGS_URL} (Generate New Token), and save it as ~/.kaggle/access_token",
            ) from None
        values = dict(api.config_values)
        client = api.build_kaggle_client()
    method = str(values.get("auth_method"))
    if method == "LEGACY_API_KEY" and token:
        raise KcnnError(
            f"{describe_token(token_source)} is expired or mistyped, but the kaggle client would still use it "
            f"in place of {describe_legacy(api)}",
            f"remove that token, or replace it with a new one from {SETTINGS_URL}",
        )
    client.http_client()._init_session()
    client.http_client()._session.headers["Accept-Encoding"] = "identity"  # sizes and ranges are of the file itself
    for session in (client.http_client()._session, storage := requests.Session()):
        session.mount("https://", BoundedAdapter())
        session.mount("http://", BoundedAdapter())
    sources = {
        "ACCESS_TOKEN": lambda: describe_token(token_source),
        "OAUTH": lambda: "the login in ~/.kaggle/credentials.json",
        "LEGACY_API_KEY": lambda: "KAGGLE_TOKEN" if values.get("token") else describe_legacy(api),
    }
    credential = f"{sources[method]()}, user {values.get('username') or 'unknown'}"
    basic = base64.b64encode(f"{values.get('username')}:{values.get('key')}".encode(errors="replace")).decode()
    secrets = tuple(text for text in (token, values.get("token"), values.get("key"), basic) if text)
    clients = {
        "competition": client.competitions.competition_api_client,
        "dataset": client.datasets.dataset_api_client,
    }
    return Connection(clients, storage, credential, secrets, progress)


@contextlib.contextmanager
def contain_sign_in() -> Iterator[None]:
    """Keep standard output clean and standard input open while `kaggle` signs in, and limit the time of requests."""
    kept_input, kept_send = sys.stdin, HTTPAdapter.send

    def send(adapter: HTTPAdapter, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        return send_bounded(partial(kept_send, adapter), request, **options)

    sys.stdin = io.StringIO()
    HTTPAdapter.send = send  # type: ignore[assignment, method-assign]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        sys.stdin = kept_input
        HTTPAdapter.send = kept_send  # type: ignore[method-assign]


def sign_in(api: Any, token: str | None, token_source: str | None) -> None:
    """Try again to sign in after the import could not. Raise KcnnError with the reason where it fails."""
    try:
        api.authenticate()
    except SystemExit:
        if token:
            raise KcnnError(
                f"Kaggle does not know {describe_token(token_source)}: it is expired or mistyped",
                f"create a new one on {SETTINGS_URL} and replace the old one",
            ) from None
        raise KcnnError(
            f"no Kaggle credential was found: not in KAGGLE_API_TOKEN, ~/.kaggle/access_token or {api.config}",
            f"create a token on {SETTINGS_URL} (Generate New Token), and save it as ~/.kaggle/access_token",
        ) from None
    except requests.RequestException as error:
        raise explain_error(error, f"signing in with {describe_token(token_source)}") from None
    except (ValueError, TypeError) as error:
        if not token:
            raise KcnnError(
                f"expected a user name and a key in {api.config}, found something else",
                f"create a new one on {SETTINGS_URL}",
            ) from None
        raise explain_error(unreadable(error), f"signing in with {describe_token(token_source)}") from None


def describe_token(source: str | None) -> str:
    """Return where a token is stored. `source` is the SDK's name for the place."""
    if source == "KAGGLE_API_TOKEN" and Path(os.environ[source]).exists():
        return "the token in the file that KAGGLE_API_TOKEN names"
    places = {"access_token": "the token in ~/.kaggle/access_token", None: "the login in ~/.kaggle/credentials.json"}
    return places.get(source, f"the token in {source}")


def describe_legacy(api: Any) -> str:
    """Return where user name and key are stored. The client takes each from the environment, or else from its file."""
    user, key = (name in os.environ for name in ("KAGGLE_USERNAME", "KAGGLE_KEY"))
    if user and key:
        return "KAGGLE_USERNAME and KAGGLE_KEY"
    if user or key:
        variable, rest = ("KAGGLE_USERNAME", "key") if user else ("KAGGLE_KEY", "user name")
        return f"{variable} with the {rest} of {api.config}"
    return str(api.config)
