"""Unpack archives from others (zip, 7z, tar): no file leaves the folder, and no archive fills the disk."""

import errno
import io
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from kaggle_cnn.competition.archive_kinds import SUFFIXES, Contents, kind_of, read_contents, write_files
from kaggle_cnn.competition.listing import TEST_FOLDER, TRAIN_FOLDER, walk
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.plural import count_of
from kaggle_cnn.progress import Progress

# Images hardly shrink, CSVs of pixels shrink to about a tenth, and deflate's own limit is 1:1032. The ratio is checked
# only from a size on: small files may shrink a lot.
LARGEST_RATIO, RATIO_FROM_BYTES = 100, 100 * 2**20
LEAST_BYTES = 512  # what an empty file counts: a million of them fill a disk too
DEPTH = 3  # archives in archives
MOST_FOLDERS = 64  # in a path; with a thousand, Python's own functions for paths end in a RecursionError


class UnreadableArchiveError(KcnnError):
    """The archive cannot be unpacked: it is broken or encrypted. What is beside it may do without it."""


class BrokenArchiveError(UnreadableArchiveError):
    """The archive is damaged. Another copy of it may be complete."""


class Room:
    """How many bytes may still be written: for one archive and all archives in it."""

    def __init__(self, archive: Path):
        self.archive, packed = archive, archive.stat().st_size
        self.left = self.most = most_unpacked(packed)

    def require(self, size: int, target: Path) -> None:
        """Raise KcnnError where so many bytes are more than what is left, or more than the free disk space."""
        if size > self.left:
            raise KcnnError(
                f"{self.archive} would unpack to {(self.most - self.left + size) / 2**20:,.0f} MiB or more, which is "
                f"more than {LARGEST_RATIO} times its own size",
                "nothing is kept of it; if you expect this size, unpack it yourself, then run kcnn fetch FOLDER",
            )
        if size > (free := shutil.disk_usage(target).free):
            raise KcnnError(
                f"{self.archive} needs {size / 2**20:,.0f} MiB, and {free / 2**20:,.0f} MiB are free in {target}",
                "nothing was unpacked; free some space, or use another disk",
            )

    def take(self, size: int, target: Path) -> None:
        """Count bytes that are written. Raises KcnnError where they are more than what is left."""
        if size > self.left:
            self.require(size, target)
        self.left -= size


def most_unpacked(packed: int) -> int:
    """Return the most bytes that a file of `packed` bytes may unpack to."""
    return max(RATIO_FROM_BYTES, LARGEST_RATIO * packed)


class CountedFile(io.FileIO):
    """A new file whose bytes are taken from a Room; what an archive states of its sizes does not count."""

    def __init__(self, path: Path, room: Room):
        super().__init__(path, "w")
        self.room, self.folder = room, path.parent

    def write(self, content: Any) -> int:
        self.room.take(len(content), self.folder)
        return super().write(content)

    def size(self) -> int:  # py7zr asks
        return self.tell()


def unpack(
    archive: Path, target: Path, progress: Progress, room: Room | None = None, contents: Contents | None = None
) -> Room:
    """Unpack all files of `archive` into the folder `target`; return what is left of `room`, else of its own.

    `contents` are those of the archive, where they have been read: of a tar that is compressed that takes as long as
    to unpack it. Every name and size is checked before anything is written, and the sizes again while they are
    written. Symbolic links are left out, and a note says so.
    Raises UnreadableArchiveError where the archive is not complete or is encrypted, and KcnnError where it has a path
    that would leave `target`, or needs more than the free disk space or far more than its own size.
    """
    with explain_errors(archive):
        room = room or Room(archive)
        contents = contents or read_contents(archive)
        names = safe_names(contents, archive)
        room.require(sum(max(each.size, LEAST_BYTES) for each in contents.files), target)

        def write(name: str) -> CountedFile:
            path = target / safe_name(name, archive)
            path.parent.mkdir(parents=True, exist_ok=True)
            room.take(LEAST_BYTES, target)
            return CountedFile(path, room)

        whole = [each for each in contents.files if not each.link_to]
        write_files(archive, whole, write, progress)
        for each in contents.files:
            if each.link_to:
                link_file(target / safe_name(each.link_to, archive), target / names[each.name])
    if contents.others:
        progress.say(f"note: {count_of(contents.others, 'link')} in {archive.name} left out")
    return room


def link_file(existing: Path, new: Path) -> None:
    """Make `new` the same file as `existing`, or a copy of it where the disk has no hard links."""
    new.parent.mkdir(parents=True, exist_ok=True)
    new.unlink(missing_ok=True)
    try:
        os.link(existing, new)
    except FileNotFoundError:
        raise ValueError(f"it has a link to {existing.name}, which is not in it") from None
    except OSError:
        shutil.copyfile(existing, new)


def unpack_nested(folder: Path, progress: Progress, room: Room | None = None) -> None:
    """Unpack the archives below `folder`, and the archives in them up to DEPTH, and remove them.

    train.zip becomes train/ whether its entries begin with train/ or not, and sample.csv.zip becomes sample.csv. An
    archive stays as it is where one of its files, or its folder, exists already. One that is broken or encrypted stays
    too, and a note says so; but where a broken one is called as the training or test images are, the data are not
    whole, and BrokenArchiveError is raised. `room` is what is left of the archive that all of this comes from.
    """
    waiting = deque((archive, room, DEPTH) for archive in find_archives(folder))
    while waiting:
        archive, shared, depth = waiting.popleft()
        shared = shared or Room(archive)
        try:
            made = unpack_beside(archive, progress, shared)
        except UnreadableArchiveError as error:
            stem = stem_of(archive)
            needed = TRAIN_FOLDER.fullmatch(stem) or TEST_FOLDER.fullmatch(stem)
            if needed and isinstance(error, BrokenArchiveError):
                raise
            progress.say(f"note: {archive.relative_to(folder)} stays packed: {error.message}")
            continue
        if depth > 1:
            waiting.extend((each, shared, depth - 1) for each in made)


def find_archives(folder: Path) -> list[Path]:
    """Return the archives below `folder`, without hidden ones."""
    files = (folder / place / name for place, names in walk(folder) for name in names)
    return sorted(path for path in files if path.name.lower().endswith(SUFFIXES))


def stem_of(archive: Path) -> str:
    """Return an archive's name without its suffix."""
    return archive.name[: -len(next(suffix for suffix in SUFFIXES[::-1] if archive.name.lower().endswith(suffix)))]


def unpack_beside(archive: Path, progress: Progress, room: Room) -> list[Path]:
    """Unpack one archive beside itself and remove it, see unpack_nested; return the archives that come out of it.

    It is unpacked into a hidden folder first: what is in its place afterwards is whole.
    """
    stem = stem_of(archive)
    place = archive.with_name(stem)
    with explain_errors(archive):
        contents = read_contents(archive)
        names = list(safe_names(contents, archive).values())
    among = place.suffix != "" or all(name.parts[0] == stem for name in names)
    target = archive.parent if among else place
    if place.exists() or any((target / name).is_file() for name in names):
        return []
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".unpacking-") as hidden:
        unpack(archive, Path(hidden), progress, room, contents)
        try:
            for name in names:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(Path(hidden, name), target / name)
        except OSError as error:
            raise explain_names(archive, error) from None
    archive.unlink()
    return sorted(target / name for name in names if name.name.lower().endswith(SUFFIXES))


@contextmanager
def explain_errors(archive: Path) -> Iterator[None]:
    """Raise KcnnError in place of the libraries' errors where `archive` is broken or encrypted."""
    try:
        yield
    except KcnnError:
        raise
    except OSError as error:
        if error.errno is None:  # what gzip and bzip2 raise for a broken stream
            raise explain_broken(archive, error) from None
        if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
            raise explain_names(archive, error) from None
        raise
    except Exception as error:  # on a broken file the libraries raise nearly every kind
        encrypted = (isinstance(error, RuntimeError) and "password" in str(error)) or "Password" in type(error).__name__
        if encrypted:
            raise UnreadableArchiveError(
                f"{archive} is encrypted", "unpack it yourself with its password, then run kcnn fetch FOLDER"
            ) from None
        raise explain_broken(archive, error) from None


def explain_broken(archive: Path, error: Exception) -> BrokenArchiveError:
    """Return the error for an archive that cannot be read to its end."""
    what = {"7z": "7z file", "tar": "tar file", "zip": "zip file"}[kind_of(archive)]
    words = str(error) or type(error).__name__
    return BrokenArchiveError(
        f"{archive} is not a complete {what}: {words}", "download it again: the end may be missing"
    )


def explain_names(archive: Path, error: OSError) -> UnreadableArchiveError:
    """Return the error for an archive whose names cannot all be files, as with `a` and `a/b`."""
    name = Path(os.fsdecode(error.filename or "")).name
    return UnreadableArchiveError(
        f"{archive} has names that cannot be files here: {name!r:.100}: {(error.strerror or '').lower()}",
        "unpack it yourself, then run kcnn fetch FOLDER",
    )


def safe_names(contents: Contents, archive: Path) -> dict[str, PurePosixPath]:
    """Return the path below the target folder of each file. Raises KcnnError as safe_name does."""
    return {each.name: safe_name(each.name, archive) for each in contents.files}


def safe_name(entry: str, archive: Path) -> PurePosixPath:
    """Return an entry's path below the target folder. Zips made on Windows may have backslashes.

    Raises KcnnError where the path would leave that folder.
    """
    name = PurePosixPath(entry.replace("\\", "/"))
    if len(name.parts) > MOST_FOLDERS:
        raise UnreadableArchiveError(
            f"{archive} has a path of {len(name.parts):,} folders", "unpack it yourself, then run kcnn fetch FOLDER"
        )
    if name.is_absolute() or not name.parts or ".." in name.parts or ":" in name.parts[0]:
        raise KcnnError(
            f"{archive} contains a path that would leave its folder: {entry!r}",
            "nothing was unpacked; do not trust this file, download it from its source again",
        )
    return name
