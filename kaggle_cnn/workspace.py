"""Where data/, runs/ and submissions/ are, which competition is current."""

from dataclasses import dataclass
from pathlib import Path

from kaggle_cnn.files import read_toml, write_toml


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
        return read_toml(self.root / "kcnn.toml").get("competition") if (self.root / "kcnn.toml").is_file() else None

    def make_current(self, competition: str | None) -> None:
        settings = {} if competition is None else {"competition": competition}
        write_toml(self.root / "kcnn.toml", settings, "The current competition: what kcnn works on without -c.")

    def fetched(self) -> list[str]:
        """Names of the competitions under data/, sorted."""
        return sorted(path.parent.name for path in self.root.glob("data/*/competition.toml"))
