"""Unpacks a zip somebody else made: nothing leaves the folder, nothing absurd fills the disk, names come out right."""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from kaggle_cnn.errors import KcnnError

# Images hardly shrink and CSVs of pixels shrink about tenfold; deflate's own limit is 1032-fold. Small archives may.
ABSURD_RATIO, ABSURD_FROM_BYTES = 100, 100 * 2**20


def unpack(archive: Path, target: Path, track: Callable) -> None:
    """Unpacks the whole of `archive` below `target`; `track(iterable, description, total)` shows progress.

    Raises KcnnError where it is no whole zip, is encrypted, has a path that would leave `target`, or unpacks to an
    absurd size or to more than the disk holds. Every name and size is checked before the first byte is written.
    """
    with told(archive), open_zip(archive) as source:
        entries = [(entry, safe_name(entry, archive)) for entry in source.infolist() if not entry.is_dir()]
        check_size(archive, sum(entry.file_size for entry, _ in entries), target)
        for entry, name in track(entries, f"unpacking {archive.name}", len(entries)):
            if stat.S_ISLNK(entry.external_attr >> 16) or name.parts[0] == "__MACOSX":
                continue
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            with source.open(entry) as packed, (target / name).open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)


@contextmanager
def told(archive: Path) -> Iterator[None]:
    """Says in a KcnnError what `zipfile` raises where `archive` is broken or encrypted."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise KcnnError(
            f"{archive} is not a whole zip file: {error}", "it may have been cut short: download it again"
        ) from None
    except RuntimeError as error:  # what zipfile raises for an encrypted entry
        raise KcnnError(
            f"{archive} cannot be unpacked: {error}", "unpack it yourself, then: kcnn fetch FOLDER"
        ) from None


def unpack_nested(folder: Path, track: Callable, depth: int = 3) -> None:
    """Unpacks the zips that lie below `folder`, and those within, and removes them.

    train.zip becomes train/ whether its entries begin with train/ or not, and sample.csv.zip becomes sample.csv. A zip
    whose place is taken already stays as it is.
    """
    for archive in sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".zip" and path.is_file()):
        if archive.name.startswith("."):
            continue
        place = archive.with_suffix("")
        with told(archive), open_zip(archive) as source:
            names = [safe_name(entry, archive) for entry in source.infolist()]
        wrapped = place.suffix != "" or all(name.parts[0] in (place.name, "__MACOSX") for name in names)
        target = archive.parent if wrapped else place
        if place.exists() or any((target / name).is_file() for name in names):
            continue
        target.mkdir(exist_ok=True)
        unpack(archive, target, track)
        archive.unlink()
        if depth > 1 and place.is_dir():
            unpack_nested(place, track, depth - 1)


def open_zip(archive: Path) -> zipfile.ZipFile:
    """Names without the UTF-8 mark are read as UTF-8 too where that works, and else as the standard's cp437."""
    try:
        return zipfile.ZipFile(archive, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        return zipfile.ZipFile(archive)


def safe_name(entry: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    """The entry's path below the target folder; zips made on Windows may separate with backslashes."""
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    if name.is_absolute() or not name.parts or ".." in name.parts or ":" in name.parts[0]:
        raise KcnnError(
            f"{archive} holds a path that would leave its folder: {entry.filename!r}",
            "nothing was unpacked; do not trust this file, get it from its source again",
        )
    return name


def check_size(archive: Path, unpacked: int, target: Path) -> None:
    packed = archive.stat().st_size
    if unpacked > ABSURD_FROM_BYTES and unpacked > ABSURD_RATIO * packed:
        raise KcnnError(
            f"{archive} would unpack to {unpacked / 2**20:,.0f} MiB, over {ABSURD_RATIO} times its own size",
            "nothing was unpacked; if it is what you expect, unpack it yourself, then: kcnn fetch FOLDER",
        )
    if unpacked > (free := shutil.disk_usage(target).free):
        raise KcnnError(
            f"{archive} needs {unpacked / 2**20:,.0f} MiB, and {free / 2**20:,.0f} MiB are free in {target.parent}",
            "nothing was unpacked; make room, or work on another disk",
        )
