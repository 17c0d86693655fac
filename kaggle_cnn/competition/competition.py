"""Competition: what is known of one. Read from and written to data/<name>/competition.toml."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from kaggle_cnn.competition.metrics import DEFAULTS, find_metric
from kaggle_cnn.competition.task import KINDS, Task
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import read_toml, write_toml
from kaggle_cnn.workspace import Workspace

LAYOUTS = ("folders", "table", "pixels", "names", "arrays")
ROW_LAYOUTS = ("pixels", "arrays")  # whose images are rows of files, as train.csv#17
SUBMISSION_FORMATS = {
    "class_name": "the name of the class",
    "class_id": "the number of the class",
    "probability": "the probability of one class",
    "probability_columns": "a column of probabilities for each class",
    "multi_label": "all labels that apply",
    "top_k": "the most probable classes",
    "long": "a row for each image and class",
    "value": "numbers",
}
IMAGE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif"),
}


@dataclass(frozen=True)
class Competition:
    """One competition. Paths are relative to `folder`, with forward slashes; an empty string means there is none."""

    folder: Path
    name: str
    host: str  # "kaggle" or "local": where the files came from and where submissions go
    source: str  # what was fetched: the competition's URL, "demo", or a folder or zip, absolute
    layout: str  # how labels are stored: "folders", "table", "pixels", "names" or "arrays"
    classes: tuple[str, ...]  # the classes, labels or grades in order; of a regression the names of the values
    kind: str = "multiclass"  # what is predicted: multiclass, multilabel, ordinal or regression
    metric: str = ""  # by which it is judged, a name of competition/metrics.py; "" takes the usual one
    metric_words: str = ""  # the host's own words for the metric
    train: str = ""  # the folder with the training images; with folders, the one whose subfolders are the classes;
    #                  with pixels or arrays, the CSV or array with the training rows
    test: str = ""  # the folder with the test images; with pixels, the CSV with the test rows
    ignore: tuple[str, ...] = ()  # folders and files that are left out; in these, in train and in test, `*` is any text
    labels: str = ""  # table, pixels: the CSV with the labels
    label_id: str = ""  # table: its column with the image's id
    label_columns: tuple[str, ...] = ()  # its column with the label, or a column of 0 and 1 for each class
    separator: str = ""  # what stands between several labels in one cell
    label_values: tuple[str, ...] = ()  # what stands for each class in labels and submission, where not its name
    folds: str = "folds.csv"  # the file with the folds, below runs/<name>/
    group: str = ""  # table: a column of `labels`; images with the same value there stay in one fold
    sample: str = ""  # the sample submission
    id_column: str = "id"
    prediction_columns: tuple[str, ...] = ("label",)
    submission_format: str = "class_name"  # how those are filled, see SUBMISSION_FORMATS
    class_columns: tuple[str, ...] = ()  # probability_columns, value: the class or value of each prediction column;
    #                                      long: the class of each row of an image
    positive: str = ""  # probability: the class whose probability is asked for
    top_k: int = 5  # top_k: how many classes
    solution: str = ""  # a CSV like the sample with the true labels of test images, for local scoring
    title: str = ""
    deadline: str = ""  # UTC
    daily_limit: int = 0  # submissions a day; 0 where that is not known
    include: str = ""  # the files that were fetched, where not all were

    @property
    def task(self) -> Task:
        usual = usual_metric(self.kind, self.submission_format, self.top_k)
        return Task(self.kind, self.classes, find_metric(self.metric or usual))

    @property
    def notes(self) -> list[str]:
        """What the user should know of it, a sentence each."""
        if self.metric_words and not self.metric:
            return [
                f"kcnn does not know the metric '{self.metric_words}': {self.task.metric.title} stands in; `metric` in "
                f"{self.folder / 'competition.toml'} sets another"
            ]
        return []

    def write(self) -> None:
        content = {key: value for key, value in asdict(self).items() if key != "folder"}
        content = {key: list(value) if isinstance(value, tuple) else value for key, value in content.items()}
        write_toml(
            self.folder / "competition.toml", content, "What kcnn found out about this competition; yours to correct."
        )

    def require_sound(self) -> None:
        """Raise KcnnError where fields do not fit together, as they may after they were edited by hand."""
        for field in fields(self):
            wanted = {"str": str, "bool": bool, "int": int, "Path": Path}.get(
                getattr(field.type, "__name__", ""), tuple
            )
            expected = f"a {wanted.__name__}".replace("tuple", "list")
            self.require(field.name, isinstance(getattr(self, field.name), wanted), expected)
        self.require("layout", self.layout in LAYOUTS, f"one of {', '.join(LAYOUTS)}")
        self.require("kind", self.kind in KINDS, f"one of {', '.join(KINDS)}")
        formats = ", ".join(SUBMISSION_FORMATS)
        self.require("submission_format", self.submission_format in SUBMISSION_FORMATS, f"one of {formats}")
        least = 1 if self.kind == "regression" else 2
        distinct = len(set(self.classes)) == len(self.classes) >= least
        self.require("classes", distinct, f"at least {least} different names")
        count = len(self.classes)
        self.require("label_values", len(self.label_values) in (0, count), f"empty or a list of {count}")
        self.require("prediction_columns", len(self.prediction_columns) > 0, "at least one name")
        if self.metric and self.kind not in find_metric(self.metric).kinds:
            kinds = " or ".join(find_metric(self.metric).kinds)
            self.require("metric", False, f"a metric for {self.kind} ({self.metric} is for {kinds})")
        value = self.submission_format == "value"
        self.require(
            "submission_format", value == (self.kind == "regression"), "value for a regression, and only there"
        )
        if self.submission_format in ("probability_columns", "value"):
            fits = len(self.class_columns) == len(self.prediction_columns) and set(self.class_columns) <= set(
                self.classes
            )
            self.require("class_columns", fits, "one of classes for each of prediction_columns")
        if self.submission_format == "probability":
            self.require("positive", self.positive in self.classes, "one of the classes")
        self.require("top_k", self.top_k > 0, "at least 1")
        if self.submission_format == "long":
            self.require("class_columns", len(self.class_columns) > 0, "the endings of the row ids")

    def require(self, name: str, fine: bool, expected: str) -> None:
        if not fine:
            raise KcnnError(
                f"{self.folder / 'competition.toml'}: {name} should be {expected}, got {getattr(self, name)!r}",
                "fix it by hand, or remove the file and fetch again",
            )

    @classmethod
    def read(cls, folder: Path) -> "Competition":
        """Raise KcnnError where the file is missing, not TOML, or not what `write` wrote."""
        path = folder / "competition.toml"
        if not path.is_file():
            raise KcnnError(f"there is no {path}", f"run kcnn fetch again with what you fetched as {folder.name}")
        content: dict[str, Any] = read_toml(path)
        lists = {key: tuple(map(str, value)) for key, value in content.items() if isinstance(value, list)}
        try:
            competition = cls(folder=folder, **{**content, **lists})
            competition.require_sound()
            return competition
        except TypeError as error:
            raise KcnnError(
                f"{path}: {error}", "correct or remove that field, or remove the file and fetch again"
            ) from None


def usual_metric(kind: str, submission_format: str, top_k: int) -> str:
    """Return the metric of a competition whose host names none, or one that kcnn does not know."""
    if submission_format in ("probability", "probability_columns", "long") and kind != "regression":
        return "mean_column_log_loss" if kind == "multilabel" else "log_loss"
    return f"map_at_{top_k}" if submission_format == "top_k" else DEFAULTS[kind]


def open_competition(workspace: Workspace, name: str | None) -> Competition:
    """Return the competition called `name`, or the current one.

    Raises KcnnError where there is none, or none of that name.
    """
    name = name or workspace.current()
    if name is None:
        raise KcnnError("there is no competition here yet", "kcnn fetch demo, or kcnn fetch PATH for a folder or zip")
    if name not in (fetched := workspace.fetched()):
        known = f"fetched so far: {', '.join(fetched)}" if fetched else "nothing has been fetched yet: kcnn fetch"
        raise KcnnError(f"no competition '{name}' under {workspace.root / 'data'}", known)
    return Competition.read(workspace.data(name))
