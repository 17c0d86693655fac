"""Fetch a competition: put its files into data/<name>/ and write competition.toml. The source is Kaggle or the disk."""

import fnmatch
import re
import shutil
import tempfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from kaggle_cnn.competition import local_host
from kaggle_cnn.competition.archive import BrokenArchiveError, unpack, unpack_nested
from kaggle_cnn.competition.archive_kinds import SUFFIXES
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts import recognise
from kaggle_cnn.competition.layouts.recognise import NO_CHOICES, Choices
from kaggle_cnn.competition.listing import list_images
from kaggle_cnn.competition.opening import find_classes
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import one_at_a_time, read_toml, whole_folder
from kaggle_cnn.kaggle import competitions, datasets
from kaggle_cnn.kaggle.client import Connection
from kaggle_cnn.kaggle.errors import competition_url, dataset_url, slug_of
from kaggle_cnn.kaggle.login import connect
from kaggle_cnn.progress import Progress
from kaggle_cnn.workspace import Workspace

FIELDS = ("title", "metric_words", "deadline", "daily_limit")  # what competition.toml takes from Kaggle's description


def fetch(
    given: str,
    workspace: Workspace,
    progress: Progress,
    include: str = "",
    keep_archive: bool = False,
    choices: Choices = NO_CHOICES,
    name: str = "",
) -> tuple[Competition, bool]:
    """Put the files of `given` into data/<name>/ and write competition.toml. Return the competition and if it is new.

    `given` is "demo", a folder or zip, the name or URL of a competition on Kaggle, or the URL of a data set there, for
    which submissions are scored at home. `include` (a pattern such as "*.csv") and `keep_archive` are for Kaggle only.
    `choices` is what the user says of the files, and `name` that of the competition. One that was fetched before is
    returned as it is; with `choices`, its files are read again.
    Raises KcnnError where `given` is none of these, or where its files are not an image competition. Files from Kaggle
    stay on the disk then, and the next fetch reads them without a download. See `fetch_from_disk` for others.
    """
    source, slug = resolve(given)
    if not name:
        name = slug if slug and "/" not in slug else free_name(workspace, competition_name(source), source)
    if name != as_folder_name(name):
        raise KcnnError(
            f"--name should be letters, digits, dots, dashes and underscores, got '{name}'", "for example: pets"
        )
    folder = workspace.data(name)
    if (folder / "competition.toml").is_file() and not is_draft(folder, source):
        kept = read_toml(folder / "competition.toml")
        if (kept.get("source"), kept.get("include", "")) != (source, include):
            was = f"{kept.get('source')}{f' --include {pattern}' if (pattern := kept.get('include')) else ''}"
            raise KcnnError(
                f"there is already a competition '{name}', fetched from {was}",
                f"to fetch it under another name: --name NAME; to fetch it anew, remove {folder} first",
            )
        competition = find_classes(Competition.read(folder))
        return (read_again(competition, workspace, progress, choices) if choices != NO_CHOICES else competition), False
    if slug:
        with one_at_a_time(folder, workspace.lock(name)):
            about = fetch_from_kaggle(slug, folder, progress, include, keep_archive)
            shutil.rmtree(arrived_of(folder, include), ignore_errors=True)  # all of it is in `folder`
            host = "local" if "/" in slug else "kaggle"  # where submissions go
            known = {"folder": folder, "name": name, "host": host, "source": source, "include": include}
            try:
                guessed = guess(folder, progress, choices, about.get("metric_words", ""))
            except KcnnError as error:
                write_draft({**known, **about})
                raise KcnnError(
                    error.message, f"{error.hint}; the files are in {folder}, remove it to download them again"
                ) from None
            competition = Competition(**{**known, **guessed, **about})
            competition.write()
        return competition, True
    if include or keep_archive:
        raise KcnnError("--include and --keep-archive work only for files on Kaggle", "leave them out")
    with one_at_a_time(folder, workspace.lock(name)):
        return fetch_from_disk(source, folder, name, progress, choices), True


def fetch_from_disk(source: str, folder: Path, name: str, progress: Progress, choices: Choices) -> Competition:
    """Link or unpack the files of `source` into `folder`, and write competition.toml.

    Raises KcnnError where they are not an image competition; where there are images, they stay in `folder`, with a
    competition.toml to fill in.
    """
    if is_draft(folder, source):
        shutil.rmtree(folder)
    if folder.exists():
        raise KcnnError(f"{folder} exists, but is not a competition", "move it to another place, then fetch again")
    refused: KcnnError | None = None
    with whole_folder(folder) as temporary:
        try:
            local_host.copy_source(source, temporary, progress)
        except KcnnError as error:  # the temporary folder is gone when this is read
            raise KcnnError(error.message.replace(str(temporary), str(folder)), error.hint) from None
        set_aside(temporary)
        known = {"folder": temporary, "name": name, "host": "local", "source": source}
        try:
            Competition(**{**known, **guess(temporary, progress, choices)}).write()
        except KcnnError as error:
            if choices != NO_CHOICES or not list_images(temporary):
                raise
            write_draft(known)
            refused = error
    if refused:
        raise KcnnError(refused.message, f"{refused.hint}; or say how to read it in {folder / 'competition.toml'}")
    return Competition.read(folder)


def set_aside(folder: Path) -> None:
    """Rename the competition.toml that came with somebody's files: in this place it is kcnn's own."""
    theirs = folder / "competition.toml"
    if theirs.exists():
        theirs.rename(folder / "_competition.toml")


def is_draft(folder: Path, source: str) -> bool:
    """Return whether competition.toml was written when `source` was refused, and nobody has said yet how to read it."""
    path = folder / "competition.toml"
    content = read_toml(path) if path.is_file() else {}
    return (content.get("layout"), content.get("source")) == ("", source)


def write_draft(known: dict[str, Any]) -> None:
    """Write competition.toml for files that kcnn does not understand, for the user to fill in. `known`: some fields."""
    Competition(**{**known, "layout": "", "classes": ()}).write()


def guess(folder: Path, progress: Progress, choices: Choices, metric_words: str = "") -> dict[str, Any]:
    """Return the fields of a Competition that the files show, and say what else they may mean."""
    guessed = recognise.guess(folder, metric_words, choices)
    for doubt in guessed.doubts:
        progress.say(f"note: {doubt}")
    return guessed.fields


def read_again(competition: Competition, workspace: Workspace, progress: Progress, choices: Choices) -> Competition:
    """Read the files of a competition as the user says they are; its folds are drawn anew.

    Raises KcnnError where it has runs: they were trained on other folds.
    """
    runs = workspace.runs(competition.name)
    if any(runs.glob("*/run.json")):
        raise KcnnError(
            f"'{competition.name}' has runs, which were trained on its files as they were read before",
            "fetch it under another name: --name NAME",
        )
    guessed = guess(competition.folder, progress, choices, competition.metric_words)
    for folds in runs.glob("folds*.csv"):
        folds.unlink()
    competition = replace(competition, **{"ignore": (), "group": "", "folds": "folds.csv", **guessed})
    competition.write()
    return competition


def resolve(given: str) -> tuple[str, str | None]:
    """Return the source for competition.toml, and the slug where it is on Kaggle.

    A path on the disk takes precedence over a name on Kaggle.
    """
    path = Path(given).expanduser()
    if given == "demo" and not path.exists():
        return given, None
    if not path.exists() and (slug := slug_of(given)):
        return page_url(slug), slug
    if "://" in given:
        raise KcnnError(
            f"{given} is not an address on Kaggle",
            "use an address like https://www.kaggle.com/competitions/NAME or https://www.kaggle.com/datasets/OWNER/NAME",
        )
    return str(path.resolve()), None


def page_url(slug: str) -> str:
    """Return the address of a competition, or of the data set OWNER/NAME, on Kaggle."""
    return dataset_url(slug) if "/" in slug else competition_url(slug)


def choose_remote(slug: str) -> ModuleType:
    """Return the module that lists and downloads the files of a competition, or of the data set OWNER/NAME."""
    return datasets if "/" in slug else competitions


def competition_name(source: str) -> str:
    """Return a folder name for a path: letters, digits, dots, dashes and underscores."""
    name = Path(source).name
    ending = next((suffix for suffix in reversed(SUFFIXES) if name.lower().endswith(suffix)), "")
    return as_folder_name(name[: len(name) - len(ending)]) or "mine"


def free_name(workspace: Workspace, name: str, source: str) -> str:
    """Return `name`, or with a number where a competition from another source has that: a second archive.zip is
    archive-2."""
    number = 1
    while True:
        tried = name if number == 1 else f"{name}-{number}"
        path = workspace.data(tried) / "competition.toml"
        if not path.is_file() or read_toml(path).get("source") == source:
            return tried
        number += 1


def as_folder_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")


def fetch_from_kaggle(slug: str, folder: Path, progress: Progress, include: str, keep_archive: bool) -> dict[str, Any]:
    """Download the competition's files to `folder`, where they are not there yet. Return FIELDS as far as known."""
    connection = connect(progress)
    remote = choose_remote(slug)
    files = remote.files(connection, slug)
    if not files:
        raise KcnnError(f"'{slug}' has no files to download", f"see {page_url(slug)}/data")
    about = remote.describe(connection, slug)
    known = {key: about[key] for key in FIELDS if about.get(key)}
    chosen = [file for file in files if matches(file.name, include)]
    if not chosen:
        names = ", ".join(file.name for file in files[:5])
        raise KcnnError(
            f"none of the {len(files):,} files of '{slug}' matches '{include}'",
            f"choose another pattern; the files are {names}, ...",
        )
    if folder.is_dir():
        if any(not (folder / file.name).exists() and not file.name.lower().endswith(SUFFIXES) for file in chosen):
            raise KcnnError(f"{folder} has only some of these files", "remove it to download all of them")
        progress.say(f"{folder} exists without a competition.toml: reading its files again, without a download")
        return known
    require_room(chosen, folder, archive_of(folder))
    title = about.get("title") or slug
    if include:
        progress.say(f"{title}: {len(chosen):,} of {len(files):,} files")
        fetch_chosen(connection, slug, chosen, include, folder, progress)
    else:
        total = sum(file.size for file in files)
        progress.say(f"{title}: {len(files):,} files, {total / 2**20:,.1f} MiB")
        fetch_archive(connection, slug, files, folder, progress, keep_archive)
    return known


def archive_of(folder: Path) -> Path:
    """Return the path of the zip with all files of the competition in `folder`."""
    return folder.with_name(f"{folder.name}.zip")


def arrived_of(folder: Path, include: str) -> Path:
    """Return the folder for the files that match `include` while they come, one by one."""
    return folder.with_name(f".{folder.name}.{zlib.crc32(include.encode()):08x}.partial")


def fetch_chosen(
    connection: Connection,
    slug: str,
    chosen: list[competitions.RemoteFile],
    include: str,
    folder: Path,
    progress: Progress,
) -> None:
    """Download the chosen files one by one, and unpack those that are archives."""
    arrived = arrived_of(folder, include)
    for file in chosen:
        fetch_file(connection, slug, file, arrived, progress)
    with whole_folder(folder) as whole:  # links: what is unpacked again after an end halfway is all there
        local_host.link_tree(arrived, whole, progress)
        unpack_nested(whole, progress)
        set_aside(whole)


def fetch_archive(
    connection: Connection,
    slug: str,
    files: list[competitions.RemoteFile],
    folder: Path,
    progress: Progress,
    keep_archive: bool,
) -> None:
    """Download the zip of all files and unpack it, with the archives in it.

    Raises KcnnError where the zip is broken. It is kept under another name then.
    """
    archive = archive_of(folder)
    if not archive.is_file():
        choose_remote(slug).download(connection, slug, None, files, archive, progress)
    broken = archive.with_name(f"{archive.name}.broken")
    try:
        with whole_folder(folder) as unpacked:
            room = unpack(archive, unpacked, progress)
            if missing := [file.name for file in files if not (unpacked / file.name).is_file()]:
                progress.say(
                    f"note: {len(missing):,} of the listed files are not in the archive, the first is {missing[0]}"
                )
            unpack_nested(unpacked, progress, room)
            set_aside(unpacked)
    except BrokenArchiveError as error:
        archive.rename(broken)
        raise KcnnError(
            error.message, f"run it again to download it again; the broken archive is kept as {broken}"
        ) from None
    broken.unlink(missing_ok=True)
    if not keep_archive:
        archive.unlink()


def matches(name: str, include: str) -> bool:
    """Return whether a file's path, or its last part, matches the pattern. Every file matches the empty one."""
    return not include or fnmatch.fnmatchcase(name, include) or fnmatch.fnmatchcase(PurePosixPath(name).name, include)


def require_room(files: list[competitions.RemoteFile], folder: Path, archive: Path) -> None:
    """Raise KcnnError where the disk has no space for the archive and its unpacked files."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    total = sum(file.size for file in files)
    partial = Path(f"{archive}.partial")
    here = sum(path.stat().st_size for path in (archive, partial) if path.is_file())
    needed, free = 2 * total - here, shutil.disk_usage(folder.parent).free
    if needed > free:
        raise KcnnError(
            f"{folder.name} needs up to {needed / 2**20:,.0f} MiB to download and unpack, and {free / 2**20:,.0f} MiB "
            f"are free in {folder.parent}",
            "free some space, use another disk, or fetch only some of the files: --include PATTERN",
        )


def fetch_file(
    connection: Connection, slug: str, file: competitions.RemoteFile, folder: Path, progress: Progress
) -> None:
    """Download one file to its place below `folder`, if it is not there yet. Kaggle may send NAME.zip for NAME."""
    target = folder / PurePosixPath(file.name)
    if not target.resolve().is_relative_to(folder.resolve()):
        raise KcnnError(f"Kaggle lists a file that would leave its folder: {file.name!r}", "do not trust this data")
    if target.is_file():
        return
    arrived = target.with_name(f".{target.name}.arrived")
    name = choose_remote(slug).download(connection, slug, file.name, [file], arrived, progress)
    if name.lower().endswith(".zip") and target.suffix.lower() != ".zip" and zipfile.is_zipfile(arrived):
        with tempfile.TemporaryDirectory(dir=target.parent) as unpacked:
            unpack(arrived, Path(unpacked), progress)
            content = [path for path in Path(unpacked).rglob("*") if path.is_file()]
            if len(content) == 1:
                content[0].rename(arrived)
    arrived.rename(target)
