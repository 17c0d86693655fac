"""A whole competition in a given time: trials of recipes and sizes, all folds of the best, their blend, a submission.

Deadline first: the first trial leaves a submission, and each later step replaces it only by a better one. What is done
stands in runs/<competition>/compete.json, so that a stopped `compete` goes on where it was.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from kaggle_cnn import api
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.opening import open_competition
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.duplicates import inspect
from kaggle_cnn.errors import KcnnError, TooShortError
from kaggle_cnn.files import one_at_a_time
from kaggle_cnn.parsing import read_json
from kaggle_cnn.progress import Progress, Silent
from kaggle_cnn.recipe import find_recipe, load_recipe
from kaggle_cnn.runs.compare import compare, shared_predictions
from kaggle_cnn.runs.run import Run, list_runs, newest_order, open_run, write_json
from kaggle_cnn.runs.scores import merit, score_run
from kaggle_cnn.training import train
from kaggle_cnn.workspace import Workspace

FILE = "compete.json"
RECIPES = ("resnet", "vgg", "emotion")  # the first is tried with two sizes
LARGER = 1.5  # times the size of the recipe, where the images are as large
TRIAL = 0.06  # of the time, for each trial; the first is the first submission
FIRST, SECOND = 0.62, 1.0  # of the time that is left: all folds of the best trial, then of the second
END = 0.015  # of the time, and LAST seconds: to blend, and to write
LAST = 5.0
SMALLEST = 16  # pixels


class Step(TypedDict):
    """Something that was tried: `run` is "" while it is under way; `seconds` it took, `score` is by the metric on the
    images that the run validated; `after` is the order of the newest run when it began."""

    what: str
    recipe: str
    settings: dict[str, Any]
    folds: str
    seconds: float
    run: str
    score: float | None
    after: int


class State(TypedDict):
    """compete.json. `spent`: seconds until it was written; `ended`: whether nothing is left to do."""

    within: float
    spent: float
    steps: list[Step]
    best: str
    ended: bool


@dataclass
class Contest:
    """What all steps share. `left` is the time until the deadline in seconds."""

    workspace: Workspace
    competition: Competition
    state: State
    path: Path
    deadline: float
    progress: Progress
    backend: str | None = None
    on: str = ""

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()

    @property
    def within(self) -> float:
        return self.state["within"]

    def write(self) -> None:
        self.state["spent"] = self.within - self.left
        write_json(self.path, dict(self.state))


def compete(
    within: float,
    backend: str | None = None,
    competition: str | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
    on: str = "",
) -> State:
    """Do what can be done for a competition `within` so many seconds; return what was tried, and the best run.

    Trials of recipes and image sizes on one fold; all folds of the best, and of the second; the blend of the two. After
    each step the submission is that of the best run so far. Called again with the same time, it goes on where it was
    stopped; once it has ended, it begins anew. `on` is as in train. Raises KcnnError where the time is too short for a
    first trial.
    """
    from kaggle_cnn.learn.backend import start_backend

    begun = time.monotonic()
    start_backend(backend)  # before any recipe is loaded, which imports Keras
    workspace, progress = workspace or Workspace.find(), progress or Silent()
    found = open_competition(workspace, competition)
    path = workspace.runs(found.name) / FILE
    with one_at_a_time(path):
        state = read_state(workspace, found.name, path, within)
        contest = Contest(workspace, found, state, path, begun + within - state["spent"], progress, backend, on)
        dataset = api.open_dataset(workspace, found, None, progress)
        if state["steps"]:
            progress.say(f"going on: {state['spent']:,.0f} of {within:,.0f} s are spent")
        try_recipes(contest, dataset)
        train_folds(contest)
        blend_best(contest)
        state["ended"] = True
        contest.write()
    return state


def read_state(workspace: Workspace, competition: str, path: Path, within: float) -> State:
    """Return the state of an earlier `compete` of the same time that was stopped, else a new one. Spent is also the
    time until the last file of the training that was under way."""
    if path.is_file():
        state = read_json(State, path, f"remove {path}")
        if state["within"] == within and not state["ended"] and state["spent"] < within:
            written = path.stat().st_mtime
            begun = [run for step in state["steps"] if (run := find_begun(workspace, competition, step))]
            files = [file for run in begun for file in run.folder.rglob("*") if file.is_file()]
            state["spent"] += max([0.0, *(file.stat().st_mtime - written for file in files)])
            return state
    return State(within=within, spent=0.0, steps=[], best="", ended=False)


def list_trials(contest: Contest, dataset: Dataset) -> list[tuple[str, dict[str, Any]]]:
    """Return recipes and settings to try: sizes that the images have, by their median shorter side."""
    seen = inspect(contest.competition.folder, dataset.ids.tolist(), dataset.cache, contest.progress)
    readable = seen[(seen["width"] > 0) & (seen["height"] > 0)]
    side = int(readable[["width", "height"]].min(axis=1).median()) if len(readable) else 64
    trials = []
    for name in RECIPES:
        recipe = load_recipe(find_recipe(Path(name), contest.workspace.root))
        usual = recipe.stored_size
        sizes = [min(usual, max(SMALLEST, side))]
        if name == RECIPES[0] and side >= LARGER * usual:
            sizes.append(int(LARGER * usual) // 8 * 8)
        for size in sizes:
            margin = recipe.margin * size // usual
            changed: dict[str, Any] = {} if size == usual else {"size": size - margin, "margin": margin}
            if changed and margin < 2:
                changed |= {"size": size, "margin": 0, "tta": "flip"}
            trials.append((name, changed))
    return trials


def try_recipes(contest: Contest, dataset: Dataset) -> None:
    """Train each trial on one fold, where that is not done. Once there is a submission, one that fails is left out."""
    if all(step["what"] == "trial" for step in contest.state["steps"]):
        for recipe, settings in list_trials(contest, dataset):
            seconds = min(TRIAL * contest.within, contest.left - END * contest.within - LAST)
            try:
                take_step(contest, "trial", recipe, settings, "0", seconds)
            except KcnnError as error:
                if not contest.state["best"]:
                    raise
                contest.progress.say(f"note: no trial of {recipe} {settings or ''}: {error.message}")


def train_folds(contest: Contest) -> None:
    """Train all folds of the best trial; then of the best other one that is not worse beyond noise, else of the best
    again with another seed."""
    task = contest.competition.task
    trials = [step for step in contest.state["steps"] if step["what"] == "trial" and step["score"] is not None]
    best, *others = sorted(trials, key=lambda step: -task.metric.merit(step["score"] or 0.0))
    alike = [step for step in others if not is_worse(contest, step, best)]
    again = Step(**{**best, "settings": {**best["settings"], "seed": 1}})
    chosen = [best, alike[0] if alike else again]
    for share, trial in zip((FIRST, SECOND), chosen, strict=False):
        seconds = share * (contest.left - END * contest.within - LAST)
        for folds in ("all", "0,1,2", "0"):
            try:
                take_step(contest, "folds", trial["recipe"], trial["settings"], folds, seconds)
                break
            except TooShortError as error:
                contest.progress.say(f"note: {trial['recipe']}, folds {folds}: {error.message}")


def is_worse(contest: Contest, step: Step, best: Step) -> bool:
    """Return whether a trial is worse than the best one beyond noise, on the images that both validated."""
    runs = [open_run(contest.workspace, contest.competition.name, each["run"]) for each in (best, step)]
    _, targets, scores, decisions = shared_predictions(runs, contest.competition.task)
    return bool(compare(contest.competition.task, targets, scores, decisions)["beyond_noise"])


def take_step(contest: Contest, what: str, recipe: str, settings: dict[str, Any], folds: str, seconds: float) -> None:
    """Train a run within `seconds`, where no step has done it; go on with one that was under way."""
    steps = contest.state["steps"]
    same = [step for step in steps if (step["what"], step["recipe"], step["settings"]) == (what, recipe, settings)]
    if same and same[0]["run"]:
        return
    step = same[0] if same else new_step(contest, what, recipe, settings, folds)
    started = time.monotonic()
    begun = find_begun(contest.workspace, contest.competition.name, step)
    if not same:
        steps.append(step)
        contest.write()
    common: dict[str, Any] = {
        "competition": contest.competition.name, "workspace": contest.workspace, "progress": contest.progress,
        "backend": contest.backend, "on": contest.on}  # fmt: skip
    try:
        if begun is None:
            run = train(recipe, settings, folds, within=max(seconds, 1.0), **common)
        else:
            run = begun if begun.finished else train(recipe, resume=True, **common)
    except KcnnError:
        steps.remove(step)
        contest.write()
        raise
    end_step(contest, step, run, time.monotonic() - started)


def new_step(contest: Contest, what: str, recipe: str, settings: dict[str, Any], folds: str) -> Step:
    """Return a step that begins now."""
    newest = newest_order(contest.workspace, contest.competition.name)
    return Step(what=what, recipe=recipe, settings=settings, folds=folds, seconds=0.0, run="", score=None, after=newest)


def find_begun(workspace: Workspace, competition: str, step: Step) -> Run | None:
    """Return the run of a step that was stopped in it: the newest of its recipe that began after the step."""
    own = [run for run in list_runs(workspace, competition) if not step["run"]
           and run.record["recipe"] == step["recipe"] and run.record.get("order", 0) > step["after"]]  # fmt: skip
    return own[-1] if own else None


def end_step(contest: Contest, step: Step, run: Run, seconds: float) -> None:
    """Keep what a step made; let the submission be that of the best run so far."""
    task = contest.competition.task
    scores = score_run(run, task).get(run.policy, {})
    step["run"], step["seconds"], step["score"] = run.id, round(seconds, 1), scores.get(task.metric.name)
    best = choose_best(contest)
    if best:
        contest.state["best"] = best.id
        api.write_submission(best, contest.competition, contest.workspace)
    contest.write()
    said = f"{task.metric.title} {step['score']:.4f}" if step["score"] is not None else "no score"
    contest.progress.say(
        f"{step['what']} {run.id}: {said} after {seconds:,.0f} s; submission of {contest.state['best']}, "
        f"{contest.left:,.0f} s left"
    )


def choose_best(contest: Contest) -> Run | None:
    """Return the run to submit: of those with the most folds the best by the metric."""
    done = [step for step in contest.state["steps"] if step["run"]]
    runs = [open_run(contest.workspace, contest.competition.name, step["run"]) for step in done]
    return max(runs, key=lambda run: (len(run.folds), merit(run, contest.competition.task)), default=None)


def blend_best(contest: Contest) -> None:
    """Blend the runs of the most folds, where there are two; what it gains decides with the others."""
    done = [step for step in contest.state["steps"] if step["what"] == "folds" and step["run"]]
    most = max((step["folds"] for step in done), key=len, default="")
    members = [step["run"] for step in done if step["folds"] == most]
    if len(members) < 2 or any(step["what"] == "blend" for step in contest.state["steps"]):
        return
    begun = time.monotonic()
    form = "probabilities" if contest.competition.kind == "regression" else "calibrated"
    run = api.blend(members, form=form, competition=contest.competition.name, workspace=contest.workspace)
    step = new_step(contest, "blend", "blend", {}, most)
    contest.state["steps"].append(step)
    end_step(contest, step, run, time.monotonic() - begun)
