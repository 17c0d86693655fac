"""Time to a score: how long each takes to the validation accuracy that the baseline has after its 30 epochs.

    python benchmarks/score.py                                            # the demo, 28 pixels
    python benchmarks/score.py simpsons5.zip --size 64 --epochs 15
    python benchmarks/score.py cifar10-train.zip --size 32 --epochs 5 --set batch=64

One after the other, each with the machine to itself, on the same images and the same fold: `kcnn train
recipes/baseline.py` with its 30 epochs, resnet.py with few, and fastai's `vision_learner(resnet18, pretrained=False)`
with `fit_one_cycle` for as many epochs as resnet. Seconds are those of training and validation, with the first epoch's
compilation; what comes before, imports and the cache of images, is in none of them. Validation of all three is on one
view, the centre, without test-time augmentation: kcnn trains with tta=none.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

EPOCH = re.compile(r"validation (?:accuracy )?([0-9.]+)\s+([0-9.]+) s")
TTA = "none"  # the policy of all sides


def epochs_of(command: list, folder: Path) -> list[tuple[float, float]]:
    """(seconds since the beginning, validation accuracy) after each epoch, as the command prints them."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    epochs, seconds = [], 0.0
    for accuracy, taken in EPOCH.findall(done.stderr):
        seconds += float(taken)
        epochs.append((seconds, float(accuracy)))
    if not epochs:
        sys.exit(f"no epoch in what {command[0]} printed:\n{done.stderr[-2000:]}")
    return epochs


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", nargs="?", default="demo")
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--set", action="append", default=[], help="a setting of resnet, name=value")
    parser.add_argument("--baseline", action="append", default=[], help="a setting of the baseline, name=value")
    options = parser.parse_args()
    kcnn = Path(sys.executable).with_name("kcnn")
    recipes = Path(__file__).parents[1] / "recipes"
    with tempfile.TemporaryDirectory() as folder:
        source = options.source if options.source == "demo" else str(Path(options.source).resolve())
        subprocess.run([kcnn, "fetch", source], cwd=folder, check=True, capture_output=True)
        shared = [f"--set=size={options.size}", "--set=margin=0", f"--set=tta={TTA}"]

        def train(recipe: str, settings: list[str]) -> list[tuple[float, float]]:
            command = [kcnn, "train", recipes / f"{recipe}.py", *shared, *(f"--set={setting}" for setting in settings)]
            return epochs_of(command, Path(folder))

        (data,) = Path(folder).glob("data/*")
        fastai = [sys.executable, Path(__file__).with_name("score_fastai.py"), data, options.size, options.epochs]
        sides = {
            "baseline": train("baseline", options.baseline),
            f"resnet, {options.epochs} epochs": train("resnet", [f"epochs={options.epochs}", *options.set]),
            f"fastai resnet18, {options.epochs} epochs": epochs_of(list(map(str, fastai)), Path(folder)),
        }
    wanted = sides["baseline"][-1][1]
    whole = sides["baseline"][-1][0]
    table = Table(title=f"{Path(options.source).stem}, tta={TTA}: seconds to {wanted:.4f}", title_justify="left")
    for heading in ("", "epochs", "seconds", "validation at the end", f"s to {wanted:.4f}", "share of the baseline's"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, epochs in sides.items():
        reached = next((seconds for seconds, accuracy in epochs if accuracy >= wanted), None)
        reached = whole if name == "baseline" else reached
        share = (f"{reached:.0f}", f"{reached / whole:.3f}") if reached else ("not reached", "")
        table.add_row(name, str(len(epochs)), f"{epochs[-1][0]:.0f}", f"{epochs[-1][1]:.4f}", *share)
    Console(width=120).print(table)


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    main()
