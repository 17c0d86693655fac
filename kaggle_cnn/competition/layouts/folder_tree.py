"""A tree of folders and the images in them: what it holds, with no regard for the names of folders."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

FEW_STRAY, MOST_STRAY = 3, 0.05  # so many images beside the folders, or a smaller share of all, do not count
REPEATED = 0.5  # folders hold the same images where this share of the names comes again


@dataclass
class Node:
    """A folder: the names of its images without suffix, and the folders in it."""

    files: list[str] = field(default_factory=list)
    folders: dict[str, "Node"] = field(default_factory=dict)

    def names(self) -> Iterator[str]:
        """Yield the names of all images in it, at any depth."""
        yield from self.files
        for child in self.folders.values():
            yield from child.names()

    def count(self) -> int:
        return sum(1 for _ in self.names())

    def merge(self, other: "Node") -> None:
        self.files += other.files
        for name, child in other.folders.items():
            self.folders.setdefault(name, Node()).merge(child)


def grow(images: Iterable[str]) -> Node:
    """Return the tree of some paths."""
    root = Node()
    for image in images:
        *folders, name = PurePosixPath(image).parts
        node = root
        for folder in folders:
            node = node.folders.setdefault(folder, Node())
        node.files.append(PurePosixPath(name).stem)
    return root


def only_folder(node: Node) -> str:
    """Return the only folder of a node that holds nearly all images, or ""."""
    few = max(FEW_STRAY, MOST_STRAY * node.count())
    return next(iter(node.folders)) if len(node.folders) == 1 and len(node.files) <= few else ""


def unwrapped(node: Node) -> Node:
    """Return what `unwrap` does, for a folder that may not be entered."""
    while name := only_folder(node):
        node = node.folders[name]
    return node


def shared_folders(node: Node) -> tuple[dict[str, Node], list[str]]:
    """Return those folders of a node that hold folders of the same names, and these names; few of either are none."""
    deep = {name: below for name, child in node.folders.items() if len((below := unwrapped(child)).folders) > 1}
    counts = Counter(name for below in deep.values() for name in below.folders)
    shared = [name for name, count in counts.items() if count >= max(2, len(deep) / 2)]
    most = sum(below.count() for below in deep.values()) >= 0.8 * node.count()
    return (deep, shared) if len(deep) > 1 and len(shared) > 1 and most else ({}, [])


def repetition(groups: Iterable[Iterable[tuple[str, str]]]) -> float:
    """Return the share of (folder, image) names that are in more than one of the groups, from 0 to 1."""
    counts = Counter(pair for group in groups for pair in set(group))
    return sum(count > 1 for count in counts.values()) / max(len(counts), 1)


def pairs(node: Node, folders: list[str]) -> Iterator[tuple[str, str]]:
    for folder in folders:
        for name in names_of(node, folder):
            yield folder, name


def names_of(node: Node, folder: str) -> Iterator[str]:
    return node.folders[folder].names() if folder in node.folders else iter(())


def names_tell(deep: dict[str, Node]) -> bool:
    """Return whether the images have names that two images rarely share: five digits or more, not 1 or pic_001."""
    names = [name for child in deep.values() for name in child.names()]
    return sum(len(re.findall(r"\d", name)) >= 5 for name in names) >= REPEATED * len(names)
