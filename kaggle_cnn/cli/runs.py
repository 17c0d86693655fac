"""runs: what has been trained."""

from typing import Any

from kaggle_cnn.cli.terminal import CompetitionOption, JsonOption, app, console, print_json, say, say_notes
from kaggle_cnn.workspace import Workspace


@app.command()
def runs(competition: CompetitionOption = None, as_json: JsonOption = False) -> None:
    """List the runs, best first by the metric."""
    from kaggle_cnn.competition import ledger
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.insight import tables
    from kaggle_cnn.runs.families import describe_origin
    from kaggle_cnn.runs.run import read_runs
    from kaggle_cnn.runs.scores import best_scores, merit, score_run

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    task = found.task
    whole, damaged = read_runs(workspace, found.name)
    listed = sorted(whole, key=lambda run: merit(run, task), reverse=True)
    say_notes([f"left out: {error.message}" for error in damaged])
    if as_json:
        return print_json(
            [{"id": run.id, "status": run.status, "seconds": run.seconds, "scores": score_run(run, task), **run.record}
             for run in listed]
        )  # fmt: skip
    if not listed:
        return say(f"there is no run of '{found.name}' yet: kcnn train resnet")
    rows = []
    for run in listed:
        tta, scores = best_scores(run, task)
        history = next(iter(run.histories()), None)
        column = f"val_{task.metric.name}"
        row: dict[str, Any] = {
            "id": run.id,
            "kind": run.record["kind"],
            "score": scores.get(task.metric.name),
            "scores": scores,
            "tta": tta,
            "folds": run.folds,
            "seeds": run.seeds,
            "epochs": run.settings["epochs"] if run.record["kind"] == "training" else 0,
            "seconds": run.seconds,
            "status": run.status,
            "created": run.record["created"],
            "history": history[column].tolist() if history is not None and column in history else [],
        }
        rows.append(row)
    screen = console()
    screen.print(tables.runs_table(rows, screen.width, task.metric.name))
    entries = ledger.read(workspace.submissions(found.name)).to_dict("records")
    sent = ledger.best_public([{str(key): str(cell) for key, cell in entry.items()} for entry in entries], task.metric)
    origins = [(run.id, describe_origin(run), sent.get(run.id, "")) for run in listed]
    if lines := [(name, origin, score) for name, origin, score in origins if origin or score]:
        screen.print("", tables.origins_table(lines), sep="\n")
    return None
