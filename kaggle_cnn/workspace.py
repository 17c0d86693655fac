"""Where data/, runs/ and submissions/ are, which competition is current."""

import os
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from typing_extensions import TypedDict

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import read_toml, write_toml
from kaggle_cnn.parsing import parse


class Settings(TypedDict, total=False):
    """kcnn.toml."""

    competition: str
    address: str


@dataclass(frozen=True)
class Workspace:
    """The folder the user works in."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> "Workspace":
        """The nearest folder at or above `start` (default: the current one) with a kcnn.toml, else `start` itself.

        Above `start` only a kcnn.toml of this user counts: the recipes of its runs are code, and would be run.
        """
        try:
            start = (start or Path.cwd()).resolve()
        except FileNotFoundError:
            raise KcnnError("the current folder is not there any more", "go to another one: cd FOLDER") from None
        for folder in (start, *start.parents):
            if is_file_of_user(folder / "kcnn.toml", folder == start):
                return cls(folder)
        return cls(start)

    def data(self, competition: str) -> Path:
        return self.root / "data" / competition

    def runs(self, competition: str) -> Path:
        return self.root / "runs" / competition

    def cache(self, competition: str) -> Path:
        """Where decoded images and the like are kept; safe to delete."""
        return self.root / ".kcnn" / "cache" / competition

    def lock(self, competition: str) -> Path:
        """The file that keeps two processes from fetching one competition at once."""
        return self.root / ".kcnn" / "locks" / f"{competition}.lock"

    def submissions(self, competition: str) -> Path:
        return self.root / "submissions" / competition

    def current(self) -> str | None:
        """The current competition's name, or None when none has been fetched."""
        return self.settings.get("competition")

    @property
    def settings(self) -> Settings:
        """What kcnn.toml says: `competition` is the current one, `address` that of a cluster of Ray."""
        path = self.root / "kcnn.toml"
        if not path.is_file():
            return {}
        return parse(Settings, read_toml(path), str(path), "correct it, or remove it and use -c NAME")

    def make_current(self, competition: str | None) -> None:
        settings = {name: value for name, value in self.settings.items() if name != "competition"}
        settings |= {} if competition is None else {"competition": competition}
        write_toml(self.root / "kcnn.toml", settings, "The current competition: what kcnn works on without -c.")

    def fetched(self) -> list[str]:
        """Names of the competitions under data/, sorted."""
        return sorted(path.parent.name for path in self.root.glob("data/*/competition.toml"))


def is_file_of_user(path: Path, or_of_another: bool) -> bool:
    """Return whether a file is there and belongs to the user who runs this, `or_of_another`."""
    try:
        status = path.stat()
    except OSError:
        return False
    own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return S_ISREG(status.st_mode) and (own or or_of_another)
