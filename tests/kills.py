"""`make kills`: SIGKILL at random moments of each command; the same command again ends as if nothing had happened."""

import argparse
import io
import random
import shutil
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from conftest import TINY, environment
from kaggle_server import Kaggle, Task
from kaggle_user import class_competition, many_files
from launching import launch

TRAIN = ["train", "recipes/tiny.py", "-c", "colours", "--folds", "all", "--set", "epochs=2"]
STEPS = {
    "fetch": ["fetch", "noise"],
    "fetch nested": ["fetch", "colours"],
    "fetch --include": ["fetch", "parts", "--include", "*.zip"],
    "look": ["look", "-c", "colours"],
    "train": TRAIN,
    "predict": ["predict", "-c", "colours", "--tta", "five-crop"],
    "submit": ["submit", "-c", "colours", "--yes"],
}


@dataclass
class Trial:
    """A workspace at `folder` and the Kaggle that it speaks to."""

    folder: Path
    kaggle: Kaggle

    def start(self, command):
        surroundings = environment(HOME=str(self.folder), **self.kaggle.environment())
        return launch(command, self.folder, surroundings, self.folder / ".out", self.folder / ".err")

    def finish(self, command):
        process = self.start(command)
        process.join(120)
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
        if name.startswith("data/") or name.endswith(("decision.json", "folds.csv")):
            found[name] = path.read_bytes()
        elif name.startswith("submissions/") and path.name == "scores.csv":
            found[name] = [line.split(",")[1:] for line in path.read_text().splitlines()]
        elif name.startswith("submissions/"):
            found[name] = path.read_bytes()
        elif path.suffix == ".npz" and path.parent.name.startswith("tiny-"):
            with np.load(path) as arrays:
                found[name] = {key: arrays[key].tobytes() for key in arrays.files}
    return found


def again(step: str, workspace: Path) -> list[str]:
    """The command that goes on: the same one; of a training that has begun, with --resume."""
    begun = step == "train" and any(workspace.glob("runs/colours/*/run.json"))
    return [*STEPS[step], "--resume"] if begun else STEPS[step]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    draw, killed, late = random.Random(given.seed), dict.fromkeys(STEPS, 0), 0
    with tempfile.TemporaryDirectory() as text:
        root = Path(text)
        whole = Trial(root / "whole", make_kaggle(root / "source"))
        (whole.folder / "recipes").mkdir(parents=True)
        (whole.folder / "recipes" / "tiny.py").write_text(TINY)
        before, after, seconds = {}, {}, {}
        for step, command in STEPS.items():
            before[step] = root / f"before {step}"
            shutil.copytree(whole.folder, before[step])
            begun = time.monotonic()
            whole.finish(command)
            seconds[step], after[step] = time.monotonic() - begun, describe(whole.folder)
            print(f"{step}: {seconds[step]:.1f} s", flush=True)
        while sum(killed.values()) < given.kills:
            step = min(STEPS, key=lambda name: killed[name])
            trial = Trial(root / "workspace", make_kaggle(root / f"source {sum(killed.values())} {late}"))
            shutil.rmtree(trial.folder, ignore_errors=True)
            shutil.copytree(before[step], trial.folder)
            for _ in range(draw.randint(1, 3)):
                process = trial.start(again(step, trial.folder))
                process.join(draw.uniform(0, seconds[step]))
                ended = not process.is_alive()
                if ended:
                    late += 1
                    break
                process.kill()
                process.join()
                killed[step] += 1
                ended = step == "submit" and "public score" in (trial.folder / ".out").read_text()
                if ended:  # its user has seen the score
                    break
            if not ended and not (step == "train" and describe(trial.folder) == after[step]):
                trial.finish(again(step, trial.folder))
            sent = len(trial.kaggle.tasks["colours"].submissions)
            found = describe(trial.folder)
            if found != after[step] or (step == "submit" and sent != 1):
                names = {*found, *after[step]}
                wrong = [name for name in names if found.get(name) != after[step].get(name)]
                sys.exit(f"seed {given.seed}: {step} differs in {wrong}, {sent} submissions")
            trial.kaggle.close()
            print(f"{sum(killed.values())} killed, {step}", end="\r", flush=True)
    print(f"killed {killed}, {late} ended before; each ended as if nothing had happened")


if __name__ == "__main__":
    main()
