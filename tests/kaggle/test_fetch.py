"""Fetch and sign in through the real `kaggle` package, over HTTP, against the server in kaggle_server.py."""

import io
import json
import os
import signal
import time
import zipfile
import zlib
from pathlib import Path

import pytest
from conftest import environment, error_of
from kaggle_server import Kaggle, Task
from launching import launch

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.files import one_at_a_time


def assert_whole(work, task, slug="noise"):
    """Every file is there byte for byte. Nothing else is left in data/ but the lock, see files.one_at_a_time."""
    for name, content in task.files.items():
        assert (work / "data" / slug / name).read_bytes() == content
    assert sorted(os.listdir(work / "data")) == [slug]


def test_all_pages_and_a_broken_connection(kaggle, online, work):
    """450 files on three pages; cut twice, the storage responds once with 503; the download continues by Range."""
    task = kaggle.tasks["noise"]
    kaggle.faults["ListDataFiles"] = [500, 500]
    kaggle.faults["GET"] = [("cut", 400_000), 503, None, ("cut", 300_000)]
    done = online("fetch", "noise")
    assert "noise: 450 training images" in done.stdout
    assert kaggle.seen["ListDataFiles"] == 5
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in kaggle.ranges if asked]
    assert len(starts) == 2
    assert 300_000 < starts[0] <= 400_000 < starts[1] <= 700_000
    assert_whole(work, task)


def test_killed_and_run_again(kaggle, online, work):
    kaggle.seconds_a_chunk = 0.05
    partial = work / "data" / "noise.zip.partial"
    nowhere = Path(os.devnull)
    process = launch(["fetch", "noise"], work, environment(HOME=str(work), **kaggle.environment()), nowhere, nowhere)
    begun = time.monotonic()
    while not (partial.is_file() and partial.stat().st_size > 300_000):
        assert process.is_alive()
        assert time.monotonic() - begun < 60
        time.sleep(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    have = partial.stat().st_size
    assert not (work / "data" / "noise").exists()
    kaggle.seconds_a_chunk = 0
    online("fetch", "noise")
    assert kaggle.ranges[-1] == f"bytes={have}-"
    assert_whole(work, kaggle.tasks["noise"])


def test_a_data_set_is_downloaded_like_a_competition(kaggle, online, work):
    """By the address of its page; submissions are scored at home, since Kaggle takes none."""
    kaggle.tasks["someone/noise"] = Task(dict(kaggle.tasks["noise"].files), title="Cats and dogs")
    kaggle.faults["GET"] = [("cut", 400_000)]
    done = online("fetch", "https://www.kaggle.com/datasets/someone/noise/data?select=train")
    assert "noise: 450 training images of 2 classes, no test images" in done.stdout
    assert "Cats and dogs: 450 files" in done.stderr
    assert kaggle.seen["ListDatasetFiles"] == 3
    assert_whole(work, kaggle.tasks["someone/noise"])
    competition = Competition.read(work / "data" / "noise")
    assert (competition.host, competition.title) == ("local", "Cats and dogs")
    assert competition.source == "https://www.kaggle.com/datasets/someone/noise"
    assert "is here already" in online("fetch").stderr
    kaggle.tasks["other/noise"] = Task({"train/a/1.png": b"", **kaggle.tasks["noise"].files}, title="Others")
    assert "noise-2: " in online("fetch", "kaggle.com/datasets/other/noise", "--include", "*/[0-9].png").stdout
    refused = online("fetch", "https://www.kaggle.com/datasets/someone/nothing", code=1)
    assert "Kaggle has no data set 'someone/nothing', or you have no access to it (403: Permission" in refused.stderr
    assert "check the address: https://www.kaggle.com/datasets/someone/nothing" in refused.stderr
    refused = online("fetch", "https://www.kaggle.com/code/someone/nothing", code=1)
    assert "is not the address of a competition or a data set" in refused.stderr


def test_a_file_that_changed_is_downloaded_again(kaggle, online, work):
    task = kaggle.tasks["noise"]
    kaggle.faults["GET"] = [("cut", 400_000), *[404] * 9]
    error_of(online("fetch", "noise", code=1))
    assert (work / "data" / "noise.zip.partial").stat().st_size > 300_000
    kaggle.faults["GET"] = []
    task.files["train/cat/1.png"] = task.files["train/cat/3.png"]
    online("fetch", "noise")
    assert_whole(work, task)


def test_a_pause_that_kaggle_asks_for(kaggle, online):
    kaggle.faults["ListDataFiles"] = [(429, {"Retry-After": "3"})]
    assert "trying again in 3 s" in online("fetch", "colours").stderr
    first, second = [at for method, at in kaggle.times if method == "ListDataFiles"][:2]
    assert 3 <= second - first < 5


@pytest.mark.parametrize("method", ["ListDataFiles", "GET", "IntrospectToken"])
def test_a_server_that_never_responds(kaggle, online, method):
    kaggle.faults[method] = ["hang"] * 9
    env = {"KCNN_TIMEOUT": "1"}
    if method == "IntrospectToken":
        env["KAGGLE_API_TOKEN"] = Kaggle.token
    begun = time.monotonic()
    error, _ = error_of(online("fetch", "noise", code=1, env=env))
    assert time.monotonic() - begun < 20
    assert "did not respond within 1 s" in error


def test_storage_that_stays_broken(kaggle, online, work):
    kaggle.faults["GET"] = [(503, {"Retry-After": "0"})] * 9
    error, _ = error_of(online("fetch", "noise", code=1))
    assert "503" in error
    assert kaggle.seen["GET"] == 6


def test_rules_and_names(kaggle, online):
    error, hint = error_of(online("fetch", "closed-to-you", code=1))
    assert "not accepted the rules of 'closed-to-you'" in error
    assert "https://www.kaggle.com/competitions/closed-to-you/rules" in hint
    error, hint = error_of(online("fetch", "colour", code=1))
    assert "no competition 'colour'" in error
    assert "did you mean colours?" in hint
    kaggle.faults["ListDataFiles"] = [404]
    error, hint = error_of(online("fetch", "https://www.kaggle.com/c/nothing-of-the-kind", code=1))
    assert "no competition 'nothing-of-the-kind'" in error
    assert "/competitions/nothing-of-the-kind/rules" in hint


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("https://www.kaggle.com/t/0123abcdef", "an invitation link"),
        ("https://www.kaggle.com/code/a/b", "not the address of a competition"),
        ("no_such_folder", "there is no"),
    ],
)
def test_names_that_are_not_valid(kaggle, online, given, error):
    assert error in error_of(online("fetch", given, code=1))[0]
    assert not kaggle.seen


def test_credentials(kaggle, online, kcnn, work, tmp_path):
    """Which one was used and where it lies is said when Kaggle refuses it; one that works, works."""
    home = tmp_path / "home"
    legacy = kaggle.environment()
    anonymous = {name: text for name, text in legacy.items() if name not in ("KAGGLE_USERNAME", "KAGGLE_KEY")}

    def refused(**extra):
        done = kcnn("fetch", "colours", cwd=work, code=1, **anonymous, **extra)
        assert "wrong" not in done.stderr.replace("wrong-user", "")
        return error_of(done)[0]

    assert "no Kaggle credential was found" in refused()
    both = {"KAGGLE_USERNAME": "wrong-user", "KAGGLE_KEY": "wrong"}
    assert "KAGGLE_USERNAME and KAGGLE_KEY, user wrong-user (401" in refused(**both)
    assert "the token in KAGGLE_API_TOKEN: it is expired" in refused(KAGGLE_API_TOKEN="wrong")
    assert "in place of KAGGLE_USERNAME and KAGGLE_KEY" in refused(KAGGLE_API_TOKEN="wrong", **both)
    (home / ".kaggle").mkdir()
    (home / ".kaggle" / "kaggle.json").write_text('{"username": "wrong-user", "key": "wrong"}')
    assert f"{home}/.kaggle/kaggle.json, user wrong-user (401" in refused()
    assert "KAGGLE_KEY with the user name of" in refused(KAGGLE_KEY="wrong")
    (home / ".kaggle" / "kaggle.json").write_text("[]")
    assert "expected a user name and a key in" in (error := refused())
    assert f"{home}/.kaggle/kaggle.json" in error
    (home / ".kaggle" / "kaggle.json").unlink()
    (home / ".kaggle" / "access_token").write_text("wrong")
    assert "the token in ~/.kaggle/access_token: it is expired" in refused()
    (home / ".kaggle" / "access_token").write_text(Kaggle.token)
    kcnn("fetch", "colours", cwd=work, **anonymous)


def test_only_a_part(kaggle, online, work):
    kaggle.tasks["noise"].files["notes/read me.txt"] = b"hello"
    online("fetch", "noise", "--include", "train/*/1[0-4].png")
    assert sorted(path.name for path in (work / "data" / "noise").rglob("*.png")) == [f"1{n}.png" for n in range(5)]
    assert "none of the 3 files" in error_of(online("fetch", "colours", "--include", "*.jpeg", code=1))[0]
    error, _ = error_of(online("fetch", "noise", code=1))
    assert "there is already a competition 'noise'" in error
    assert "--include" in error


def test_only_a_part_stopped_while_it_is_unpacked(kaggle, online, work):
    """A nested archive of 450 images; the process is killed among them, and the next fetch has all."""
    images = kaggle.tasks["noise"].files
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, content in images.items():
            target.writestr(name, content)
    kaggle.tasks["noise"].files = {"images.zip": buffer.getvalue(), "notes.csv": b"a\n"}
    nowhere = Path(os.devnull)
    surroundings = environment(HOME=str(work), **kaggle.environment())
    for least in (1, 200):
        process = launch(["fetch", "noise", "--include", "*.zip"], work, surroundings, nowhere, nowhere)
        while (
            process.is_alive()
            and sum(name.endswith(".png") for _, _, names in os.walk(work / "data") for name in names) < least
        ):
            time.sleep(0.002)
        process.kill()
        process.join()
    online("fetch", "noise", "--include", "*.zip")
    assert len(list((work / "data" / "noise").rglob("*.png"))) == 450
    assert os.listdir(work / "data") == ["noise"]


def test_the_archive_may_stay(kaggle, online, work):
    online("fetch", "noise", "--keep-archive")
    assert (work / "data" / "noise.zip").read_bytes() == kaggle.tasks["noise"].archive()


def test_files_without_images_stay_for_the_next_fetch(kaggle, online, work):
    kaggle.tasks["colours"].files = {"readme.txt": b"nothing to see"}
    assert "no images" in error_of(online("fetch", "colours", code=1))[0]
    assert (work / "data" / "colours" / "readme.txt").is_file()
    downloads = kaggle.seen["DownloadDataFiles"]
    error_of(online("fetch", "colours", code=1))
    assert kaggle.seen["DownloadDataFiles"] == downloads


@pytest.mark.parametrize("method", ["ListDataFiles", "IntrospectToken"])
def test_a_web_page_in_place_of_json(kaggle, online, method):
    kaggle.faults[method] = ["page"] * 4
    env = {"KAGGLE_API_TOKEN": Kaggle.token} if method == "IntrospectToken" else {}
    assert "expected a response from Kaggle" in error_of(online("fetch", "colours", code=1, env=env))[0]


def test_a_refusal_in_plain_text_and_one_with_a_secret_in_it(kaggle, online):
    rules = "You must accept this competition's rules before"
    kaggle.faults["ListDataFiles"] = [
        (403, {"text": f"{rules} {Kaggle.key}", "plain": True}),
        (403, {"text": Kaggle.key}),
    ]
    error, hint = error_of(online("fetch", "colours", code=1))
    assert "you have not accepted the rules of 'colours'" in error
    assert "***" in error
    assert "colours/rules" in hint
    online("fetch", "colours", code=1)


def test_files_that_are_not_a_competition_can_be_removed(kaggle, online, work):
    kaggle.tasks["noise"].files["notes.csv"] = b"a,b\n1,2\n"
    error, hint = error_of(online("fetch", "noise", "--include", "*.csv", code=1))
    assert "no images" in error
    assert "remove it to download them again" in hint
    assert (work / "data" / "noise" / "notes.csv").is_file()
    error, hint = error_of(online("fetch", "noise", code=1))
    assert "has only some of these files" in error
    assert "remove it" in hint


def test_a_broken_archive_within_the_archive(kaggle, online, work):
    files = kaggle.tasks["colours"].files
    whole = files["test.zip"]
    files["test.zip"] = whole[: len(whole) // 2]
    error, hint = error_of(online("fetch", "colours", code=1))
    assert "test.zip is not a complete zip file" in error
    assert "the broken archive is kept as" in hint
    files["test.zip"] = whole
    online("fetch", "colours")
    assert sorted(os.listdir(work / "data")) == ["colours"]


def test_two_fetches_at_once(kaggle, online, work):
    with one_at_a_time(work / "data" / "colours", work / ".kcnn" / "locks" / "colours.lock"):
        assert "another kcnn is at work" in error_of(online("fetch", "colours", code=1))[0]
    online("fetch", "colours")


@pytest.mark.parametrize("method", ["ListDataFiles", "GET", "IntrospectToken"])
def test_a_server_that_sends_a_byte_now_and_then(kaggle, online, method):
    kaggle.faults[method] = ["drip"] * 9
    env = {"KCNN_TIMEOUT": "1", **({"KAGGLE_API_TOKEN": Kaggle.token} if method == "IntrospectToken" else {})}
    begun = time.monotonic()
    error, _ = error_of(online("fetch", "noise", code=1, env=env, timeout=90))
    assert time.monotonic() - begun < 60
    assert "did not respond within 1 s" in error


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b'{"files": [{"name": null, "totalBytes": 1}]}', "list of files: name should have at least 1 character"),
        (b'{"files": [{"name": 7, "totalBytes": 1}]}', "list of files: name should be a valid string, got 7"),
        (b'{"files": [{"name": "a\\u001b[2Jb", "totalBytes": 1}]}', "name should match"),
        (b'{"files": [{"name": "a.csv", "totalBytes": -5}]}', "size should be greater than or equal to 0"),
        (b"[" * 200_000, "expected a response from Kaggle"),
        (b'{"files": []} ' + b" " * 17 * 2**20, "a response of more than 16 MiB"),
    ],
)
def test_lists_that_are_no_lists(kaggle, online, content, error):
    kaggle.faults["ListDataFiles"] = [("body", {"content": content})]
    assert error in error_of(online("fetch", "noise", code=1))[0]


def test_a_small_response_that_unpacks_to_gigabytes(kaggle, online):
    bomb = zlib.compressobj(wbits=31)
    first, again = (bomb.compress(bytes(2**20)) + bomb.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    content = first + 1023 * again  # after a full flush nothing refers to what was before: each is compressed alike
    kaggle.faults["ListDataFiles"] = [("body", {"content": content, "Content-Encoding": "gzip"})]
    assert "a response of more than 16 MiB" in error_of(online("fetch", "noise", code=1))[0]


@pytest.mark.parametrize("token", ["1", "{}"])
def test_a_list_without_end(kaggle, online, token):
    """The same page token twice, or ever new ones with the same files."""
    page = {"files": [{"name": f"{number}.png", "totalBytes": 9} for number in range(200)]}
    kaggle.faults["ListDataFiles"] = [
        ("body", {"content": json.dumps({**page, "nextPageToken": token.format(number)}).encode()})
        for number in range(100)
    ]
    assert "Kaggle's list does not end" in error_of(online("fetch", "noise", code=1))[0]
    assert kaggle.seen["ListDataFiles"] < 30


def test_more_bytes_than_the_list_says(kaggle, online, work):
    kaggle.faults["GET"] = [("stream", {"content": bytes(2**20), "times": 500})] * 9
    error, _ = error_of(online("fetch", "noise", code=1))
    assert "noise.zip is larger than Kaggle lists" in error
    assert sum(path.stat().st_size for path in work.rglob("*") if path.is_file()) < 10 * 2**20


def test_fewer_bytes_than_the_list_says_and_no_length(kaggle, online, work):
    """The connection is closed halfway, and the response states no length."""
    name = "train/dog/0.png"
    half = kaggle.tasks["noise"].files[name][:500]
    kaggle.faults["GET"] = [("stream", {"content": half})]
    online("fetch", "noise", "--include", "train/*/[01].png")
    assert (work / "data" / "noise" / name).read_bytes() == kaggle.tasks["noise"].files[name]


def test_what_is_here_is_longer_than_the_file(kaggle, online, work):
    """As after a download that was appended to twice; without a length the storage responds with 416."""
    task = kaggle.tasks["noise"]
    kaggle.faults["GET"] = [("cut", 300_000), *[(400, {})] * 9]
    online("fetch", "noise", code=1)
    with (work / "data" / "noise.zip.partial").open("ab") as stream:
        stream.write(bytes(5_000_000))
    kaggle.faults["GET"] = []
    online("fetch", "noise")
    assert_whole(work, task)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ((206, {"plain": True, "text": "the tail"}), "responded with 206"),
        ("page", "has 18 bytes, and Kaggle lists"),
        ((302, {"Location": "http://x..y\u0131/".encode().decode("latin-1")}), "Kaggle"),
        ((403, {"plain": True, "text": "no", "Content-Type": "text/plain; charset=undefined"}), "responded with 403"),
    ],
)
def test_what_is_not_the_file_is_not_kept(kaggle, online, work, fault, error):
    """In place of one file of the list; the next fetch gets the file itself."""
    kaggle.faults["GET"] = [fault] * 9
    assert error in error_of(online("fetch", "noise", "--include", "train/dog/0.png", code=1, timeout=60))[0]
    kaggle.faults["GET"] = []
    online("fetch", "noise", "--include", "train/*/[01].png")
    assert len(list((work / "data" / "noise").rglob("*.png"))) == 2


def test_a_path_of_a_thousand_folders(kaggle, online):
    kaggle.tasks["noise"].files = {"y/" * 1500 + "a.png": b"x"}
    assert "list of files: name should match" in error_of(online("fetch", "noise", "--include", "*", code=1))[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("access_token", b"\xff\xfek"),
        ("credentials.json", b"null"),
        ("kaggle.json", b"[" * 100_000),
        ("kaggle.json", b'{"username": "\\ud800", "key": "x"}'),
    ],
)
def test_credentials_that_are_something_else(kaggle, kcnn, work, tmp_path, name, content):
    (tmp_path / "home" / ".kaggle").mkdir(parents=True)
    (tmp_path / "home" / ".kaggle" / name).write_bytes(content)
    (tmp_path / "home" / ".kaggle" / name).chmod(0o600)
    anonymous = {key: value for key, value in kaggle.environment().items() if not key.startswith("KAGGLE_U")}
    del anonymous["KAGGLE_KEY"]
    error, hint = error_of(kcnn("fetch", "colours", cwd=work, code=1, **anonymous))
    assert "defect" not in error
    assert "kaggle.com/settings" in hint or "KAGGLE_CONFIG_DIR" in hint or "proxy" in hint
