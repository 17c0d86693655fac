"""A run as one HTML file that needs nothing but a browser: no network, no other file."""

import ast
import base64
import io
from collections.abc import Callable
from dataclasses import fields
from itertools import chain
from pathlib import Path
from shlex import quote

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from kaggle_cnn.data.decode import picture
from kaggle_cnn.data.images import attempt, in_parallel
from kaggle_cnn.insight import charts, sheets
from kaggle_cnn.insight.canvas import shrunk
from kaggle_cnn.insight.evaluation import most_errors
from kaggle_cnn.insight.metrics import measure_views, mistakes, points_gained
from kaggle_cnn.learn.predictions import Predictions
from kaggle_cnn.learn.recipe import Recipe, read_outline
from kaggle_cnn.learn.run import Run

SIDE, ROOM = 80, 3_200_000  # of a thumbnail, pixels; of all of them, bytes as base64
SURE = 24
MOST_CLASSES = 100  # in the matrix: a browser takes its time with more cells


def report(
    run: Run, folder: Path, predictions: Predictions, kernel: tuple[str, np.ndarray] | None, track: Callable
) -> str:
    """The HTML. `folder`: where the images lie; `predictions`: the run's validation.npz; `kernel`: the first
    convolution's name and weights, where there is one; `track` shows how the thumbnails come along."""
    record, classes = run.record, list(run.record["classes"])
    by_views = measure_views(predictions, classes)
    _, numbers = max(by_views.items())
    single = predictions.labels.ndim == 1
    confusion, matrix, shown, sure = [], [], [], []
    if single:
        confusion = numbers["confusion"]
        matrix = most_errors(confusion, min(len(classes), MOST_CLASSES))
        shown, sure = thumbnails(folder, predictions, classes, track)
    outline, written = read_outline(run.folder / "recipe.py")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True)
    template = environment.from_string(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    return template.render(
        run=run.id,
        competition=record["competition"],
        recipe_line=outline,
        images=f"{numbers['images']:,}",
        classes=classes,
        begun=record["created"][:16].replace("T", " "),
        figures=figures(record, by_views),
        command=command(record, written),
        settings=settings(record),
        source=(run.folder / "recipe.py").read_text(encoding="utf-8"),
        curves=inline_svg(charts.curves({run.id: run.histories()}, "val_accuracy" if single else "val_loss")),
        confusion=confusion,
        totals=[sum(row) for row in confusion],
        matrix=matrix,
        kept=f"{len(shown):,}",
        left_out=single and len(shown) < numbers["images"],
        per_class=list(numbers["per_class"].items()),
        views=views_compared(predictions, by_views),
        mistakes=sure,
        filters=data_address("png", png_of(sheets.filters(*kernel))) if kernel else "",
        data={"classes": classes, "images": shown},
    )


def figures(record: dict, by_views: dict[int, dict]) -> list[tuple[str, str]]:
    """The few numbers to see first."""
    views, numbers = max(by_views.items())
    accuracy = "all labels right" if "samples_f1" in numbers else "accuracy"
    named = {"accuracy": accuracy, "macro_f1": "macro F1", "samples_f1": "samples F1", "log_loss": "log loss"}
    found = [(f"{name}, {views} views", f"{numbers[key]:.4f}") for key, name in named.items() if key in numbers]
    return [*found, ("parameters", f"{record['parameters']:,}"), ("seconds of training", f"{record['seconds']:,.0f}")]


def command(record: dict, written: dict[str, str]) -> str:
    """The line that trains the same again: a knob stands in it where it is not what the recipe has by itself."""
    own = {field.name: field.default for field in fields(Recipe)}
    own |= {name: attempt(lambda text=text: ast.literal_eval(text))[0] for name, text in written.items()}
    changed = {name: value for name, value in record["knobs"].items() if own.get(name) != value}
    folds = record["folds"]
    where = "" if folds == [0] else f" --fold {folds[0]}" if len(folds) == 1 else " --folds all"
    backend = "" if record["backend"] == "tensorflow" else f" --backend {record['backend']}"
    recipe = quote(f"recipes/{record['recipe']}.py")
    line = f"kcnn train {recipe} -c {quote(record['competition'])}{where}{backend}"
    return line + "".join(f" --set {name}={quote(str(value))}" for name, value in changed.items())


def settings(record: dict) -> list[tuple[str, str]]:
    knobs = ", ".join(f"{name}={value}" for name, value in record["knobs"].items())
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return [
        ("recipe", record["recipe"]),
        ("knobs", knobs),
        ("folds", ", ".join(map(str, record["folds"]))),
        ("device", f"{record['device']}, {record['backend']}, {record['precision']}"),
        ("versions", versions),
        ("commit", record["commit"] or "none"),
    ]


def views_compared(predictions: Predictions, by_views: dict[int, dict]) -> list[list[str]]:
    """A head and a row for each number of views; the difference to one view in points of accuracy, with the standard
    error of that of the same images."""
    rows = [["views", "accuracy", "macro F1", "log loss", "against one view"]]
    for views, numbers in by_views.items():
        against = ""
        if predictions.labels.ndim == 1 and 1 in by_views and views > 1 and len(predictions.ids) > 1:
            against = "{:+.2f} ± {:.2f}".format(*points_gained(predictions, 1, views))
        cells = [f"{numbers[name]:.4f}" for name in ("accuracy", "macro_f1", "log_loss")]
        rows.append([str(views), *cells, against])
    return rows


def thumbnails(folder: Path, predictions: Predictions, classes: list[str], track: Callable) -> tuple[list, list]:
    """As many of the validation images as have room, the surest mistakes first and then what is right, the least sure
    first: [id, true, predicted, probability, address] each; and those of the surest mistakes by name."""
    _, probabilities = predictions.best()
    given, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = mistakes(predictions.labels, probabilities)
    right = np.flatnonzero(given == predictions.labels)
    order = np.concatenate([wrong, right[np.argsort(sure[right], kind="stable")]])[: ROOM // 400]

    def addresses(rows: range) -> list[str]:
        return [address_of(folder / str(predictions.ids[order[row]])) for row in rows]

    shown, room = [], ROOM
    made = track(chain.from_iterable(in_parallel(addresses, len(order))), "making thumbnails", len(order))
    for row, address in zip(order, made, strict=True):
        room -= len(address) + 6 * len(str(predictions.ids[row])) + 60  # at worst a letter is written as six signs
        if room >= 0:
            label = int(predictions.labels[row])
            shown.append([str(predictions.ids[row]), label, int(given[row]), round(float(sure[row]), 4), address])
    of_mistakes = [
        {"name": name, "true": classes[true], "predicted": classes[said], "probability": share, "thumbnail": address}
        for name, true, said, share, address in shown[: min(SURE, len(wrong))]
    ]
    return shown, of_mistakes


def address_of(path: Path) -> str:
    """A file's thumbnail as a data: address, "" where it cannot be read."""
    pixels, _ = attempt(lambda: picture(path, SIDE))
    if pixels is None:
        return ""
    written = io.BytesIO()
    Image.fromarray(shrunk(pixels, SIDE)).save(written, "webp", quality=70)
    return data_address("webp", written.getvalue())


def png_of(drawn) -> bytes:
    written = io.BytesIO()
    drawn.savefig(written, format="png")
    return written.getvalue()


def inline_svg(drawn) -> Markup:
    """A figure as an <svg> that takes the page's own colour where it was black, and has no ground of its own."""
    written = io.StringIO()
    drawn.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    text = written.getvalue()
    return Markup(text[text.index("<svg") :].replace("#000000", "currentColor"))


def data_address(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
