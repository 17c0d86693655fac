"""Makes the pictures of README and docs/pictures.md from the newest run of the demo, as `make demo` leaves it.

make demo && .venv/bin/python docs/make_pictures.py
"""

import io
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

from kaggle_cnn import api
from kaggle_cnn.insight.evaluation import confusion_table
from kaggle_cnn.runs.run import Run, open_run
from kaggle_cnn.workspace import Workspace

DOCS = Path(__file__).parent
IMAGE = "train/Ankle boot/2171.png"
KINDS = {
    "samples": ["-n", "8"],
    "augmentation": ["recipes/resnet.py", "-n", "4"],
    "model": [],
    "curves": [],
    "confusion": ["--order", "cluster"],
    "mistakes": ["-n", "12"],
    "predictions": ["-n", "6"],
    "filters": [],
    "activations": [IMAGE],
    "neighbours": [IMAGE],
    "gradcam": [IMAGE],
}


def main() -> None:
    run = open_run(Workspace.find(), "demo")
    terminal_picture(run)
    for kind, arguments in KINDS.items():
        shutil.copyfile(kcnn("show", kind, *arguments, "-c", "demo"), DOCS / "pictures" / f"{kind}.png")
    shutil.copyfile(kcnn("look", "--pictures", "-c", "demo", ending="near.png"), DOCS / "pictures" / "near.png")
    report_picture(kcnn("report", run.id, "-c", "demo"))


def kcnn(*arguments: str, ending: str = "") -> str:
    """Return the path with that ending that the command prints."""
    command = [sys.executable, "-m", "kaggle_cnn", *arguments]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return next(line for line in reversed(lines) if line.endswith(ending))


def terminal_picture(run: Run) -> None:
    evaluated = api.evaluate([run.id], competition="demo")
    numbers, classes = evaluated["tta"][evaluated["primary"]], evaluated["classes"]
    console = Console(file=io.StringIO(), record=True, width=64, color_system="truecolor", force_terminal=True)
    console.print(Text(f"$ kcnn evaluate {run.id}\n"))
    console.print(confusion_table(numbers["confusion"], classes, 64))
    scores = numbers["scores"]
    console.print(Text(f"\naccuracy {scores['accuracy']:.4f}   macro F1 {scores['macro_f1']:.4f}"))
    console.save_svg(str(DOCS / "confusion.svg"), title="kcnn")


def report_picture(report: str) -> None:
    """The report with the images of a cell chosen: shirts predicted as T-shirts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 800})
        page.goto(Path(report).resolve().as_uri())
        page.click("#confusion button[data-true='6'][data-predicted='0']")
        page.locator("#confusion").scroll_into_view_if_needed()
        page.evaluate(
            "window.scrollTo(0, document.querySelector('#confusion').getBoundingClientRect().top + scrollY - 60)"
        )
        page.screenshot(path=DOCS / "pictures" / "report.png")
        browser.close()


if __name__ == "__main__":
    main()
