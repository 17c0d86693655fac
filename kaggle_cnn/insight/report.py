"""A run as one HTML file that needs nothing but a browser: no network, no other file."""

import base64
import io
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.metrics import Array, as_columns, find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.data.decode import decode_whole
from kaggle_cnn.data.image_cache import attempt, in_parallel
from kaggle_cnn.insight import charts, sheets
from kaggle_cnn.insight.canvas import shrink
from kaggle_cnn.insight.evaluation import most_errors
from kaggle_cnn.insight.measures import find_label_mistakes, find_mistakes, measure, points_gained
from kaggle_cnn.progress import Progress
from kaggle_cnn.recipe import read_outline
from kaggle_cnn.runs.families import describe_origin
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import Run
from kaggle_cnn.runs.scores import decision_of, list_policies
from kaggle_cnn.tta import name_policy

SIDE, ROOM = 80, 3_200_000  # of a thumbnail, pixels; of all of them, bytes as base64
SURE = 24
FEW_CLASSES = 30  # up to these the matrix has the order of the classes
MOST_CLASSES = 100  # in the matrix: a browser takes its time with more cells


def report(
    run: Run,
    competition: Competition,
    predictions: Predictions,
    kernel: tuple[str, Array] | None,
    progress: Progress,
) -> str:
    """Return the HTML. `predictions` are the run's out-of-fold predictions, with the views of its TTA policy; `kernel`
    is the first convolution's name and weights, where there is one."""
    task, record = competition.task, run.record
    by_policy = {policy: measure_policy(run, task, predictions, policy) for policy in list_policies(run, predictions)}
    numbers, scores = by_policy[run.policy], predictions.scores(task, run.policy)
    confusion: list[list[int]] = numbers.get("confusion", [])
    matrix: list[int] = []
    shown: list[list[Any]] = []
    sure: list[dict[str, Any]] = []
    if confusion:
        matrix = arrange_matrix(confusion)
    if task.kind != "regression":
        decided = decision_of(run, task, predictions, run.policy).decide(scores)
        shown, sure = thumbnails(competition, predictions, scores, decided, progress)
    outline, _ = read_outline(run.folder / "recipe.py")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True)
    template = environment.from_string(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    by, higher = f"val_{task.metric.name}", task.metric.higher_is_better
    histories = run.histories()
    if not all(by in history for history in histories):
        by, higher = "val_loss", False
    return template.render(
        run=run.id,
        competition=record["competition"],
        recipe_line=outline,
        images=f"{numbers['images']:,}",
        classes=list(task.classes),
        kind=task.kind,
        begun=record["created"][:16].replace("T", " "),
        figures=figures(run, task, numbers),
        command=command(run),
        settings=settings(run),
        source=(run.folder / "recipe.py").read_text(encoding="utf-8"),
        curves=inline_svg(charts.curves({run.id: histories}, by, higher)),
        confusion=confusion,
        totals=[sum(row) for row in confusion],
        matrix=matrix,
        kept=f"{len(shown):,}",
        left_out=task.kind != "regression" and len(shown) < numbers["images"],
        per_class=list(numbers.get("per_class", {}).items()),
        outcomes=list(numbers.get("outcomes", {}).items()),
        per_value=list(numbers.get("per_value", {}).items()),
        policies=compare_policies(task, predictions, by_policy),
        mistakes=sure,
        filters=data_address("png", png_of(sheets.filters(*kernel))) if kernel else "",
        few=FEW_CLASSES,
        data={"classes": list(task.classes), "several": task.several, "images": shown},
    )


def measure_policy(run: Run, task: Task, predictions: Predictions, policy: str) -> dict[str, Any]:
    """Return the numbers of a run at one TTA policy."""
    decision = decision_of(run, task, predictions, policy)
    return measure(task, predictions.true, predictions.scores(task, policy), decision)


def figures(run: Run, task: Task, numbers: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the few numbers to see first, the task's metric before the others."""
    scores = numbers["scores"].items()
    found = [(f"{find_metric(name).title}, tta {name_policy(run.policy)}", f"{value:.4f}") for name, value in scores]
    return [*found[:4], ("parameters", f"{run.record['parameters']:,}"), ("seconds of training", f"{run.seconds:,.0f}")]


def command(run: Run) -> str:
    """Return the line that trains the same again: with the settings that the user changed."""
    record, folds = run.record, run.folds
    if record["kind"] == "blend":
        options = f" --weights {run.settings['weights']} --form {run.settings['form']}"
        names = " ".join(each["run"] for each in record["members"])
        return f"kcnn blend {names} -c {quote(record['competition'])}{options}"
    if record["kind"] in ("probe", "tabular"):
        return f"kcnn {record['kind']} -c {quote(record['competition'])}{write_settings(record['set'])}"
    where = "" if folds == [0] else f" --folds {','.join(map(str, folds))}"
    backend = "" if record["backend"] == "tensorflow" else f" --backend {record['backend']}"
    recipe = quote(f"recipes/{record['recipe']}.py")
    line = f"kcnn train {recipe} -c {quote(record['competition'])}{where}{backend}"
    more = f" --seeds {run.seeds}" if run.seeds > 1 else ""
    more += "".join(f" --{name} {quote(path)}" for name, path in record.get("edits", {}).items())
    if pseudo := record.get("pseudo"):
        more += f" --pseudo {pseudo['run']} --above {pseudo['above']:g}{' --soft' if pseudo['soft'] else ''}"
    return line + more + write_settings(record["set"])


def write_settings(values: dict[str, Any]) -> str:
    return "".join(f" --set {name}={quote(str(value))}" for name, value in values.items())


def settings(run: Run) -> list[tuple[str, str]]:
    record = run.record
    values = ", ".join(f"{name}={value}" for name, value in run.settings.items())
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return [
        ("recipe", record["recipe"]),
        *([("comes from", origin)] if (origin := describe_origin(run)) else []),
        ("settings", values),
        ("folds", f"{', '.join(map(str, run.folds))} of {record['folds']['file']}"),
        ("device", f"{record['device']}, {record['backend']}, {record['precision']}"),
        ("versions", versions),
        ("commit", record["commit"] or "none"),
    ]


def compare_policies(task: Task, predictions: Predictions, by_policy: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Return a head and a row for each TTA policy; of one class an image also the difference to one view in points of
    accuracy, with its standard error on the same images."""
    names = list(next(iter(by_policy.values()))["scores"])[:4]
    paired = task.kind == "multiclass" and "none" in by_policy and len(predictions.ids) > 1
    rows = [["tta", *(find_metric(name).title for name in names), *(["points against one view"] if paired else [])]]
    for policy, numbers in by_policy.items():
        cells = [f"{numbers['scores'][name]:.4f}" for name in names]
        if paired and policy != "none":
            one, other = (predictions.scores(task, each) for each in ("none", policy))
            cells.append("{:+.2f} ± {:.2f}".format(*points_gained(predictions.true, one, other)))
        elif paired:
            cells.append("")
        rows.append([name_policy(policy), *cells])
    return rows


def arrange_matrix(confusion: list[list[int]]) -> list[int]:
    """Return the classes of the matrix in their order: of many those with the most errors, the ones that are confused
    with each other side by side."""
    matrix = most_errors(confusion, min(len(confusion), MOST_CLASSES))
    if len(confusion) <= FEW_CLASSES:
        return matrix
    return [matrix[place] for place in charts.cluster_order(np.array(confusion)[np.ix_(matrix, matrix)])]


def thumbnails(
    competition: Competition, predictions: Predictions, scores: Array, decided: Array, progress: Progress
) -> tuple[list[list[Any]], list[dict[str, Any]]]:
    """Return as many of the validation images as have room, the surest mistakes first and then what is right, the least
    sure first: [id, true, predicted, probability, address] each, the second and the third the numbers of classes or
    labels; and those of the surest mistakes by name. The probability is that of the class; of several labels that of
    the least sure decision."""
    task, folder, targets = competition.task, competition.folder, predictions.true
    if targets.ndim == 2:
        wrong, right = find_label_mistakes(targets, scores, decided), np.flatnonzero((decided == targets).all(axis=1))
        sure = np.where(decided == 1, scores, 1 - scores).min(axis=1)
    else:
        wrong, right = find_mistakes(task, targets, scores, decided), np.flatnonzero(decided == targets)
        sure = scores[np.arange(len(decided)), decided]
    order = np.concatenate([wrong, right[np.argsort(sure[right], kind="stable")]])[: ROOM // 400]

    def addresses(rows: range) -> list[str]:
        return [address_of(folder / str(predictions.ids[order[row]])) for row in rows]

    marks = [as_columns(each, scores.shape[1]) for each in (targets, decided)]
    shown: list[list[Any]] = []
    room = ROOM
    made = progress.track(chain.from_iterable(in_parallel(addresses, len(order))), "making thumbnails", len(order))
    for row, address in zip(order, made, strict=True):
        room -= len(address) + 6 * len(str(predictions.ids[row])) + 60  # at worst a letter is written as six signs
        if room >= 0:
            numbers = [np.flatnonzero(each[row]).tolist() for each in marks]
            shown.append([str(predictions.ids[row]), *numbers, round(float(sure[row]), 4), address])
    of_mistakes = [
        {
            "name": name,
            "true": name_all(task, true),
            "predicted": name_all(task, said),
            "probability": share if targets.ndim == 1 else None,
            "thumbnail": address,
        }
        for name, true, said, share, address in shown[: min(SURE, len(wrong))]
    ]
    return shown, of_mistakes


def name_all(task: Task, numbers: list[int]) -> str:
    return ", ".join(task.classes[number] for number in numbers) or "no label"


def address_of(path: Path) -> str:
    """Return a file's thumbnail as a data: address, "" where it cannot be read."""
    pixels, _ = attempt(lambda: decode_whole(path, SIDE))
    if pixels is None:
        return ""
    written = io.BytesIO()
    Image.fromarray(shrink(pixels, SIDE)).save(written, "webp", quality=70)
    return data_address("webp", written.getvalue())


def png_of(drawn: Figure) -> bytes:
    written = io.BytesIO()
    drawn.savefig(written, format="png")
    return written.getvalue()


def inline_svg(drawn: Figure) -> Markup:
    """Return a figure as an <svg> that takes the page's own colour where it was black, and has no background."""
    written = io.StringIO()
    drawn.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    text = written.getvalue()
    return Markup(text[text.index("<svg") :].replace("#000000", "currentColor"))


def data_address(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
