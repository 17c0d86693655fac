"""The weights of backbones on this disk: in kcnn's own cache, where Keras keeps them, attached to a Kaggle notebook; or
downloaded."""

import hashlib
import os
import re
from functools import partial
from pathlib import Path

import requests

from kaggle_cnn.backbones.catalogue import Backbone
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.kaggle.client import reason
from kaggle_cnn.kaggle.download import Expected, download
from kaggle_cnn.kaggle.transport import BoundedAdapter
from kaggle_cnn.progress import Progress

STORAGE = "https://storage.googleapis.com"
KAGGLE_INPUT = Path("/kaggle/input")  # where a Kaggle notebook has what is attached to it
OFFLINE = "KCNN_OFFLINE"  # an environment variable: 1 forbids downloads
OTHERWISE = "a file that you have: --set weights=PATH; without pretrained weights: --set weights=none --set frozen=0"


def cache_folder() -> Path:
    """Return where kcnn keeps weights, for all workspaces: KCNN_CACHE, else the user's cache."""
    own = os.environ.get("KCNN_CACHE")
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kcnn"
    return (Path(own) if own else users) / "backbones"


def find_weights(backbone: Backbone) -> Path | None:
    """Return the file with the weights of a backbone on this disk, or None. What is in it is not checked."""
    keras_home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    for path in (cache_folder() / backbone.file, keras_home / "models" / backbone.file):
        if path.is_file():
            return path
    return next((path for path in sorted(KAGGLE_INPUT.rglob(backbone.file)) if path.is_file()), None)


def get_weights(backbone: Backbone, progress: Progress) -> Path:
    """Return the file with the weights of a backbone, downloaded where it is not here; its hash is compared.

    A broken download continues where it stopped, also in the next run. Raises KcnnError where the weights cannot be
    had, or are damaged.
    """
    path = find_weights(backbone)
    new = path is None
    path = download_weights(backbone, progress) if path is None else path
    if backbone.hash and hash_of(path, backbone.hash) != backbone.hash:
        if new:
            path.unlink()
        raise KcnnError(
            f"{path} is damaged: expected the hash {backbone.hash[:12]}..., got another one",
            "run it again to download it again" if new else "remove it, and run it again to download it",
        )
    return path


def download_weights(backbone: Backbone, progress: Progress) -> Path:
    """Download the weights of a backbone into the cache. Raises KcnnError where that cannot be done."""
    mirror = os.environ.get("KCNN_WEIGHTS_URL") or STORAGE
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", mirror):
        raise KcnnError(f"KCNN_WEIGHTS_URL should be an address, got '{mirror}'", f"for example {STORAGE}")
    url = backbone.url.replace(STORAGE, mirror.rstrip("/"))
    if os.environ.get(OFFLINE) == "1":
        raise KcnnError(
            f"the weights of {backbone.name} are not on this disk, and nothing is downloaded offline",
            f"put {backbone.file} into {cache_folder()}, or attach it to the notebook; or {OTHERWISE}",
        )
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, BoundedAdapter())
    target = cache_folder() / backbone.file
    most = round(1.2 * backbone.parameters * 4) + 2**24
    expected = Expected(backbone.file, most=most, host=url.split("/")[2])
    try:
        progress.say(f"{backbone.name}: about {backbone.megabytes:,.0f} MB, licence {backbone.licence}, from {url}")
        download(partial(begin, session, url), session, target, expected, progress)
    except requests.RequestException as error:
        raise KcnnError(
            f"the weights of {backbone.name} cannot be downloaded: {reason(error, expected.host)}",
            f"run it again; or {OTHERWISE}",
        ) from None
    except ValueError as error:  # a redirect to what is no address
        raise KcnnError(f"the weights of {backbone.name} cannot be downloaded: {error}", OTHERWISE) from None
    return target


def begin(session: requests.Session, url: str) -> requests.Response:
    """Open a file. Raises HTTPError for a status that is not one of success."""
    response = session.get(url, headers={"Accept-Encoding": "identity"}, stream=True)
    response.raise_for_status()
    return response


def hash_of(path: Path, like: str) -> str:
    """Return the hash of a file in hexadecimal digits, of the kind of `like`: MD5 has 32, SHA-256 64."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256" if len(like) == 64 else "md5").hexdigest()
