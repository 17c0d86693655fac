"""What a tree of folders means: which are parts of the data, which hold the same images in another form, which are
classes."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from kaggle_cnn.competition.layouts.folder_tree import (
    MOST_STRAY,
    REPEATED,
    Node,
    grow,
    names_of,
    names_tell,
    only_folder,
    pairs,
    repetition,
    shared_folders,
    unwrapped,
)
from kaggle_cnn.competition.layouts.folder_words import HELD_OUT, meanings, says, says_held_out
from kaggle_cnn.competition.listing import common_start, is_left_out, natural, split_words

MASK_NAME = re.compile(r"(.+?)([-_ ]+(?:mask|segmentation|annotation|gt)s?)[-_ ]?\d*", re.IGNORECASE)
FEWEST_NAMED = 0.2  # masks lie beside the images where this share of the names is called so


@dataclass
class Reading:
    """What the folders mean.

    `train`: the folder whose folders are the classes, where there are any; `test`: the folder of the test images. In
    both, `*` is any one folder, and "" is none. `ignore`: folders and files that are left out. `doubts`: what is left
    out and why, and what the folders may mean instead, a sentence each.
    """

    train: str = ""
    test: str = ""
    ignore: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def read_tree(images: list[str]) -> Reading:
    """Return what the folders of `images` (paths) mean.

    Names alone decide little: a folder called train is a part of the data where it holds class folders, or where at
    most one folder beside it may be a class; else it is a class itself, as beside bus and car.
    """
    found = Reading(ignore=mask_patterns(images))
    node = grow(image for image in images if not is_left_out(image, found.ignore))
    while True:
        node = unwrap(found, node)
        said = meanings(node.folders)
        if copies := nested_copies(node):
            leave_out(found, node, copies)
            found.doubts.append(f"left out, as a copy of the folders beside: {name_folders(found, copies)}")
        elif forms := other_forms(node, said):
            leave_out(found, node, forms)
            found.doubts.append(f"left out, as other forms of the images beside: {name_folders(found, forms)}")
        elif trains := train_folders(node, said):
            find_test(found, node, said)
            note_other_trains(found, said, trains)
            node = enter(found, node, trains)
        elif held_out := held_out_folders(said):
            find_test(found, node, said)
            leave_out(found, node, held_out)
        elif wrapper := wrapper_of_parts(node):
            find_test(found, node, {name: "test" if says_held_out(name) else "" for name in node.folders})
            node = enter(found, node, [wrapper])
        elif chosen := folders_to_enter(found, node, said):
            node = enter(found, node, chosen)
        else:
            read_class_folders(found, node)
            return found


def join(*names: str) -> str:
    return "/".join(name for name in names if name)


def unwrap(found: Reading, node: Node) -> Node:
    """Go down to the first folder that holds more than one folder, or images."""
    while name := only_folder(node):
        node = enter(found, node, [name])
    return node


def enter(found: Reading, node: Node, names: list[str]) -> Node:
    """Go down into the folder `names`, or into several at once, as one. Folders that `train` would mean too are left
    out."""
    pattern = f"{common_start(names)}*" if len(names) > 1 else names[0]
    matched = [name for name in node.folders if name.startswith(pattern.removesuffix("*"))] if len(names) > 1 else names
    beside = [join(found.train, name) for name in matched if name not in names]
    found.ignore += [name for name in beside if name != found.test]
    found.train = join(found.train, pattern)
    entered = Node()
    for name in names:
        entered.merge(node.folders[name])
    return entered


def leave_out(found: Reading, node: Node, names: list[str]) -> None:
    for name in names:
        node.folders.pop(name)
        found.ignore += [join(found.train, name)] if join(found.train, name) != found.test else []


def name_folders(found: Reading, names: Iterable[str]) -> str:
    """Return folders in words, as "the folder 'a/b'"."""
    quoted = [f"'{join(found.train, name)}'" for name in sorted(names, key=natural)]
    return f"the folder{'s' if len(quoted) > 1 else ''} {', '.join(quoted[:4])}{', ...' if len(quoted) > 4 else ''}"


def nested_copies(node: Node) -> list[str]:
    """Return the folders that hold folders of the names of those beside them."""
    copies = []
    for name, child in node.folders.items():
        below, beside = set(unwrapped(child).folders), set(node.folders) - {name}
        if len(below & beside) >= max(2, 0.8 * len(below), 0.5 * len(beside)):
            copies.append(name)
    return copies


def other_forms(node: Node, said: dict[str, str]) -> list[str]:
    """Return the folders whose names say that they hold other forms of the images, such as masks, where the images
    beside them have the same names; and those with parts of their own beside class folders."""
    plain = [name for name in node.folders if said[name] == "" and not unwrapped(node.folders[name]).folders]
    most = sum(node.folders[name].count() for name in plain)
    forms = []
    for name, child in node.folders.items():
        beside = [other for other in node.folders if other != name and says(other) != "form"]
        if says(name) == "form" and beside:
            own = set(child.names())
            others = {each for other in beside for each in node.folders[other].names()}
            if len(own & others) >= REPEATED * len(own):
                forms.append(name)
        own_parts = set(meanings(unwrapped(child).folders).values())
        if len(plain) > 1 and most > child.count() and own_parts and own_parts <= {"train", *HELD_OUT}:
            forms.append(name)
    return list(dict.fromkeys(forms))


def train_folders(node: Node, said: dict[str, str]) -> list[str]:
    """Return the folders of a node that are the training part of the data: several where they share class folders, and
    hold different images. Of parts without a training part, that for validation is."""
    trains = [name for name, meaning in said.items() if meaning == "train"]
    if set(said.values()) == {"validation", "test"}:
        trains = [name for name, meaning in said.items() if meaning == "validation"]
    deep = [name for name in trains if len(unwrapped(node.folders[name]).folders) > 1]
    if not trains or (not deep and list(said.values()).count("") > 1):
        return []
    largest = max(deep or trains, key=lambda name: node.folders[name].count())
    classes = list(unwrapped(node.folders[largest]).folders)
    more = [name for name in trains if name == largest or set(classes) & set(node.folders[name].folders)]
    again = repetition(pairs(unwrapped(node.folders[name]), classes) for name in more)
    return [largest] if again >= REPEATED else more


def note_other_trains(found: Reading, said: dict[str, str], trains: list[str]) -> None:
    """Say which folders are called so for training, and are not used."""
    if others := [name for name, meaning in said.items() if meaning == "train" and name not in trains]:
        chosen = join(found.train, trains[0])
        found.doubts.append(f"trained on '{chosen}', not on {name_folders(found, others)}; to choose: --train FOLDER")


def held_out_folders(said: dict[str, str]) -> list[str]:
    """Return the folders beside class folders whose names say that they are another part of the data, and no more."""
    held_out = [name for name, meaning in said.items() if meaning in HELD_OUT and len(split_words(name)) == 1]
    return held_out if 0 < len(held_out) < len(said) else []


def find_test(found: Reading, node: Node, said: dict[str, str]) -> None:
    """Take the largest of the test folders of a node, else of the unlabelled ones, for the test images."""
    for meaning in ("test", "unlabelled"):
        tests = [name for name in node.folders if said[name] == meaning]
        if tests and not found.test:
            found.test = join(found.train, max(tests, key=lambda name: node.folders[name].count()))


def wrapper_of_parts(node: Node) -> str:
    """Return the one folder of a node in which there is a training part; or the one that holds folders, where the
    others are test images or hardly any; or ""."""
    trees = {name: below for name, child in node.folders.items() if len((below := unwrapped(child)).folders) > 1}
    wrappers = [
        name
        for name, below in trees.items()
        if train_folders(below, said := meanings(below.folders)) and set(said.values()) & {*HELD_OUT}
    ]
    few = MOST_STRAY * node.count()
    said = meanings(node.folders)
    others = [name for name in node.folders if node.folders[name].count() > few]
    for name in wrappers if len(wrappers) == 1 else trees if len(trees) == 1 else {}:
        classes = {folder for part in trees[name].folders.values() for folder in unwrapped(part).folders}
        if all(
            says_held_out(other)
            or (name in wrappers and said[other] != "" and other not in trees)
            or (other in trees and set(trees[other].folders) <= classes and 2 * trees[name].count() > node.count())
            for other in others
            if other != name
        ):
            return name
    return ""


def folders_to_enter(found: Reading, node: Node, said: dict[str, str]) -> list[str]:
    """Return the folders of a node that stand above the class folders, or [] where they are the classes themselves.

    Folders that hold folders of the same names are either the classes or stand above them, as in cat/images and
    images/cat. Above are: those whose names say so; those that hold the same images in several forms, of which one is
    returned; those that are far fewer than the folders in them. Where neither is so, the first level counts.
    """
    deep, shared = shared_folders(node)
    if not deep:
        return containers(node)
    below = set(meanings(shared).values())
    by_form = repetition(pairs(child, shared) for child in deep.values())
    by_class = repetition(
        [(top, name) for top, child in deep.items() for name in names_of(child, sub)] for sub in shared
    )
    names_say = "" not in {said[name] for name in deep} or all(re.fullmatch(r"\d{4,}", name) for name in deep)
    copies = by_form >= REPEATED > by_class and ("" in below or names_tell(deep))
    one_of_several = copies or share_classes_in_parts(deep, shared)
    if (
        not names_say
        and not one_of_several
        and ("" not in below or by_class >= REPEATED > by_form or len(deep) >= 2 * len(shared))
    ):
        return []
    if one_of_several or {says(name) for name in deep} & {"form"}:
        best = best_form(list(deep), said, deep)
        other = next(name for name in deep if name != best)
        found.doubts.append(
            f"{name_folders(found, deep)} hold the same classes in several forms: kcnn takes "
            f"'{join(found.train, best)}'; for another: --train '{join(found.train, other)}'"
        )
        return [best]
    if names_say or len(shared) >= 2 * len(deep):
        return list(deep)
    return []


def containers(node: Node) -> list[str]:
    """Return the folders of a node where each holds folders of its own, and has a name such as colon_image_sets; or
    []."""
    holds = [name for name, child in node.folders.items() if len(unwrapped(child).folders) > 1]
    are = len(holds) > 1 and len(holds) == len(node.folders) and all(says(name) in ("image", "piece") for name in holds)
    return holds if are else []


def share_classes_in_parts(deep: dict[str, Node], shared: list[str]) -> bool:
    """Return whether folders hold parts of the data, and these the same class folders: several data sets in one."""
    said = meanings(shared)
    trains = [name for name in shared if said[name] == "train"]
    if not trains or "" in said.values():
        return False
    classes = [
        set(unwrapped(child.folders[trains[0]]).folders) for child in deep.values() if trains[0] in child.folders
    ]
    return len(classes) > 1 and len(set.intersection(*classes)) > 1


def best_form(names: list[str], said: dict[str, str], nodes: dict[str, Node]) -> str:
    """Return the folder of the images as they were taken: one called so, else one not called otherwise; the largest."""
    rank = {"image": 0, "form": 2}

    def order(name: str) -> tuple[int, int, Any]:
        return rank.get(said[name] or says(name), 1), -nodes[name].count(), natural(name)

    return min(names, key=order)


def read_class_folders(found: Reading, node: Node) -> None:
    """Leave out folders in the class folders that hold the images in another form, or are another part."""
    deep, shared = shared_folders(node)
    if not deep:
        own = [len(unwrapped(child).folders) for child in node.folders.values()]
        if len(own) > 1 and min(own) > 1 and node.count() >= 5 * sum(own):
            found.doubts.append(
                f"every class folder holds folders of its own; if these {sum(own)} are the classes: "
                f"--train '{join(found.train, '*')}'"
            )
        return
    said = meanings(shared)
    held_out = [name for name in shared if said[name] in HELD_OUT]
    forms = [name for name in shared if said[name] == "form"]
    rest = [name for name in shared if name not in [*held_out, *forms]]
    again = repetition([(top, name) for top, child in deep.items() for name in names_of(child, sub)] for sub in rest)
    if len(rest) > 1 and again >= REPEATED:
        merged = Node()
        for child in deep.values():
            merged.merge(child)
        best = best_form(rest, said, merged.folders)
        forms += [name for name in rest if name != best]
    elif len(rest) > 1 and not {*said.values()} & {"train"}:
        found.doubts.append(
            f"the classes are {name_folders(found, deep)}; every one holds {', '.join(map(repr, rest[:4]))}"
            f"{', ...' if len(rest) > 4 else ''}; if these are the classes: --train '{join(found.train, '*')}'"
        )
    tests = [name for name in held_out if said[name] == "test"]
    if tests and not found.test:
        found.test = join(found.train, "*", tests[0])
    left_out = [join(found.train, "*", name) for name in [*forms, *held_out] if rest]
    found.ignore += [pattern for pattern in left_out if pattern != found.test]
    if forms and rest:
        found.doubts.append(
            f"the folders {', '.join(map(repr, forms[:4]))} in the class folders hold other forms of the images and "
            "are left out"
        )


def mask_patterns(images: list[str]) -> list[str]:
    """Return patterns of the files that are masks of images beside them, as cat (1)_mask.png of cat (1).png."""
    stems = {str(PurePosixPath(image).with_suffix("")) for image in images}
    endings: Counter[str] = Counter()
    for stem in stems:
        if (match := MASK_NAME.fullmatch(stem)) and match[1] in stems:
            endings[match[2]] += 1
    return [f"*{ending}*" for ending, count in endings.items() if count >= FEWEST_NAMED * len(stems)]
