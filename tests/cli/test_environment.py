"""Any environment: streams that are closed or full, an ASCII terminal, names that a terminal would obey."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, TINY, environment, in_this_process, make_images_in, save_greys
from launching import launch

from kaggle_cnn.competition import ledger
from kaggle_cnn.files import one_at_a_time
from kaggle_cnn.insight.printing import clean, make_console

EVIL = "\x1b]0;owned\x07\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202ecat"


@pytest.fixture
def colours(kcnn, work, tmp_path):
    kcnn("fetch", make_images_in(tmp_path / "colours", 6), cwd=work)
    return work


def finish(arguments, cwd, stdout, stderr) -> int:
    process = launch(arguments, cwd, environment(HOME=str(cwd)), stdout, stderr)
    process.join(120)
    return process.exitcode


FULL, NOWHERE = Path("/dev/full"), Path(os.devnull)


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(("stdout", "stderr", "code"), [(FULL, "stderr", 1), (None, FULL, 0)])
def test_a_training_whose_table_cannot_be_printed_is_kept(colours, stdout, stderr, code):
    command = ["train", "recipes/tiny.py", "--set", "epochs=1"]
    assert finish(command, colours, stdout, colours / stderr if stderr == "stderr" else stderr) == code
    assert (colours / "submissions" / "colours" / "tiny-001.csv").is_file()
    assert (colours / "runs" / "colours" / "tiny-001" / "scores.json").is_file()
    for path in (colours / "runs").rglob("*"):  # a library's lines are not in a file that got the number 1 or 2
        assert not path.is_file() or path.suffix in (".npz", ".keras") or b"epoch 1/1" not in path.read_bytes()
    if stderr == "stderr":
        lines = (colours / "stderr").read_text().splitlines()
        assert lines[-2:] == [
            "error: cannot write to standard output: no space left on device",
            "hint: nothing else is lost",
        ]


def test_a_pipe_that_ends_early_is_no_mistake(colours):
    command = f"{sys.executable} -m kaggle_cnn look | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=colours, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_ascii_terminal_of_20_columns(kcnn, colours):
    done = kcnn("look", cwd=colours, afresh=True, PYTHONIOENCODING="ascii", COLUMNS="20")
    assert "gr?n" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if "|" in line) <= 60


def test_a_home_that_cannot_be_written(kcnn, colours):
    done = subprocess.run(
        [sys.executable, "-m", "kaggle_cnn", "look", "--pictures"],
        cwd=colours, env=environment(HOME="/dev/null"), capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_reaches_the_terminal_as_it_came(kcnn, refused, tmp_path):
    assert clean(EVIL) == "cat"
    assert clean("\x1b]0;no end of it \x1b[1mbold\x1b[0m") == "]0;no end of it bold"
    assert clean("a\udcffb\tc\n") == "a\ufffdb\tc\n"
    names = [f"{letter}{EVIL}".replace("/", "") for letter in "ab"]
    save_greys(tmp_path / "mine", *(f"{name}/{number}.png" for name in names for number in range(6)))
    outputs = [kcnn("fetch", tmp_path / "mine"), kcnn("look"), kcnn("look", "--json")]
    assert EVIL.replace("/", "") in " ".join(json.loads(outputs[2].stdout)["classes"])
    (tmp_path / "recipe.py").write_text(TINY)
    outputs.append(kcnn("train", "recipe.py", "--set", "epochs=1", "--set", "margin=0", "--set", "tta=none"))
    outputs.append(kcnn("show", "confusion"))
    for done in outputs:
        assert not set("\x1b\x07\x9b\u202e") & set(done.stdout + done.stderr)
    assert not set("\x1b\x07\x9b") & set(refused("train", f"{EVIL}.py"))


def test_a_live_console_keeps_its_own_codes(tmp_path):
    with (tmp_path / "out").open("w+") as stream:
        console = make_console(file=stream, force_terminal=True, color_system="standard")
        console.print(f"[red]{EVIL}[/red]")
        stream.seek(0)
        text = stream.read()
    assert text.count("\x1b[31m") == 1
    assert "cat" in text
    assert "\x1b]" not in text


def enter_ten(folder):
    for number in range(10):
        ledger.enter(folder, ref=number, file="a.csv")


def test_lines_of_several_processes_all_arrive(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=enter_ten, args=(tmp_path,)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len(ledger.read(tmp_path)) == 80


@pytest.mark.usefixtures("eager")
def test_a_run_that_is_being_trained_is_not_resumed(refused, colours, monkeypatch):
    monkeypatch.chdir(colours)
    in_this_process("train", "recipes/tiny.py", "--set", "epochs=1")
    run = colours / "runs" / "colours" / "tiny-001"
    (run / "oof.npz").unlink()
    (run / "fold-0" / "test.npz").unlink()
    with one_at_a_time(run / "fold-0"):
        error = refused("train", "recipes/tiny.py", "--resume", cwd=colours)
        assert error == "run tiny-001 is being trained by another kcnn"
    in_this_process("train", "recipes/tiny.py", "--resume")


def test_a_current_folder_that_was_removed(colours):
    command = f"mkdir gone && cd gone && rmdir ../gone && {sys.executable} -m kaggle_cnn look"
    surroundings = environment(PYTHONPATH=str(REPOSITORY))
    done = subprocess.run(["sh", "-c", command], cwd=colours, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "error: the current folder is not there any more",
        "hint: go to another one: cd FOLDER",
    ]
