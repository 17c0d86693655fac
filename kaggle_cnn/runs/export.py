"""Runs -> submissions/<name>/<run>.csv, with a note beside it of where it comes from."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kaggle_cnn.competition import submission
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.competition.table import write_table
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file
from kaggle_cnn.parsing import read_json
from kaggle_cnn.runs.join import validate_runs
from kaggle_cnn.runs.predictions import Predictions, average_scores
from kaggle_cnn.runs.run import Run
from kaggle_cnn.tta import name_policy
from kaggle_cnn.workspace import Workspace

LAST = ".last"  # the name of the submission that was written last


@dataclass(frozen=True)
class Origin:
    """Where a submission comes from: the runs, the TTA policies and the side of the views; and its validation score by
    `metric`, of the same runs, policies and views."""

    runs: list[str]
    tta: str
    crop: int
    metric: str
    validation: float


def export(
    workspace: Workspace, competition: Competition, runs: list[Run], oof: list[Predictions], test: list[Predictions],
    policies: list[str],
) -> Path:  # fmt: skip
    """Write the submission of the mean of `runs`, and return its path.

    `oof` and `test` are their predictions, `policies` the TTA policy of each. The decision rule is fitted on `oof`.
    Raises KcnnError where there are no test images, or the submission would be refused.
    """
    task = competition.task
    if not len(test[0].ids):
        raise KcnnError(
            f"'{competition.name}' has no test images: there is nothing to submit",
            "kcnn evaluate shows the validation scores",
        )
    known = validate_runs(task, runs, oof, policies)
    scored = [(part.ids, part.scores(task, policy)) for part, policy in zip(test, policies, strict=True)]
    ids, scores = average_scores(scored)
    table = submission.make(competition, ids, known.decision.adjust(scores), known.decision.decide(scores))
    submission.check(competition, table, ids)
    path = workspace.submissions(competition.name) / f"{name_submission(runs, test, policies)}.csv"
    decided, adjusted = known.decision.decide(known.scores), known.decision.adjust(known.scores)
    validation = task.metric.score(known.targets, adjusted, decided, None)
    names = list(dict.fromkeys(policies))
    origin = Origin([run.id for run in runs], "+".join(names), test[0].crop, task.metric.name, validation)
    write_table(path, table)
    with whole_file(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(asdict(origin), indent=1) + "\n", encoding="utf-8")
    with whole_file(path.with_name(LAST)) as temporary:
        temporary.write_text(path.name, encoding="utf-8")
    return path


def name_submission(runs: list[Run], test: list[Predictions], policies: list[str]) -> str:
    """Return resnet-001, resnet-001+vgg-001, or resnet-001-flip-72 where policy or views are not the run's own."""
    name = "+".join(run.id for run in runs)
    if any(policy != run.policy for run, policy in zip(runs, policies, strict=True)):
        name += f"-{name_policy(policies[0])}"
    if any(part.crop != run.size for run, part in zip(runs, test, strict=True)):
        name += f"-{test[0].crop}"
    return name


def lacks_submission(workspace: Workspace, competition: str, run: Run) -> bool:
    """Return whether a finished run has predictions of test images, and its own submission is not there."""
    if not run.finished or (workspace.submissions(competition) / f"{run.id}.csv").is_file():
        return False
    return len(Predictions.read(run.predictions_path("test")).ids) > 0


def last_submission(workspace: Workspace, competition: str) -> Path | None:
    """Return the submission that was written last, or None where there is none."""
    folder = workspace.submissions(competition)
    if not (folder / LAST).is_file():
        return None
    try:
        path = folder / Path((folder / LAST).read_text(encoding="utf-8").strip()).name
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None


def origin_of(path: Path) -> Origin | None:
    """Return where a submission comes from, or None where it was made elsewhere."""
    try:
        origin = read_json(Origin, path.with_suffix(".json"), "")
        find_metric(origin.metric)
        return origin
    except KcnnError:
        return None
