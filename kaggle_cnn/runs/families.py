"""Where a run comes from, in words: members of a blend, a study, another run's labels or weights."""

from kaggle_cnn.runs.run import Run

EDITS = {"exclude": "without images of", "relabel": "with labels of"}


def describe_origin(run: Run) -> str:
    """Return what a run comes from, "" where it comes from a recipe alone."""
    record, words = run.record, []
    if members := record.get("members"):
        weighted = ", ".join(f"{each['run']} ({each['weight']:.2f})" for each in members)
        words.append(f"blend of {weighted}")
    if study := record.get("study"):
        words.append(f"trial {study['trial']} of the study {study['name']}")
    if pseudo := record.get("pseudo"):
        words.append(f"pseudo-labels by {pseudo['run']}, {'soft, ' if pseudo['soft'] else ''}above {pseudo['above']:g}")
    backbone = str(record["settings"].get("backbone", ""))
    if backbone.startswith("run:"):
        words.append(f"backbone of {backbone.removeprefix('run:')}")
    words += [f"{EDITS[name]} {path}" for name, path in record.get("edits", {}).items()]
    if within := record.get("within"):
        words.append(f"within {within:,.0f} s")
    return "; ".join(words)
