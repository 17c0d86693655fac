"""Full Fashion-MNIST: seconds to 93 and to 94 % validation accuracy, of kcnn and of a plain Keras script.

    python benchmarks/fashion.py                                   # with Debian's package dataset-fashion-mnist
    python benchmarks/fashion.py FOLDER                            # with its four .gz files

One after the other, on the same fold: 48,000 images to train on, 12,000 to validate. resnet.py with few epochs for the
first goal and more for the second, both mirrored and not shifted, then score_keras.py. Each epoch is validated on one
view, the centre. Seconds are those of training
and validation, with the first epoch's compilation, without imports.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from score import epochs_of

from kaggle_cnn.competition.demo.make_demo import read_part

GOALS = (0.93, 0.94)


def write_csv(source: Path, target: Path) -> None:
    """The official training part as Kaggle has it: label,pixel1,...,pixel784."""
    images, labels = read_part(source, "train")
    table = pd.DataFrame(images.reshape(len(labels), -1)).rename(columns=lambda number: f"pixel{number + 1}")
    table.insert(0, "label", labels)
    table.to_csv(target, index=False)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", nargs="?", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--epochs", type=int, nargs=2, default=(4, 8), help="of resnet, to each of the goals")
    parser.add_argument("--script", type=int, default=20, help="epochs of the plain script")
    options = parser.parse_args()
    kcnn, here = Path(sys.executable).with_name("kcnn"), Path(__file__).parent
    table = Table(title="Fashion-MNIST, 28 pixels", title_justify="left")
    for heading in ("", "epochs", "seconds", "at the end", *(f"s to {goal}" for goal in GOALS)):
        table.add_column(heading, justify="right" if heading else "left")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "fashion").mkdir()
        write_csv(options.source, folder / "fashion" / "train.csv")
        subprocess.run([kcnn, "fetch", folder / "fashion"], cwd=folder, check=True, capture_output=True)
        settings = ["size=28", "stride=1", "batch=64", "shift=0", "degrees=0", "tta=none"]
        commands = {
            f"kcnn, resnet, {epochs} epochs": [
                kcnn, "train", here.parent / "recipes" / "resnet.py",
                *(f"--set={setting}" for setting in (*settings, f"epochs={epochs}")),
            ]
            for epochs in options.epochs
        }  # fmt: skip
        data = folder / "data" / "fashion"
        commands["plain Keras"] = [sys.executable, here / "score_keras.py", data, "28", str(options.script)]
        for side, command in commands.items():
            epochs = epochs_of(command, folder)
            reached = [next((f"{seconds:.0f}" for seconds, value in epochs if value >= goal), "-") for goal in GOALS]
            best = max(value for _, value in epochs)
            print(side, epochs, file=sys.stderr, flush=True)
            seconds, last = epochs[-1]
            table.add_row(side, str(len(epochs)), f"{seconds:.0f}", f"{last:.4f}, best {best:.4f}", *reached)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
