"""The run folder: runs/<competition>/<recipe>-001/ with everything needed to use or repeat it.

run.json says what was asked and is never changed; each fold has a folder with its own result.json. Whether a run is
finished, and its scores, are derived from the files.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file
from kaggle_cnn.workspace import Workspace

FORMAT = 2


@dataclass(frozen=True)
class Run:
    """`record` is the content of run.json: format, kind, recipe, set, settings, tta, task, folds, channels ..."""

    folder: Path
    record: dict[str, Any]

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def folds(self) -> list[int]:
        """The folds that it trains."""
        return [int(number) for number in self.record["folds"]["numbers"]]

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.record["settings"])

    @property
    def size(self) -> int:
        """The side of the images that the network was trained on."""
        return int(self.record["settings"]["size"])

    @property
    def stored_size(self) -> int:
        """The side of the images as they are kept: size + margin."""
        return self.size + int(self.record["settings"]["margin"])

    @property
    def fit(self) -> str:
        """How its images become squares, one of recipe.FITS."""
        return str(self.record["settings"].get("fit", "crop"))  # runs of before had no such setting

    @property
    def policy(self) -> str:
        """The TTA policy of its predictions."""
        return str(self.record["tta"])

    @property
    def finished(self) -> bool:
        """Whether all folds are trained and all predictions are on the disk."""
        return all((self.folder / name).is_file() for name in ("oof.npz", "test.npz", "decision.json"))

    @property
    def status(self) -> str:
        return "finished" if self.finished else "training"

    @property
    def seconds(self) -> float:
        """What the training of all folds took so far."""
        return float(sum(self.result(fold).get("seconds", 0.0) for fold in self.folds))

    @property
    def models(self) -> list[Path]:
        """The models of all folds. Raises KcnnError where one is missing."""
        models = [self.fold_folder(fold) / "model.keras" for fold in self.folds]
        for model in models:
            if not model.is_file():
                hint = (
                    "train again" if self.finished else f"kcnn train {self.record['recipe']} --resume goes on with it"
                )
                raise KcnnError(f"run {self.id} has no {model.relative_to(self.folder)}", hint)
        return models

    def fold_folder(self, fold: int) -> Path:
        return self.folder / f"fold-{fold}"

    def result(self, fold: int) -> dict[str, Any]:
        """What result.json says of a fold: status, seconds, best_epoch, epochs; {} before its first epoch."""
        try:
            content = json.loads((self.fold_folder(fold) / "result.json").read_text(encoding="utf-8"))
            return content if isinstance(content, dict) else {}
        except (OSError, ValueError):
            return {}

    def predictions_path(self, part: str, crop: int | None = None) -> Path:
        """Where predictions of `part`, "oof" or "test", are kept: oof.npz, or oof-72.npz for views of another size than
        trained."""
        return self.folder / f"{part}{'' if crop in (None, self.size) else f'-{crop}'}.npz"

    def write_result(self, fold: int, **content: Any) -> None:
        """Write what is known of a fold. Only the process that trains the fold calls this."""
        write_json(self.fold_folder(fold) / "result.json", content)

    def histories(self) -> list[pd.DataFrame]:
        """Each fold's history.csv, a row for each epoch, where there is one."""
        paths = [self.fold_folder(fold) / "history.csv" for fold in self.folds]
        return [pd.read_csv(path) for path in paths if path.is_file()]


def write_json(path: Path, content: dict[str, Any]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def create_run(workspace: Workspace, competition: str, recipe: Path, record: dict[str, Any]) -> Run:
    """Make a new folder, numbered after the last of the same recipe, with the recipe verbatim and run.json."""
    runs = workspace.runs(competition)
    runs.mkdir(parents=True, exist_ok=True)
    numbers = [path.name.removeprefix(f"{recipe.stem}-") for path in runs.glob(f"{recipe.stem}-*")]
    number = max((int(text) for text in numbers if text.isdecimal()), default=0) + 1
    while True:
        folder = runs / f"{recipe.stem}-{number:03d}"
        try:
            folder.mkdir()  # fails where another process has just taken the number
            break
        except FileExistsError:
            number += 1
    shutil.copyfile(recipe, folder / "recipe.py")
    run = Run(folder, {"format": FORMAT, **record})
    write_json(folder / "run.json", run.record)
    return run


def list_runs(workspace: Workspace, competition: str) -> list[Run]:
    """Return all runs, oldest first."""
    runs = [read_run(path.parent) for path in workspace.runs(competition).glob("*/run.json")]
    return sorted(runs, key=lambda run: (run.record["created"], run.id))


def read_run(folder: Path) -> Run:
    """Return the run in `folder`. Raises KcnnError where run.json is broken or of another format."""
    path = folder / "run.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise KcnnError(f"{path} cannot be read: {error}", "remove that run's folder") from None
    found = record.get("format", 1) if isinstance(record, dict) else None
    if found != FORMAT:
        raise KcnnError(
            f"{path} is of format {found}, and this kcnn reads format {FORMAT}: it keeps other predictions",
            f"remove {folder}, and train again",
        )
    return Run(folder, record)


def open_run(workspace: Workspace, competition: str, name: str | None = None) -> Run:
    """Return the run whose id is `name` or begins with it; with none, the newest finished one, or else the newest.

    Raises KcnnError where there is none, or more than one.
    """
    runs = list_runs(workspace, competition)
    if not runs:
        raise KcnnError(f"there is no run of '{competition}' yet", "kcnn train recipes/resnet.py makes one")
    if not name:
        finished = [run for run in runs if run.finished]
        return finished[-1] if finished else runs[-1]
    name = Path(name).name  # a path to the run's folder will do
    exact = [run for run in runs if run.id == name]
    matching = exact or [run for run in runs if run.id.startswith(name)]
    if len(matching) != 1:
        what = f"{len(matching)} runs begin with" if matching else "there is no run"
        ids = [run.id for run in matching or runs]
        raise KcnnError(f"{what} '{name}'", f"there are: {', '.join(ids[-8:])}")
    return matching[0]


def open_runs(workspace: Workspace, competition: Competition, names: list[str] | None = None) -> list[Run]:
    """Return the runs of those names, or the newest. Raises KcnnError where one was trained on other classes."""
    wanted: list[str | None] = [*names] if names else [None]
    runs = [open_run(workspace, competition.name, name) for name in wanted]
    for run in runs:
        if tuple(run.record["task"]["classes"]) != competition.classes:
            raise KcnnError(
                f"run {run.id} was trained on other classes than those in {competition.folder / 'competition.toml'}",
                "put `classes` back there, or train again",
            )
    return runs


def require_same_folds(runs: list[Run]) -> None:
    """Raise KcnnError where runs that are to be joined were trained on different folds files."""
    for run in runs[1:]:
        if run.record["folds"]["digest"] != runs[0].record["folds"]["digest"]:
            raise KcnnError(
                f"{runs[0].id} and {run.id} were trained on different folds ({runs[0].record['folds']['file']} and "
                f"{run.record['folds']['file']}): one would be scored on images that the other has seen",
                "name only runs with the same folds file",
            )


def open_unfinished(workspace: Workspace, competition: str, recipe: str) -> Run:
    """Return the newest run of `recipe` that is not finished. Raises KcnnError where there is none."""
    stopped = [run for run in list_runs(workspace, competition) if run.record["recipe"] == recipe and not run.finished]
    if not stopped:
        raise KcnnError(
            f"'{competition}' has no unfinished run of {recipe} to resume", "leave --resume out to start a new run"
        )
    return stopped[-1]
