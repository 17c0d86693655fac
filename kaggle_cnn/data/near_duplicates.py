"""Near-duplicates: images that look alike, such as two frames of a film, or one photo in two sizes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.data.decode import decode_whole
from kaggle_cnn.data.duplicates import Results, compute_once
from kaggle_cnn.progress import Progress

NEAR = 4  # of 64 bits: the largest distance of near-duplicates
FLAT = 2.0  # an image whose pixels (0 to 255) have a standard deviation up to this has nothing to compare
LEAST = 64  # pixels of the shorter side, enough for a perceptual hash
# Digits, silhouettes and clothes on black often have nearly the same hash: 359 pairs of 3,000 images of Fashion-MNIST,
# hardly one of them a copy. So where three tenths of an image have about one grey, the pixels must agree too: 6 of
# those pairs are left. Nearly all copies in another quality or brightness have a correlation above 0.995 (LOG.md).
PLAIN, ALIKE = 0.3, 0.99
GREYS = 16  # levels that count as about one grey
SIDE = 16  # pixels of the image that is compared
BLOCK = 2**16  # pairs compared at a time: 128 MiB

Pair = tuple[int, int, int]  # distance, row, row


@dataclass(frozen=True)
class Looks:
    """What near-duplicates are found by. `hashes` uint64 (N,): ImageHash's phash, 64 bits of the lowest frequencies; 0
    for an image that cannot be read or has only one colour. `plain` bool (N,): whether three tenths of its pixels
    have about one grey. `small` uint8 (N, SIDE * SIDE): the image in grey and small."""

    hashes: Array
    plain: Array
    small: Array


def find_looks(folder: Path, names: Sequence[str], cache: Path, progress: Progress) -> Looks:
    """Return the looks of the images `names`, relative to `folder`. They are kept as `duplicates.inspect` keeps its
    table."""
    columns = compute_once("looks", folder, names, cache, measure_look, tabulate, progress, "comparing the images")
    return Looks(**columns)


def measure_look(path: Path) -> tuple[int, bool, Array]:
    """Return the hash of an image, whether it is plain, and the small image."""
    import imagehash  # it imports SciPy, which most commands do not need

    pixels = decode_whole(path, LEAST)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    flat = pixels.std(axis=(0, 1)).max() <= FLAT
    number = 0 if flat else int(str(imagehash.phash(Image.fromarray(pixels))), 16)
    commonest = np.bincount(grey.ravel() // GREYS).max() / grey.size
    return number, bool(commonest >= PLAIN), cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel()


def tabulate(results: Results[tuple[int, bool, Array]]) -> dict[str, Array]:
    rows = [found or (0, False, np.zeros(SIDE * SIDE, np.uint8)) for found, _ in results]
    return {
        "hashes": np.array([row[0] for row in rows], np.uint64),
        "plain": np.array([row[1] for row in rows], bool),
        "small": np.array([row[2] for row in rows], np.uint8).reshape(len(rows), SIDE * SIDE),
    }


def join_looks(parts: Sequence[Looks]) -> Looks:
    """Return the looks of several lists of images as those of one."""
    columns = ("hashes", "plain", "small")
    return Looks(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


def near_pairs(looks: Looks, groups: Array) -> list[Pair]:
    """Return (distance, row, row) for pairs of near-duplicates, the nearest first.

    Two images are near-duplicates if at most NEAR of the 64 bits of their hashes differ; where one of them is plain,
    the small images must also have a correlation of at least ALIKE. `groups`, int (N,), are those of
    `duplicates.same_pixels`: only the first image of a group is compared. Images that are not plain and have equal
    hashes are paired only with the first of them, so a thousand of them give 999 pairs.
    """
    rows = np.flatnonzero((groups == np.arange(len(groups))) & (looks.hashes != 0))
    busy, plain = rows[~looks.plain[rows]], rows[looks.plain[rows]]
    _, first, which = np.unique(looks.hashes[busy], return_index=True, return_inverse=True)
    found = [(0, int(one), int(row)) for one, row in zip(busy[first[which]], busy, strict=True) if one != row]
    for ones, others in ((busy[first], busy[first]), (plain, rows)):
        for start in range(0, len(ones), 256):
            found += compare(looks, ones[start : start + 256], others)
    return sorted(found)


def compare(looks: Looks, ones: Array, others: Array) -> Iterator[Pair]:
    """Yield the near-duplicates of a row of `ones` and a row of `others`, each pair once."""
    distances = np.bitwise_count(looks.hashes[ones, None] ^ looks.hashes[None, others])
    places = np.nonzero(distances <= NEAR)
    one, other = ones[places[0]], others[places[1]]
    once = (one < other) | (looks.plain[one] & ~looks.plain[other])
    low, high = np.minimum(one, other)[once], np.maximum(one, other)[once]
    alike = ~(looks.plain[low] | looks.plain[high])
    strict = np.flatnonzero(~alike)
    for start in range(0, len(strict), BLOCK):
        block = strict[start : start + BLOCK]
        product = centre_rows(looks.small[low[block]]) * centre_rows(looks.small[high[block]])
        alike[block] = product.sum(axis=1) >= ALIKE
    columns = (distances[places][once][alike], low[alike], high[alike])
    yield from zip(*(column.tolist() for column in columns), strict=True)


def centre_rows(small: Array) -> Array:
    """Return the rows with a mean of 0 and a length of 1, so that the sum of a product is the correlation."""
    centred = small.astype(np.float32) - small.mean(axis=1, keepdims=True, dtype=np.float32)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
