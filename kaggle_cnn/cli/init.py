"""init: a workspace with recipes to edit."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import app, print_line
from kaggle_cnn.workspace import Workspace


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Create it if it does not exist.", metavar="DIR")] = Path("."),
) -> None:
    """Create a workspace: recipes to edit and kcnn.toml.

    Existing files stay as they are.
    """
    from kaggle_cnn.recipe import list_shipped_recipes

    (folder / "recipes").mkdir(parents=True, exist_ok=True)
    for source in list_shipped_recipes():
        target = folder / "recipes" / source.name
        print_line(f"{target}{' exists' if target.exists() else ''}")
        if not target.exists():
            shutil.copyfile(source, target)
    if not (folder / "kcnn.toml").exists():
        Workspace(folder).make_current(None)
