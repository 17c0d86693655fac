"""Where data/, runs/ and submissions/ are, which competition is current, and how files are written whole."""

import os
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from kaggle_cnn.errors import KcnnError


@dataclass(frozen=True)
class Workspace:
    """The folder the user works in."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> "Workspace":
        """The nearest folder at or above `start` (default: the current one) with a kcnn.toml, else `start` itself."""
        start = (start or Path.cwd()).resolve()
        for folder in (start, *start.parents):
            if (folder / "kcnn.toml").is_file():
                return cls(folder)
        return cls(start)

    def data(self, competition: str) -> Path:
        return self.root / "data" / competition

    def runs(self, competition: str) -> Path:
        return self.root / "runs" / competition

    def submissions(self, competition: str) -> Path:
        return self.root / "submissions" / competition

    def current(self) -> str | None:
        """The current competition's name, or None when none has been fetched."""
        return read_toml(self.root / "kcnn.toml").get("competition") if (self.root / "kcnn.toml").is_file() else None

    def make_current(self, competition: str | None) -> None:
        settings = {} if competition is None else {"competition": competition}
        write_toml(self.root / "kcnn.toml", settings, "The current competition: what kcnn works on without -c.")

    def fetched(self) -> list[str]:
        """Names of the competitions under data/, sorted."""
        return sorted(path.parent.name for path in self.root.glob("data/*/competition.toml"))


def read_toml(path: Path) -> dict:
    """Raises KcnnError where the file is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KcnnError(f"{path} is not valid TOML: {error}", "mend it by hand, or delete it and fetch again") from None


def write_toml(path: Path, content: dict, comment: str) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(f"# {comment}\n{tomli_w.dumps(content)}", encoding="utf-8")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; renamed to `path` when the block ends well, removed when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays: some writers (Keras, NumPy) choose the format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """The same for a folder, which must not exist yet: an empty temporary one, renamed when the block ends well.

    What an earlier, killed attempt at the same folder left behind is removed first.
    """
    temporary = path.with_name(f".{path.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Keeps a second process from working on the same `path` meanwhile; where locks are not to be had, lets it.

    Raises KcnnError where another process is at it. A process that is killed lets go.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    lock = path.with_name(f".{path.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise KcnnError(f"another kcnn is at work on {path}", "let it end first") from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
