"""init, fetch, look: from a name to files that are understood."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import CompetitionOption, JsonOption, app, console, say, say_notes, show, talk
from kaggle_cnn.workspace import Workspace


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Made if it is not there.", metavar="DIR")] = Path(".")) -> None:
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
        str | None,
        typer.Argument(
            help="A competition's name or URL on Kaggle, demo, or a folder or zip; else the current one, and demo "
            "where there is none."
        ),
    ] = None,
    only: Annotated[str, typer.Option(help="Of Kaggle's files just those like this, such as '*.csv'.")] = "",
    keep_archive: Annotated[
        bool, typer.Option("--keep-archive", help="Keep the zip that Kaggle sent, beside the folder.")
    ] = False,
) -> None:
    """Bring a competition's files to data/ and make it current."""
    from kaggle_cnn.competition import fetch as competition_fetch
    from kaggle_cnn.competition.competition import ANSWERS, open_competition
    from kaggle_cnn.data.dataset import load_dataset

    workspace = Workspace.find()
    if competition is None:
        current = workspace.current()
        say(f"fetching the current competition, {current}" if current else "no competition named: fetching the demo")
        competition = open_competition(workspace, current).source if current else "demo"
    fetched, new = competition_fetch.fetch(competition, workspace, talk(), only, keep_archive)
    workspace.make_current(fetched.name)
    if not new:
        say(f"{fetched.name} is here already, nothing was downloaded")
    dataset = load_dataset(fetched, talk().track)
    say_notes(dataset.notes)
    tests = f"{len(dataset.test_ids):,} test images" if len(dataset.test_ids) else "no test images"
    typer.echo(f"{fetched.name}: {len(dataset.ids):,} training images of {len(fetched.classes)} classes, {tests}")
    wanted = f"a submission wants {ANSWERS[fetched.answer]}" if len(dataset.test_ids) else "nothing to submit"
    typer.echo(f"layout {fetched.layout}, {wanted}\nin {fetched.folder}")
    say("next: kcnn look, then kcnn train recipes/resnet.py" if Path("recipes").is_dir() else "next: kcnn init")


@app.command()
def look(
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Draw classes, sizes, and images that are the same or nearly.")
    ] = False,
    competition: CompetitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show classes, counts, sizes, what is corrupt or double."""
    from kaggle_cnn.competition.competition import open_competition
    from kaggle_cnn.data.dataset import load_dataset
    from kaggle_cnn.data.survey import every_image, near, survey
    from kaggle_cnn.insight import tables

    workspace = Workspace.find()
    dataset = load_dataset(open_competition(workspace, competition), talk().track)
    images = every_image(dataset, talk().track)
    found = survey(dataset, images)
    if pictures:
        from kaggle_cnn.insight.overview import draw

        found["near"] = near(dataset, images, talk().track)
        folder = workspace.runs(dataset.competition.name) / "pictures"
        found["pictures"] = [str(path) for path in draw(dataset.competition, images, found, folder)]
    if as_json:
        return show(found)
    console().print(*tables.survey_tables(found), sep="\n")
    for path in found.get("pictures", []):
        typer.echo(path)
