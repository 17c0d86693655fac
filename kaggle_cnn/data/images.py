"""Image files and rows of pixels -> one cached uint8 array. What is corrupt is listed, never fatal."""

import hashlib
import json
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.lib import format as npy
from PIL import UnidentifiedImageError

from kaggle_cnn.data.decode import GREY_MODES, read_header, square
from kaggle_cnn.data.pixels import file_of, read_tables
from kaggle_cnn.files import whole_file

CACHE_VERSION = 2  # raise when the same file and size would give other pixels
PORTION = 16  # images that a thread takes at a time: to hand over a single one costs as much as to decode a small one


@dataclass(frozen=True)
class Images:
    """`pixels` (N, size, size, channels) uint8, memory-mapped; `problems`: row -> why that file could not be read."""

    pixels: np.ndarray
    problems: dict[int, str]


def load_images(files: list[Path], size: int, channels: int | None, cache: Path, track: Callable) -> Images:
    """All `files` as one array of squares, decoded once and kept below the folder `cache`.

    See decode.square for what is made of a file, for training and test images alike. `channels` 1 or 3; None takes 1
    where every file is grey, else 3. A file that cannot be read is a row of zeros and stands in `problems`. The cache's
    key is each file's path, size and modification time, and `size` and `channels`. `track(iterable, description,
    total)` shows progress.
    """
    target = cache / f"{fingerprint(files, size, channels)}.npy"
    listed = target.with_suffix(".json")
    if not target.is_file():
        with without_remarks():
            if channels is None:
                channels = 1 if all_grey(files) else 3
            problems = write_pixels(target, listed, files, size, channels, track)
    else:
        problems = {int(row): reason for row, reason in json.loads(listed.read_text(encoding="utf-8")).items()}
    return Images(np.load(target, mmap_mode="r"), problems)


def fingerprint(files: list[Path], size: int, channels: int | None) -> str:
    digest = hashlib.blake2b(f"{CACHE_VERSION} {size} {channels}".encode(), digest_size=12)
    statuses = {file: file.stat() for file in set(map(file_of, files))}
    for path in files:
        status = statuses[file_of(path)]
        digest.update(f"\n{path}\t{status.st_size}\t{status.st_mtime_ns}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def write_pixels(target: Path, listed: Path, files: list[Path], size: int, channels: int, track: Callable) -> dict:
    """Decodes into `target` (.npy) and `listed` (.json, the problems, written first), both renamed when whole.

    Written as a stream and not through a memory map: on a full disk a stream raises OSError, a map kills the process.
    """
    cv2.setNumThreads(1)  # the threads are here: OpenCV's own would only wait for a core
    read_tables(files)
    own = threading.local()  # one block for each thread: fresh memory would cost as much as the writing

    def decode(rows: range) -> list[str]:
        if not hasattr(own, "block"):
            own.block = np.empty((PORTION, size, size, channels), np.uint8)
        block, reasons = own.block[: len(rows)], []
        for place, row in enumerate(rows):
            pixels, reason = attempt(lambda path=files[row]: square(path, size, channels))
            block[place] = 0 if reason else pixels
            reasons.append(reason)
        with temporary.open("r+b") as stream:
            stream.seek(begin + rows.start * block[0].nbytes)
            stream.write(block)
        return reasons

    with whole_file(target) as temporary:
        with temporary.open("wb") as stream:
            shape = (len(files), size, size, channels)
            npy.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
            begin = stream.tell()
        with closing(in_parallel(decode, len(files))) as portions:
            reasons = track(chain.from_iterable(portions), f"decoding to {size}x{size}", len(files))
            problems = {row: reason for row, reason in enumerate(reasons) if reason}
        with whole_file(listed) as temporary_list:
            temporary_list.write_text(json.dumps(problems), encoding="utf-8")
    return problems


def in_parallel(function: Callable[[range], Any], count: int) -> Iterator:
    """`function` of ranges that make up 0 to `count`, in order, on all cores; ends at once when closed.

    Decoding happens outside the GIL. A slow reader does not let results pile up in memory.
    """
    threads = os.cpu_count() or 1
    pool = ThreadPoolExecutor(threads)
    running = deque()
    try:
        for start in range(0, count, PORTION):
            running.append(pool.submit(function, range(start, min(start + PORTION, count))))
            if len(running) > 2 * threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def attempt(decode: Callable) -> tuple:
    """What `decode` returns and "", or None and the reason why the file could not be read."""
    try:
        return decode(), ""
    except MemoryError:
        raise
    except UnidentifiedImageError:
        return None, "it is no image"
    except Exception as error:  # Pillow's decoders raise nearly anything on a broken file
        return None, " ".join(str(error).split()) or type(error).__name__


@contextmanager
def without_remarks() -> Iterator[None]:
    """Without Pillow's warnings of odd files; what matters is told as a reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def all_grey(files: Iterable[Path]) -> bool:
    """Whether every file that can be opened is of a grey mode; reads headers only."""
    modes = (attempt(lambda path=path: read_header(path)[2])[0] for path in files)
    return all(mode in GREY_MODES for mode in modes if mode is not None)
