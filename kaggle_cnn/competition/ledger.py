"""submissions/<name>/scores.csv: each submission's validation score beside the host's."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from kaggle_cnn.competition.submission import read_table, write

COLUMNS = ["date", "file", "run", "views", "validation", "public", "private", "status", "message"]


def read(folder: Path) -> pd.DataFrame:
    """The ledger in `folder`, oldest first, as strings; empty where nothing has been submitted."""
    path = folder / "scores.csv"
    return read_table(path) if path.is_file() else pd.DataFrame(columns=COLUMNS, dtype=str)


def enter(folder: Path, **entry: str | float | None) -> None:
    """Adds one line, dated now (UTC). Scores are accuracies in [0, 1], written with five digits; None is left empty."""
    texts = {
        key: f"{value:.5f}" if isinstance(value, float) else str(value)
        for key, value in entry.items()
        if value is not None
    }
    line = {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"), **texts}
    write(folder / "scores.csv", pd.concat([read(folder), pd.DataFrame([line])]).reindex(columns=COLUMNS).fillna(""))
