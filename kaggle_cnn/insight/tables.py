"""Rich tables of what there is: runs, scores, recipes, images, layers."""

from collections.abc import Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text


def plain_table(columns: list[str], rows: Iterable[Iterable[str]], right: Iterable[str] = (), gap: int = 2) -> Table:
    """A table of strings, a line a row, `gap` (1 or 2) spaces between columns; those named in `right` stand there."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def runs_table(runs: list, width: int) -> Table:
    """`runs` as learn.run.Run, in the order given. Accuracy and the like are of the most views there are; the bars are
    the first fold's validation accuracy, epoch by epoch. When a run was begun is told from 92 columns on."""
    rows = []
    for run in runs:
        record, (views, numbers) = run.record, run.best_score()
        scores = [f"{numbers[name]:.4f}" if numbers else "" for name in ("accuracy", "macro_f1", "log_loss")]
        settings = [str(views or ""), str(len(record["folds"])), str(record["knobs"]["epochs"])]
        begun = record["created"][5:16].replace("T", " ")
        status = f"{record['seconds']:,.0f} s" if run.finished else record["status"]
        history = next(iter(run.histories()), None)
        line = sparkline(history["val_accuracy"].tolist(), 8) if history is not None else ""
        rows.append([run.id, *scores, line, *settings, status, begun])
    columns = ["run", "accuracy", "macro F1", "log loss", "by epoch", "views", "folds", "epochs", "trained"]
    columns += ["begun (UTC)"] if width >= 92 else []
    rows = [row[: len(columns)] for row in rows]
    return plain_table(columns, rows, right=[name for name in columns[1:] if name != "by epoch"], gap=1)


def scores_table(entries: list[dict[str, str]]) -> Table:
    """The ledger's lines; a column that no line fills is left out."""
    columns = ["date", "file", "run", "validation", "public", "private", "status", "message"]
    columns = [name for name in columns if any(entry[name] for entry in entries)] or columns
    rows = [[entry[name][:16] if name == "date" else entry[name] for name in columns] for entry in entries]
    return plain_table(columns, rows, right=("validation", "public", "private"), gap=1)


def leaderboard_table(rows: list[dict]) -> Table:
    """Places of a leaderboard, the user's own in bold."""
    cells = [[f"{row['place']:,}", row["team"], f"{row['score']:g}", row["date"][:16]] for row in rows]
    table = plain_table(["place", "team", "score", "date"], cells, right=("place", "score"))
    for number, row in enumerate(rows):
        table.rows[number].style = "bold green" if row["own"] else None
    return table


def recipes_table(outlines: list[tuple[str, str, dict[str, str]]]) -> RenderableType:
    """Each recipe's name, first line and knobs as written."""
    parts = []
    for name, first_line, knobs in outlines:
        parts += [Text(name, "bold"), Padding(Text(first_line), (0, 0, 0, 2))]
        parts += [Padding(Text(" ".join(f"{knob}={value}" for knob, value in knobs.items()), "dim"), (0, 0, 1, 2))]
    return Group(*parts)


def survey_tables(found: dict) -> list[RenderableType]:
    """What data.survey found, as tables and lines."""
    rows = [[name, f"{counts['train']:,}", f"{counts['share']:.1%}"] for name, counts in found["classes"].items()]
    parts: list[RenderableType] = [plain_table(["class", "images", "share"], rows, right=("images", "share"))]
    rows = []
    for part in ("train", "test"):
        numbers = found[part]
        if numbers["images"]:
            sizes = [
                f"{numbers[name][0]}x{numbers[name][1]}" if numbers[name] else ""
                for name in ("smallest", "median", "largest")
            ]
            counts = [f"{numbers[name]:,}" for name in ("images", "grey", "colour", "corrupt", "double")]
            rows.append([part, *counts, *sizes])
    columns = ["part", "images", "grey", "colour", "corrupt", "double", "smallest", "median", "largest"]
    parts += ["", plain_table(columns, rows, right=columns[1:]), ""]
    lines = [f"layout {found['layout']}, folds {found['folds']}", f"submission: {found['submission']}", *found["notes"]]
    lines += same_lines(found["same"])
    for part in ("train", "test"):
        problems = found[part]["problems"]
        lines += [f"corrupt: {name}: {reason}" for name, reason in list(problems.items())[:20]]
        lines += [f"corrupt: and {len(problems) - 20} more, see --json"] if len(problems) > 20 else []
    return [*parts, *map(Text, lines)]


def same_lines(same: dict) -> list[str]:
    """How many images have the same pixels as others, and a few of those that differ in label."""
    if not same["groups"]:
        return []
    lines = [
        f"groups of images of the same pixels: {same['groups']:,}, of these {same['across']:,} across parts, "
        f"{same['conflicting']:,} with different labels"
    ]
    conflicts = [members for members in same["members"] if len({each["label"] for each in members} - {""}) > 1]
    for members in conflicts[:5]:
        first = next(each for each in members if each["label"])
        other = next(each for each in members if each["label"] not in ("", first["label"]))
        lines.append(f"  {first['file']} ({first['label']}) = {other['file']} ({other['label']})")
    return lines


def sparkline(values: list[float], most: int = 20) -> str:
    """A line of bars from the least value to the greatest; of more than `most`, an even choice with the last."""
    step = (len(values) - 1) / (most - 1)
    kept = values if len(values) <= most else [values[round(place * step)] for place in range(most)]
    low, high = min(kept, default=0), max(kept, default=0)
    return "".join("▁▂▃▄▅▆▇█"[int(7 * (value - low) / ((high - low) or 1))] for value in kept)


def curves_table(histories: dict[str, list], by: str) -> Table:
    """Of each run's folds: validation accuracy epoch by epoch, the best one and the last. As charts.curves has them."""
    rows = []
    for run, folds in histories.items():
        for number, history in enumerate(folds):
            best = history[by].idxmin() if by.endswith("loss") else history[by].idxmax()
            values = history["val_accuracy"]
            epoch = f"{int(history['epoch'][best])} of {len(history)}"
            line = sparkline(values.tolist())
            rows.append(["" if number else run, line, f"{values[best]:.4f}", epoch, f"{values.iloc[-1]:.4f}"])
    return plain_table(["run", "validation accuracy", "best", "epoch", "last"], rows, right=["best", "epoch", "last"])


def layers_table(rows: list[dict]) -> Table:
    """The steps of a network; `rows` as learn.inside.outline gives them."""
    cells = [
        [
            row["name"],
            row["kind"],
            "x".join(str(side) for side in row["shape"]),
            f"{row['parameters']:,}" if row["parameters"] else "",
            f"{row['operations']:,}" if row["operations"] else "",
        ]
        for row in rows
    ]
    columns = ["layer", "kind", "output", "parameters", "multiply-adds"]
    return plain_table(columns, cells, right=columns[2:])


def comparison(names: list[str], numbers: dict, entries: list[dict], most: int = 10) -> RenderableType:
    """`numbers` as insight.compare.compare gives them, `entries` the images on which two runs part."""
    rows = []
    for key, name in (("accuracy", "accuracy"), ("macro_f1", "macro F1")):
        of, (low, high) = numbers[key], numbers[key]["interval"]
        ends = f"{low:+.4f} to {high:+.4f}"
        rows.append([name, f"{of['one']:.4f}", f"{of['other']:.4f}", f"{of['difference']:+.4f}", ends])
    columns = ["", *names, "difference", "95 % interval"]
    counts = numbers["only_one"], numbers["only_other"]
    better = names[1] if numbers["accuracy"]["difference"] > 0 else names[0]
    verdict = f"{better} is better, beyond noise" if numbers["beyond_noise"] else "the difference is within noise"
    right = f"only {names[0]} right {counts[0]:,}, only {names[1]} right {counts[1]:,}"
    parts = [
        Text(f"{numbers['images']:,} validation images\n"),
        plain_table(columns, rows, right=columns[1:]),
        Text(f"\n{right}; McNemar's p {numbers['p']:.3g}"),
        Text(verdict, "bold"),
    ]
    if not entries:
        return Group(*parts)
    cells = []
    for each in entries[:most]:
        cells.append([each["name"], each["true"], *(f"{given} {share:.0%}" for given, share in each["said"])])
    apart = Text(f"\nwhere they part most, {len(cells)} of {len(entries):,}")
    return Group(*parts, apart, plain_table(["image", "true", *names], cells))
