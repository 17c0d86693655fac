"""An exception that nobody foresaw: a report of it in a file, for whoever is asked for help."""

import base64
import json
import os
import platform
import shlex
import sys
import tempfile
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kaggle_cnn.workspace import Workspace

PACKAGES = ("kcnn", "keras", "tensorflow", "jax", "torch", "numpy", "pandas", "pillow", "matplotlib", "kaggle")


def write_report(error: BaseException) -> Path | None:
    """Write versions, the command and the traceback, without secrets; return the path of the file.

    It is below .kcnn/ of the workspace, or in the system's folder for temporary files; None where it cannot be written.
    """
    name = f"report-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    text = hide_secrets(describe(error))
    places = [Path(tempfile.gettempdir())]
    with suppress(OSError):
        places.insert(0, Workspace.find().root / ".kcnn" / "reports")
    for place in places:
        with suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            path = place / name
            path.write_text(text, encoding="utf-8", errors="replace")
            return path
    return None


def describe(error: BaseException) -> str:
    """Return what the report says."""
    versions = []
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions.append(f"{package} {version(package)}")
    lines = [
        f"command: {shlex.join(['kcnn', *sys.argv[1:]])}",
        f"python {platform.python_version()} on {platform.platform()}",
        ", ".join(versions),
        "",
        *traceback.format_exception(error),
    ]
    return "\n".join(lines)


def hide_secrets(text: str) -> str:
    """Return `text` with *** in place of every credential of Kaggle that this computer has."""
    for secret in sorted(find_secrets(), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def find_secrets() -> set[str]:
    """Return the tokens and keys in the environment and in the files of the kaggle client."""
    found = {value for name, value in os.environ.items() if name.startswith("KAGGLE_") and is_secret(name)}
    folder = Path(os.environ.get("KAGGLE_CONFIG_DIR") or Path.home() / ".kaggle")
    pairs = [(os.environ.get("KAGGLE_USERNAME"), os.environ.get("KAGGLE_KEY"))]
    with suppress(OSError, ValueError):
        found.add((folder / "access_token").read_text(encoding="utf-8").strip())
    for name in ("kaggle.json", "credentials.json"):
        with suppress(OSError, ValueError, AttributeError, RecursionError):
            content = json.loads((folder / name).read_text(encoding="utf-8"))
            found |= {value for key, value in content.items() if is_secret(key) and isinstance(value, str)}
            pairs.append((content.get("username"), content.get("key")))
    found |= {
        base64.b64encode(f"{user}:{key}".encode(errors="replace")).decode() for user, key in pairs if user and key
    }
    return {secret for secret in found if len(secret) > 3}


def is_secret(name: str) -> bool:
    return any(word in name.lower() for word in ("key", "token", "secret"))
