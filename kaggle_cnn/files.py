"""Files and folders that are whole or not there, locks between processes, TOML."""

import os
import shutil
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from kaggle_cnn.errors import KcnnError


def read_toml(path: Path) -> dict[str, Any]:
    """Raise KcnnError where the file is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise KcnnError(f"{path} is not valid TOML: {error}", "fix it by hand, or delete it and fetch again") from None


def write_toml(path: Path, content: dict[str, Any], comment: str, comments: Mapping[str, str] | None = None) -> None:
    """Write `content` below a first line of `comment`, each key below its own of `comments`, with lists in lines of 120
    letters."""
    lines = [f"# {comment}"]
    for key, value in content.items():
        if key in (comments or {}):
            lines += ["", *textwrap.wrap((comments or {})[key], 118, initial_indent="# ", subsequent_indent="# ")]
        lines.append(format_list(key, value) if isinstance(value, list) else tomli_w.dumps({key: value}).strip())
    text = "\n".join(lines) + "\n"
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise KcnnError(
            f"{path.name} cannot hold a name that is not valid Unicode: {text[error.start : error.end]!r}",
            "rename that class, column or file",
        ) from None
    with whole_file(path) as temporary:
        temporary.write_bytes(encoded)


def format_list(key: str, values: list[Any]) -> str:
    """Return a list as TOML: in one line, or where that is too long, in several full ones."""
    items = [tomli_w.dumps({"x": value}).strip().removeprefix("x = ") for value in values]
    line = f"{key} = [{', '.join(items)}]"
    if len(line) <= 120:
        return line
    rows = [""]
    for item in items:
        if len(rows[-1]) + len(item) > 114:
            rows.append("")
        rows[-1] += f" {item},"
    return "\n".join([f"{key} = [", *(f" {row}" for row in rows), "]"])


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block ends well, remove it when it does not.

    The content is synced to the disk before the rename and the folder after it: a power cut leaves the old file or
    the new one, whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays: some writers (Keras, NumPy) choose the format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Do the same for a folder that does not exist yet: give an empty temporary one, renamed when the block ends well.

    What an earlier, killed attempt at the same folder left behind is removed first.
    """
    temporary = path.with_name(f".{path.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for each in sorted(temporary.rglob("*"), reverse=True):
            if not each.is_symlink():
                sync(each)
        sync(temporary)
        temporary.rename(path)
        sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk; where the system has no such call, do not."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # Windows opens no folders; a file may be unreadable for its owner
        return
    try:
        os.fsync(descriptor)
    except OSError:  # some network disks refuse to sync a folder
        pass
    finally:
        os.close(descriptor)


class LockedError(KcnnError):
    """Another process is at work on the same file or folder."""


@contextmanager
def one_at_a_time(path: Path, lock_file: Path | None = None, wait: float = 0) -> Iterator[None]:
    """Keep a second process from working on the same `path` meanwhile. A process that is killed lets go.

    The lock is `lock_file`, else the file `.NAME.lock` beside `path`. It stays: to remove it would free a lock that
    another process holds. Raises LockedError where another process is at work, after `wait` seconds.
    """
    from filelock import FileLock, Timeout  # 20 ms, and not every command locks

    lock_file = lock_file or path.with_name(f".{path.name}.lock")
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_file, timeout=wait)
    try:
        lock.acquire()
    except Timeout:
        raise LockedError(f"another kcnn is at work on {path}", "wait until it ends") from None
    try:
        yield
    finally:
        lock.release()
