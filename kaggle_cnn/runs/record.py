"""run.json and result.json as types: what a run's folder says of itself, read once and checked."""

from pathlib import Path
from re import escape
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.parsing import parse, read_json
from kaggle_cnn.tta import POLICIES, find_policy

FORMAT = 2


def require_readable(policy: str) -> str:
    """Return a policy. Raises ValueError where it is none."""
    try:
        find_policy(policy)
    except KcnnError:
        raise ValueError("is not weights of views that sum to 1") from None
    return policy


Policy = Annotated[str, StringConstraints(pattern=f"^({'|'.join(map(escape, POLICIES))})$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[^/\\\x00]+$")]
Count = Annotated[int, Field(ge=0)]
Side = Annotated[int, Field(ge=1, le=2**16)]


class Task(TypedDict):
    """What it learned to predict."""

    kind: Literal["multiclass", "multilabel", "multioutput", "ordinal", "regression"]
    classes: list[str]
    metric: str


class FoldsFile(TypedDict):
    """The file of the folds below runs/<name>/, the digest of its content, and the folds that the run trains."""

    file: FileName
    digest: str
    numbers: Annotated[list[Count], Field(min_length=1)]


@with_config(ConfigDict(extra="allow"))
class Settings(TypedDict):
    """Every setting of the recipe; these are needed to use the run."""

    size: Side
    margin: Annotated[int, Field(ge=0, le=2**16)]
    epochs: Count
    fit: NotRequired[Literal["crop", "pad", "squash"]]  # runs of before had no such setting


@with_config(ConfigDict(extra="allow"))
class Record(TypedDict):
    """run.json, which is written once and never changed. `order` counts the runs of a competition: the largest is the
    newest, whatever the clock says; `set` has the settings that were changed in the recipe."""

    format: int
    kind: str
    recipe: FileName
    competition: str
    created: str  # UTC, ISO 8601
    order: NotRequired[int]
    set: dict[str, Any]
    settings: Settings
    tta: Policy
    task: Task
    folds: FoldsFile
    channels: Annotated[int, Field(ge=1, le=256)]
    parameters: Count
    backend: Literal["tensorflow", "jax", "torch"]
    device: str
    precision: str
    versions: dict[str, str]
    commit: str | None
    metadata: NotRequired[list[str]]  # the features beside the images, of a network that takes them
    within: NotRequired[Annotated[float, Field(gt=0)]]  # seconds, by which its epochs were chosen
    seeds: NotRequired[Annotated[int, Field(ge=1, le=1000)]]  # models of each fold; runs of before have one
    edits: NotRequired[dict[Literal["exclude", "relabel"], str]]  # the files of decisions on labels; copies are here
    pseudo: NotRequired["Pseudo"]
    study: NotRequired["OfStudy"]  # the settings are those of this trial
    members: NotRequired[list["Member"]]  # of a blend


class Member(TypedDict):
    """A run of a blend: the policy of its predictions, their weight, and the temperature by which its logits are
    divided before."""

    run: FileName
    tta: str
    weight: Annotated[float, Field(ge=0, le=1)]
    temperature: NotRequired[Annotated[float, Field(gt=0)]]


class Searched(TypedDict):
    """tta.json: weights of views in the form of a policy, and what they gain over the policy `over`, nested."""

    policy: Annotated[str, AfterValidator(require_readable)]
    over: str
    gain: dict[str, float]


class OfStudy(TypedDict):
    """The best trial of a study."""

    name: FileName
    trial: Count


class Pseudo(TypedDict):
    """By which run the test images were labelled, and from which probability on; see runs.pseudo_labels."""

    run: FileName
    above: Annotated[float, Field(ge=0, le=1)]
    soft: bool


class Result(TypedDict, total=False):
    """result.json of a fold; empty before its first epoch."""

    status: str
    seconds: Annotated[float, Field(ge=0)]
    epochs: Count
    best_epoch: Count


def read_record(path: Path) -> Record:
    """Return run.json. Raises KcnnError where it cannot be read, is of another format, or lacks something."""
    hint = f"remove {path.parent}, or put the file back"
    content = read_json(dict[str, Any], path, hint)
    if content.get("format", 1) != FORMAT:
        raise KcnnError(
            f"{path} is of format {content.get('format', 1)}, and this kcnn reads format {FORMAT}: it keeps other "
            "predictions",
            f"remove {path.parent}, and train again",
        )
    return parse(Record, content, str(path), hint)


def read_result(path: Path) -> Result:
    """Return result.json, {} where it is not there or damaged: a run does without it."""
    try:
        return read_json(Result, path, "")
    except KcnnError:
        return {}
