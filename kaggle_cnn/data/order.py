"""Which images make up which batch: a pure function of the seed and the step, so there is no state to resume.

Few images are taken in any order. Of more than LARGE bytes, a batch would then be as many places of a disk; so they are
taken by blocks: neighbours on the disk come soon after each other.
"""

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np

from kaggle_cnn.competition.metrics import Array

LARGE = 2**30  # bytes of images from which on they are read by blocks: they may not stay in memory
BLOCK = 2**17  # bytes: what Linux reads at once from a file
WINDOW = 16  # blocks of a lane whose images are shuffled among each other
LANES = 64


def steps_per_epoch(images: int, batch: int) -> int:
    """Return how many batches an epoch has. It leaves out what does not fill a batch, other images each time; a set
    smaller than a batch is one batch."""
    return max(1, images // batch)


def images_of_step(images: int, batch: int, seed: int, step: int, block: int = 0) -> Array:
    """Return which of `images` make up batch number `step`, counted from 0 over all epochs. With `block`, the images of
    a block, they are taken by blocks."""
    epoch, index = divmod(step, steps_per_epoch(images, batch))
    order = block_order(images, batch, seed, epoch, block) if block else epoch_order(images, seed, epoch)
    return order[index * batch : (index + 1) * batch]


def count_block(pixels: Array, batch: int) -> int:
    """Return how many images are a block; 0 where they are so few bytes that they are taken in any order."""
    if pixels.nbytes <= LARGE or len(pixels) < LANES * batch:
        return 0
    return max(1, BLOCK // pixels[0].nbytes)


@lru_cache(maxsize=4)
def epoch_order(images: int, seed: int, epoch: int) -> Array:
    """Return the order of an epoch. Cached: it takes 1 ms for 100,000 images."""
    return np.random.default_rng((seed, epoch)).permutation(images)


@lru_cache(maxsize=2)
def block_order(images: int, batch: int, seed: int, epoch: int, block: int) -> Array:
    """Return the order of an epoch by blocks.

    The images are lanes of equal length, each a part of the whole, since neighbours often have one class. Each batch
    has as many images of every lane: of several processes, each reads its own lanes. A lane is its blocks, shuffled;
    then the images of WINDOW of them are shuffled. The lanes come to their next windows one after the other: a disk
    could not read the blocks of all at once in time.
    """
    draw, edges = np.random.default_rng((seed, epoch)), find_lanes(images, batch)
    lanes = len(edges) - 1
    length, of_batch = images // lanes, batch // lanes
    order = np.empty((lanes, length), np.int64)
    for lane, (begin, end) in enumerate(pairwise(edges)):
        order[lane] = begin + shuffle_blocks(end - begin, block, lane / lanes, draw)[:length]
    steps = length // of_batch
    return order[:, : steps * of_batch].reshape(lanes, steps, of_batch).transpose(1, 0, 2).ravel()


@lru_cache(maxsize=4)
def find_lanes(images: int, batch: int) -> Array:
    """Return where each lane begins, and the end of the last one."""
    return np.linspace(0, images, math.gcd(batch, LANES) + 1).astype(int)


def shuffle_blocks(count: int, block: int, begun: float, draw: np.random.Generator) -> Array:
    """Return 0 to `count`, shuffled by blocks, and in windows of them, of the first of which `begun` is left out."""
    blocks = draw.permutation(-(-count // block))[:, None]
    places = blocks * block + np.arange(block)
    windows = (np.arange(len(blocks))[:, None] + int(begun * WINDOW)) // WINDOW
    there = places < count
    return places[there][np.argsort(np.broadcast_to(windows, places.shape)[there] + draw.random(count))]


def find_blocks(places: Array, images: int, batch: int, block: int) -> list[tuple[int, int]]:
    """Return the blocks in which `places` are, each from its first place to after its last."""
    lanes = find_lanes(images, batch)
    lane = np.searchsorted(lanes, places, side="right") - 1
    begins, where = np.unique(places - (places - lanes[lane]) % block, return_index=True)
    return list(zip(begins.tolist(), np.minimum(begins + block, lanes[lane[where] + 1]).tolist(), strict=True))
