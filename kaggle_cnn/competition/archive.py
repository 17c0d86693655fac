"""Unpacks archives somebody else made (zip, 7z, tar): nothing leaves the folder, nothing absurd fills the disk."""

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from kaggle_cnn.errors import KcnnError

# Images hardly shrink and CSVs of pixels shrink about tenfold; deflate's own limit is 1032-fold. Small archives may.
ABSURD_RATIO, ABSURD_FROM_BYTES = 100, 100 * 2**20
TAR_SUFFIXES = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
SUFFIXES = (".zip", ".7z", *TAR_SUFFIXES)


def unpack(archive: Path, target: Path, track: Callable) -> None:
    """Unpacks the whole of `archive` below `target`; `track(iterable, description, total)` shows progress.

    Raises KcnnError where it is not whole, is encrypted, has a path that would leave `target`, or unpacks to an absurd
    size or to more than the disk holds. Every name and size is checked before the first byte is written.
    """
    with told(archive):
        sizes = list_entries(archive)
        check_size(archive, sum(sizes.values()), target)
        kind = kind_of(archive)
        if kind == "7z":
            import py7zr

            with py7zr.SevenZipFile(archive) as source:
                for _ in track([archive], f"unpacking {archive.name}", 1):
                    source.extractall(target)
        elif kind == "tar":
            with tarfile.open(archive) as source:
                members = [member for member in source.getmembers() if member.isfile()]
                for member in track(members, f"unpacking {archive.name}", len(members)):
                    source.extract(member, target, filter="data")
        else:
            unpack_zip(archive, target, track)


def unpack_zip(archive: Path, target: Path, track: Callable) -> None:
    with open_zip(archive) as source:
        entries = [entry for entry in source.infolist() if is_file(entry)]
        for entry in track(entries, f"unpacking {archive.name}", len(entries)):
            name = safe_name(entry.filename, archive)
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            with source.open(entry) as packed, (target / name).open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)


def is_file(entry: zipfile.ZipInfo) -> bool:
    """Whether a zip's entry is neither a folder, a link, nor what Macs add."""
    return not (
        entry.is_dir()
        or stat.S_ISLNK(entry.external_attr >> 16)
        or entry.filename.startswith(("__MACOSX/", "__MACOSX\\"))
    )


def unpack_nested(folder: Path, track: Callable, depth: int = 3) -> None:
    """Unpacks the archives that lie below `folder`, and those within, and removes them.

    train.zip becomes train/ whether its entries begin with train/ or not, and sample.csv.zip becomes sample.csv. One
    whose place is taken already stays as it is.
    """
    for archive in sorted(
        path for path in folder.rglob("*") if path.name.lower().endswith(SUFFIXES) and path.is_file()
    ):
        if archive.name.startswith("."):
            continue
        stem = archive.name[: -len(next(suffix for suffix in SUFFIXES[::-1] if archive.name.lower().endswith(suffix)))]
        place = archive.with_name(stem)
        with told(archive):
            names = list(list_entries(archive))
        wrapped = place.suffix != "" or all(name.parts[0] == stem for name in names)
        target = archive.parent if wrapped else place
        if place.exists() or any((target / name).is_file() for name in names):
            continue
        target.mkdir(exist_ok=True)
        unpack(archive, target, track)
        archive.unlink()
        if depth > 1 and place.is_dir():
            unpack_nested(place, track, depth - 1)


def kind_of(archive: Path) -> str:
    name = archive.name.lower()
    return "7z" if name.endswith(".7z") else "tar" if name.endswith(TAR_SUFFIXES) else "zip"


def list_entries(archive: Path) -> dict[PurePosixPath, int]:
    """The path below the target folder and the size of every file in an archive."""
    kind = kind_of(archive)
    if kind == "7z":
        import py7zr

        with py7zr.SevenZipFile(archive) as source:
            files = [(entry.filename, entry.uncompressed) for entry in source.list() if not entry.is_directory]
    elif kind == "tar":
        with tarfile.open(archive) as source:
            files = [(entry.name, entry.size) for entry in source.getmembers() if entry.isfile()]
    else:
        with open_zip(archive) as source:
            files = [(entry.filename, entry.file_size) for entry in source.infolist() if is_file(entry)]
    return {safe_name(name, archive): size for name, size in files}


class BrokenArchiveError(KcnnError):
    """The archive itself is at fault: another copy of it may be whole."""


@contextmanager
def told(archive: Path) -> Iterator[None]:
    """Says in a KcnnError what the libraries raise where `archive` is broken or encrypted."""
    # The last is how zipfile refuses a way of compression.
    broken = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)
    try:
        yield
    except KcnnError:
        raise
    except broken as error:
        raise not_whole(archive, error) from None
    except RuntimeError as error:  # what zipfile raises for an encrypted entry
        raise KcnnError(
            f"{archive} cannot be unpacked: {error}", "unpack it yourself, then: kcnn fetch FOLDER"
        ) from None
    except Exception as error:  # py7zr's own errors share no base class but this one
        if not type(error).__module__.startswith("py7zr"):
            raise
        raise not_whole(archive, error) from None


def not_whole(archive: Path, error: Exception) -> BrokenArchiveError:
    what = {"7z": "7z file", "tar": "tar file", "zip": "zip file"}[kind_of(archive)]
    return BrokenArchiveError(
        f"{archive} is not a whole {what}: {error}", "it may have been cut short: download it again"
    )


def open_zip(archive: Path) -> zipfile.ZipFile:
    """Names without the UTF-8 mark are read as UTF-8 too where that works, and else as the standard's cp437."""
    try:
        return zipfile.ZipFile(archive, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        return zipfile.ZipFile(archive)


def safe_name(entry: str, archive: Path) -> PurePosixPath:
    """An entry's path below the target folder; zips made on Windows may separate with backslashes."""
    name = PurePosixPath(entry.replace("\\", "/"))
    if name.is_absolute() or not name.parts or ".." in name.parts or ":" in name.parts[0]:
        raise KcnnError(
            f"{archive} holds a path that would leave its folder: {entry!r}",
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
