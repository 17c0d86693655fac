"""backbones: which pretrained networks there are, and their weights."""

from typing import Annotated

import typer

from kaggle_cnn.cli.terminal import JsonOption, app, console, print_json, print_line, progress, say


@app.command()
def backbones(
    download: Annotated[
        list[str] | None, typer.Option("--download", help="Download the weights of this backbone. Repeat it for more.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the pretrained backbones; download their weights."""
    from kaggle_cnn.backbones.catalogue import find_backbone, list_backbones
    from kaggle_cnn.backbones.weights import find_weights, get_weights

    if download:
        chosen = [find_backbone(name) for name in download]
        with progress() as shown:
            for each in chosen:
                print_line(get_weights(each, shown))
        return None
    rows = []
    for each in list_backbones().values():
        path = find_weights(each)
        rows.append({
            "name": each.name, "parameters": each.parameters, "size": each.size, "licence": each.licence,
            "megabytes": round(each.megabytes, 1), "on_disk": str(path) if path else "",
        })  # fmt: skip
    if as_json:
        return print_json(rows)
    from kaggle_cnn.insight.tables import backbones_table

    console().print(backbones_table(rows))
    say("kcnn train recipes/pretrained.py --set backbone=NAME; competitions may restrict the weights that are allowed")
    return say("presets of KerasHub, with pip install 'kcnn[pretrained]': https://keras.io/keras_hub/presets/")
