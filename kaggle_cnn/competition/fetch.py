"""From what the user names to data/<name>/ with competition.toml: `kcnn fetch`, whichever host it comes from."""

import fnmatch
import re
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from kaggle_cnn.competition import kaggle_host, layout, local_host
from kaggle_cnn.competition.archive import SUFFIXES, BrokenArchiveError, unpack, unpack_nested
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.kaggle_login import connect
from kaggle_cnn.competition.kaggle_refusals import competition_url, slug_of
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import one_at_a_time, whole_folder
from kaggle_cnn.workspace import Workspace


def fetch(
    given: str, workspace: Workspace, talk, only: str = "", keep_archive: bool = False
) -> tuple[Competition, bool]:
    """Brings `given` to data/<name>/ and guesses its layout: "demo", a folder or zip, a name or URL of Kaggle's.

    `only` (a pattern such as "*.csv") and `keep_archive` are for Kaggle. `talk` has say, track and transfer, see
    insight.progress.Talk. Returns the competition and whether anything was brought: a second fetch finds it there.
    Raises KcnnError where `given` is none of these, or is no image classification. What Kaggle sent stays then, and
    is looked at again, not downloaded again, by the next fetch; of the local host's nothing stays.
    """
    source, slug = resolve(given)
    name = slug or competition_name(source)
    folder = workspace.data(name)
    if (folder / "competition.toml").is_file():
        competition = Competition.read(folder)
        if (competition.source, competition.only) != (source, only):
            was = f"{competition.source}{f' --only {competition.only}' if competition.only else ''}"
            raise KcnnError(
                f"there already is a competition '{name}', fetched from {was}", f"to fetch it anew, remove {folder}"
            )
        return competition, False
    if slug:
        with one_at_a_time(folder):
            about = fetch_from_kaggle(slug, folder, talk, only, keep_archive)
            try:
                guessed = layout.guess(folder, about.get("metric", ""))
            except KcnnError as error:
                raise KcnnError(
                    error.message, f"{error.hint}; the files are in {folder}, remove it to fetch anew"
                ) from None
            made = {"folder": folder, "name": name, "host": "kaggle", "source": source, "only": only}
            competition = Competition(**{**made, **guessed, **about})
            competition.write()
        return competition, True
    if folder.exists():
        raise KcnnError(f"{folder} exists, but not as a competition", "move it away, then fetch again")
    if only or keep_archive:
        raise KcnnError("--only and --keep-archive are for competitions on Kaggle", "leave them out")
    with whole_folder(folder) as temporary:
        local_host.bring(source, temporary, talk.track)
        Competition(folder=temporary, name=name, host="local", source=source, **layout.guess(temporary)).write()
    return Competition.read(folder), True


def resolve(given: str) -> tuple[str, str | None]:
    """The source as competition.toml keeps it, and the slug where it is Kaggle's. What is on the disk goes first."""
    path = Path(given).expanduser()
    if given == "demo" and not path.exists():
        return given, None
    if not path.exists() and (slug := slug_of(given)):
        return competition_url(slug), slug
    if "://" in given:
        raise KcnnError(f"{given} is not an address on Kaggle", "expected https://www.kaggle.com/competitions/NAME")
    return str(path.resolve()), None


def competition_name(source: str) -> str:
    """A folder name from what was given: letters, digits, dots, dashes and underscores."""
    name = Path(source).name
    ending = next((suffix for suffix in reversed(SUFFIXES) if name.lower().endswith(suffix)), "")
    return re.sub(r"[^\w.-]+", "-", name[: len(name) - len(ending)]).strip("-.") or "mine"


def fetch_from_kaggle(slug: str, folder: Path, talk, only: str, keep_archive: bool) -> dict:
    """Brings the competition's files to `folder`, where they are not there yet; returns what Kaggle tells of it."""
    kaggle = connect(talk.say)
    files = kaggle_host.files(kaggle, slug)
    if not files:
        raise KcnnError(f"'{slug}' has no files to download", f"see {competition_url(slug)}/data")
    about = kaggle_host.describe(kaggle, slug)
    known = {key: about[key] for key in ("title", "metric", "deadline", "daily_limit") if about.get(key)}
    chosen = [file for file in files if matches(file.name, only)]
    if not chosen:
        names = ", ".join(file.name for file in files[:5])
        raise KcnnError(f"none of the {len(files):,} files of '{slug}' is like '{only}'", f"its files are {names}, ...")
    if folder.is_dir():
        if any(not (folder / file.name).exists() and not file.name.lower().endswith(SUFFIXES) for file in chosen):
            raise KcnnError(f"{folder} holds but a part of these files", "remove it to fetch them")
        talk.say(f"{folder} is there, without a competition.toml: looking at it anew, without downloading")
        return known
    archive = folder.with_name(f"{folder.name}.zip")
    require_room(chosen, folder, archive)
    if only:
        temporary = folder.with_name(f".{folder.name}.{zlib.crc32(only.encode()):08x}.partial")
        talk.say(f"{about.get('title') or slug}: {len(chosen):,} of {len(files):,} files")
        for file in chosen:
            fetch_file(kaggle, slug, file, temporary, talk)
        unpack_nested(temporary, talk.track)
        temporary.rename(folder)
        return known
    total = sum(file.size for file in files)
    talk.say(f"{about.get('title') or slug}: {len(files):,} files, {total / 2**20:,.1f} MiB")
    if not archive.is_file():
        kaggle_host.download(kaggle, slug, None, archive, talk)
    broken = archive.with_name(f"{archive.name}.broken")
    try:
        with whole_folder(folder) as unpacked:
            unpack(archive, unpacked, talk.track)
            if lacking := [file.name for file in files if not (unpacked / file.name).is_file()]:
                talk.say(
                    f"note: {len(lacking):,} of the listed files are not in the archive, the first is {lacking[0]}"
                )
            unpack_nested(unpacked, talk.track)
    except BrokenArchiveError as error:
        archive.rename(broken)
        raise KcnnError(error.message, f"what came was put aside as {broken}; run it again to download anew") from None
    broken.unlink(missing_ok=True)
    if not keep_archive:
        archive.unlink()
    return known


def matches(name: str, only: str) -> bool:
    """Whether a file's path, or its last part, is like the pattern; all are like none."""
    return not only or fnmatch.fnmatchcase(name, only) or fnmatch.fnmatchcase(PurePosixPath(name).name, only)


def require_room(files: list[kaggle_host.RemoteFile], folder: Path, archive: Path) -> None:
    """Raises KcnnError where the disk cannot hold the archive and what it unpacks to."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    total = sum(file.size for file in files)
    partial = Path(f"{archive}.partial")
    here = sum(path.stat().st_size for path in (archive, partial) if path.is_file())
    needed, free = 2 * total - here, shutil.disk_usage(folder.parent).free
    if needed > free:
        raise KcnnError(
            f"{folder.name} needs up to {needed / 2**20:,.0f} MiB to download and unpack, and {free / 2**20:,.0f} MiB "
            f"are free in {folder.parent}",
            "make room, work on another disk, or fetch a part of it: --only PATTERN",
        )


def fetch_file(kaggle, slug: str, file: kaggle_host.RemoteFile, folder: Path, talk) -> None:
    """One file to its place below `folder`, if it is not there yet; Kaggle may send NAME.zip for NAME."""
    target = folder / PurePosixPath(file.name)
    if not target.resolve().is_relative_to(folder.resolve()):
        raise KcnnError(f"Kaggle lists a file that would leave its folder: {file.name!r}", "do not trust this data")
    if target.is_file():
        return
    arrived = target.with_name(f".{target.name}.arrived")
    name = kaggle_host.download(kaggle, slug, file.name, arrived, talk)
    if name.lower().endswith(".zip") and target.suffix.lower() != ".zip" and zipfile.is_zipfile(arrived):
        with tempfile.TemporaryDirectory(dir=target.parent) as unpacked:
            unpack(arrived, Path(unpacked), talk.track)
            inside = [path for path in Path(unpacked).rglob("*") if path.is_file()]
            if len(inside) == 1:
                inside[0].rename(arrived)
    arrived.rename(target)
