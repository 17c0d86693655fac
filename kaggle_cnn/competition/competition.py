"""Competition: what is known of one. Read from and written to data/<name>/competition.toml."""

import re
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from kaggle_cnn.competition.metrics import DEFAULTS, find_metric
from kaggle_cnn.competition.task import KINDS, Task
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import read_toml, write_toml

LAYOUTS = ("folders", "table", "pixels", "names", "arrays")
ROW_LAYOUTS = ("pixels", "arrays")  # whose images are rows of files, as train.csv#17
SUBMISSION_FORMATS = {
    "class_name": "the name of the class",
    "class_id": "the number of the class",
    "probability": "the probability of one class",
    "probability_columns": "a column of probabilities for each class",
    "multi_label": "all labels that apply",
    "top_k": "the most probable classes",
    "long": "a row for each image and class, target or value",
    "target_columns": "a column for each target, with its class",
    "value": "numbers",
}
KEPT = ("same", "near")
SEVERAL = ("", "mean", "stack")
NAMED_COLUMNS = ("probability_columns", "value", "target_columns")  # with a column for each class, value or target
KIND_FORMATS = {"regression": {"value", "long"}, "multioutput": {"target_columns", "long"}}  # of others all the rest
IMAGE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif", ".dcm", ".dicom"),
}


def about(comment: str, default: Any = MISSING) -> Any:
    """Return a field with the comment that competition.toml has for it."""
    return field(default=default, metadata={"comment": comment})


@dataclass(frozen=True)
class Competition:
    """One competition. Paths are relative to `folder`, with forward slashes; an empty string means there is none.

    The comments of the fields are written to competition.toml.
    """

    folder: Path
    name: str = about("the name of the competition here")
    host: str = about('"kaggle" or "local": where the files came from and where submissions go')
    source: str = about('what was fetched: an address on Kaggle, "demo", or a folder or zip')
    layout: str = about(f"how labels are stored: {', '.join(LAYOUTS)}; see docs/layouts.md")
    classes: tuple[str, ...] = about(
        "the classes, labels or grades in order; of a regression the names of the values; of several targets "
        "target=class for each; [] finds them in the labels"
    )
    kind: str = about(f"what is predicted: {', '.join(KINDS)}", "multiclass")
    metric: str = about(
        'by which it is judged: a name from docs/commands.md; "" is the usual one of the kind; of several targets one '
        'for each, with weights: "2*macro_recall macro_recall"',
        "",
    )
    metric_words: str = about("the host's own words for the metric", "")
    train: str = about(
        "the folder with the training images (folders: that whose folders are the classes), or the CSV or array with "
        "the training rows; * is any text in one folder's name",
        "",
    )
    test: str = about("the folder with the test images, or the CSV or array with the test rows", "")
    ignore: tuple[str, ...] = about("folders and files that are left out; * is any text", ())
    labels: str = about("table, pixels, arrays: the CSV or array with the labels", "")
    label_id: str = about("table: its column with the image's id", "")
    label_columns: tuple[str, ...] = about(
        "its column with the label, or a column of 0 and 1 for each class, or a column for each target or value", ()
    )
    new_class: str = about("the class of images whose own class is not trained, as new_whale", "")
    several_images: str = about(
        'where an id has several images, those of a folder or of names that begin with it: "mean", its prediction is '
        'the mean of theirs; "stack", they are the channels of one image',
        "",
    )
    separator: str = about("what stands between several labels in one cell", "")
    label_values: tuple[str, ...] = about(
        "what stands for each class in labels and submission, in the order of classes; [] is its name", ()
    )
    folds: str = about("the file with the folds, below runs/<name>/", "folds.csv")
    group: str = about("table: a column of `labels`; images with the same value there stay in one fold", "")
    keep_together: str = about(
        'which training images stay in one fold: "same", those of the same pixels; "near", near-duplicates too', "same"
    )
    sample: str = about("the sample submission", "")
    id_column: str = about("the submission's column with the id", "id")
    prediction_columns: tuple[str, ...] = about(
        "the submission's columns to fill; probability_columns, value: [] is one for each class", ("label",)
    )
    submission_format: str = about("how those are filled: see docs/commands.md", "class_name")
    class_columns: tuple[str, ...] = about(
        "probability_columns, value, target_columns: the class, value or target of each prediction column; long: that "
        "of each row of an image; [] is the same as prediction_columns",
        (),
    )
    positive: str = about("probability: the class whose probability is asked for", "")
    top_k: int = about("top_k: how many classes", 5)
    solution: str = about("a CSV like the sample with the true labels of test images, for scores at home", "")
    title: str = about("the competition's title", "")
    deadline: str = about("the end of the competition, UTC", "")
    daily_limit: int = about("submissions a day; 0 where that is not known", 0)
    include: str = about("the pattern of the files that were fetched, where not all were", "")

    @property
    def slug(self) -> str:
        """Its name on Kaggle, the end of its address; `name` is that of the folder here."""
        return self.source.rstrip("/").rpartition("/")[2]

    @property
    def task(self) -> Task:
        name = self.metric or usual_metric(self.kind, self.submission_format, self.top_k)
        heads = self.heads
        new = self.classes.index(self.new_class) if self.new_class in self.classes else None
        return Task(self.kind, self.classes, find_metric(name, [count for _, count in heads]), heads, new)

    @property
    def heads(self) -> tuple[tuple[str, int], ...]:
        """The targets of a multioutput task, each with how many of `classes` are its own."""
        if self.kind != "multioutput":
            return ()
        return tuple((name, sum(each.startswith(f"{name}=") for each in self.classes)) for name in self.label_columns)

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
        content = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "folder"}
        if self.submission_format in NAMED_COLUMNS and self.class_columns == self.prediction_columns:
            content["class_columns"] = ()
        whole = self.label_columns if self.kind == "multioutput" else self.classes
        if self.submission_format in NAMED_COLUMNS and self.prediction_columns == whole:
            content["prediction_columns"] = ()
        write_toml(
            self.folder / "competition.toml",
            {key: list(value) if isinstance(value, tuple) else value for key, value in content.items()},
            "What kcnn found out about this competition; yours to correct.",
            {each.name: each.metadata["comment"] for each in fields(self) if each.metadata},
        )

    def with_columns(self) -> "Competition":
        """Return it with the columns that an empty list stands for."""
        if self.submission_format not in NAMED_COLUMNS:
            return self
        columns = self.prediction_columns or (self.label_columns if self.kind == "multioutput" else self.classes)
        return replace(self, prediction_columns=columns, class_columns=self.class_columns or columns)

    def require_sound(self) -> None:
        """Raise KcnnError where fields do not fit together, as they may after they were edited by hand."""
        for each in fields(self):
            wanted = {"str": str, "bool": bool, "int": int, "Path": Path}.get(getattr(each.type, "__name__", ""), tuple)
            expected = f"a {wanted.__name__}".replace("tuple", "list")
            self.require(each.name, isinstance(getattr(self, each.name), wanted), expected)
        self.require("layout", self.layout in LAYOUTS, f"one of {', '.join(LAYOUTS)}")
        self.require("kind", self.kind in KINDS, f"one of {', '.join(KINDS)}")
        formats = ", ".join(SUBMISSION_FORMATS)
        self.require("submission_format", self.submission_format in SUBMISSION_FORMATS, f"one of {formats}")
        least = 1 if self.kind == "regression" else 2
        distinct = not self.classes or len(set(self.classes)) == len(self.classes) >= least
        self.require("classes", distinct, f"at least {least} different names, or []")
        count = len(self.classes)
        self.require("label_values", len(self.label_values) in (0, count), f"empty or a list of {count}")
        filled = len(self.prediction_columns) > 0 or (self.submission_format in NAMED_COLUMNS and not self.classes)
        self.require("prediction_columns", filled, "at least one name")
        alone = self.kind == "multioutput" or not re.search(r"[ *]", self.metric)
        self.require("metric", alone, f"one metric for {self.kind}, without a weight")
        if self.metric and self.kind != "multioutput" and self.kind not in find_metric(self.metric).kinds:
            kinds = " or ".join(find_metric(self.metric).kinds)
            self.require("metric", False, f"a metric for {self.kind} ({self.metric} is for {kinds})")
        self.require_targets()
        if self.submission_format in NAMED_COLUMNS and self.classes:
            named = self.label_columns if self.kind == "multioutput" else self.classes
            fits = len(self.class_columns) == len(self.prediction_columns) and set(self.class_columns) <= set(named)
            self.require("class_columns", fits, "one of classes for each of prediction_columns")
        if self.submission_format == "probability" and self.classes:
            self.require("positive", self.positive in self.classes, "one of the classes")
        known = not self.classes or self.new_class in self.classes
        fine = not self.new_class or (self.kind == "multiclass" and known)
        self.require("new_class", fine, 'one of the classes, of the kind multiclass, or ""')
        self.require("several_images", self.several_images in SEVERAL, 'one of mean, stack, or ""')
        self.require("keep_together", self.keep_together in KEPT, f"one of {', '.join(KEPT)}")
        self.require("top_k", self.top_k > 0, "at least 1")
        if self.submission_format == "long":
            ends = set(self.label_columns if self.kind == "multioutput" else self.classes)
            fits = len(self.class_columns) > 0 and (not self.classes or set(self.class_columns) <= ends)
            self.require("class_columns", fits, "the endings of the row ids, classes, targets or values")

    def require_targets(self) -> None:
        """Raise KcnnError where kind, classes and submission format are not those of the same kind of task."""
        formats = KIND_FORMATS.get(self.kind, set(SUBMISSION_FORMATS) - {"value", "target_columns"})
        fine = self.submission_format in formats
        self.require("submission_format", fine, f"for kind {self.kind} one of {', '.join(sorted(formats))}")
        if self.kind == "multioutput" and self.classes:
            heads = self.heads
            in_order = [name for name, count in heads for _ in range(count)]
            fine = len(heads) > 1 and all(count > 1 for _, count in heads) and len(in_order) == len(self.classes)
            pairs = zip(in_order, self.classes, strict=False)
            fine = fine and all(each.startswith(f"{name}=") for name, each in pairs)
            self.require("classes", fine, "target=class for two classes or more of each of label_columns, in order")
            find_metric(self.metric or DEFAULTS[self.kind], [count for _, count in heads])

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
            competition = cls(folder=folder, **{**content, **lists}).with_columns()
            competition.require_sound()
            return competition
        except TypeError as error:
            raise KcnnError(
                f"{path}: {error}", "correct or remove that field, or remove the file and fetch again"
            ) from None


def usual_metric(kind: str, submission_format: str, top_k: int) -> str:
    """Return the metric of a competition whose host names none, or one that kcnn does not know."""
    if kind in ("regression", "multioutput"):
        return DEFAULTS[kind]
    if submission_format in ("probability", "probability_columns", "long"):
        return "mean_column_log_loss" if kind == "multilabel" else "log_loss"
    return f"map_at_{top_k}" if submission_format == "top_k" else DEFAULTS[kind]
