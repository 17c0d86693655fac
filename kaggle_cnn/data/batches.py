"""Arrays -> batches for `model.fit`, each batch a pure function of the seed and the step, prepared ahead in threads."""

import itertools
import mmap
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import albumentations as A
import cv2
import keras
import numpy as np

from kaggle_cnn.data.augment import cut_and_mix, mix_up

Batch = tuple[np.ndarray, np.ndarray]


def steps_per_epoch(images: int, batch: int) -> int:
    """An epoch leaves out what fills no batch, other images each time; a set smaller than a batch is one batch."""
    return max(1, images // batch)


@lru_cache(maxsize=4)
def shuffled(images: int, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch: no state to resume. Kept, since to draw it takes 1 ms for 100,000 images."""
    return np.random.default_rng((seed, epoch)).permutation(images)


def chosen_at(images: int, batch: int, seed: int, step: int) -> np.ndarray:
    """Which of `images` make up batch number `step`, counted from 0 over all epochs."""
    epoch, index = divmod(step, steps_per_epoch(images, batch))
    return shuffled(images, seed, epoch)[index * batch : (index + 1) * batch]


def training_batch(
    pixels: np.ndarray,
    rows: np.ndarray,
    targets: np.ndarray,
    pipeline: A.Compose,
    batch: int,
    seed: int,
    step: int,
    mixup: float = 0.0,
    cutmix: float = 0.0,
) -> Batch:
    """Batch number `step`, counted from 0 over all epochs: the same for the same arguments, whenever it is asked for.

    `pixels` (N, size, size, channels) uint8, `rows` (n,) the rows to train on, `targets` (n, classes) float32 aligned
    with `rows`. `mixup` and `cutmix` are Recipe's. Returns uint8 (batch, crop, crop, channels) and float32 (batch,
    classes). A transform of the pipeline may name "row" and "epoch" in its `targets_as_params`.
    """
    epoch, index = divmod(step, steps_per_epoch(len(rows), batch))
    chosen = chosen_at(len(rows), batch, seed, step)
    draw = np.random.default_rng((seed, epoch, index))
    pipeline.set_random_seed(int(draw.integers(2**31)))
    pixels = unmapped(pixels, step)
    images = np.stack([pipeline(image=pixels[row], row=row, epoch=epoch)["image"] for row in rows[chosen]])
    wanted = targets[chosen]
    if cutmix and (not mixup or draw.random() < 0.5):
        return cut_and_mix(images, wanted, draw, cutmix)
    return mix_up(images, wanted, draw, mixup) if mixup else (images, wanted)


def plain_batch(
    pixels: np.ndarray | None, rows: np.ndarray, targets: np.ndarray, batch: int, seed: int, step: int
) -> Batch:
    """The same images at full size, not augmented, for a model that does it itself; or where `pixels` is None, since
    that model has them, their row numbers int32 (batch,)."""
    chosen = chosen_at(len(rows), batch, seed, step)
    wanted = rows[chosen]
    return wanted.astype(np.int32) if pixels is None else unmapped(pixels, step)[wanted], targets[chosen]


def centres(pixels: np.ndarray, rows: np.ndarray, crop: int) -> np.ndarray:
    """The centres (len(rows), crop, crop, channels) of those images."""
    edge = (pixels.shape[1] - crop) // 2
    return unmapped(pixels)[rows, edge : edge + crop, edge : edge + crop]


def unmapped(pixels: np.ndarray, step: int = 0) -> np.ndarray:
    """`pixels` as a plain array, since a row of a memmap is a memmap again and takes longer to make than to read.

    At every fourth `step`, pages of the map that have been read are let go of; the system keeps them in its own cache.
    Of 100,000 images of 64 pixels 1.2 GiB would count as this process' memory otherwise. To let go takes 90 us.
    """
    if step % 4 == 0 and isinstance(pixels.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        pixels.base.madvise(mmap.MADV_DONTNEED)
    return np.asarray(pixels)


class Ahead:
    """`batch_at(step)`, prepared in threads before it is asked for. Use as a context, so that the threads end.

    `makers` are functions that all give the same batch for the same step, one for each thread, since an Albumentations
    pipeline serves one thread at a time. Any step may be asked for at any time; in order it is ready.
    """

    def __init__(self, makers: list[Callable[[int], Batch]]):
        cv2.setNumThreads(1)  # the threads are here: OpenCV's own took 1.9 times the CPU at 64 pixels (LOG.md)
        self.makers = makers
        self.threads = [ThreadPoolExecutor(1, thread_name_prefix="batches") for _ in makers]
        self.coming: dict[int, Future] = {}

    def __call__(self, step: int) -> Batch:
        wanted = range(step, step + 1 + 2 * len(self.makers))
        self.coming = {each: self.coming.get(each) or self.submit(each) for each in wanted}
        return self.coming.pop(step).result()

    def submit(self, step: int) -> Future:
        number = step % len(self.makers)
        return self.threads[number].submit(self.makers[number], step)

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *_) -> None:
        for thread in self.threads:
            thread.shutdown(cancel_futures=True)


def augmenting_threads() -> int:
    """Half the cores, up to 8. One is enough for a CPU, where a step takes a hundred times as long as its batch."""
    return min(8, max(1, (os.cpu_count() or 1) // 2))


class Endless(keras.utils.PyDataset):
    """`batch_at(step)` for step = `first_step`, `first_step` + 1, ... without end.

    A plain generator will not do: Keras 3.15 replays its first two batches at the start of every epoch. A finite
    PyDataset, or several workers, shift the steps on one backend or the other.
    """

    def __init__(self, batch_at: Callable[[int], Batch], first_step: int = 0):
        super().__init__(workers=1)
        self.batch_at, self.first_step = batch_at, first_step

    @property
    def num_batches(self):
        return None

    def __getitem__(self, index: int) -> Batch:
        return self.batch_at(self.first_step + index)


def feed(batch_at: Callable[[int], Batch], first_step: int = 0):
    """What `model.fit` takes in, from `first_step` on without end, all batches of one shape.

    TensorFlow gets a tf.data pipeline that does not tune itself: the end of the one that Keras makes of a PyDataset
    came 5 s late in two fits of ten (LOG.md).
    """
    if keras.backend.backend() != "tensorflow":
        return Endless(batch_at, first_step)
    import tensorflow as tf

    signature = tuple(tf.TensorSpec(part.shape, part.dtype) for part in batch_at(first_step))
    options = tf.data.Options()
    options.autotune.enabled = False
    batches = tf.data.Dataset.from_generator(
        lambda: map(batch_at, itertools.count(first_step)), output_signature=signature
    )
    return batches.with_options(options).prefetch(1)
