"""Competition: what is known of a task. Read from and written to data/<name>/competition.toml."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import read_toml, write_toml
from kaggle_cnn.workspace import Workspace

LAYOUTS = ("folders", "table", "pixels", "names")
ANSWERS = {
    "name": "the class's name",
    "index": "the class's number",
    "probabilities": "a probability for each class",
    "score": "one probability",
    "labels": "all labels that apply",
    "ranked": "the most probable classes",
    "rows": "a row for each image and class",
}
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

    def require_sound(self) -> None:
        """Raises KcnnError where fields do not fit together, as they may after they were corrected by hand."""
        kinds = {field.name: field.type for field in fields(self)}
        for name, kind in kinds.items():
            wanted = {"str": str, "bool": bool, "int": int, "Path": Path}.get(getattr(kind, "__name__", ""), tuple)
            self.require(name, isinstance(getattr(self, name), wanted), f"a {wanted.__name__}".replace("tuple", "list"))
        self.require("layout", self.layout in LAYOUTS, f"one of {', '.join(LAYOUTS)}")
        self.require("answer", self.answer in ANSWERS, f"one of {', '.join(ANSWERS)}")
        self.require("classes", len(set(self.classes)) == len(self.classes) >= 2, "at least two names, each once")
        self.require("codes", len(self.codes) in (0, len(self.classes)), f"empty or {len(self.classes)} long")
        self.require("answer_columns", len(self.answer_columns) > 0, "at least one name")
        if self.answer == "probabilities":
            self.require("class_columns", len(self.class_columns) == len(self.answer_columns), "as answer_columns")
            self.require("class_columns", set(self.class_columns) <= set(self.classes), "a class for each column")
        if self.answer == "score":
            self.require("positive", self.positive in self.classes, "one of the classes")
        if self.answer == "rows":
            self.require("class_columns", len(self.class_columns) > 0, "what the ids of rows end in")

    def require(self, name: str, fine: bool, expected: str) -> None:
        if not fine:
            raise KcnnError(
                f"{self.folder / 'competition.toml'}: {name} should be {expected}, got {getattr(self, name)!r}",
                "mend it by hand, or remove the file and fetch again",
            )

    @classmethod
    def read(cls, folder: Path) -> "Competition":
        """Raises KcnnError where the file is missing, not TOML, or not what `write` wrote."""
        path = folder / "competition.toml"
        if not path.is_file():
            raise KcnnError(f"there is no {path}", f"fetch it again: kcnn fetch (what you gave for {folder.name})")
        content = read_toml(path)
        lists = {key: tuple(map(str, value)) for key, value in content.items() if isinstance(value, list)}
        try:
            competition = cls(folder=folder, **{**content, **lists})
            competition.require_sound()
            return competition
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
