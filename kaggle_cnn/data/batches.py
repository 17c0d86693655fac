"""Arrays -> batches for `model.fit`, each batch a pure function of the seed and the step.

Keras is given an endless PyDataset with one worker. A plain generator will not do: Keras 3.15 replays its first two
batches at the start of every epoch. A finite one, or several workers, shift the steps on one backend or the other.
"""

from collections.abc import Callable

import albumentations as A
import keras
import numpy as np

Batch = tuple[np.ndarray, np.ndarray]


class Endless(keras.utils.PyDataset):
    """`batch_at(step)` for step = `first_step`, `first_step` + 1, ... without end."""

    def __init__(self, batch_at: Callable[[int], Batch], first_step: int = 0):
        super().__init__(workers=1)
        self.batch_at, self.first_step = batch_at, first_step

    @property
    def num_batches(self):
        return None

    def __getitem__(self, index: int) -> Batch:
        return self.batch_at(self.first_step + index)


def steps_per_epoch(images: int, batch: int) -> int:
    """An epoch leaves out what fills no batch, other images each time; a set smaller than a batch is one batch."""
    return max(1, images // batch)


def training_batch(
    pixels: np.ndarray, rows: np.ndarray, targets: np.ndarray, pipeline: A.Compose, batch: int, seed: int, step: int
) -> Batch:
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


def validation_batch(
    pixels: np.ndarray, rows: np.ndarray, targets: np.ndarray, crop: int, batch: int, step: int
) -> Batch:
    """The centres of the images of batch `step`, in order; there are ceil(n / batch) batches, the last may be short."""
    edge = (pixels.shape[1] - crop) // 2
    part = slice(step * batch, (step + 1) * batch)
    return pixels[rows[part], edge : edge + crop, edge : edge + crop], targets[part]
