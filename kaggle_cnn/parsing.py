"""What comes from outside, the disk or the network, becomes a typed value here or is refused in one line."""

import json
import re
from functools import cache
from pathlib import Path
from stat import S_ISREG
from typing import Any, TypeVar

from kaggle_cnn.errors import KcnnError

Parsed = TypeVar("Parsed")
LARGEST_JSON = 64 * 2**20  # bytes; what kcnn writes itself is far smaller


def parse(kind: type[Parsed], content: Any, place: str, hint: str) -> Parsed:
    """Return `content`, of dicts, lists and scalars, as `kind`: a dataclass, a TypedDict or a plain type.

    `place` is where it comes from, a file or a response. Raises KcnnError that names the place and the first field that
    is not as it should be.
    """
    from pydantic import ValidationError  # 0.1 s, and not every command reads such a file

    try:
        parsed: Parsed = make_adapter(kind).validate_python(content)  # type: ignore[arg-type]
        return parsed
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "content"
        if first["type"] == "missing":
            raise KcnnError(f"{place} has no field '{field}'", hint) from None
        expected = re.sub("^(Value error, |Input |String |List |Dictionary |Value )", "", first["msg"])
        raise KcnnError(f"{place}: {field} {expected}, got {first['input']!r:.100}", hint) from None


@cache
def make_adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def read_json(kind: type[Parsed], path: Path, hint: str) -> Parsed:
    """Return a JSON file as `kind`. Raises KcnnError where it is missing, damaged or something else."""
    try:
        status = path.stat()
        if not S_ISREG(status.st_mode):
            raise KcnnError(f"{path} is not a file", hint)
        if status.st_size > LARGEST_JSON:
            raise KcnnError(f"{path} is larger than {LARGEST_JSON // 2**20} MiB", hint)
        content = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(content, ensure_ascii=False).encode()  # an escape may stand for half a character
    except (OSError, ValueError, RecursionError) as error:
        words = (error.strerror or str(error)).lower() if isinstance(error, OSError) else f"not JSON ({error})"
        raise KcnnError(f"{path} cannot be read: {words}", hint) from None
    return parse(kind, content, str(path), hint)


def parse_duration(text: str, option: str) -> float:
    """Return the seconds that "90s", "30m", "2h" or "1h30m" means. Raises KcnnError where it means none."""
    units = {"h": 3600, "m": 60, "s": 1}
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip().lower())
    seconds = (
        sum(float(part) * unit for part, unit in zip(match.groups(), units.values(), strict=True) if part)
        if match
        else 0
    )
    if not seconds:
        raise KcnnError(f"{option} should be a time such as 90s, 30m or 2h, got '{text}'", f"for example: {option} 30m")
    return seconds
