"""Every image opened once: its size, whether it can be read, which others it is the same as, or nearly."""

from collections.abc import Callable
from contextlib import closing
from hashlib import blake2b
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from kaggle_cnn.data.decode import GREY_MODES, picture, read_header
from kaggle_cnn.data.images import attempt, fingerprint, in_parallel, without_remarks
from kaggle_cnn.data.pixels import read_tables
from kaggle_cnn.files import whole_file

NEAR = 4  # of 64 bits
FLAT = 2.0  # the deviation of pixels, 0 to 255, up to which a picture has nothing that could be compared


def inspect(files: list[Path], cache: Path, track: Callable) -> pd.DataFrame:
    """A row for each file: `width`, `height`, `grey` (bool), `reason` (why it cannot be read, else "") and `pixels`
    (uint64, the same for images of the same pixels, whatever their bytes; see decode.picture). Every file is decoded
    whole, once: the table is kept below the folder `cache`, as load_images keeps its pixels."""

    def examine(path: Path) -> tuple:
        pixels = picture(path)
        width, height, mode = read_header(path)
        digest = blake2b(f"{width} {height}".encode(), digest_size=8)
        digest.update(pixels)
        return width, height, mode in GREY_MODES, int.from_bytes(digest.digest())

    def columns(results: list) -> dict[str, np.ndarray]:
        rows = [found or (0, 0, False, 0) for found, _ in results]
        of = {"width": np.int32, "height": np.int32, "grey": bool, "pixels": np.uint64}
        filled = {name: np.array([row[place] for row in rows], kind) for place, (name, kind) in enumerate(of.items())}
        return {**filled, "reason": np.array([reason for _, reason in results], dtype=str)}

    return pd.DataFrame(kept(files, "inspected", cache, examine, columns, track, "looking at the images"))


def perceptual_hashes(files: list[Path], cache: Path, track: Callable) -> np.ndarray:
    """uint64 (N,): 64 bits of each image's lowest frequencies, as ImageHash's phash counts them; 0 where it cannot be
    read or is of one colour. Kept as `inspect` keeps its table."""

    import imagehash  # and with it SciPy: not for every command that loads a dataset

    def examine(path: Path) -> int:
        pixels = picture(path, 64)
        return int(str(imagehash.phash(Image.fromarray(pixels))), 16) if pixels.std(axis=(0, 1)).max() > FLAT else 0

    def columns(results: list) -> dict[str, np.ndarray]:
        return {"hashes": np.array([found or 0 for found, _ in results], np.uint64)}

    return kept(files, "hashed", cache, examine, columns, track, "comparing the images")["hashes"]


def kept(files, what: str, cache: Path, examine: Callable, columns: Callable, track: Callable, saying: str) -> dict:
    """`columns` of what `examine` says of each of `files`: from `cache`, or computed on all cores and put there."""
    target = cache / f"{what}-{fingerprint(files, 0, None)}.npz"
    if not target.is_file():
        read_tables(files)

        def examined(rows: range) -> list:
            return [attempt(lambda path=files[row]: examine(path)) for row in rows]

        with without_remarks(), closing(in_parallel(examined, len(files))) as portions:
            results = list(track(chain.from_iterable(portions), saying, len(files)))
        with whole_file(target) as temporary:
            np.savez(temporary, **columns(results))
    with np.load(target) as arrays:
        return {name: arrays[name] for name in arrays.files}


def same_pixels(inspected: pd.DataFrame) -> np.ndarray:
    """A group number for each image, that of the first with the same pixels; one that cannot be read is alone."""
    rows = np.arange(len(inspected))
    first = inspected.assign(row=rows).groupby("pixels")["row"].transform("min").to_numpy()
    return np.where(inspected["reason"] == "", first, rows)


def near_pairs(hashes: np.ndarray, groups: np.ndarray, most: int = NEAR) -> list[tuple[int, int, int]]:
    """(distance, row, row) of images whose hashes differ in at most `most` of 64 bits, nearest first. Of those of the
    same pixels (`groups`) only the first is compared, and of those of the same hash each with the first of them, so
    that a thousand that look the same are no million pairs. A hash of 0 is near to none."""
    rows = np.flatnonzero((groups == np.arange(len(groups))) & (hashes != 0))
    own, first, which = np.unique(hashes[rows], return_index=True, return_inverse=True)
    found = [(0, int(one), int(row)) for one, row in zip(rows[first[which]], rows, strict=True) if one != row]
    for start in range(0, len(own), 256):
        distance = np.bitwise_count(own[start : start + 256, None] ^ own[None, start:])
        for one, other in np.argwhere(distance <= most):
            if other > one:
                pair = sorted((int(rows[first[start + one]]), int(rows[first[start + other]])))
                found.append((int(distance[one, other]), *pair))
    return sorted(found)
