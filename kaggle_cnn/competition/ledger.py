"""submissions/<name>/scores.csv: each submission's validation score beside the host's, and the file last sent."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kaggle_cnn.competition.metrics import Metric
from kaggle_cnn.competition.table import read_table, write_table
from kaggle_cnn.files import one_at_a_time, whole_file
from kaggle_cnn.parsing import read_json

COLUMNS = ["date", "ref", "file", "run", "tta", "metric", "validation", "public", "private", "status", "message"]
LONGEST_WAIT_SECONDS = 60
LAST_SENT, SENDING = ".last-sent.csv", ".sending.json"
Entry = dict[str, str]


def read(folder: Path) -> pd.DataFrame:
    """Return the ledger in `folder`, oldest first, as strings; empty where nothing has been submitted."""
    path = folder / "scores.csv"
    lines = read_table(path) if path.is_file() else pd.DataFrame(columns=COLUMNS, dtype=str)
    return lines.reindex(columns=COLUMNS).fillna("")


def enter(folder: Path, **entry: str | float | None) -> None:
    """Add one line, dated now (UTC). Scores are numbers, written with five digits, or texts; None is left empty."""
    line = {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"), **as_texts(entry)}
    with alone(folder):
        lines = pd.concat([read(folder), pd.DataFrame([line])]).reindex(columns=COLUMNS).fillna("")
        write_table(folder / "scores.csv", lines)


def alone(folder: Path) -> AbstractContextManager[None]:
    """Keep other processes from the ledger for the block: each reads it, adds its line and writes it again."""
    return one_at_a_time(folder / "scores.csv", wait=LONGEST_WAIT_SECONDS)


def require_writable(folder: Path) -> None:
    """Raise OSError or KcnnError where no line could be added: better before a submission is sent than after it."""
    with alone(folder):
        write_table(folder / "scores.csv", read(folder))


def as_texts(entry: Mapping[str, Any]) -> Entry:
    return {
        key: f"{value:.5f}" if isinstance(value, float) else str(value)
        for key, value in entry.items()
        if value is not None
    }


def update(folder: Path, listed: Sequence[Any]) -> list[Entry]:
    """Update the ledger's scores with those that the host lists, and return all there is, oldest first.

    `listed`: kaggle.competitions.Submitted. Submissions that were made elsewhere are returned too, but not written.
    """
    lines = read(folder)
    if len(lines) and listed:
        with alone(folder):
            lines = read(folder)
            for each in listed:
                own = lines["ref"] == str(each.ref)
                lines.loc[own, ["public", "private", "status"]] = [each.public, each.private, each.status]
            write_table(folder / "scores.csv", lines)
    known = set(lines["ref"])
    elsewhere = [
        {
            **dict.fromkeys(COLUMNS, ""),
            **as_texts({name: getattr(each, name) for name in COLUMNS if hasattr(each, name)}),
        }
        for each in listed
        if str(each.ref) not in known
    ]
    entries: list[Entry] = [{str(key): str(value) for key, value in line.items()} for line in lines.to_dict("records")]
    return sorted([*entries, *elsewhere], key=lambda entry: entry["date"])


@dataclass(frozen=True)
class Correlation:
    """Pearson's r of validation and public score over so many submissions; low and high, its interval of 95 % by
    Fisher's z, from -1 to 1 where there are three."""

    value: float
    low: float
    high: float
    submissions: int

    @property
    def is_doubtful(self) -> bool:
        """Whether the public score may not follow the validation at all: the interval holds 0, or is below it."""
        return self.low <= 0


def correlation(entries: list[Entry], metric: str) -> Correlation | None:
    """Return how the public score follows the validation by `metric`; None below three submissions or where one score
    is constant. Lines of another metric do not count: they have another scale."""
    pairs = [
        (entry["validation"], entry["public"])
        for entry in entries
        if entry["metric"] == metric and entry["validation"] and entry["public"]
    ]
    values = pd.DataFrame(pairs).apply(pd.to_numeric, errors="coerce").dropna().to_numpy(float).reshape(-1, 2)
    if len(values) < 3 or (values == values[0]).all(axis=0).any():
        return None
    value, count = float(np.corrcoef(values.T)[0, 1]), len(values)
    if count == 3:
        return Correlation(value, -1.0, 1.0, count)
    middle, width = np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12)), 1.96 / (count - 3) ** 0.5
    return Correlation(value, float(np.tanh(middle - width)), float(np.tanh(middle + width)), count)


def best_public(entries: list[Entry], metric: Metric) -> dict[str, str]:
    """Return run -> its best public score, as it was sent; of runs that were sent alone."""
    best: dict[str, float] = {}
    for entry in entries:
        score = pd.to_numeric(entry["public"], errors="coerce") if entry["public"] else float("nan")
        if entry["run"] and metric.is_better(score, best.get(entry["run"], float("nan"))):
            best[entry["run"]] = score
    return {run: f"{score:.4f}" for run, score in best.items()}


@dataclass(frozen=True)
class Sending:
    """A submission on its way to the host, written before it is sent and removed when its score is known: where kcnn is
    killed between, the next one finds out whether it arrived. `digest` is that of the file, `text` what is sent
    beside it, `known` the numbers of the submissions that the host had before."""

    digest: str
    text: str
    known: list[int]


def digest_of(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def begin_sending(folder: Path, sending: Sending) -> None:
    with whole_file(folder / SENDING) as temporary:
        temporary.write_text(json.dumps(asdict(sending)), encoding="utf-8")


def end_sending(folder: Path) -> None:
    (folder / SENDING).unlink(missing_ok=True)


def read_sending(folder: Path) -> Sending | None:
    """Return what was begun and not ended, or None."""
    if not (folder / SENDING).is_file():
        return None
    hint = "kcnn submissions shows whether the last submission arrived; remove that file then"
    return read_json(Sending, folder / SENDING, hint)


def keep_sent(folder: Path, table: pd.DataFrame) -> None:
    """Keep what was sent, to say of the next one what changed."""
    write_table(folder / LAST_SENT, table)


def last_sent(folder: Path) -> pd.DataFrame | None:
    return read_table(folder / LAST_SENT) if (folder / LAST_SENT).is_file() else None
