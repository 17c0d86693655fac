"""Tuning: trials of a recipe with other settings, each a light training on one fold, in a study of their own."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kaggle_cnn.api import open_dataset
from kaggle_cnn.competition.opening import open_competition
from kaggle_cnn.elsewhere import find_cluster, require_cluster
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Progress, Silent
from kaggle_cnn.recipe import (
    Recipe,
    compile_recipe,
    convert,
    find_recipe,
    list_settings,
    load_recipe,
    read_recipe,
)
from kaggle_cnn.runs.study import (
    Study,
    open_study,
    rate_settings,
    read_space,
)
from kaggle_cnn.search_space import derive_space, parse_space, split_space
from kaggle_cnn.training import choose_settings
from kaggle_cnn.trials import Tuned, run_trials, run_trials_on_ray
from kaggle_cnn.workspace import Workspace


def tune(
    recipe: str | Path,
    trials: int = 20,
    timeout: float | None = None,
    space: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    fold: int = 0,
    study: str = "",
    storage: str = "",
    backend: str | None = None,
    competition: str | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
    on: str = "",
    at_once: int = 4,
) -> dict[str, Any]:
    """Try settings of a recipe until a study has `trials` trials, or `timeout` seconds are over; return the study.

    The settings are suggested by Optuna's TPE sampler (Bergstra et al. 2011), the first ones are the recipe's own; bad
    trials are pruned. `space` is as in ["dropout=0.2..0.6", "width=32,64"], else that of the study, or the recipe's.
    `settings` are those of all trials. `study` is its name, else that of the recipe. `storage` is a database's URL in
    place of a journal file in the study's folder. Several processes may work on one study. `on` "ray", or an address,
    `at_once` trials are tasks of Ray, and this process alone writes the study.
    Returns what `describe_study` does. Raises KcnnError where the first trial cannot be trained.
    """
    from kaggle_cnn.learn.backend import find_device, start_backend

    workspace, progress = workspace or Workspace.find(), progress or Silent()
    path = find_recipe(Path(recipe), workspace.root)
    found, source = open_competition(workspace, competition), read_recipe(path)
    name = study or path.stem
    require_sensible(name, trials)
    compile_recipe(path, source)
    cluster = find_cluster(workspace, on)
    require_cluster(cluster)
    dataset = open_dataset(workspace, found, None, progress)
    start_backend(backend)
    chosen, given, notes = choose_settings(load_recipe(path, source), dict(settings or {}), found)
    fixed = {key: list_settings(chosen)[key] for key in given}
    texts = split_space(list(space)) or read_space(workspace, found.name, name, storage)
    spans = parse_space(chosen, texts) if texts else derive_space(chosen)
    spans = {key: span for key, span in spans.items() if key not in fixed}
    if not spans:
        raise KcnnError("there is nothing to search: every setting of the space is given by --set", "give --space")
    opened = open_study(
        workspace, found.name, name, found.task.metric, spans, fixed, storage, max(1, chosen.epochs // 4)
    )
    for note in [*dataset.notes, *notes]:
        progress.say(f"note: {note}")
    progress.say(f"tuning {path.stem} on '{found.name}', fold {fold}: {find_device().name}")
    progress.say(f"space: {', '.join(f'{key}={span}' for key, span in spans.items())}")
    enqueue_own(opened, chosen)
    tuned = Tuned(workspace, dataset, chosen, path, source, fixed, fold, progress)
    if cluster:
        run_trials_on_ray(opened, tuned, trials, timeout, cluster, at_once)
    else:
        run_trials(opened, tuned, trials, timeout)
    return describe_study(opened, chosen)


def require_sensible(name: str, trials: int) -> None:
    """Raise KcnnError where a study's name is not one for a folder, or no trial is asked for."""
    if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise KcnnError(
            f"--study should be a name of letters, digits, - and _, got '{name}'", "for example: --study wide"
        )
    if trials < 1:
        raise KcnnError(f"--trials should be at least 1, got {trials}", "for example: --trials 20")


def enqueue_own(study: Study, recipe: Recipe) -> None:
    """Let the first trial of a study have the recipe's own settings, where they are in the space."""
    own = {name: list_settings(recipe)[name] for name in study.space}
    fits = all(
        own[name] in span.choices if span.choices else span.low <= float(own[name]) <= span.high
        for name, span in study.space.items()
    )
    if fits and not study.optuna.get_trials(deepcopy=False):
        study.optuna.enqueue_trial(own)


def describe_study(study: Study, recipe: Recipe) -> dict[str, Any]:
    """Return a study as plain values: study, folder, metric, higher_is_better, space, trials (number, state, value,
    settings, seconds, values by epoch, error), best (the number, or None), own (the value of the recipe's own settings,
    or None) and importance, the share of each setting."""
    own_settings = {name: list_settings(recipe)[name] for name in study.space}
    trials = [
        {
            "number": each.number,
            "state": each.state.name.lower(),
            "value": each.value if each.state.name in ("COMPLETE", "PRUNED") else None,
            "settings": {name: convert(name, each.params[name], type(own_settings[name])) for name in each.params},
            "seconds": each.user_attrs.get("seconds"),
            "epochs": [value for _, value in sorted(each.intermediate_values.items())],
            "error": each.user_attrs.get("error", ""),
        }
        for each in study.trials
    ]
    complete = [each for each in trials if each["state"] == "complete"]
    best = max(complete, key=lambda each: study.metric.merit(each["value"]), default=None)
    own = next((each["value"] for each in complete if each["settings"] == own_settings), None)
    return {
        "study": study.folder.name,
        "folder": str(study.folder),
        "metric": study.metric.name,
        "higher_is_better": study.metric.higher_is_better,
        "space": {name: str(span) for name, span in study.space.items()},
        "log": [name for name, span in study.space.items() if span.log],
        "trials": trials,
        "best": best["number"] if best else None,
        "own": own,
        "importance": rate_settings(study),
    }
