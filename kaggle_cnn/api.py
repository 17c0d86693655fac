"""The verbs of kcnn as Python functions: what the command line calls, and what a script may call.

    import kaggle_cnn
    kaggle_cnn.fetch("demo")
    run = kaggle_cnn.train("recipes/resnet.py", settings={"epochs": 5})
    print(kaggle_cnn.evaluate([run.id])["tta"]["flip"]["scores"])
    path = kaggle_cnn.predict([run.id])

Each works in `workspace`, else in the nearest folder above with a kcnn.toml, and on `competition`, else on the current
one. Each raises KcnnError for a user's mistake. What takes time is shown by `progress`; see progress.Progress.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts.recognise import NO_CHOICES, Choices
from kaggle_cnn.competition.opening import open_competition
from kaggle_cnn.competition.task import Task
from kaggle_cnn.data.dataset import Dataset, folds_in_name, load_dataset
from kaggle_cnn.data.folds import FOLDS
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Progress, Silent
from kaggle_cnn.runs.export import export
from kaggle_cnn.runs.join import Validated, shared_policies, validate_runs
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import Run, open_runs, require_same_folds
from kaggle_cnn.runs.scores import list_policies, score
from kaggle_cnn.tta import has_views, require_policy, views_of
from kaggle_cnn.workspace import Workspace

WHOLE = 2**16  # a margin that every policy allows


def fetch(
    given: str,
    include: str = "",
    keep_archive: bool = False,
    folds: int = 0,
    group: str = "",
    keep_together: str = "",
    choices: Choices = NO_CHOICES,
    name: str = "",
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> tuple[Dataset, bool]:
    """Download or link a competition's files to data/<name>/, find out how they are laid out, and draw its folds.

    `given` is "demo", a folder or zip, a competition's name or address on Kaggle, or a data set's address there.
    `include` is a pattern of the files to download, such as "*.csv"; `keep_archive` keeps the zip that Kaggle sent.
    `folds` draws so many folds in place of five; `group` names a column of the labels whose images with one value stay
    in one fold; `keep_together` "near" keeps near-duplicates in one too. `choices` are what you know of the files: the
    folders, the CSV and the column with the labels. `name` is the competition's here.
    Returns the dataset, and whether files were fetched: a second fetch finds them there. The competition becomes the
    current one.
    """
    from kaggle_cnn.competition import fetch as fetching

    workspace, progress = workspace or Workspace.find(), progress or Silent()
    competition, new = fetching.fetch(given, workspace, progress, include, keep_archive, choices, name)
    workspace.make_current(competition.name)
    if folds or group or keep_together:
        if folds == 1 or folds < 0:
            raise KcnnError(f"--folds should be 2 or more, got {folds}", "for example: --folds 5")
        group, kept = group or competition.group, keep_together or competition.keep_together
        folds = folds or folds_in_name(competition.folds)
        words = ["" if folds == FOLDS else str(folds), as_file_name(group), "" if kept == "same" else kept]
        name = f"{'-'.join(['folds', *filter(None, words)])}.csv"
        competition = replace(competition, folds=name, group=group, keep_together=kept)
        dataset = load_dataset(workspace, competition, progress)
        competition.write()  # only when the folds could be drawn
        return dataset, new
    return load_dataset(workspace, competition, progress), new


def as_file_name(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in text)[:60]


def open_dataset(
    workspace: Workspace, competition: Competition, run: Run | None = None, progress: Progress | None = None
) -> Dataset:
    """Return the dataset of a competition, with the folds that `run` was trained on.

    Raises KcnnError where that folds file has changed since.
    """
    if run is None:
        return load_dataset(workspace, competition, progress)
    folds = run.record["folds"]
    dataset = load_dataset(workspace, competition, progress, folds["file"])
    if dataset.folds.digest != folds["digest"]:
        raise KcnnError(
            f"{folds['file']} is not what it was when {run.id} was trained: its models have seen other images",
            f"put the old file back into {workspace.runs(competition.name)}, or train again",
        )
    return dataset


def validated(
    workspace: Workspace,
    competition: Competition,
    runs: list[Run],
    policies: Sequence[str] = (),
    crop: int | None = None,
    progress: Progress | None = None,
) -> list[Predictions]:
    """Return the out-of-fold predictions of runs, with the views of `policies`; missing views are predicted by the
    models and kept."""
    views = views_of(*policies)
    return [
        open_predictions(workspace, competition, run, "oof", views or views_of(run.policy), crop, progress)
        for run in runs
    ]


def open_predictions(
    workspace: Workspace,
    competition: Competition,
    run: Run,
    part: str,
    views: tuple[str, ...],
    crop: int | None = None,
    progress: Progress | None = None,
    backend: str | None = None,
) -> Predictions:
    """Return the predictions of `part`, "oof" or "test", of a run with at least `views`. Keras starts only where some
    are missing."""
    path = run.predictions_path(part, crop)
    there = path.is_file() and run.finished
    kept = Predictions.read(path) if there else None
    whole = kept if kept and has_views(kept.views, views) else None
    if whole and part == "oof":
        return whole
    dataset = open_dataset(workspace, competition, run, progress)
    if whole and whole.ids.tolist() == dataset.test_ids.tolist():
        return whole
    run.models  # noqa: B018  raises where one is missing, before Keras takes its seconds to start
    from kaggle_cnn.learn.backend import start_backend

    start_backend(backend or run.record["backend"])
    from kaggle_cnn.learn.predict import complete_predictions

    return complete_predictions(run, dataset, part, views, crop or run.size, progress or Silent())


def evaluate(
    runs: Sequence[str] = (),
    tta: Sequence[str] = (),
    crop: int | None = None,
    competition: str | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return the numbers of the out-of-fold predictions of a run, or of the mean of several, as plain values.

    runs, classes, metric, and primary: the TTA policy to read first; tta: policy -> its numbers, see
    insight.measures.measure; members: run -> its own scores at its own policy, on the same images. `tta` names the
    policies, else all that the predicted views allow; missing views are predicted by the models. `crop` takes larger
    views than those of the training; for networks with global pooling.
    """
    from kaggle_cnn.insight.measures import measure

    workspace = workspace or Workspace.find()
    found = open_competition(workspace, competition)
    chosen = open_runs(workspace, found, list(runs))
    require_same_folds(chosen)
    for policy in tta:
        for run in chosen:
            require_fitting(run, policy, crop)
    own = [fitting_policy(run, crop) for run in chosen]
    parts = validated(workspace, found, chosen, [*tta, *({} if tta else own)], crop, progress)
    by_policy = {}
    networks = [number for number, run in enumerate(chosen) if run.has_network]
    shared = list_policies(chosen[0], parts[0]) if len(chosen) == 1 else shared_policies(parts)
    for policy in tta or (shared if networks else ["none"]):
        known = validate_runs(found.task, chosen, parts, [policy] * len(chosen))
        by_policy[policy] = measure(found.task, known.targets, known.scores, known.decision)
    first = own[networks[0] if networks else 0]  # of columns, every policy is the same
    primary = first if first in by_policy else list(by_policy)[-1]
    return {
        "runs": [run.id for run in chosen],
        "classes": list(found.classes),
        "kind": found.kind,
        "metric": found.task.metric.name,
        "primary": primary,
        "tta": by_policy,
        "members": score_members(found.task, chosen, parts, own),
    }


def score_members(
    task: Task, runs: list[Run], parts: list[Predictions], policies: list[str]
) -> dict[str, dict[str, float]]:
    """Return run -> metric -> its score at its own policy, where that is among the predicted views."""
    metrics = task.metrics
    members = {}
    for run, part, policy in zip(runs, parts, policies, strict=True):
        if policy in part.policies:
            known = validate_runs(task, [run], [part], [policy])
            members[run.id] = score(task, known.targets, known.scores, known.decision, metrics)
    return members


def require_fitting(run: Run, policy: str, crop: int | None) -> None:
    """Raise KcnnError where a run has not the views of a policy; one on columns has all of them, and they are alike."""
    require_policy(policy, run.stored_size - (crop or run.size) if run.has_network else WHOLE)


def fitting_policy(run: Run, crop: int | None) -> str:
    """Return the run's own TTA policy, or the nearest one that views of `crop` pixels leave room for."""
    if not run.has_network:
        return run.policy
    margin = run.stored_size - (crop or run.size)
    for policy in (run.policy, "flip" if any("mirrored" in view for view in views_of(run.policy)) else "none"):
        try:
            require_policy(policy, margin)
            return policy
        except KcnnError:
            continue
    return "none"


def validate(
    competition: Competition, runs: list[Run], workspace: Workspace, progress: Progress | None = None
) -> Validated:
    """Return the out-of-fold scores of a run, or of the mean of several, each at its own TTA policy."""
    parts = validated(workspace, competition, runs, (), None, progress)
    return validate_runs(competition.task, runs, parts, [run.policy for run in runs])


def predict(
    runs: Sequence[str] = (),
    tta: str = "",
    crop: int | None = None,
    backend: str | None = None,
    competition: str | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> Path:
    """Predict the test images with a run, or with the mean of several; return the path of the submission.

    `tta` names a policy in place of each recipe's own, `crop` larger views than those of the training. The validation
    score that is kept with the submission is of the same policies and views.
    """
    workspace, progress = workspace or Workspace.find(), progress or Silent()
    found = open_competition(workspace, competition)
    chosen = open_runs(workspace, found, list(runs))
    require_same_folds(chosen)
    policies = []
    for run in chosen:
        if tta:
            require_fitting(run, tta, crop)
        policies.append(tta or fitting_policy(run, crop))
    parts: dict[str, list[Predictions]] = {}
    for part in ("test", "oof"):
        parts[part] = [
            open_predictions(workspace, found, run, part, views_of(policy), crop, progress, backend)
            for run, policy in zip(chosen, policies, strict=True)
        ]
    return export(workspace, found, chosen, parts["oof"], parts["test"], policies)


def blend(
    runs: Sequence[str],
    weights: str = "loss",
    form: str = "probabilities",
    competition: str | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> Run:
    """Make a run of the weighted mean of `runs`, two or more of the same folds and images; see runs.blend.

    `weights`: "loss" finds them by hill climbing on the log loss, of numbers the squared error; "metric" on the
    competition's metric; "equal" are all alike. `form` is what is averaged: "probabilities", "calibrated" ones,
    "logits" or "ranks".
    """
    from kaggle_cnn.runs.blend import FORMS, WEIGHTS, Blend, write_blend

    workspace = workspace or Workspace.find()
    found = open_competition(workspace, competition)
    for name, given, known in (("weights", weights, WEIGHTS), ("form", form, FORMS)):
        if given not in known:
            raise KcnnError(f"{name} should be one of {', '.join(known)}, got '{given}'", f"for example: {known[0]}")
    chosen = open_runs(workspace, found, list(runs))
    if len({run.id for run in chosen}) < max(2, len(chosen)):
        ids = ", ".join(run.id for run in chosen)
        raise KcnnError(f"a blend needs two different runs or more, got {ids}", "kcnn runs lists the runs")
    require_same_folds(chosen)
    parts = {
        part: [open_predictions(workspace, found, run, part, views_of(run.policy), None, progress) for run in chosen]
        for part in ("oof", "test")
    }
    return write_blend(workspace, found, Blend(found.task, form, weights), chosen, parts["oof"], parts["test"])


def judge_tta(
    run: str = "",
    policies: Sequence[str] = (),
    search: bool = False,
    competition: str | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return what each policy of test-time augmentation gains for a run, as plain values: run, metric, policies as in
    runs.views.judge_policies, and searched, None or what runs.views.search_views returns.

    `policies` are predicted where their views are missing; with `search`, weights of all views are searched, and kept
    with the run where they gain.
    """
    from kaggle_cnn.runs.views import judge_policies, search_views

    workspace = workspace or Workspace.find()
    found = open_competition(workspace, competition)
    [chosen] = open_runs(workspace, found, [run] if run else None)
    for policy in policies:
        require_fitting(chosen, policy, None)
    [part] = validated(workspace, found, [chosen], [*policies, chosen.policy], None, progress)
    searched = search_views(chosen, found.task, part) if search else None
    return {
        "run": chosen.id,
        "metric": found.task.metric.name,
        "policies": judge_policies(chosen, found.task, part),
        "searched": searched,
    }


def write_submission(run: Run, competition: Competition, workspace: Workspace) -> Path | None:
    """Write the submission of a finished run; return its path, or None where there are no test images."""
    oof, test = (Predictions.read(run.predictions_path(part)) for part in ("oof", "test"))
    return export(workspace, competition, [run], [oof], [test], [run.policy]) if len(test.ids) else None


def compare(one: str, other: str, competition: str | None = None, workspace: Workspace | None = None) -> dict[str, Any]:
    """Return how far two runs differ on the images that both validated, as plain values; see runs.compare.compare."""
    from kaggle_cnn.runs import compare as comparing

    workspace = workspace or Workspace.find()
    found = open_competition(workspace, competition)
    runs = open_runs(workspace, found, [one, other])
    _, targets, scores, decisions = comparing.shared_predictions(runs, found.task)
    return {"runs": [run.id for run in runs], **comparing.compare(found.task, targets, scores, decisions)}
