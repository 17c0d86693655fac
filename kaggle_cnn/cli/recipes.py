"""recipes: what can be trained."""

from kaggle_cnn.cli.terminal import app, console, say
from kaggle_cnn.workspace import Workspace


@app.command()
def recipes() -> None:
    """List the recipes and their settings."""
    from kaggle_cnn.insight import tables
    from kaggle_cnn.recipe import default_settings, list_shipped_recipes, read_outline

    here = sorted((Workspace.find().root / "recipes").glob("*.py"))
    if not here:
        say("there is no recipes/ here; these come with kcnn, and kcnn init copies them here")
    outlines = [(path.stem, *read_outline(path)) for path in here or list_shipped_recipes()]
    console().print(tables.recipes_table(outlines, default_settings()))
