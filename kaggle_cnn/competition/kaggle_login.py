"""Signing in: the credential that the `kaggle` package finds, and what is wrong with it in words.

Importing `kaggle` authenticates, prints help, closes standard input and may wait for ever (2.2.4 and 2.2.5): all of it
happens in `connect` and nowhere else.
"""

import base64
import contextlib
import importlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter

from kaggle_cnn.competition.kaggle_client import (
    CONNECT_SECONDS,
    SETTINGS_URL,
    Bounded,
    Connection,
    answer_seconds,
    in_words,
    unreadable,
)
from kaggle_cnn.errors import KcnnError


def connect(say: Callable[[str], None]) -> Connection:
    """Signs in with whatever credential the client knows; `say(text)` is told of every pause.

    Raises KcnnError where there is no credential, or one that Kaggle does not take, or two that conflict.
    """
    answer_seconds()
    with contained():
        try:
            api = importlib.import_module("kaggle").api
        except (OSError, ValueError, TypeError) as error:
            # It makes its folder, and reads its files, while it is imported.
            raise KcnnError(
                f"the kaggle client cannot start: {error}", "KAGGLE_CONFIG_DIR names another folder for its settings"
            ) from None
        environment = importlib.import_module("kagglesdk.kaggle_env")
        token, token_source = environment.get_access_token_from_env()
        if not api._authenticated:
            sign_in(api, token, token_source)
        values = dict(api.config_values)
        client = api.build_kaggle_client()
    method = values.get("auth_method")
    if method == "LEGACY_API_KEY" and token:
        raise KcnnError(
            f"{describe_token(token_source)} is stale or mistyped, and the kaggle client would use it all the same, "
            f"in place of {describe_legacy(api)}",
            f"remove that token, or put a new one in its place: {SETTINGS_URL}",
        )
    client.http_client()._init_session()
    client.http_client()._session.headers["Accept-Encoding"] = "identity"  # sizes and ranges are of the file itself
    for session in (client.http_client()._session, storage := requests.Session()):
        session.mount("https://", Bounded())
        session.mount("http://", Bounded())
    sources = {
        "ACCESS_TOKEN": lambda: describe_token(token_source),
        "OAUTH": lambda: "the login in ~/.kaggle/credentials.json",
        "LEGACY_API_KEY": lambda: "KAGGLE_TOKEN" if values.get("token") else describe_legacy(api),
    }
    credential = f"{sources[method]()}, user {values.get('username') or 'unknown'}"
    basic = base64.b64encode(f"{values.get('username')}:{values.get('key')}".encode()).decode()
    secrets = tuple(text for text in (token, values.get("token"), values.get("key"), basic) if text)
    return Connection(client.competitions.competition_api_client, storage, credential, secrets, say)


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """While `kaggle` authenticates: no help on standard output, standard input stays open, every request is bounded."""
    kept_input, kept_send = sys.stdin, HTTPAdapter.send
    sys.stdin = io.StringIO()
    HTTPAdapter.send = lambda adapter, request, **options: kept_send(
        adapter, request, **{**options, "timeout": (CONNECT_SECONDS, answer_seconds())}
    )
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        sys.stdin, HTTPAdapter.send = kept_input, kept_send


def sign_in(api, token: str | None, token_source: str | None) -> None:
    """Tries again what the import tried, this time to see why it failed."""
    try:
        api.authenticate()
    except SystemExit:
        if token:
            raise KcnnError(
                f"Kaggle does not know {describe_token(token_source)}: it is stale or mistyped",
                f"make a new one on {SETTINGS_URL} and put it in its place",
            ) from None
        raise KcnnError(
            f"no Kaggle credential was found: not in KAGGLE_API_TOKEN, ~/.kaggle/access_token or {api.config}",
            f"make a token on {SETTINGS_URL} (Generate New Token), and save it as ~/.kaggle/access_token",
        ) from None
    except requests.RequestException as error:
        raise in_words(error, f"signing in with {describe_token(token_source)}") from None
    except (ValueError, TypeError) as error:
        if not token:
            raise KcnnError(
                f"{api.config} does not hold a user name and a key", f"make it anew: {SETTINGS_URL}"
            ) from None
        raise in_words(unreadable(error), f"signing in with {describe_token(token_source)}") from None


def describe_token(source: str | None) -> str:
    """Where a token lies: `source` as the SDK names it."""
    if source == "KAGGLE_API_TOKEN" and Path(os.environ[source]).exists():
        return "the token file that KAGGLE_API_TOKEN names"
    places = {"access_token": "the token in ~/.kaggle/access_token", None: "the login in ~/.kaggle/credentials.json"}
    return places.get(source, f"the token in {source}")


def describe_legacy(api) -> str:
    """Where user name and key lie; the client takes each from the environment, or else from its file."""
    user, key = (name in os.environ for name in ("KAGGLE_USERNAME", "KAGGLE_KEY"))
    if user and key:
        return "KAGGLE_USERNAME and KAGGLE_KEY"
    if user or key:
        there, here = ("KAGGLE_USERNAME", "key") if user else ("KAGGLE_KEY", "user name")
        return f"{there} with the {here} of {api.config}"
    return str(api.config)
