"""Arrays -> batches for `model.fit`, each batch a pure function of the seed and the step, prepared ahead in threads."""

import mmap
import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import albumentations as A
import cv2
import numpy as np

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.data.mixing import cut_and_mix, mix_up
from kaggle_cnn.data.order import BLOCK, count_block, find_blocks, images_of_step, steps_per_epoch
from kaggle_cnn.data.training_set import TrainingSet
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.recipe import explain_failure

Batch = tuple[Any, ...]  # images, or these and metadata; targets; and weights where the training set has any
BatchMaker = Callable[[int], Batch]
BITS = 2**64 - 1
FEW = 4  # steps: after so many, pages of a mapped file are released, and others asked for
MANY = 64  # the same, of images that are taken by blocks: the next batches need these pages. 27 us an image, not 31
READ_AHEAD = 8  # steps
FAR = 4  # times a block's bytes


def scramble(number: int) -> int:
    """Return 64 bits that depend on all bits of `number`: the last step of SplitMix64 (Steele et al. 2014)."""
    number &= BITS
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & BITS
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & BITS
    return number ^ (number >> 31)


class QuickRandom(random.Random):
    """Python's generator on a linear congruential one of 64 bits (Knuth's MMIX), of which the high bits are used: to
    seed it is to set `state`, where the Mersenne Twister takes 12 us."""

    def seed(self, a: Any = None, version: int = 2) -> None:
        self.state: int = int(a or 0)
        self.gauss_next: float | None = None

    def random(self) -> float:
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & BITS
        return (self.state >> 11) * 2.0**-53

    def getrandbits(self, k: int) -> int:
        bits = 0
        for _ in range(-(-k // 32)):
            bits = bits << 32 | int(self.random() * 2**32)
        return bits >> (-k % 32)


class LateGenerator:
    """NumPy's generator, set to a state when something is drawn from it: most images draw nothing, and to set it takes
    2 us."""

    def __init__(self) -> None:
        self.bits = np.random.PCG64(0)
        self.generator, self.wanted = np.random.Generator(self.bits), 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "generator" not in vars(self):  # asked while a copy or a pickle is being made
            raise AttributeError(name)
        if self.wanted:
            state: Any = {"state": self.wanted << 64 | scramble(self.wanted), "inc": 0x5851F42D4C957F2D14057B7EF767814F}
            self.bits.state = {"bit_generator": "PCG64", "state": state, "has_uint32": 0, "uinteger": 0}
            self.wanted = 0
        return getattr(self.generator, name)


class Augmenter:
    """An Albumentations pipeline whose draws for an image depend on (seed, epoch, row) alone: neither on the batch that
    it is in nor on the images before it. It serves one thread at a time.

    A transform may name "row" and "epoch" in its `targets_as_params`.
    """

    def __init__(self, pipeline: A.Compose, seed: int, size: int | None = None):
        self.pipeline, self.seed, self.size = pipeline, seed, size
        self.python, self.numpy = QuickRandom(0), LateGenerator()
        pipeline.set_random_state(self.numpy, self.python)

    def __call__(self, image: Array, epoch: int, row: int) -> Array:
        """Return the augmented image, uint8 (size, size, channels), of `image` (height, width, channels) uint8.

        Raises KcnnError where the pipeline fails, or with a `size` gives something else.
        """
        own = scramble(epoch_state(self.seed, epoch) + row)
        self.python.state, self.python.gauss_next = own, None  # gauss() draws two and keeps one
        self.numpy.wanted = own | 1  # 0 means that nothing is wanted
        try:
            augmented: Array = self.pipeline(image=image, row=row, epoch=epoch)["image"]
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # as explain_failures does, which would cost 1 us an image
            raise explain_failure("the recipe's augmentation fails", error) from error
        if self.size is not None and not is_image(augmented, (self.size, self.size, image.shape[2])):
            dtype, shape = getattr(augmented, "dtype", ""), getattr(augmented, "shape", type(augmented).__name__)
            raise KcnnError(
                f"the recipe's augmentation should give uint8 ({self.size}, {self.size}, {image.shape[2]}), got "
                f"{dtype} {shape}",
                "end it with a crop to `size`; the network scales the pixels itself",
            )
        return augmented


def is_image(value: Any, shape: tuple[int, ...]) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.shape == shape


@lru_cache(maxsize=8)
def epoch_state(seed: int, epoch: int) -> int:
    """Return 64 bits of a seed and an epoch, to which the row is added."""
    return scramble(scramble(seed + 1) + epoch + 1)


@dataclass(frozen=True)
class Share:
    """Which part of each batch is made: that of number `rank`, from 0, of so many equal `parts`."""

    rank: int = 0
    parts: int = 1

    def cut(self, values: Array) -> Array:
        size = len(values) // self.parts
        return values[self.rank * size : (self.rank + 1) * size]


WHOLE = Share()


@dataclass(frozen=True)
class Mixing:
    """The Beta parameters of mixup and cutmix, 0 for none; see Recipe."""

    mixup: float = 0.0
    cutmix: float = 0.0


def training_batch(
    pixels: Array,
    chosen: TrainingSet,
    augment: Augmenter,
    batch: int,
    step: int,
    mixing: Mixing | None = None,
    metadata: Array | None = None,
    share: Share = WHOLE,
) -> Batch:
    """Return batch number `step`, counted from 0 over all epochs: the same for the same arguments, at any time.

    `pixels` uint8 (N, side, side, channels), of which `chosen` names the rows. Returns uint8 (batch, size, size,
    channels), float32 (batch, outputs), and float32 (batch,) where there are weights; with `metadata` (N, features) the
    images and float32 (batch, features) as the first. Mixing pairs images of the batch,
    by draws of its own from (seed, epoch, step). Of a `share` only that part is returned, and made; with mixing all
    images are made, since they need each other.
    """
    epoch, index = divmod(step, steps_per_epoch(len(chosen.rows), batch))
    mixes = mixing is not None and bool(mixing.mixup or mixing.cutmix)
    places = take_places(pixels, chosen.rows, batch, augment.seed, step, WHOLE if mixes else share)
    pixels = np.asarray(pixels)
    images = fill_batch([int(row) for row in chosen.rows[places]], pixels, augment, epoch)
    targets = chosen.targets[places]
    weights = np.ones(len(places), np.float32) if chosen.weights is None else chosen.weights[places]
    if mixing and mixes:
        draw = np.random.default_rng((augment.seed, epoch, index))
        if mixing.cutmix and (not mixing.mixup or draw.random() < 0.5):
            images, targets, weights = cut_and_mix(images, targets, weights, draw, mixing.cutmix)
        else:
            images, targets, weights = mix_up(images, targets, weights, draw, mixing.mixup)
        images, targets, weights = map(share.cut, (images, targets, weights))
    given: Any = images if metadata is None else (images, metadata[chosen.rows[places]])
    return (given, targets) if chosen.weights is None else (given, targets, weights)


def fill_batch(rows: list[int], pixels: Array, augment: Augmenter, epoch: int) -> Array:
    """Return the augmented images of `rows` in one array, each put there when it is made: np.stack of a list keeps all
    of them twice, and takes 1.5 times as long at 128 pixels."""
    first = augment(pixels[rows[0]], epoch, rows[0])
    images = np.empty((len(rows), *first.shape), np.uint8)
    images[0] = first
    for place, row in enumerate(rows[1:], 1):
        images[place] = augment(pixels[row], epoch, row)
    return images


def plain_batch(
    pixels: Array | None, chosen: TrainingSet, batch: int, seed: int, step: int, share: Share = WHOLE
) -> Batch:
    """Return the same images at full size, not augmented, for a model that augments them itself; or where `pixels` is
    None, since that model has them, their row numbers int32 (batch,)."""
    places = take_places(pixels, chosen.rows, batch, seed, step, share)
    rows = chosen.rows[places]
    images = rows.astype(np.int32) if pixels is None else np.asarray(pixels)[rows]
    made = (images, chosen.targets[places])
    return made if chosen.weights is None else (*made, chosen.weights[places])


def centres(pixels: Array, rows: Array, size: int) -> Array:
    """Return the centres (len(rows), size, size, channels) of those images."""
    edge = (pixels.shape[1] - size) // 2
    return unmapped(pixels)[rows, edge : edge + size, edge : edge + size]


def take_places(pixels: Array | None, rows: Array, batch: int, seed: int, step: int, share: Share) -> Array:
    """Return which of `rows` make up a share of a batch. Every few steps, pages of a mapped file are released, and the
    blocks read that steps need which come soon. Images that a device has, of which `pixels` is None, are taken in any
    order."""
    block = 0 if pixels is None else count_block(pixels, batch)
    if pixels is not None and step % (MANY if block else FEW) == 0:
        release(pixels)
    if block and step % FEW == 0 and pixels is not None and (memory := find_map(pixels)):
        soon = range(step + READ_AHEAD, step + READ_AHEAD + FEW)
        coming = np.concatenate([share.cut(images_of_step(len(rows), batch, seed, each, block)) for each in soon])
        spans = [(rows[begin], rows[end - 1] + 1) for begin, end in find_blocks(coming, len(rows), batch, block)]
        read_ahead(memory, pixels, spans, soon[0] // steps_per_epoch(len(rows), batch))
    return share.cut(images_of_step(len(rows), batch, seed, step, block))


def find_map(pixels: Array) -> mmap.mmap | None:
    """Return what maps the file of these images; None where they are in memory, or the system takes no advice."""
    return pixels.base if isinstance(pixels.base, mmap.mmap) and hasattr(os, "posix_fadvise") else None


def read_ahead(memory: mmap.mmap, pixels: Array, spans: list[tuple[int, int]], epoch: int) -> None:
    """Ask the system to read rows of a mapped file, from so many to so many, and nothing else: Linux may be set to read
    8 MiB around each image that is not in memory, of which a million then never end (LOG.md). Rows that are far from
    each other, since those between are of no use, are read one by one."""
    mapped: Any = pixels
    memory.madvise(mmap.MADV_RANDOM)
    size = pixels[0].nbytes
    for first, end in spans:
        length = int(end - first) * size
        if 0 < length <= FAR * BLOCK:
            ask_for(mapped.filename, mapped.offset + int(first) * size, length, epoch)


@lru_cache(maxsize=2**16)
def ask_for(path: Path, start: int, length: int, epoch: int) -> None:
    """Ask for a part of a file, once in an epoch. `madvise` would do it too, but no other thread of Python goes on
    meanwhile: a million images took 1.2 times as long (LOG.md). Of a file that cannot be opened any more nothing is
    asked: what is mapped is there all the same."""
    with suppress(OSError), path.open("rb") as file:
        os.posix_fadvise(file.fileno(), start, length, os.POSIX_FADV_WILLNEED)


def read_in_order(pixels: Array) -> None:
    """Let the system read ahead by itself again, for rows in their order."""
    if memory := find_map(pixels):
        memory.madvise(mmap.MADV_NORMAL)


def release(pixels: Array) -> None:
    """Release the pages of a mapped file that have been read; the system keeps them in its own cache. Of 100,000 images
    of 64 pixels 1.2 GiB would count as this process' memory otherwise. It takes 90 us."""
    if memory := find_map(pixels):
        memory.madvise(mmap.MADV_DONTNEED)


def unmapped(pixels: Array) -> Array:
    """Return `pixels` as a plain array, its pages released: a row of a memmap is a memmap again, and takes longer to
    make than to read."""
    release(pixels)
    return np.asarray(pixels)


class Ahead:
    """`batch_at(step)`, prepared in threads before it is asked for. Use as a context, so that the threads end.

    `makers` are functions that all give the same batch for the same step, one for each thread, since an Augmenter
    serves one thread at a time. Any step may be asked for at any time; in order it is ready.
    """

    def __init__(self, makers: Sequence[BatchMaker]):
        cv2.setNumThreads(1)  # the threads are here: OpenCV's own took 1.9 times the CPU at 64 pixels (LOG.md)
        self.makers = makers
        self.threads = [ThreadPoolExecutor(1, thread_name_prefix="batches") for _ in makers]
        self.coming: dict[int, Future[Batch]] = {}
        self.failed: KcnnError | None = None

    def __call__(self, step: int) -> Batch:
        wanted = range(step, step + 1 + 2 * len(self.makers))
        self.coming = {each: self.coming.get(each) or self.submit(each) for each in wanted}
        try:
            return self.coming.pop(step).result()
        except KcnnError as error:
            self.failed = error
            raise

    @contextmanager
    def explain_errors(self) -> Iterator[None]:
        """Raise the error of a batch as it was: TensorFlow makes another one of it on its way."""
        try:
            yield
        except Exception:
            if self.failed:
                raise self.failed from None
            raise

    def submit(self, step: int) -> Future[Batch]:
        number = step % len(self.makers)
        return self.threads[number].submit(self.makers[number], step)

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for thread in self.threads:
            thread.shutdown(cancel_futures=True)


def augmenting_threads() -> int:
    """Return half the cores, up to 8. One is enough for a CPU, where a step takes a hundred times as long as its
    batch."""
    return min(8, max(1, (os.cpu_count() or 1) // 2))
