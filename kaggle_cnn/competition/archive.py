"""Unpack archives from others (zip, 7z, tar): no file leaves the folder, and no huge file fills the disk."""

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Progress

# Images hardly shrink, CSVs of pixels shrink to about a tenth, and deflate's own limit is 1:1032. The ratio is checked
# only from a size on: small files may shrink a lot.
LARGEST_RATIO, RATIO_FROM_BYTES = 100, 100 * 2**20
TAR_SUFFIXES = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
SUFFIXES = (".zip", ".7z", *TAR_SUFFIXES)


def unpack(archive: Path, target: Path, progress: Progress) -> None:
    """Unpack all files of `archive` into the folder `target`.

    Raises KcnnError where the archive is not complete, is encrypted, has a path that would leave `target`, or needs
    more than the free disk space or far more than its own size. Every name and size is checked before anything is
    written.
    """
    with explain_errors(archive):
        sizes = list_entries(archive)
        check_size(archive, sum(sizes.values()), target)
        kind = kind_of(archive)
        if kind == "7z":
            import py7zr

            with py7zr.SevenZipFile(archive) as source:
                for _ in progress.track([archive], f"unpacking {archive.name}", 1):
                    source.extractall(target)
        elif kind == "tar":
            with tarfile.open(archive) as source:
                members = [member for member in source.getmembers() if member.isfile()]
                for member in progress.track(members, f"unpacking {archive.name}", len(members)):
                    source.extract(member, target, filter="data")
        else:
            unpack_zip(archive, target, progress)


def unpack_zip(archive: Path, target: Path, progress: Progress) -> None:
    """Unpack all files of a zip into `target`, under safe names."""
    with open_zip(archive) as source:
        entries = [entry for entry in source.infolist() if is_file(entry)]
        for entry in progress.track(entries, f"unpacking {archive.name}", len(entries)):
            name = safe_name(entry.filename, archive)
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            with source.open(entry) as packed, (target / name).open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)


def is_file(entry: zipfile.ZipInfo) -> bool:
    """Return whether an entry of a zip is a file: not a folder, not a link, and not one of those that a Mac adds."""
    return not (
        entry.is_dir()
        or stat.S_ISLNK(entry.external_attr >> 16)
        or entry.filename.startswith(("__MACOSX/", "__MACOSX\\"))
    )


def unpack_nested(folder: Path, progress: Progress, depth: int = 3) -> None:
    """Unpack the archives below `folder`, and the archives in them up to `depth`, and remove them.

    train.zip becomes train/ whether its entries begin with train/ or not, and sample.csv.zip becomes sample.csv. An
    archive stays as it is where one of its files, or its folder, exists already.
    """
    for archive in sorted(
        path for path in folder.rglob("*") if path.name.lower().endswith(SUFFIXES) and path.is_file()
    ):
        if archive.name.startswith("."):
            continue
        stem = archive.name[: -len(next(suffix for suffix in SUFFIXES[::-1] if archive.name.lower().endswith(suffix)))]
        place = archive.with_name(stem)
        with explain_errors(archive):
            names = list(list_entries(archive))
        wrapped = place.suffix != "" or all(name.parts[0] == stem for name in names)
        target = archive.parent if wrapped else place
        if place.exists() or any((target / name).is_file() for name in names):
            continue
        target.mkdir(exist_ok=True)
        unpack(archive, target, progress)
        archive.unlink()
        if depth > 1 and place.is_dir():
            unpack_nested(place, progress, depth - 1)


def kind_of(archive: Path) -> str:
    """Return "7z", "tar" or "zip", by the file's name."""
    name = archive.name.lower()
    return "7z" if name.endswith(".7z") else "tar" if name.endswith(TAR_SUFFIXES) else "zip"


def list_entries(archive: Path) -> dict[PurePosixPath, int]:
    """Return the path below the target folder and the size of every file in an archive."""
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
    """The archive is damaged. Another copy of it may be complete."""


@contextmanager
def explain_errors(archive: Path) -> Iterator[None]:
    """Raise KcnnError in place of the libraries' errors where `archive` is broken or encrypted."""
    # zipfile raises the last one for a compression that it does not know.
    broken = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)
    try:
        yield
    except KcnnError:
        raise
    except broken as error:
        raise explain_broken(archive, error) from None
    except RuntimeError as error:  # zipfile raises it for an encrypted entry
        raise KcnnError(
            f"{archive} cannot be unpacked: {error}", "unpack it yourself, then run kcnn fetch FOLDER"
        ) from None
    except Exception as error:  # py7zr's own errors have only this base class in common
        if not type(error).__module__.startswith("py7zr"):
            raise
        raise explain_broken(archive, error) from None


def explain_broken(archive: Path, error: Exception) -> BrokenArchiveError:
    """Return the error for an archive that cannot be read to its end."""
    what = {"7z": "7z file", "tar": "tar file", "zip": "zip file"}[kind_of(archive)]
    return BrokenArchiveError(
        f"{archive} is not a complete {what}: {error}", "download it again: the end may be missing"
    )


def open_zip(archive: Path) -> zipfile.ZipFile:
    """Open a zip. Names without the UTF-8 mark are read as UTF-8 where that works, else as cp437, the standard's."""
    try:
        return zipfile.ZipFile(archive, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        return zipfile.ZipFile(archive)


def safe_name(entry: str, archive: Path) -> PurePosixPath:
    """Return an entry's path below the target folder. Zips made on Windows may have backslashes.

    Raises KcnnError where the path would leave that folder.
    """
    name = PurePosixPath(entry.replace("\\", "/"))
    if name.is_absolute() or not name.parts or ".." in name.parts or ":" in name.parts[0]:
        raise KcnnError(
            f"{archive} contains a path that would leave its folder: {entry!r}",
            "nothing was unpacked; do not trust this file, download it from its source again",
        )
    return name


def check_size(archive: Path, unpacked: int, target: Path) -> None:
    """Raise KcnnError where `unpacked` bytes are far more than the archive's size, or more than the free space."""
    packed = archive.stat().st_size
    if unpacked > RATIO_FROM_BYTES and unpacked > LARGEST_RATIO * packed:
        raise KcnnError(
            f"{archive} would unpack to {unpacked / 2**20:,.0f} MiB, more than {LARGEST_RATIO} times its own size",
            "nothing was unpacked; if you expect this size, unpack it yourself, then run kcnn fetch FOLDER",
        )
    if unpacked > (free := shutil.disk_usage(target).free):
        raise KcnnError(
            f"{archive} needs {unpacked / 2**20:,.0f} MiB, and {free / 2**20:,.0f} MiB are free in {target.parent}",
            "nothing was unpacked; free some space, or use another disk",
        )
