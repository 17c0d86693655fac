"""The run folder: runs/<competition>/<recipe>-001/ with everything needed to use or repeat it.

run.json says what was asked and is never changed; each fold has a folder with its own result.json. Whether a run is
finished, and its scores, are derived from the files.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from typing import Any

import pandas as pd

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import LockedError, one_at_a_time, whole_file, whole_folder
from kaggle_cnn.parsing import read_json
from kaggle_cnn.runs.record import FORMAT, Record, Result, Searched, read_record, read_result
from kaggle_cnn.workspace import Workspace

SEARCHED = "tta.json"
LONGEST_WAIT = 600  # seconds, for another process that makes a run of the same name


@dataclass(frozen=True)
class Run:
    """`record` is the content of run.json. Of a run with several seeds, the folders of the folds are those of `seed`,
    counted from 0."""

    folder: Path
    record: Record
    seed: int = 0

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def folds(self) -> list[int]:
        """The folds that it trains."""
        return [int(number) for number in self.record["folds"]["numbers"]]

    @property
    def seeds(self) -> int:
        """How many models each fold has."""
        return int(self.record.get("seeds", 1))

    @property
    def by_seed(self) -> list["Run"]:
        """The run with the folders of each seed."""
        return [replace(self, seed=number) for number in range(self.seeds)]

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
        """The TTA policy of its predictions: the recipe's, or the weights that `kcnn tta --search` found and kept."""
        path = self.folder / SEARCHED
        return read_json(Searched, path, f"remove {path}")["policy"] if path.is_file() else self.record["tta"]

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
        return float(sum(own.result(fold).get("seconds", 0.0) for own in self.by_seed for fold in self.folds))

    @property
    def has_network(self) -> bool:
        """Whether there are models that predict views of images: not of a blend, or of columns beside the images."""
        return self.record["kind"] not in ("tabular", "blend")

    @property
    def models(self) -> list[Path]:
        """The models of all folds, of its seed. Raises KcnnError where one is missing."""
        if not self.has_network:
            blended = self.record["kind"] == "blend"
            what = "it is a blend of other runs" if blended else "it is on the columns beside the images"
            hint = "name one of its members, or blend again" if blended else "name another run for this"
            raise KcnnError(f"run {self.id} has no network: {what}", hint)
        models = [self.fold_folder(fold) / "model.keras" for fold in self.folds]
        for model in models:
            if not model.is_file():
                hint = (
                    "train again" if self.finished else f"kcnn train {self.record['recipe']} --resume goes on with it"
                )
                raise KcnnError(f"run {self.id} has no {model.relative_to(self.folder)}", hint)
        return models

    def fold_folder(self, fold: int) -> Path:
        return self.folder / f"fold-{fold}{f'-seed-{self.seed}' if self.seed else ''}"

    def result(self, fold: int) -> Result:
        """What result.json says of a fold; {} before its first epoch."""
        return read_result(self.fold_folder(fold) / "result.json")

    def predictions_path(self, part: str, crop: int | None = None) -> Path:
        """Where predictions of `part`, "oof" or "test", are kept: oof.npz, or oof-72.npz for views of another size than
        trained."""
        alike = crop in (None, self.size) or not self.has_network
        return self.folder / f"{part}{'' if alike else f'-{crop}'}.npz"

    def write_result(self, fold: int, **content: Any) -> None:
        """Write what is known of a fold. Only the process that trains the fold calls this."""
        write_json(self.fold_folder(fold) / "result.json", content)

    def histories(self) -> list[pd.DataFrame]:
        """Each fold's history.csv, a row of numbers for each epoch, where there is one that can be read."""
        paths = [own.fold_folder(fold) / "history.csv" for own in self.by_seed for fold in self.folds]
        return [table for path in paths if (table := read_history(path)) is not None]


def read_history(path: Path) -> pd.DataFrame | None:
    """Return history.csv, or None where it is not there or damaged: a run does without it."""
    try:
        table = pd.read_csv(path) if path.is_file() else pd.DataFrame()
        return table.astype(float) if len(table) and "epoch" in table else None
    except (OSError, ValueError):
        return None


def write_json(path: Path, content: dict[str, Any]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def create_run(
    workspace: Workspace,
    competition: str,
    recipe: Path,
    record: dict[str, Any],
    source: str,
    files: Mapping[str, str] | None = None,
) -> Run:
    """Make a new folder, numbered after the last of the same recipe, with `source`, the recipe's text, `files`, name ->
    text, and run.json."""
    number = next_number(workspace, competition, recipe.stem)
    while True:
        folder = workspace.runs(competition) / f"{recipe.stem}-{number:03d}"
        try:
            folder.mkdir()  # fails where another process has just taken the number
            break
        except FileExistsError:
            number += 1
    begin_folder(workspace, competition, folder, record, {"recipe.py": source, **(files or {})})
    return read_run(folder)


def create_whole_run(
    workspace: Workspace, competition: str, name: str, record: dict[str, Any], source: str, fill: Callable[[Run], None]
) -> Run:
    """Make a run that `fill` completes; nothing is there before it is complete."""
    with one_at_a_time(workspace.runs(competition) / f"{name}-new", wait=LONGEST_WAIT):
        folder = workspace.runs(competition) / f"{name}-{next_number(workspace, competition, name):03d}"
        with whole_folder(folder) as temporary:
            begin_folder(workspace, competition, temporary, record, {"recipe.py": source})
            fill(read_run(temporary))
    return read_run(folder)


def next_number(workspace: Workspace, competition: str, name: str) -> int:
    """Return the number of the next run called `name`."""
    runs = workspace.runs(competition)
    runs.mkdir(parents=True, exist_ok=True)
    numbers = [path.name.removeprefix(f"{name}-") for path in runs.glob(f"{escape(name)}-*")]
    return max((int(text) for text in numbers if re.fullmatch(r"\d{1,9}", text)), default=0) + 1


def begin_folder(
    workspace: Workspace, competition: str, folder: Path, record: dict[str, Any], files: Mapping[str, str]
) -> None:
    """Write `files`, name -> text, and run.json, the last."""
    for name, text in files.items():
        with whole_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    write_json(folder / "run.json", {"format": FORMAT, **record, "order": 1 + newest_order(workspace, competition)})


def newest_order(workspace: Workspace, competition: str) -> int:
    """Return the order of the newest run, 0 where there is none."""
    return max((run.record.get("order", 0) for run in list_runs(workspace, competition)), default=0)


def list_runs(workspace: Workspace, competition: str) -> list[Run]:
    """Return all runs, oldest first, without those that are damaged."""
    return read_runs(workspace, competition)[0]


def read_runs(workspace: Workspace, competition: str) -> tuple[list[Run], list[KcnnError]]:
    """Return all runs, oldest first, and of those that are damaged what is wrong with each."""
    runs, damaged = [], []
    for path in sorted(workspace.runs(competition).glob("[!.]*/run.json")):  # others are not whole yet
        try:
            runs.append(read_run(path.parent))
        except KcnnError as error:
            damaged.append(error)
    return sorted(runs, key=lambda run: (run.record.get("order", 0), run.record["created"], run.id)), damaged


def read_run(folder: Path) -> Run:
    """Return the run in `folder`. Raises KcnnError where run.json is damaged or of another format."""
    return Run(folder, read_record(folder / "run.json"))


def open_run(workspace: Workspace, competition: str, name: str | None = None) -> Run:
    """Return the run whose id is `name` or begins with it; with none, the newest finished one, or else the newest.

    Raises KcnnError where there is none, or more than one.
    """
    runs, damaged = read_runs(workspace, competition)
    if name and (folder := workspace.runs(competition) / (Path(name).name or "-")).is_dir():
        read_run(folder)  # says what is wrong with it
    if not runs:
        raise (
            damaged[0]
            if damaged
            else KcnnError(f"there is no run of '{competition}' yet", "kcnn train recipes/resnet.py makes one")
        )
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
    """Return the newest run of `recipe` that is not finished.

    Raises KcnnError where there is none, and LockedError where other processes train all that is left of it.
    """
    stopped = [run for run in list_runs(workspace, competition) if run.record["recipe"] == recipe and not run.finished]
    if not stopped:
        raise KcnnError(
            f"'{competition}' has no unfinished run of {recipe} to resume", "leave --resume out to start a new run"
        )
    run = stopped[-1]
    folders = [own.fold_folder(fold) for own in run.by_seed for fold in run.folds]
    left = [folder for folder in folders if not (folder / "test.npz").is_file()]
    if left and all(map(is_locked, left)):
        raise LockedError(f"run {run.id} is being trained by another kcnn", "wait until it ends, or start a new run")
    return run


def is_locked(folder: Path) -> bool:
    """Return whether another process is at work on a folder."""
    try:
        with one_at_a_time(folder, wait=0.5):  # another process may ask the same
            return False
    except LockedError:
        return True
