"""Batches for `model.fit`: endless generators, each batch a pure function of the seed and the step."""

from collections.abc import Iterator

import albumentations as A
import numpy as np


def steps_per_epoch(images: int, batch: int) -> int:
    """An epoch leaves out what fills no batch, other images each time; a set smaller than a batch is one batch."""
    return max(1, images // batch)


def training_batch(
    pixels: np.ndarray, rows: np.ndarray, targets: np.ndarray, pipeline: A.Compose, batch: int, seed: int, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Batch number `step`, counted from 0 over all epochs: the same for the same arguments, whenever it is asked for.

    `pixels` (N, size, size, channels) uint8, `rows` (n,) the rows to train on, `targets` (n, classes) float32 aligned
    with `rows`. Returns uint8 (batch, crop, crop, channels) and float32 (batch, classes).
    """
    epoch, index = divmod(step, steps_per_epoch(len(rows), batch))
    # The whole shuffle is drawn for every batch: half a millisecond for 50,000 images, and no state to resume.
    chosen = np.random.default_rng((seed, epoch)).permutation(len(rows))[index * batch : (index + 1) * batch]
    pipeline.set_random_seed(int(np.random.default_rng((seed, epoch, index)).integers(2**31)))
    images = [pipeline(image=pixels[row])["image"] for row in rows[chosen]]
    return np.stack(images), targets[chosen]


def training_batches(first_step: int, **arguments) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`training_batch` from `first_step` on, without end."""
    step = first_step
    while True:
        yield training_batch(step=step, **arguments)
        step += 1


def validation_batches(
    pixels: np.ndarray, rows: np.ndarray, targets: np.ndarray, crop: int, batch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The centre of each image in order, ceil(n / batch) batches a round, round after round."""
    edge = (pixels.shape[1] - crop) // 2
    while True:
        for start in range(0, len(rows), batch):
            part = slice(start, start + batch)
            yield pixels[rows[part], edge : edge + crop, edge : edge + crop], targets[part]
