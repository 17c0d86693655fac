"""A process that trains a network with others: it works in a child, which JAX may end without a word of Python.

JAX aborts each process a while after it has lost another one, and no `except` sees that. So this process waits for its
child, and says in one line what has happened.
"""

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import typer

from kaggle_cnn.cli.streams import close_streams, open_output
from kaggle_cnn.cli.terminal import print_error
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.group import Group, find_group

DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


def guard(work: Callable[[], None], recipe: Path) -> None:
    """Call `work`; where several processes train one network, in a child, where the system has such. Raises KcnnError
    where that is killed."""
    group = find_group()
    if group.processes == 1 or not hasattr(os, "fork"):
        return work()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        work_as_child(work, group)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child has it too, and says what is kept
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code >= 0:
        raise typer.Exit(code)
    lost = (
        "another one has ended, or cannot be reached"
        if -code == signal.SIGABRT
        else f"it was ended by {signal.Signals(-code).name}"
    )
    raise KcnnError(
        name_process(group) + lost, f"finished epochs are kept. Start all again: kcnn train {recipe} --resume"
    )


def work_as_child(work: Callable[[], None], group: Group) -> NoReturn:
    """Call `work`, and end at once: to end as usual, JAX would wait for the other processes. What it prints beside
    Python goes nowhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    sys.stdout, sys.stderr = open_output(sys.stdout, os.dup(1)), open_output(sys.stderr, os.dup(2))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    code = 1
    try:
        work()
        code = 0
    except typer.Exit as error:
        code = error.exit_code
    except Exception as error:
        if not group.rank or has_joined():
            print_error(error, name_process(group) if group.rank else "")
    finally:
        close_streams()
        os._exit(code)


def has_joined() -> bool:
    """Whether this process knows of the others: before, all make the same mistake, and the first says it."""
    module = sys.modules.get("kaggle_cnn.learn.distribution")
    return module is not None and module.CURRENT.processes > 1


def name_process(group: Group) -> str:
    return f"process {group.rank} of {group.processes} on {socket.gethostname()}: "
