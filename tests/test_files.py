"""Whole files, locks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import one_at_a_time, whole_file, whole_folder

HOLD = "import sys, pathlib; from kaggle_cnn.files import one_at_a_time as once\nwith once(pathlib.Path(sys.argv[1])):"


def in_another_process(path: Path, then: str = "pass") -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", f"{HOLD} {then}", path], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip


def test_a_lock_is_held_by_one_process_and_freed_by_a_kill(tmp_path):
    holder = in_another_process(tmp_path / "data", "print('held', flush=True); sys.stdin.read()")
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(KcnnError, match="another kcnn is at work on "), one_at_a_time(tmp_path / "data"):
        pass
    holder.kill()
    holder.communicate()
    with one_at_a_time(tmp_path / "data"):
        pass


def test_the_next_holder_keeps_its_lock_when_the_one_before_lets_go(tmp_path):
    """A lock file that is removed on the way out frees what the next process already holds."""
    path = tmp_path / "data"
    with one_at_a_time(path):
        kept = os.stat(path.with_name(".data.lock")).st_ino
    with one_at_a_time(path):
        assert os.stat(path.with_name(".data.lock")).st_ino == kept
        refused = in_another_process(path)
        assert "another kcnn is at work" in refused.communicate()[1]


def order_of(monkeypatch) -> list[str]:
    """What is synced and renamed, in order."""
    done, fsync, replace, rename = [], os.fsync, os.replace, os.rename
    name = lambda descriptor: os.readlink(f"/proc/self/fd/{descriptor}").rpartition("/")[2]  # noqa: E731
    monkeypatch.setattr(os, "fsync", lambda descriptor: (done.append(f"sync {name(descriptor)}"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda old, new: (done.append("rename"), replace(old, new)))
    monkeypatch.setattr(os, "rename", lambda old, new: (done.append("rename"), rename(old, new)))
    return done


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are named by Linux' /proc")
def test_content_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
    done = order_of(monkeypatch)
    with whole_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert done == [f"sync .a.{os.getpid()}.tmp.txt", "rename", f"sync {tmp_path.name}"]
    done.clear()
    with whole_folder(tmp_path / "b") as temporary:
        (temporary / "c.txt").write_text("whole")
    assert done == ["sync c.txt", "sync .b.partial", "rename", f"sync {tmp_path.name}"]
