"""What recipe and settings fit the images of a competition, for `kcnn look`. Rules of thumb, with their reason."""

from typing import Any

from kaggle_cnn.competition.task import Task, are_characters
from kaggle_cnn.plural import count_of

FEWEST_PIXELS = 16  # that resnet takes
SMALL, GREY_FACES, PHOTOGRAPH = 40, range(40, 65), 160  # pixels of the shorter side
MUCH_LARGER = 10  # times the images of another class
MUCH_LOST, MANY = 0.25, 0.1  # the share of an image that the central square leaves out; of the images
MIRRORLESS = (
    "the classes are digits or letters, so nothing is mirrored; where their mirror images are fine: --set mirror=true"
)


def advise(task: Task, train: dict[str, Any], classes: dict[str, dict[str, float]]) -> list[str]:
    """Return sentences on the recipe and settings that fit; `train` and `classes` are those of overview.summarise."""
    advice = [MIRRORLESS] if are_characters(task.classes) else []
    if train["width"] and train["height"]:
        side = min(train["width"][1], train["height"][1])
        advice.append(advise_recipe(side, train["grey"] > train["colour"]))
        advice += advise_fit(train["cut"], train["grey"] + train["colour"])
    counts = sorted(numbers["train"] for numbers in classes.values())
    if task.kind == "multiclass" and counts and counts[-1] >= MUCH_LARGER * max(counts[0], 1):
        times = counts[-1] / max(counts[0], 1)
        advice.append(
            f"the largest class has {times:,.0f} times the images of the smallest: --set class_weight=balanced makes "
            "each class count the same, which helps macro F1 and costs accuracy"
        )
    return advice


def advise_recipe(side: int, grey: bool) -> str:
    """Return which recipe fits images whose shorter side has `side` pixels, the median of all."""
    if side <= SMALL:
        size = max(side, FEWEST_PIXELS)
        return f"small pictures of {side} pixels: kcnn train resnet, or faster with --set size={size}"
    if grey and side in GREY_FACES:
        return f"small grey pictures of {side} pixels: kcnn train emotion, made for faces; else kcnn train resnet"
    if side >= PHOTOGRAPH and not grey:
        return (
            f"photographs of {side} pixels: kcnn train pretrained, with weights from ImageNet; without these kcnn "
            "train resnet --set size=128"
        )
    return f"pictures of {side} pixels: kcnn train resnet first"


def advise_fit(cut: dict[str, float], images: int) -> list[str]:
    """Return a sentence where the central square leaves out much of the images; `cut` is that of describe_part."""
    if cut["median"] < MUCH_LOST and cut["much"] < MANY * images:
        return []
    return [
        f"the central square leaves out {cut['median']:.0%} of the median image, and a quarter or more of "
        f"{count_of(int(cut['much']), 'image')}: --set fit=pad or fit=squash keeps the whole image; kcnn look "
        "--pictures draws what each does"
    ]


def advise_columns(columns: list[str], labels: str, table: str) -> list[str]:
    """Return a sentence where two tables share columns beside the images; `table` is that of the test images."""
    if not columns:
        return []
    named = f"{', '.join(columns[:4])}{', ...' if len(columns) > 4 else ''}"
    both = " and ".join(dict.fromkeys([labels, table]))
    return [
        f"{count_of(len(columns), 'column')} beside the images in {both} ({named}): kcnn tabular fits a model on them, "
        "and kcnn predict averages its run with others"
    ]
