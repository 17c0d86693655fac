"""What doctor found, as tables."""

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from kaggle_cnn.insight.tables import plain_table
from kaggle_cnn.runs.label_errors import Confused

SHOWN = 15  # suspects
KINDS = {"the label is improbable": "improbable label", "duplicate": "duplicate with another label",
         "near-duplicate": "near-duplicate with another label", "outlier": "outlier"}  # fmt: skip


def doctor_tables(images: int, table: pd.DataFrame, confused: list[Confused]) -> RenderableType:
    """Return how many suspects of each kind there are among `images`, the first of `table`, which is doctor.csv, and
    the classes that are confused."""
    counts = {words: int(table["why"].str.startswith(beginning).sum()) for beginning, words in KINDS.items()}
    listed = ", ".join(f"{count:,} {words}" for words, count in counts.items() if count) or "none"
    parts: list[RenderableType] = [Text(f"suspects among {images:,} images: {listed}", "bold"), Text("")]
    if len(table):
        columns = ["image", "given", "suggested", "why"]
        parts += [plain_table(columns, table.head(SHOWN)[columns].to_numpy(str).tolist())]
        if len(table) > SHOWN:
            parts.append(Text(f"{len(table) - SHOWN:,} more in the CSV", "dim"))
        parts.append(Text(""))
    if confused:
        parts.append(Text("classes that are confused both ways", "bold"))
    for pair in confused:
        counted = [f"{count:,} of {of:,}" for count, of in zip(pair.confused, pair.images, strict=True)]
        parts.append(Text(f"  {pair.one} and {pair.other}: {counted[0]} and {counted[1]}"))
    return Group(*parts)
