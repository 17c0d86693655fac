"""A study of trials: the metric of each, and against each setting."""

from pathlib import Path
from typing import Any

from kaggle_cnn.insight import charts
from kaggle_cnn.pictures.picture import Picture


def draw(numbers: dict[str, Any]) -> Picture | None:
    """Draw a study, as tuning.describe_study gives it; None where fewer than two trials have a value."""
    if sum(each["value"] is not None for each in numbers["trials"]) < 2:
        return None
    return Picture(charts.study(numbers), Path(numbers["folder"]) / "study.png")
