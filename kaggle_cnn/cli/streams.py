"""Standard input, output and error as a command finds them: closed, full, a pipe that ends, or in ASCII."""

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO


class Output(io.RawIOBase):
    """A file descriptor that may fail: what can no longer be written is dropped, and the work goes on."""

    def __init__(self, descriptor: int):
        self.descriptor = descriptor
        self.failed: OSError | None = None

    def write(self, content: Any) -> int:
        if self.failed is None:
            try:
                return os.write(self.descriptor, content)
            except BlockingIOError:
                raise
            except OSError as error:
                self.failed = error
        return len(content)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)


def open_streams() -> None:
    """Give the process all three streams, of which output and error never fail; a letter that their encoding does not
    have becomes a question mark.

    A closed one is /dev/null from here on: else the next file that is opened would get its number, and what a library
    prints would be written into it.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115  as long as the process
    if os.name == "posix":
        if sys.stdout is sys.__stdout__:  # else somebody reads along
            sys.stdout = open_output(sys.stdout, 1)
        if sys.stderr is sys.__stderr__:
            sys.stderr = open_output(sys.stderr, 2)


def open_output(stream: TextIO | None, descriptor: int) -> TextIO:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    at_once = descriptor == 2 or os.isatty(descriptor)
    buffered = io.BufferedWriter(Output(descriptor))
    return io.TextIOWrapper(buffered, encoding, errors="replace", line_buffering=at_once, write_through=at_once)


def close_streams() -> str:
    """Write what is still to be written; return why standard output failed, or "". The end of a pipe, as with `| head`,
    is not a failure."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(ValueError, AttributeError):  # a recipe has closed it, or put None there
            stream.flush()
    failed = getattr(getattr(getattr(sys.stdout, "buffer", None), "raw", None), "failed", None)
    return "" if failed is None or failed.errno == errno.EPIPE else (failed.strerror or str(failed)).lower()
