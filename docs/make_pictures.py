"""Makes the README's picture from the newest run of the demo, as `make demo` leaves it.

make demo && .venv/bin/python docs/make_pictures.py
"""

import io
from pathlib import Path

from rich.console import Console
from rich.text import Text

from kaggle_cnn.insight.metrics import measure
from kaggle_cnn.insight.tables import confusion_table
from kaggle_cnn.learn.predictions import Predictions
from kaggle_cnn.learn.run import open_run
from kaggle_cnn.workspace import Workspace


def main() -> None:
    run = open_run(Workspace.find(), "demo")
    validation = Predictions.read(run.folder / "validation.npz")
    classes = run.record["classes"]
    numbers = measure(validation.labels, validation.best()[1], classes)
    console = Console(file=io.StringIO(), record=True, width=64, color_system="truecolor", force_terminal=True)
    console.print(Text(f"$ kcnn evaluate {run.id}\n"))
    console.print(confusion_table(numbers["confusion"], classes, 64))
    console.print(Text(f"\naccuracy {numbers['accuracy']:.4f}   macro F1 {numbers['macro_f1']:.4f}"))
    console.save_svg(str(Path(__file__).parent / "confusion.svg"), title="kcnn")


if __name__ == "__main__":
    main()
