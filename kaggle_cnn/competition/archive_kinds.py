"""What is in an archive, and its bytes: the libraries for zip, 7z and tar behind two functions."""

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kaggle_cnn.progress import Progress

TAR_SUFFIXES = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
SUFFIXES = (".zip", ".7z", *TAR_SUFFIXES)
LARGEST_HEADER = 2**20  # bytes: a tar may give a member's name in a header of any size, which is read at once


@dataclass(frozen=True)
class Entry:
    """One file of an archive: its name and size as they are stated there, which may be wrong; `link_to` is the name of
    an earlier file that this one is the same as, a hard link, or ""."""

    name: str
    size: int
    link_to: str = ""


@dataclass(frozen=True)
class Contents:
    """The files of an archive in its order, and how many symbolic links and devices it has beside them."""

    files: list[Entry]
    others: int = 0


Writer = Callable[[str], BinaryIO]  # opens the file for an entry of that name


def kind_of(archive: Path) -> str:
    """Return "7z", "tar" or "zip", by the file's name."""
    name = archive.name.lower()
    return "7z" if name.endswith(".7z") else "tar" if name.endswith(TAR_SUFFIXES) else "zip"


def read_contents(archive: Path) -> Contents:
    """Return what an archive states of its files. Raises what its library raises for a broken one."""
    kind = kind_of(archive)
    if kind == "7z":
        with open_7z(archive) as source:
            return contents_of_7z(source)
    if kind == "tar":
        with open_tar(archive) as source:
            members = source.getmembers()
            files = [
                Entry(each.name, each.size, each.linkname if each.islnk() else "")
                for each in members
                if each.isfile() or each.islnk()
            ]
            return Contents(files, len(members) - len(files) - sum(each.isdir() for each in members))
    with open_zip(archive) as source:
        entries = [each for each in source.infolist() if not each.is_dir() and not is_of_a_mac(each)]
        files = [Entry(each.filename, each.file_size) for each in entries if not is_link(each)]
        return Contents(files, len(entries) - len(files))


def write_files(archive: Path, files: list[Entry], write: Writer, progress: Progress) -> None:
    """Write the bytes of `files`, which are no hard links, to what `write` opens."""
    wanted = {each.name for each in files}

    def track(entries: list[Any]) -> Iterable[Any]:
        return progress.track(entries, f"unpacking {archive.name}", len(entries))

    kind = kind_of(archive)
    if kind == "7z":
        from py7zr.io import WriterFactory

        class Opener(WriterFactory):  # type: ignore[misc]
            def create(self, filename: str) -> Any:
                return write(Path(filename).relative_to(root).as_posix())

        root = Path("/kcnn")  # py7zr puts names below a folder, and writes nothing itself
        with open_7z(archive) as source:
            for _ in track([archive]):
                source.extract(root, list(wanted), factory=Opener())
    elif kind == "tar":
        with open_tar(archive) as source:
            for member in track([each for each in source.getmembers() if each.isfile() and each.name in wanted]):
                copy(source.extractfile(member), write(member.name))
            read_to_end(source)
    else:
        with open_zip(archive) as source:
            for entry in track([each for each in source.infolist() if each.filename in wanted]):
                copy(source.open(entry), write(entry.filename))


def read_to_end(source: tarfile.TarFile) -> None:
    """Read what follows the end mark of a tar: only there gzip, bzip2 and xz compare their checksums."""
    assert source.fileobj is not None
    for _ in range(64):
        if not source.fileobj.read(LARGEST_HEADER):
            return
    raise tarfile.ReadError("64 MiB or more follow its end")


def copy(packed: Any, unpacked: BinaryIO) -> None:
    with packed, unpacked:
        shutil.copyfileobj(packed, unpacked)


def is_link(entry: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(entry.external_attr >> 16)


def is_of_a_mac(entry: zipfile.ZipInfo) -> bool:
    """Return whether a Mac added an entry for itself."""
    return entry.filename.startswith(("__MACOSX/", "__MACOSX\\"))


def open_zip(archive: Path) -> zipfile.ZipFile:
    """Open a zip. Names without the UTF-8 mark are read as UTF-8 where that works, else as cp437, the standard's."""
    try:
        return zipfile.ZipFile(archive, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        return zipfile.ZipFile(archive)


class StrictHeader(tarfile.TarInfo):
    """A header of a tar that may not be broken. tarfile takes a broken one, except the first, for the end of the
    archive, and says nothing."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "StrictHeader":
        start = archive.offset
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            ending = start > 0 and isinstance(error, tarfile.EmptyHeaderError)  # type: ignore[attr-defined]
            raise tarfile.ReadError("its end is missing" if ending else str(error) or "it is empty") from None

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.size < 0:
            raise tarfile.ReadError("a member has a size below 0")
        if not (self.isreg() or self.issym() or self.islnk() or self.isdir()) and self.size > LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


def open_tar(archive: Path) -> tarfile.TarFile:
    return tarfile.open(archive, tarinfo=StrictHeader)


@contextmanager
def open_7z(archive: Path) -> Iterator[Any]:
    """Open a 7z by a stream: py7zr then works in one thread."""
    import py7zr

    with archive.open("rb") as stream, py7zr.SevenZipFile(stream) as source:
        yield source


def contents_of_7z(source: Any) -> Contents:
    entries = [each for each in source.files if not each.is_directory]
    files = [Entry(each.filename, each.uncompressed) for each in entries if each.is_file]
    return Contents(files, len(entries) - len(files))
