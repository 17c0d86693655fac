"""Which images make up a batch, where there are so many that a disk is read block by block."""

import mmap
from types import SimpleNamespace

import numpy as np
import pytest

from kaggle_cnn.data import batches, order
from kaggle_cnn.data.batches import Augmenter, Share, plain_batch, training_batch
from kaggle_cnn.data.order import BLOCK, LANES, LARGE, WINDOW, block_order, count_block, images_of_step
from kaggle_cnn.data.training_set import TrainingSet

IMAGES, BATCH, SIZE = 100_003, 96, 42  # 32 lanes


@pytest.fixture(scope="module")
def epochs():
    return [block_order(IMAGES, BATCH, 5, epoch, SIZE) for epoch in range(3)]


def test_an_epoch_has_each_image_at_most_once(epochs):
    for each in epochs:
        assert len(each) == len(set(each.tolist())) == IMAGES // BATCH * BATCH
        assert each.min() >= 0
        assert each.max() < IMAGES
    left = [set(range(IMAGES)) - set(each.tolist()) for each in epochs]
    assert left[0] != left[1]
    assert (epochs[0] != epochs[1]).any()


def test_a_batch_has_as_many_images_of_each_part(epochs):
    lanes = np.linspace(0, IMAGES, 33).astype(int)
    for step in (0, 500, 1040):
        found = images_of_step(IMAGES, BATCH, 5, step, SIZE)
        assert (np.histogram(found, lanes)[0] == 3).all()
        for rank in range(2):  # so each of two processes reads its half of the images
            half = Share(rank, 2).cut(found)
            assert half.min() >= rank * IMAGES // 2
            assert half.max() < (rank + 1) * IMAGES // 2 + 1


def test_neighbours_on_the_disk_come_soon_after_each_other(epochs):
    """What a batch and those soon after it need is a small part of all, and each block is read once."""
    steps = WINDOW * SIZE // 3  # of a window of each lane
    for begin in (0, 2 * steps):
        touched = np.unique(epochs[0][begin * BATCH : (begin + steps) * BATCH] // SIZE)
        assert len(touched) * SIZE < 2.2 * steps * BATCH  # a block that begins elsewhere touches two
    far = np.random.default_rng(0).permutation(IMAGES)[: steps * BATCH] // SIZE
    assert len(np.unique(far)) > 0.99 * IMAGES / SIZE


def test_images_of_a_block_are_in_different_batches(epochs):
    """Neighbours often have one class, or are of one film: of a block, few images are in one batch."""
    for batch in epochs[0].reshape(-1, BATCH)[::50]:
        assert np.bincount(batch // SIZE).max() <= 6


def test_the_order_does_not_repeat_itself(epochs):
    followed = [dict(zip(each[:-1].tolist(), each[1:].tolist(), strict=True)) for each in epochs]
    again = [place for place, after in followed[0].items() if followed[1].get(place) == after]
    assert len(again) < IMAGES / 200


def test_only_many_bytes_are_read_by_blocks():
    def pixels(count, side):
        return np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (count, side, side, 3), (0, 0, 0, 0))

    assert count_block(pixels(100_000, 32), 128) == 0
    assert count_block(pixels(1_000_000, 32), 128) == BLOCK // (32 * 32 * 3) == 42
    assert count_block(pixels(200_000, 256), 128) == 1
    assert pixels(1_000_000, 32).nbytes > LARGE
    assert count_block(pixels(LANES * 128 - 1, 512), 128) == 0  # too few for lanes


def test_the_blocks_that_come_soon_are_asked_for(monkeypatch, tmp_path):
    """What a later step reads from the disk is what was asked for before, of the file as it is mapped."""
    monkeypatch.setattr(order, "LARGE", 0)
    monkeypatch.setattr(order, "BLOCK", 5 * 64 * 64 * 3)
    monkeypatch.setattr(order, "LANES", 4)
    np.save(tmp_path / "pixels.npy", np.zeros((96, 64, 64, 3), np.uint8))
    pixels, asked = np.load(tmp_path / "pixels.npy", mmap_mode="r"), []
    monkeypatch.setattr(batches, "ask_for", lambda memory, start, length, epoch: asked.append((start, start + length)))
    chosen = TrainingSet(np.arange(8, 96), np.eye(88, dtype=np.float32))
    plain_batch(pixels, chosen, 16, 9, 2)
    mapped = pixels.ctypes.data - pixels.offset
    for row in chosen.rows[images_of_step(88, 16, 9, 2 + batches.READ_AHEAD, 5)]:
        begin = pixels[row].ctypes.data - mapped
        assert any(start <= begin and begin + pixels[row].nbytes <= end for start, end in asked)
    assert all(start % mmap.PAGESIZE == 0 for start, _ in asked)
    assert max(end for _, end in asked) <= len(pixels.base)
    monkeypatch.undo()
    batches.ask_for(pixels.base, 0, mmap.PAGESIZE, 0)


def test_batches_take_them_by_blocks(monkeypatch):
    """The batches of training, those that a device augments, and their shares."""
    monkeypatch.setattr(order, "LARGE", 0)
    monkeypatch.setattr(order, "BLOCK", 5 * 4 * 4 * 3)
    monkeypatch.setattr(order, "LANES", 4)
    pixels = np.arange(64, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    chosen = TrainingSet(np.arange(64), np.eye(64, dtype=np.float32))
    augmenter = Augmenter(SimpleNamespace(set_random_state=lambda *_: None), 9)
    augmenter.pipeline = lambda image, **_: {"image": image}
    augmenter.pipeline.set_random_state = None
    for step in (0, 3, 4):
        expected = images_of_step(64, 16, 9, step, 5)
        assert (np.sort(expected) != np.sort(images_of_step(64, 16, 9, step))).any() or step == 3
        assert (training_batch(pixels, chosen, augmenter, 16, step)[0][:, 0, 0, 0] == expected).all()
        assert (plain_batch(pixels, chosen, 16, 9, step)[0][:, 0, 0, 0] == expected).all()
        half = training_batch(pixels, chosen, augmenter, 16, step, share=Share(1, 2))[0][:, 0, 0, 0]
        assert (half == expected[8:]).all()
        assert half.min() >= 32
