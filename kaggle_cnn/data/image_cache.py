"""Decode images once and cache them as one uint8 array. A corrupt file is listed and does not stop the work."""

import hashlib
import json
import os
import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from math import prod
from pathlib import Path
from shutil import disk_usage, rmtree
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.lib import format as npy
from PIL import UnidentifiedImageError

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.data.decode import BANDS, GREY_MODES, decode_square, find_bits, read_header
from kaggle_cnn.data.pixel_tables import find_files, read_tables, split_path
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.files import whole_file
from kaggle_cnn.parsing import read_json
from kaggle_cnn.progress import Progress

CACHE_VERSION = 5  # increase it when the same file and size give other pixels than before
MOMENTARY = "not readable now: "
LOOKED_AT = 100  # images to find the bits of 16-bit values
PORTION = 16  # images for a thread at a time: handing over one image costs as much as decoding a small one

Result = TypeVar("Result")


class Paths(Sequence[Path]):
    """`names` below a `folder`, each a Path when it is asked for: a million of them take too much memory (LOG.md)."""

    def __init__(self, folder: Path, names: Sequence[str]):
        self.folder, self.names = folder, names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, place: Any) -> Any:
        found = self.names[place]
        return self.folder / found if isinstance(place, int) else Paths(self.folder, found)


@dataclass(frozen=True)
class Images:
    """Decoded images: `pixels` uint8 (N, size, size, channels), memory-mapped.

    `problems` maps a row to the reason why its file cannot be read. Such a row is all zeros. `metadata` float32 (N,
    features) is what is known beside each image, see columns; None where it is not used.
    """

    pixels: Array
    problems: dict[int, str]
    metadata: Array | None = None


def load_images(
    folder: Path,
    names: Sequence[str],
    size: int,
    channels: int | None,
    cache: Path,
    progress: Progress,
    fit: str = "crop",
    bits: int = 0,
) -> Images:
    """Return the images `names` as squares of `size` pixels, from the cache or decoded now.

    `names` are paths relative to `folder`, or rows such as `train.csv#17`. `cache` is the folder of the cache, see
    `fingerprint` for its keys. `channels` is 1 or 3. None means 1 if every file is grey, else 3. `fit`
    is one of `recipe.FITS`. See `decode.decode_square` for how a file is decoded, and for `bits`.
    """
    target = cache / f"{fingerprint(folder, names, size, channels, f'{fit} {bits}' if bits else fit)}.npy"
    listed = target.with_suffix(".json")
    if kept := read_kept(target, listed, len(names), size, channels):
        return kept
    files = Paths(folder, names)
    with ignore_warnings():
        if channels is None:
            channels = count_channels(files)
        problems = write_pixels(target, listed, files, size, channels, (fit, bits), progress)
    return Images(np.load(target, mmap_mode="r"), problems)


def read_kept(target: Path, listed: Path, count: int, size: int, channels: int | None) -> Images | None:
    """Return images from the cache; None where they are not there, damaged, or to be read again."""
    if not is_kept(target):
        return None
    try:
        pixels = np.load(target, mmap_mode="r")
        problems = read_json(dict[int, str], listed, "")
    except Exception:  # NumPy raises many kinds for a damaged file
        return None
    sound = pixels.ndim == 4 and pixels.shape[:3] == (count, size, size) and channels in (None, pixels.shape[3])
    sound = sound and pixels.dtype == np.uint8 and all(0 <= row < count for row in problems)
    return Images(pixels, problems) if sound and not any(map(is_momentary, problems.values())) else None


def is_kept(target: Path) -> bool:
    """Return whether a file is in the cache; a folder in its place is removed."""
    if target.is_dir():
        rmtree(target)
    return target.is_file()


def fingerprint(folder: Path, names: Sequence[str], size: int, channels: int | None, fit: str = "crop") -> str:
    """Return the key of a cache: a hash of `size`, `channels`, `fit`, and each file's name, size and time of change.

    A name is relative to `folder`, so a moved or renamed folder keeps its cache.
    """
    digest = hashlib.blake2b(f"{CACHE_VERSION} {size} {channels} {fit}".encode(), digest_size=12)
    ask = lru_cache(maxsize=64)(Path.stat)  # a table has many images
    for name, path in zip(names, Paths(folder, names), strict=True):
        for status in map(ask, find_files(path)):
            digest.update(f"\n{name}\t{status.st_size}\t{status.st_mtime_ns}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def write_pixels(
    target: Path,
    listed: Path,
    files: Sequence[Path],
    size: int,
    channels: int,
    how: tuple[str, int],
    progress: Progress,
) -> dict[int, str]:
    """Decode `files` into `target` (.npy) and `listed` (.json), and return the problems as in Images; `how` is a fit
    and bits.

    `listed` holds the problems and is complete before `target` exists. The pixels are written to a stream and not to a
    memory map: on a full disk a stream raises OSError, but a memory map kills the process.
    """
    cv2.setNumThreads(1)  # the threads of `in_parallel` use all cores already
    read_tables(files)
    shape = (len(files), size, size, channels)
    require_space(target, shape)
    local = threading.local()  # one block of memory for each thread: new memory costs as much time as the writing

    def decode(rows: range) -> list[str]:
        """Decode `rows` and write them to their place in the file. Return a reason for each, "" for a good one."""
        if not hasattr(local, "block"):
            local.block = np.empty((PORTION, *shape[1:]), np.uint8)
        block, reasons = local.block[: len(rows)], []
        for place, row in enumerate(rows):
            pixels, reason = attempt(partial(decode_square, files[row], size, channels, *how))
            block[place] = 0 if pixels is None else pixels
            reasons.append(reason)
        with temporary.open("r+b") as stream:
            stream.seek(begin + rows.start * block[0].nbytes)
            stream.write(block)
        return reasons

    with whole_file(target) as temporary:
        with temporary.open("wb") as stream:
            npy.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
            begin = stream.tell()
        with closing(in_parallel(decode, len(files))) as portions:
            decoded = chain.from_iterable(portions)
            reasons = progress.track(decoded, f"decoding to {size}x{size}", len(files))
            problems = {row: reason for row, reason in enumerate(reasons) if reason}
        with whole_file(listed) as temporary_list:
            temporary_list.write_text(json.dumps(problems), encoding="utf-8")
    return problems


def join_images(one: Images, other: Images, cache: Path) -> Images:
    """Return two arrays of the cache as one, kept there too: the images `one`, then the `other`."""
    arrays = [one.pixels, other.pixels]
    names = " ".join(str(getattr(each, "filename", "")) for each in arrays)
    target = cache / f"{hashlib.blake2b(names.encode('utf-8', 'surrogateescape'), digest_size=12).hexdigest()}.npy"
    problems = {**one.problems, **{len(one.pixels) + row: reason for row, reason in other.problems.items()}}
    shape = (len(one.pixels) + len(other.pixels), *one.pixels.shape[1:])
    if not is_kept(target):
        require_space(target, shape)
        with whole_file(target) as temporary, temporary.open("wb") as stream:
            npy.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for each in arrays:
                for start in range(0, len(each), 1024):
                    stream.write(np.ascontiguousarray(each[start : start + 1024]).tobytes())
    return Images(np.load(target, mmap_mode="r"), problems)


def require_space(target: Path, shape: tuple[int, ...]) -> None:
    """Raise KcnnError where the disk has no space for an array of uint8."""
    target.parent.mkdir(parents=True, exist_ok=True)
    needed, free = prod(shape), disk_usage(target.parent).free
    if needed > free:
        raise KcnnError(
            f"{shape[0]:,} images of {shape[1]}x{shape[2]} need {needed / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB "
            f"are free in {target.parent}",
            "use a smaller size: --set size=VALUE; or make room",
        )


def in_parallel(function: Callable[[range], Result], count: int) -> Generator[Result, None, None]:
    """Yield `function(rows)` for ranges that cover 0 to `count`, in order, computed on all cores.

    The threads stop when the generator is closed. A slow reader holds them up, so that results do not fill the memory.
    Threads are enough: decoding releases the GIL.
    """
    threads = os.cpu_count() or 1
    pool = ThreadPoolExecutor(threads)
    running: deque[Future[Result]] = deque()
    try:
        for start in range(0, count, PORTION):
            running.append(pool.submit(function, range(start, min(start + PORTION, count))))
            if len(running) > 2 * threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def attempt(decode: Callable[[], Result]) -> tuple[Result | None, str]:
    """Return the result of `decode` and "", or None and the reason why the file cannot be read."""
    try:
        return decode(), ""
    except MemoryError:
        return None, f"{MOMENTARY}not enough memory"
    except UnidentifiedImageError:
        return None, "it is not an image"
    except Exception as error:  # Pillow's decoders raise many kinds of exception for a broken file
        # An OSError with a number is the system's: a permission, a network disk. Pillow's own have none.
        if isinstance(error, OSError) and error.errno is not None:
            return None, f"{MOMENTARY}{(error.strerror or str(error)).lower()}"
        return None, " ".join(str(error).split())[:300] or type(error).__name__


def is_momentary(reason: str) -> bool:
    """Return whether the file of a reason may be whole, and is to be read again the next time."""
    return reason.startswith(MOMENTARY)


@contextmanager
def ignore_warnings() -> Iterator[None]:
    """Ignore Pillow's warnings about unusual files: a file that cannot be read gets a reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def most_bits(folder: Path, names: Sequence[str]) -> int:
    """Return how many bits the 16-bit values of a set of images need, 0 where they are no such: by an even choice of
    LOOKED_AT of them, so that the same value is as bright in every file."""
    chosen = names[:: max(1, len(names) // LOOKED_AT)]
    with ignore_warnings():
        return max((attempt(partial(find_bits, folder / name))[0] or 0 for name in chosen), default=0)


def count_channels(files: Sequence[Path]) -> int:
    """Return how many channels the images have: 1 where each file that can be opened has a grey mode, else 3, or the
    number of bands that most files have; times the files of an image. Of usual images only headers are read."""
    together = max((len(split_path(file)) for file in files), default=1)
    headers = (attempt(partial(read_header, path))[0] for path in files)
    modes = Counter(header[2] for header in headers if header is not None)
    if set(modes) <= GREY_MODES:
        return together
    most = modes.most_common(1)[0][0]
    return together * (int(most.removesuffix(BANDS)) if most.endswith(BANDS) else 3)
