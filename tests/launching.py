"""Starts kcnn in a process of its own, forked from one that has imported its libraries once: an import of TensorFlow
takes 4 s, a fork of it 0.03. `afresh` starts Python anew, as a user does."""

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from functools import cache
from multiprocessing.forkserver import ensure_running
from pathlib import Path

import pytest

IMPORTED = "imported_once"  # the module beside this one that the forked processes start from


@cache
def forking():
    """The context whose processes are forked from one with the libraries; it is started here, at the first use."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([IMPORTED])
    with pytest.MonkeyPatch.context() as patch:  # where the process finds the module
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        ensure_running()
    return context


def launch(arguments, cwd, environment, stdout, stderr, file_limit=None):
    """Starts `kcnn ARGUMENTS` in `cwd`; what it prints goes to the files `stdout` and `stderr`, None is closed. A file
    may have no more than `file_limit` bytes. Returns the process, which can be waited for (`join`, `exitcode`), polled
    (`is_alive`) and killed."""
    process = forking().Process(target=run, args=([*map(str, arguments)], cwd, environment, stdout, stderr, file_limit))
    process.start()
    return process


def run(arguments, cwd, environment, stdout, stderr, file_limit):
    """In the new process: what a shell does before it starts a command, and the command."""
    import imported_once

    os.chdir(cwd)
    os.environ.clear()
    os.environ.update({**imported_once.SETTINGS, **environment})
    for descriptor, path in ((1, stdout), (2, stderr)):
        if path is not None:
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    for descriptor, path in ((1, stdout), (2, stderr)):
        if path is None:
            os.close(descriptor)
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore Ctrl-C
    sys.argv = ["kcnn", *arguments]
    imported_once.main()


def finish(arguments, cwd, environment, folder, timeout, file_limit=None):
    """Runs `kcnn ARGUMENTS` to its end, its output in `folder` meanwhile; as subprocess.run does with text."""
    stdout, stderr = (folder / f"{name}-{time.monotonic_ns()}" for name in ("stdout", "stderr"))
    process = launch(arguments, cwd, environment, stdout, stderr, file_limit)
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{arguments} did not end within {timeout} s: {stderr.read_text()}")
    texts = (path.read_text(encoding="utf-8") for path in (stdout, stderr))
    return subprocess.CompletedProcess(arguments, process.exitcode, *texts)
