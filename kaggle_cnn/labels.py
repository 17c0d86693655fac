"""What changes the labels of a training, and never those of its validation: the user's decisions, pseudo-labels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.label_edits import join_edits, read_edits
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Progress
from kaggle_cnn.runs.run import Run, open_runs
from kaggle_cnn.workspace import Workspace

ABOVE = 0.95  # the probability from which on a pseudo-label counts


@dataclass(frozen=True)
class Labels:
    """What changes the labels of a training, never those of the validation. `exclude` and `relabel`: CSVs as
    doctor.csv; `pseudo`: a run that labels test images, `above` this probability, `soft` with its probabilities."""

    exclude: str | Path | None = None
    relabel: str | Path | None = None
    pseudo: str = ""
    above: float = ABOVE
    soft: bool = False

    @property
    def files(self) -> dict[str, Path]:
        """The CSVs that are given, "exclude" or "relabel" -> path."""
        pairs = (("exclude", self.exclude), ("relabel", self.relabel))
        return {name: Path(path) for name, path in pairs if path}


def prepare_labels(
    workspace: Workspace, dataset: Dataset, run: Run | None, labels: Labels, folds: list[int], progress: Progress
) -> tuple[Dataset, dict[str, Path], dict[str, Any]]:
    """Return the dataset with what changes its labels in training, the files of that, and what run.json says of
    pseudo-labels. A run to resume has its own."""
    require_own_labels(run, labels)
    files = labels.files
    if run:
        files = {str(name): run.folder / f"{name}.csv" for name in run.record.get("edits", {})}
    dataset = edit_labels(dataset, files, progress)
    more = name_pseudo(workspace, dataset.competition, run, labels)
    return add_pseudo_labels(workspace, dataset.competition, dataset, folds, more, progress), files, more


def require_own_labels(run: Run | None, labels: Labels) -> None:
    """Raise KcnnError where options do not fit each other, or a run to resume, which keeps its labels, gets others."""
    if not 0 <= labels.above <= 1:
        raise KcnnError(f"--above should be from 0 to 1, got {labels.above:g}", "for example: --above 0.95")
    if (labels.soft or labels.above != ABOVE) and not labels.pseudo:
        raise KcnnError("--above and --soft are for pseudo-labels, and no run gives them", "add --pseudo RUN")
    if run and (labels.files or labels.pseudo):
        raise KcnnError(
            "a run that is resumed keeps its labels, and other ones are given",
            "leave --exclude, --relabel and --pseudo out to resume, or leave --resume out to start a new run",
        )


def name_pseudo(workspace: Workspace, competition: Competition, run: Run | None, labels: Labels) -> dict[str, Any]:
    """Return what run.json says of pseudo-labels, {} where there are none: of a run to resume what it says."""
    if run:
        return {"pseudo": run.record["pseudo"]} if "pseudo" in run.record else {}
    if not labels.pseudo:
        return {}
    [named] = open_runs(workspace, competition, [labels.pseudo])
    return {"pseudo": {"run": named.id, "above": labels.above, "soft": labels.soft}}


def add_pseudo_labels(
    workspace: Workspace,
    competition: Competition,
    dataset: Dataset,
    folds: list[int],
    more: Mapping[str, Any],
    progress: Progress,
) -> Dataset:
    """Return a dataset with the pseudo-labels that `more` names, where it names some."""
    if "pseudo" not in more:
        return dataset
    from kaggle_cnn.runs.pseudo_labels import label_tests

    asked = more["pseudo"]
    [run] = open_runs(workspace, competition, [asked["run"]])
    labels = label_tests(run, dataset, folds, asked["above"], asked["soft"])
    counts = ", ".join(f"{len(each.rows):,}" for each in labels.values())
    progress.say(f"pseudo-labels by {run.id}: {counts} of {len(dataset.test_images[0]):,} test images (by fold)")
    return replace(dataset, pseudo=labels)


def edit_labels(dataset: Dataset, files: Mapping[str, Path], progress: Progress) -> Dataset:
    """Return a dataset whose training sets have the user's decisions on labels."""
    parts = {name: read_edits(path, dataset.ids, dataset.task, name == "relabel") for name, path in files.items()}
    for name, part in parts.items():
        count = len(part.relabelled if name == "relabel" else part.excluded)
        what = "have another label" if name == "relabel" else "are left out"
        progress.say(f"{files[name]}: {count:,} images {what} in training; validation is as before")
    return replace(dataset, edits=join_edits(list(parts.values()))) if parts else dataset
