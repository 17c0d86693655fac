import io
import stat
import tarfile
import zipfile

import numpy as np
import pytest
from conftest import Recorder, make_images_in

from kaggle_cnn.competition.archive import unpack, unpack_nested
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Silent


def zip_of(path, entries: dict[str, bytes], **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def unpacked(archive, tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    unpack(archive, target, Silent())
    return {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def test_names_with_spaces_unicode_and_backslashes(tmp_path):
    entries = {"a b/ü.txt": b"1", "c\\d.txt": b"2", "__MACOSX/._x": b"3"}
    assert unpacked(zip_of(tmp_path / "a.zip", entries), tmp_path) == {"a b/ü.txt": b"1", "c/d.txt": b"2"}


def test_utf8_names_without_the_utf8_mark(tmp_path):
    """As some tools write them; Python alone reads them as cp437, "grün" then becomes "gr├╝n"."""
    archive = zip_of(tmp_path / "a.zip", {"grXXn.txt": b"1"})
    archive.write_bytes(archive.read_bytes().replace(b"grXXn", "grün".encode()))
    assert unpacked(archive, tmp_path) == {"grün.txt": b"1"}


@pytest.mark.parametrize("name", ["../evil.txt", "a/../../evil.txt", "/etc/evil.txt", "..\\evil.txt", "C:\\evil.txt"])
def test_a_path_that_would_leave_the_folder_is_refused(tmp_path, name):
    archive = zip_of(tmp_path / "a.zip", {"good.txt": b"1", name: b"2"})
    with pytest.raises(KcnnError, match="leave its folder"):
        unpacked(archive, tmp_path)
    assert not list((tmp_path / "out").iterdir())
    assert not (tmp_path / "evil.txt").exists()


def test_links_are_not_made(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr(link, "/etc/passwd")
        writer.writestr("file", "1")
    assert unpacked(archive, tmp_path) == {"file": b"1"}


def test_a_huge_size_is_refused(tmp_path):
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer, writer.open("zeros", "w") as stream:
        for _ in range(128):
            stream.write(bytes(2**20))
    with pytest.raises(KcnnError, match="would unpack to 128 MiB"):
        unpacked(archive, tmp_path)


def test_an_incomplete_zip_is_refused(tmp_path):
    noise = bytes(range(256)) * 400
    whole = zip_of(tmp_path / "a.zip", {"a": noise, "b": noise}).read_bytes()
    damaged = bytearray(whole)
    damaged[60] ^= 255
    for number, content in enumerate([whole[: len(whole) // 2], whole[:-30], b"", b"PK", bytes(damaged)]):
        archive = tmp_path / f"{number}.zip"
        archive.write_bytes(content)
        (tmp_path / f"out{number}").mkdir()
        with pytest.raises(KcnnError, match="not a complete zip"):
            unpack(archive, tmp_path / f"out{number}", Silent())


def test_an_encrypted_zip_is_refused(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"a": b"1"})
    content = archive.read_bytes()
    # Bit 0 of the flags, in the local header and in the central directory, says "encrypted".
    local, central = content.index(b"PK\x03\x04") + 6, content.index(b"PK\x01\x02") + 8
    marked = bytearray(content)
    marked[local] |= 1
    marked[central] |= 1
    archive.write_bytes(marked)
    with pytest.raises(KcnnError, match="is encrypted"):
        unpacked(archive, tmp_path)


@pytest.mark.parametrize("broken", ["../", "truncated", "bomb", "nothing"])
def test_fetch_of_a_bad_zip_leaves_nothing(refused, tmp_path, broken):
    archive = tmp_path / "mine.zip"
    if broken == "../":
        zip_of(archive, {"train/a/1.png": b"1", "../b.png": b"2"})
    elif broken == "bomb":
        zip_of(archive, {"zeros": bytes(200 * 2**20)})
    elif broken == "truncated":
        source = make_images_in(tmp_path / "mine", 3)
        whole = zip_of(
            archive, {str(p.relative_to(source)): p.read_bytes() for p in source.rglob("*.jpg")}
        ).read_bytes()
        archive.write_bytes(whole[: len(whole) // 2])
    else:
        zip_of(archive, {"readme.txt": b"no images"})
    refused("fetch", archive)
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir())
    assert not (tmp_path / "kcnn.toml").exists()


def test_io_error_is_not_swallowed(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"a": b"1"})
    with pytest.raises(FileNotFoundError):
        unpack(archive, tmp_path / "not there", Silent())
    assert zipfile.is_zipfile(io.BytesIO(archive.read_bytes()))


def packed_7z(path, files):
    import py7zr

    with py7zr.SevenZipFile(path, "w") as target:
        for name, content in files.items():
            target.writestr(content, name)


def packed_tar(path, files):
    with tarfile.open(path, "w:gz") as target:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))


def packed_zip(path, files):
    with zipfile.ZipFile(path, "w") as target:
        for name, content in files.items():
            target.writestr(name, content)


PACKERS = {"train.7z": packed_7z, "train.tar.gz": packed_tar, "train.zip": packed_zip}


@pytest.mark.parametrize("entry", ["train/a/1.txt", "a/1.txt"])
@pytest.mark.parametrize("name", PACKERS)
def test_archives_within(tmp_path, name, entry):
    (tmp_path / "data").mkdir()
    PACKERS[name](tmp_path / "data" / name, {entry: b"one", entry.replace("1", "2"): b"two"})
    packed_zip(tmp_path / "data" / "sample.csv.zip", {"sample.csv": b"id,label\n"})
    unpack_nested(tmp_path / "data", Silent())
    found = sorted(path.relative_to(tmp_path / "data").as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert found == ["sample.csv", "train/a/1.txt", "train/a/2.txt"]
    assert (tmp_path / "data" / "train" / "a" / "2.txt").read_bytes() == b"two"


@pytest.mark.parametrize("name", ["train.tar.gz", "train.zip"])  # py7zr does not write such a 7z
def test_no_archive_leaves_its_folder(tmp_path, name):
    PACKERS[name](tmp_path / name, {"../out.txt": b"x"})
    with pytest.raises(KcnnError, match="would leave its folder"):
        unpack(tmp_path / name, tmp_path, Silent())
    assert not (tmp_path.parent / "out.txt").exists()


@pytest.mark.parametrize("name", PACKERS)
def test_an_archive_without_its_end(tmp_path, name):
    PACKERS[name](tmp_path / name, {"a.txt": np.random.default_rng(0).bytes(10_000)})
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    (tmp_path / "out").mkdir()
    with pytest.raises(KcnnError, match="is not a complete"):
        unpack(tmp_path / name, tmp_path / "out", Silent())


def test_files_that_exist_are_not_overwritten(tmp_path):
    """A folder's files are hard links to the user's own."""
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "1.txt").write_text("mine")
    packed_zip(tmp_path / "train.zip", {"train/1.txt": b"theirs"})
    packed_zip(tmp_path / "notes.csv.zip", {"train/1.txt": b"theirs"})
    unpack_nested(tmp_path, Silent())
    assert (tmp_path / "train" / "1.txt").read_text() == "mine"
    assert (tmp_path / "train.zip").is_file()


def tar_bytes(members: dict[str, bytes], links: dict[str, str] | None = None, mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as target:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))
        for name, existing in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.LNKTYPE, existing
            target.addfile(member)
    return stream.getvalue()


def test_a_tar_with_a_bad_header_or_without_its_end_is_refused(tmp_path):
    """tarfile alone takes a bad header for the end of the archive."""
    whole = tar_bytes({"train/1.txt": b"a" * 512, "test/1.txt": b"b" * 512})
    bad = bytearray(whole)
    bad[1024 + 150] ^= 1  # the checksum of the second header
    (tmp_path / "out").mkdir()
    for content in (bytes(bad), whole[:2048], whole[: 1024 + 100]):
        (tmp_path / "a.tar").write_bytes(content)
        with pytest.raises(KcnnError, match="not a complete tar"):
            unpack(tmp_path / "a.tar", tmp_path / "out", Silent())


def test_hard_links_of_a_tar_are_files_and_symbolic_ones_are_named(tmp_path):
    stream = io.BytesIO(tar_bytes({"a/1.txt": b"one"}, {"b/2.txt": "a/1.txt"}))
    with tarfile.open(fileobj=stream, mode="a") as target:
        member = tarfile.TarInfo("c.txt")
        member.type, member.linkname = tarfile.SYMTYPE, "a/1.txt"
        target.addfile(member)
    (tmp_path / "a.tar").write_bytes(stream.getvalue())
    (tmp_path / "out").mkdir()
    said = Recorder()
    unpack(tmp_path / "a.tar", tmp_path / "out", said)
    assert (tmp_path / "out" / "b" / "2.txt").read_bytes() == b"one"
    assert not (tmp_path / "out" / "c.txt").exists()
    assert said.said == ["note: 1 link in a.tar left out"]


def test_a_hard_link_to_what_is_not_there_is_refused(tmp_path):
    (tmp_path / "a.tar").write_bytes(tar_bytes({"a": b"1"}, {"b": "nothing"}))
    with pytest.raises(KcnnError, match="link to nothing"):
        unpacked(tmp_path / "a.tar", tmp_path)


@pytest.mark.parametrize("entries", [{"a": b"1", "a/b": b"2"}, {"x" * 300: b"1"}])
@pytest.mark.parametrize("name", PACKERS)
def test_names_that_cannot_be_files(tmp_path, name, entries):
    PACKERS[name](tmp_path / name, entries)
    with pytest.raises(KcnnError, match="names that cannot be files"):
        unpacked(tmp_path / name, tmp_path)


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz"])
def test_a_compressed_tar_with_a_flipped_byte_is_refused(tmp_path, suffix):
    content = bytearray(tar_bytes({"a.txt": np.random.default_rng(0).bytes(40_000)}, mode=f"w:{suffix[5:]}"))
    for place in (len(content) // 2, len(content) - 6):  # in the data, and in gzip's checksum
        broken = content.copy()
        broken[place] ^= 255
        (tmp_path / f"a{suffix}").write_bytes(broken)
        (tmp_path / "out").mkdir(exist_ok=True)
        with pytest.raises(KcnnError, match="not a complete tar"):
            unpack(tmp_path / f"a{suffix}", tmp_path / "out", Silent())


def test_zips_in_a_zip_count_together(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("zeros", bytes(30 * 2**20))
    zip_of(tmp_path / "bomb.zip", {f"{number}.zip": inner.getvalue() for number in range(8)})
    (tmp_path / "out").mkdir()
    room = unpack(tmp_path / "bomb.zip", tmp_path / "out", Silent())
    with pytest.raises(KcnnError, match="more than 100 times its own size"):
        unpack_nested(tmp_path / "out", Silent(), room)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*")) < 120 * 2**20


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_files_of_one_name_count_each(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as writer:
        for _ in range(4):
            writer.writestr("zeros", bytes(30 * 2**20))
    with pytest.raises(KcnnError, match="would unpack to 120 MiB"):
        unpacked(tmp_path / "bomb.zip", tmp_path)


def test_a_broken_archive_beside_whole_data_is_a_note(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    packed_zip(data / "train.zip", {"a/1.txt": b"one"})
    whole = zip_of(tmp_path / "x.zip", {"notes.txt": b"x" * 1000}).read_bytes()
    (data / "extra.zip").write_bytes(whole[:60])
    (data / "stage2_test.7z").write_bytes(b"no archive")
    said = Recorder()
    unpack_nested(data, said)
    assert (data / "train" / "a" / "1.txt").is_file()
    assert [line.partition(" stays packed")[0] for line in said.said] == ["note: extra.zip", "note: stage2_test.7z"]
    (data / "test.zip").write_bytes(whole[:60])  # the images themselves: the data are not whole
    with pytest.raises(KcnnError, match="not a complete zip"):
        unpack_nested(data, said)


def test_an_archive_that_is_stopped_halfway_is_unpacked_whole_the_next_time(tmp_path):
    noise = np.random.default_rng(0).bytes(4000)
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as writer:
        for number in range(9):
            writer.writestr(f"train/{number}.txt", noise)

    class Stopped(Silent):
        def track(self, steps, text, total):
            for number, step in enumerate(steps):
                if number == 5:
                    raise KeyboardInterrupt
                yield step

    with pytest.raises(KeyboardInterrupt):
        unpack_nested(tmp_path, Stopped())
    assert not (tmp_path / "train").exists()
    unpack_nested(tmp_path, Silent())
    assert len(list((tmp_path / "train").iterdir())) == 9
