"""The run folder: runs/<competition>/<recipe>-001/ with everything needed to use or repeat it. No Keras here."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file
from kaggle_cnn.workspace import Workspace


@dataclass(frozen=True)
class Run:
    """`record` is what stands in run.json: recipe, knobs, folds, classes, channels, versions, status, scores ..."""

    folder: Path
    record: dict

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def finished(self) -> bool:
        return self.record["status"] == "finished"

    @property
    def models(self) -> list[Path]:
        """The models of all folds. Raises KcnnError where one is gone or was never made."""
        models = [self.fold_folder(fold) / "model.keras" for fold in self.record["folds"]]
        for model in models:
            if not model.is_file():
                hint = (
                    "train again" if self.finished else f"kcnn train {self.record['recipe']} --resume goes on with it"
                )
                raise KcnnError(f"run {self.id} has no {model.relative_to(self.folder)}", hint)
        return models

    def histories(self) -> list[pd.DataFrame]:
        """Each fold's history.csv, a row for each epoch, as far as there is one."""
        paths = [self.fold_folder(fold) / "history.csv" for fold in self.record["folds"]]
        return [pd.read_csv(path) for path in paths if path.is_file()]

    def scores(self) -> dict[int, dict[str, float]]:
        """Number of views -> accuracy, macro_f1, log_loss ...; empty before a run is finished."""
        return {int(views): numbers for views, numbers in self.record.get("scores", {}).items()}

    def best_score(self) -> tuple[int | None, dict[str, float]]:
        """The most views that were measured, and their scores; None and {} before a run is finished."""
        return max(self.scores().items(), default=(None, {}))

    def fold_folder(self, fold: int) -> Path:
        return self.folder / f"fold-{fold}"

    def updated(self, **changes) -> "Run":
        """The run with `changes` in its record, written to run.json."""
        run = Run(self.folder, {**self.record, **changes})
        with whole_file(self.folder / "run.json") as temporary:
            temporary.write_text(json.dumps(run.record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return run


def create_run(workspace: Workspace, competition: str, recipe: Path, record: dict) -> Run:
    """A new folder, numbered after the last of the same recipe, with the recipe verbatim and run.json."""
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
    return Run(folder, record).updated(status="training")


def list_runs(workspace: Workspace, competition: str) -> list[Run]:
    """All runs, oldest first."""
    runs = [read_run(path.parent) for path in workspace.runs(competition).glob("*/run.json")]
    return sorted(runs, key=lambda run: (run.record["created"], run.id))


def read_run(folder: Path) -> Run:
    try:
        return Run(folder, json.loads((folder / "run.json").read_text(encoding="utf-8")))
    except (ValueError, OSError) as error:
        raise KcnnError(f"{folder / 'run.json'} cannot be read: {error}", "remove that run's folder") from None


def open_run(workspace: Workspace, competition: str, name: str | None = None) -> Run:
    """The run whose id is `name` or begins with it; with none, the newest finished one, or else the newest.

    Raises KcnnError where there is none, or more than one.
    """
    runs = list_runs(workspace, competition)
    if not runs:
        raise KcnnError(f"there is no run of '{competition}' yet", "kcnn train recipes/baseline.py makes one")
    if name is None:
        return [run for run in runs if run.finished][-1] if any(run.finished for run in runs) else runs[-1]
    name = Path(name).name  # a path to the run's folder will do
    exact = [run for run in runs if run.id == name]
    matching = exact or [run for run in runs if run.id.startswith(name)]
    if len(matching) != 1:
        what = f"{len(matching)} runs begin with" if matching else "there is no run"
        ids = [run.id for run in matching or runs]
        raise KcnnError(f"{what} '{name}'", f"there are: {', '.join(ids[-8:])}")
    return matching[0]


def open_runs(workspace: Workspace, competition: Competition, names: list[str] | None = None) -> list[Run]:
    """The runs of those names, or the newest. Raises KcnnError where one was trained on other classes."""
    runs = [open_run(workspace, competition.name, name) for name in names or [None]]
    for run in runs:
        if tuple(run.record["classes"]) != competition.classes:
            raise KcnnError(
                f"run {run.id} was trained on other classes than those in {competition.folder / 'competition.toml'}",
                "put `classes` back there, or train again",
            )
    return runs


def open_unfinished(workspace: Workspace, competition: str, recipe: str) -> Run:
    """The newest run of `recipe` that was stopped. Raises KcnnError where there is none."""
    stopped = [run for run in list_runs(workspace, competition) if run.record["recipe"] == recipe and not run.finished]
    if not stopped:
        raise KcnnError(
            f"'{competition}' has no unfinished run of {recipe} to go on with", "leave --resume out to begin one"
        )
    return stopped[-1]
