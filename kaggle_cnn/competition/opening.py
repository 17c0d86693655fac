"""Open a fetched competition by its name."""

from dataclasses import replace

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts.recognise import find_class_names, read
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace


def open_competition(workspace: Workspace, name: str | None) -> Competition:
    """Return the competition called `name`, or the current one.

    Raises KcnnError where there is none, or none of that name.
    """
    name = name or workspace.current()
    if name is None:
        raise KcnnError("there is no competition here yet", "kcnn fetch demo, or kcnn fetch PATH for a folder or zip")
    if name not in (fetched := workspace.fetched()):
        known = f"fetched so far: {', '.join(fetched)}" if fetched else "nothing has been fetched yet: kcnn fetch"
        raise KcnnError(f"no competition '{name}' under {workspace.root / 'data'}", known)
    return find_classes(Competition.read(workspace.data(name)))


def find_classes(competition: Competition) -> Competition:
    """Return a competition whose classes are [] with those that its labels have, else as it is.

    Raises KcnnError where the labels do not make a sound competition with its other fields.
    """
    if competition.classes:
        return competition
    columns = competition.label_columns
    classes, label_values = find_class_names(competition.folder, competition.kind, columns, read(competition)[1])
    found = replace(
        competition,
        classes=tuple(classes),
        label_values=tuple(label_values),
        positive=competition.positive or (classes[1] if len(classes) == 2 else ""),
    ).with_columns()
    found.require_sound()
    found.require("classes", bool(classes), "at least two different names: there is no label")
    return found
