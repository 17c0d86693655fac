"""`make kills`: SIGKILL at random moments of each command; the same command again ends as if nothing had happened."""

import argparse
import io
import json
import random
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from conftest import TINY, environment
from kaggle_server import Kaggle, Task
from kaggle_user import class_competition, many_files
from launching import launch

COLOURS = ["-c", "colours"]
TRAIN = ["train", "recipes/tiny.py", *COLOURS, "--folds", "all", "--set", "epochs=2"]
TRIALS, WITHIN = 4, 200
STEPS = {
    "fetch": ["fetch", "noise"],
    "fetch nested": ["fetch", "colours"],
    "fetch --include": ["fetch", "parts", "--include", "*.zip"],
    "look": ["look", *COLOURS],
    "train": TRAIN,
    "predict": ["predict", *COLOURS, "--tta", "five-crop"],
    "submit": ["submit", *COLOURS, "--yes"],
    "train --seeds": [*TRAIN, "--seeds", "2"],
    "blend": ["blend", "tiny-001", "tiny-002", *COLOURS],
    "tune": ["tune", "recipes/tiny.py", *COLOURS, "--set", "epochs=2", "--trials", str(TRIALS)],
    "compete": ["compete", *COLOURS, "--within", f"{WITHIN}s"],
}
RUNS = {"train": "tiny-001", "train --seeds": "tiny-002", "blend": "blend-001"}  # what these steps make
IDLE = 15.0  # seconds of a killed `compete` that leave no file: its libraries' import, and a training before its first


@dataclass
class Trial:
    """A workspace at `folder` and the Kaggle that it speaks to; `spent` are the seconds that its commands ran."""

    folder: Path
    kaggle: Kaggle
    spent: float = 0.0

    def start(self, command):
        surroundings = environment(HOME=str(self.folder), **self.kaggle.environment())
        return launch(command, self.folder, surroundings, self.folder / ".out", self.folder / ".err")

    def finish(self, command):
        begun, process = time.monotonic(), self.start(command)
        process.join(2 * WITHIN)
        self.spent += time.monotonic() - begun
        self.require_success(command, process)

    def kill(self, command, seconds) -> bool:
        """Kills a command after so many seconds; returns whether it had ended before."""
        begun, process = time.monotonic(), self.start(command)
        process.join(seconds)
        ended = not process.is_alive()
        process.kill()
        process.join()
        self.spent += time.monotonic() - begun
        if ended:
            self.require_success(command, process)
        return ended

    def require_success(self, command, process):
        if process.exitcode != 0:
            sys.exit(f"{command} ended with {process.exitcode} in {self.folder}: {(self.folder / '.err').read_text()}")


def make_kaggle(folder: Path) -> Kaggle:
    inner = io.BytesIO()
    images = many_files(300).files
    with zipfile.ZipFile(inner, "w") as target:
        for name, content in images.items():
            target.writestr(name, content)
    parts = Task({"images.zip": inner.getvalue(), "notes.csv": b"a\n"})
    kaggle = Kaggle(noise=many_files(300), colours=class_competition(folder), parts=parts)
    kaggle.server.handle_error = lambda *_: None  # a connection that ends with the process
    return kaggle


def describe(workspace: Path) -> dict[str, object]:
    """What a workspace holds, without clocks, caches and what a stopped command may leave hidden."""
    found: dict[str, object] = {}
    for path in sorted(workspace.rglob("*")):
        name = path.relative_to(workspace).as_posix()
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(workspace).parts):
            continue
        if name.startswith("data/") or name.endswith(("decision.json", "blend.json", "folds.csv")):
            found[name] = path.read_bytes()
        elif name.startswith("submissions/") and path.name == "scores.csv":
            found[name] = [line.split(",")[1:] for line in path.read_text().splitlines()]
        elif name.startswith("submissions/"):
            found[name] = path.read_bytes()
        elif path.suffix == ".npz" and path.parent.name.startswith(("tiny-", "blend-")):
            with np.load(path) as arrays:
                found[name] = {key: arrays[key].tobytes() for key in arrays.files}
    return found


def check_same(trial: Trial, step: str, after: dict[str, object], kills: int) -> str:
    """What differs from an undisturbed command, "" for nothing."""
    found = describe(trial.folder)
    wrong = [name for name in {*found, *after} if found.get(name) != after.get(name)]
    sent = len(trial.kaggle.tasks["colours"].submissions)
    return f"differs in {wrong}" if wrong else f"{sent} submissions" if step == "submit" and sent != 1 else ""


def check_study(trial: Trial, step: str, after: dict[str, object], kills: int) -> str:
    """All trials are there, none twice, and a kill costs one at most."""
    folder = trial.folder / "runs" / "colours" / "studies" / "tiny"
    records = [json.loads(path.read_text()) for path in folder.glob("trial-*/run.json")]
    trials = json.loads((trial.folder / ".out").read_text())["trials"]
    settings = {json.dumps(each["settings"], sort_keys=True) for each in trials}
    states = {each["state"] for each in trials}
    whole = len(settings) == len(trials) == TRIALS and states <= {"complete", "pruned"}
    return "" if whole and len(records) <= TRIALS + kills else f"has {len(records)} trials, {trials}"


def check_contest(trial: Trial, step: str, after: dict[str, object], kills: int) -> str:
    """It ended in its time, with all folds of two recipes, their blend, and the submission of the best."""
    runs = trial.folder / "runs" / "colours"
    state = json.loads((runs / "compete.json").read_text())
    unfinished = [each["run"] for each in state["steps"] if not (runs / each["run"] / "decision.json").is_file()]
    kinds = [each["what"] for each in state["steps"]]
    submission = trial.folder / "submissions" / "colours" / f"{state['best']}.csv"
    lines = len(submission.read_text().splitlines()) if submission.is_file() else 0
    sample = len(next(trial.folder.glob("data/colours/**/sample_submission.csv")).read_text().splitlines())
    late = trial.spent > 1.05 * WITHIN + (kills + 1) * IDLE
    if not state["ended"] or unfinished or kinds.count("folds") != 2 or kinds[-1] != "blend" or lines != sample or late:
        return f"took {trial.spent:.0f} s, {lines} of {sample} lines, {state}"
    return ""


CHECKS: dict[str, Callable[[Trial, str, dict[str, object], int], str]] = {"tune": check_study, "compete": check_contest}


def again(step: str, workspace: Path) -> list[str]:
    """The command that goes on: the same one; of a training that has begun, with --resume."""
    begun = step.startswith("train") and (workspace / "runs" / "colours" / RUNS[step] / "run.json").is_file()
    shown = ["--json"] if step == "tune" else []
    return [*STEPS[step], *shown, *(["--resume"] if begun else [])]


def kill_and_go_on(trial: Trial, step: str, after: dict[str, object], seconds: float, draw: random.Random) -> int:
    """Kills a step up to three times in a row, and ends it with the same command; returns how often."""
    kills, ended = 0, False
    for _ in range(draw.randint(1, 3)):
        ended = trial.kill(again(step, trial.folder), draw.uniform(0, seconds))
        if ended:
            break
        kills += 1
        seen = step == "submit" and "public score" in (trial.folder / ".out").read_text()
        ended = seen or (step in RUNS and describe(trial.folder) == after)
        if ended:  # its user has seen the score, or the run is whole: to repeat it would make another one
            break
    if not ended:
        trial.finish(again(step, trial.folder))
    problem = CHECKS.get(step, check_same)(trial, step, after, kills)
    if problem:
        sys.exit(f"{step}, killed {kills} times: {problem}")
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", nargs="*", default=list(STEPS), help=", ".join(STEPS))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    draw, killed, late = random.Random(given.seed), dict.fromkeys(given.only, 0), 0
    with tempfile.TemporaryDirectory() as text:
        root = Path(text)
        whole = Trial(root / "whole", make_kaggle(root / "source"))
        (whole.folder / "recipes").mkdir(parents=True)
        for name in ("tiny", "resnet", "vgg", "emotion"):  # the last three are those of `compete`
            (whole.folder / "recipes" / f"{name}.py").write_text(TINY)
        before, after, seconds = {}, {}, {}
        for step, command in STEPS.items():
            before[step] = root / f"before {step}"
            shutil.copytree(whole.folder, before[step])
            if step == "compete":
                seconds[step], after[step] = WITHIN, {}
                continue
            begun = time.monotonic()
            whole.finish(command)
            seconds[step], after[step] = time.monotonic() - begun, describe(whole.folder)
            print(f"{step}: {seconds[step]:.1f} s", flush=True)
        while sum(killed.values()) < given.kills:
            step = min(killed, key=lambda name: killed[name])
            trial = Trial(root / "workspace", make_kaggle(root / f"source {sum(killed.values())} {late}"))
            shutil.rmtree(trial.folder, ignore_errors=True)
            shutil.copytree(before[step], trial.folder)
            kills = kill_and_go_on(trial, step, after[step], seconds[step], draw)
            killed[step], late = killed[step] + kills, late + (kills == 0)
            trial.kaggle.close()
            print(f"{sum(killed.values())} killed, {step}", end="\r", flush=True)
    print(f"killed {killed}, {late} ended before; each ended as if nothing had happened")


if __name__ == "__main__":
    main()
