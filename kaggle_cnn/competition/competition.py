"""Competition: what is known of a task. Read from and written to data/<name>/competition.toml."""

from dataclasses import asdict, dataclass
from pathlib import Path

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace, read_toml, write_toml

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


@dataclass(frozen=True)
class Competition:
    """One task. Paths inside are relative to `folder`, with forward slashes; an empty string means there is none."""

    folder: Path
    name: str
    host: str  # "kaggle" or "local": where the files came from and where submissions go
    source: str  # what was fetched: the competition's URL, "demo", or a folder or zip, absolute
    layout: str  # how labels are carried: "folders", "table", "pixels" or "names"
    classes: tuple[str, ...]
    train: str = ""  # the folder with the training images; with folders, that whose subfolders are the classes;
    #                  with pixels, the CSV with the training rows
    test: str = ""  # the folder with the test images; with pixels, the CSV with the test rows
    labels: str = ""  # table, pixels: the CSV with the labels
    label_id: str = ""  # table: its column with the image's id
    label_columns: tuple[str, ...] = ()  # its column with the label, or a column of 0 and 1 for each class
    separator: str = ""  # what stands between several labels in one cell
    multi_label: bool = False  # an image may have several classes, or none
    codes: tuple[str, ...] = ()  # what stands for each class in labels and submission, where it is not its name
    sample: str = ""  # the sample submission
    id_column: str = "id"
    answer_columns: tuple[str, ...] = ("label",)
    answer: str = "name"  # how those are filled: name, index, probabilities, score, labels, ranked or rows
    class_columns: tuple[str, ...] = ()  # probabilities, rows: the class of each answer column or row of an image
    positive: str = ""  # score: the class whose probability is asked for
    top: int = 5  # ranked: how many classes
    answers: str = ""  # a CSV like the sample with the true labels, for local scoring
    metric: str = "accuracy"
    title: str = ""
    deadline: str = ""  # UTC
    daily_limit: int = 0  # submissions a day; 0 where that is not known
    only: str = ""  # the files that were fetched, where not all were

    def write(self) -> None:
        content = {key: value for key, value in asdict(self).items() if key != "folder"}
        content = {key: list(value) if isinstance(value, tuple) else value for key, value in content.items()}
        write_toml(
            self.folder / "competition.toml", content, "What kcnn guessed of this competition; yours to correct."
        )

    @classmethod
    def read(cls, folder: Path) -> "Competition":
        """Raises KcnnError where the file is missing, not TOML, or not what `write` wrote."""
        path = folder / "competition.toml"
        if not path.is_file():
            raise KcnnError(f"there is no {path}", f"fetch it again: kcnn fetch (what you gave for {folder.name})")
        content = read_toml(path)
        lists = {key: tuple(value) for key, value in content.items() if isinstance(value, list)}
        try:
            return cls(folder=folder, **{**content, **lists})
        except TypeError as error:
            raise KcnnError(f"{path}: {error}", "compare it with one that `kcnn fetch demo` writes") from None


def open_competition(workspace: Workspace, name: str | None) -> Competition:
    """The competition called `name`, or the current one.

    Raises KcnnError where there is none, or none of that name.
    """
    name = name or workspace.current()
    if name is None:
        raise KcnnError("there is no competition here yet", "kcnn fetch demo, or kcnn fetch PATH for a folder or zip")
    if name not in (fetched := workspace.fetched()):
        known = f"fetched so far: {', '.join(fetched)}" if fetched else "nothing has been fetched yet: kcnn fetch"
        raise KcnnError(f"no competition '{name}' under {workspace.root / 'data'}", known)
    return Competition.read(workspace.data(name))
