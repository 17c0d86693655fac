"""The commands: parse, call, print. The only room that talks to the terminal.

Results go to standard output, talk and progress to standard error. What is slow to import is imported by the command
that needs it: `kcnn --help` must come at once, and `fetch`, `look`, `runs` and `submit` never import Keras.
"""

import errno
import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace

app = typer.Typer(
    name="kcnn",
    help="From a competition's name to an honest, high score: fetch, train, submit.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich help takes twice as long to come
    pretty_exceptions_enable=False,
)

CompetitionOption = Annotated[
    str | None, typer.Option("--competition", "-c", help="A fetched competition; else the current one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
RunsArgument = Annotated[
    list[str] | None, typer.Argument(help="Runs, by id or its beginning; else the newest.", metavar="[RUN]...")
]
BackendOption = Annotated[
    str | None, typer.Option(help="tensorflow, jax or torch; else KERAS_BACKEND, else tensorflow.")
]


def main() -> None:
    """The entry point: runs a command; a user's mistake ends in `error:` and `hint:` lines and exit code 1."""
    try:
        app()
    except KcnnError as error:
        fail(error.message, error.hint)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            fail(
                f"no room left to write {error.filename or 'to this disk'}",
                "make room and run it again; nothing is lost",
            )
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            fail(f"not allowed to use {error.filename}", "check its owner and permissions")
        raise


def fail(message: str, hint: str) -> None:
    for word, text in (("error", message), ("hint", hint)):
        print(f"{word}: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(1)


def console(stderr: bool = False):
    """Where tables go; with `stderr`, where progress goes."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def say(text: str = "") -> None:
    """Talk, which is no result."""
    typer.echo(text, err=True)


def say_notes(notes: list[str]) -> None:
    for note in notes:
        say(f"note: {note}")


def show(value) -> None:
    """One result as JSON."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Made if it is not there.", metavar="[DIR]")] = Path(".")) -> None:
    """Make a workspace: recipes to edit and kcnn.toml. Files that exist stay as they are."""
    from kaggle_cnn.learn.recipe import shipped_recipes

    (folder / "recipes").mkdir(parents=True, exist_ok=True)
    for source in shipped_recipes():
        target = folder / "recipes" / source.name
        typer.echo(f"{target}{' is there already' if target.exists() else ''}")
        if not target.exists():
            shutil.copyfile(source, target)
    if not (folder / "kcnn.toml").exists():
        Workspace(folder).make_current(None)


@app.command()
def fetch(
    competition: Annotated[
        str | None, typer.Argument(help="demo, or a folder or zip; else the current one, and demo where there is none.")
    ] = None,
) -> None:
    """Bring a competition's files to data/ and make it current."""
    from kaggle_cnn.competition import local_host
    from kaggle_cnn.data.dataset import load_dataset
    from kaggle_cnn.insight.progress import track_on

    workspace = Workspace.find()
    if competition is None:
        current = workspace.current()
        say(f"fetching the current competition, {current}" if current else "no competition named: fetching the demo")
        competition = local_host.source_of(workspace, current) if current else "demo"
    fetched, new = local_host.fetch(competition, workspace, track_on(console(stderr=True)))
    workspace.make_current(fetched.name)
    if not new:
        say(f"{fetched.name} is here already, nothing was downloaded")
    dataset = load_dataset(fetched)
    say_notes(dataset.notes)
    tests = f"{len(dataset.test_ids):,} test images" if len(dataset.test_ids) else "no test images"
    typer.echo(f"{fetched.name}: {len(dataset.ids):,} training images of {len(fetched.classes)} classes, {tests}")
    typer.echo(f"in {fetched.folder}")
    say("next: kcnn look, then kcnn train recipes/vgg.py" if Path("recipes").is_dir() else "next: kcnn init")


@app.command()
def look(competition: CompetitionOption = None, as_json: JsonOption = False) -> None:
    """Show classes, counts, sizes, what is corrupt or double."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.data.dataset import load_dataset
    from kaggle_cnn.data.survey import survey
    from kaggle_cnn.insight import tables
    from kaggle_cnn.insight.progress import track_on

    dataset = load_dataset(open_competition(Workspace.find(), competition))
    found = survey(dataset, track_on(console(stderr=True)))
    if as_json:
        return show(found)
    console().print(*tables.survey_tables(found), sep="\n")


@app.command()
def recipes() -> None:
    """List the recipes with their first lines and their knobs."""
    from kaggle_cnn.insight import tables
    from kaggle_cnn.learn.recipe import read_outline, shipped_recipes

    here = sorted((Workspace.find().root / "recipes").glob("*.py"))
    if not here:
        say("no recipes/ here; these come with kcnn, and kcnn init puts them here")
    console().print(tables.recipes_table([(path.stem, *read_outline(path)) for path in here or shipped_recipes()]))


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe file, such as recipes/vgg.py.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="A knob, as name=value; may be repeated.")] = None,
    fold: Annotated[int, typer.Option(min=0, max=4, help="The fold to validate on.")] = 0,
    folds: Annotated[str | None, typer.Option(help="'all': one model for each fold.", metavar="all")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with this recipe's newest unfinished run.")] = False,
    backend: BackendOption = None,
    competition: CompetitionOption = None,
) -> None:
    """Train a recipe; ends with a confusion table and a submission."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.data.dataset import FOLDS, load_dataset
    from kaggle_cnn.insight.metrics import measure_views, summary
    from kaggle_cnn.insight.progress import TrainingProgress, track_on
    from kaggle_cnn.learn.backend import find_device, start_backend
    from kaggle_cnn.learn.predictions import Predictions
    from kaggle_cnn.learn.recipe import compile_recipe, load_recipe, parse_settings, require_same, set_knobs
    from kaggle_cnn.learn.run import open_unfinished

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    values = parse_settings(settings or [])
    if folds not in (None, "all"):
        raise KcnnError(f"--folds should be all, got '{folds}'", "for one fold: --fold N")
    run = open_unfinished(workspace, found.name, recipe.stem) if resume else None
    path = run.folder / "recipe.py" if run else recipe
    compile_recipe(path)  # its mistakes are told before Keras takes its seconds to start
    dataset = load_dataset(found)

    start_backend(backend or (run.record["backend"] if run else None))
    chosen = set_knobs(load_recipe(path), run.record["knobs"] if run else values)
    if run:
        require_same(chosen, set_knobs(chosen, values))
    device = find_device()
    say(f"training {recipe.stem} on '{found.name}': {device.name}")
    say_notes(dataset.notes)
    from kaggle_cnn.learn.train import train as train_run

    wanted = run.record["folds"] if run else list(range(FOLDS)) if folds else [fold]
    screen = console(stderr=True)
    try:
        with TrainingProgress(screen) as progress:
            run = train_run(workspace, dataset, chosen, recipe, wanted, device, progress, track_on(screen), run)
    except KeyboardInterrupt:
        say()
        go_on = f"epochs that were done are kept. To go on: kcnn train {recipe} --resume"
        say(f"stopped; {go_on if progress.steps else 'training had not begun'}")
        raise typer.Exit(130) from None
    validation = Predictions.read(run.folder / "validation.npz")
    by_views = measure_views(validation, run.record["classes"])
    run.updated(scores=summary(by_views))
    print_measures(by_views, run.record["classes"])
    if len(dataset.test_ids):
        typer.echo(f"submission  {write_submission(workspace, found, [run])}")
    typer.echo(f"run         {run.folder}")
    if len(dataset.test_ids):
        say("next: kcnn submit")


def print_measures(by_views: dict[int, dict], classes: list[str]) -> None:
    from kaggle_cnn.insight import tables

    screen = console()
    screen.print("", tables.measures(by_views, classes, screen.width), "", sep="\n")


def write_submission(workspace: Workspace, competition, runs: list) -> Path:
    """submissions/<name>/<run>.csv from the test predictions of `runs`, their mean where there are several."""
    from kaggle_cnn.competition import submission
    from kaggle_cnn.learn.predictions import Predictions, mean

    predictions = mean([Predictions.read(run.folder / "test.npz") for run in runs])
    if not len(predictions.ids):
        raise KcnnError(
            f"'{competition.name}' has no test images: nothing to submit", "kcnn evaluate shows the validation"
        )
    path = workspace.submissions(competition.name) / f"{'+'.join(run.id for run in runs)}.csv"
    table = submission.make(competition, predictions.ids, predictions.best()[1])
    submission.check(competition, table, predictions.ids)
    submission.write(path, table)
    return path


@app.command()
def runs(competition: CompetitionOption = None, as_json: JsonOption = False) -> None:
    """List the runs, best first."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.insight import tables
    from kaggle_cnn.learn.run import list_runs

    workspace = Workspace.find()
    found = list_runs(workspace, open_competition(workspace, competition).name)
    found = sorted(found, key=lambda run: run.best_score()[1].get("accuracy", -1), reverse=True)
    if as_json:
        return show([{"id": run.id, **run.record} for run in found])
    console().print(tables.runs_table(found))


@app.command()
def evaluate(
    names: RunsArgument = None,
    views: Annotated[
        list[int] | None, typer.Option(help="1, 2 or 10; may be repeated; else all that are kept.")
    ] = None,
    competition: CompetitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the confusion table of a run, or of the mean of several."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.insight.metrics import measure_views
    from kaggle_cnn.learn.predictions import mean
    from kaggle_cnn.learn.run import open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    chosen = open_runs(workspace, found, names)
    for count in views or []:
        require_views(count)
    validation = mean([validated(run, found, max(views or [1])) for run in chosen])
    by_views = {
        n: numbers for n, numbers in measure_views(validation, found.classes).items() if not views or n in views
    }
    if not as_json:
        return print_measures(by_views, found.classes)
    best = max(by_views.items())[1]  # at the top: the numbers of the most views
    show({"runs": [run.id for run in chosen], "classes": list(found.classes), **best, "views": by_views})


def require_views(views: int) -> None:
    if views not in (1, 2, 10):
        raise KcnnError(f"--views should be 1, 2 or 10, got {views}", "10: four corners and centre, each mirrored too")


def validated(run, competition, views: int):
    """A run's out-of-fold predictions; made anew, by its models, where they are gone or of fewer views than `views`."""
    from kaggle_cnn.data.dataset import load_dataset
    from kaggle_cnn.insight.progress import track_on
    from kaggle_cnn.learn.backend import start_backend
    from kaggle_cnn.learn.predictions import Predictions

    path = run.folder / "validation.npz"
    if path.is_file() and (kept := Predictions.read(path)).best()[0] >= views:
        return kept
    run.models  # noqa: B018  raises where one is gone, before Keras takes its seconds to start
    start_backend(run.record["backend"])
    from kaggle_cnn.learn.predict import validate_run

    views = max(views, run.record["knobs"]["views"])
    predictions = validate_run(run, load_dataset(competition), views, track_on(console(stderr=True)))
    predictions.write(path)
    return predictions


@app.command()
def predict(
    names: RunsArgument = None,
    views: Annotated[int | None, typer.Option(help="1, 2 or 10; else as many as the recipe says.")] = None,
    backend: BackendOption = None,
    competition: CompetitionOption = None,
) -> None:
    """Predict the test images with a run, or the mean of several."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.data.dataset import load_dataset
    from kaggle_cnn.insight.progress import track_on
    from kaggle_cnn.learn.backend import start_backend
    from kaggle_cnn.learn.run import open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    chosen = open_runs(workspace, found, names)
    if views is not None:
        require_views(views)
    dataset = load_dataset(found)
    say_notes(dataset.notes)
    for run in chosen:
        run.models  # noqa: B018  raises where one is gone, before Keras takes its seconds to start
    start_backend(backend or chosen[0].record["backend"])
    from kaggle_cnn.learn.predict import predict_run

    for run in chosen:
        wanted = views or run.record["knobs"]["views"]
        predictions, notes = predict_run(run, dataset, wanted, track_on(console(stderr=True)))
        predictions.write(run.folder / "test.npz")
        say_notes(notes)
    typer.echo(write_submission(workspace, found, chosen))


@app.command()
def submit(
    csv: Annotated[Path | None, typer.Argument(help="A submission; else the newest run's.", metavar="[CSV]")] = None,
    message: Annotated[str, typer.Option("--message", "-m", help="Kept with the score.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    competition: CompetitionOption = None,
) -> None:
    """Check a submission, ask, send it to the host and show its score."""
    from kaggle_cnn.competition import ledger, local_host, submission
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.data.dataset import load_dataset
    from kaggle_cnn.learn.run import list_runs, open_runs

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    if csv is None:
        csv = write_submission(workspace, found, open_runs(workspace, found))
    run = next((run for run in list_runs(workspace, found.name) if run.id == csv.stem), None)
    table = submission.read_table(csv)
    submission.check(found, table, load_dataset(found).test_ids)
    views, accuracy = submitted_score(run) if run else (None, None)
    typer.echo(f"competition  {found.name}\nfile         {csv}, {len(table):,} rows, checked")
    if accuracy is not None:
        typer.echo(f"validation   {accuracy:.4f}")
    try:
        agreed = yes or typer.confirm("submit it?", err=True)
    except typer.Abort:  # Ctrl-C, or nobody there to answer
        agreed = False
        say()
    if not agreed:
        raise KcnnError("not submitted, since the answer was not yes", "kcnn submit --yes does not ask")
    score = local_host.submit(found, table)
    entry = {"file": csv.name, "run": run.id if run else None, "views": views, "validation": accuracy, "public": score}
    ledger.enter(workspace.submissions(found.name), **entry, status="complete", message=message)
    typer.echo(f"public score {score:.4f}")


def submitted_score(run) -> tuple[int, float | None]:
    """How many views a run's test predictions average, and the validation accuracy for as many."""
    from kaggle_cnn.learn.predictions import Predictions

    views = Predictions.read(run.folder / "test.npz").best()[0]
    return views, run.scores().get(views, {}).get("accuracy")


@app.command()
def scores(competition: CompetitionOption = None, as_json: JsonOption = False) -> None:
    """List what was submitted: validation score beside the host's."""
    from kaggle_cnn.competition import ledger
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.insight import tables

    workspace = Workspace.find()
    entries = ledger.read(workspace.submissions(open_competition(workspace, competition).name)).to_dict("records")
    if as_json:
        return show(entries)
    console().print(tables.scores_table(entries))
