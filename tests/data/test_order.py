"""Which images make up a batch, where there are so many that a disk is read block by block."""

import os
import time
from types import SimpleNamespace

import numpy as np
import pytest

from kaggle_cnn.data import batches, order
from kaggle_cnn.data.batches import Augmenter, Share, plain_batch, training_batch
from kaggle_cnn.data.order import BLOCK, LANES, LARGE, WINDOW, block_order, count_block, find_blocks, images_of_step
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
    """From the first to the last image of a block are as many steps as a window of its lane has; and in any few steps,
    as many blocks are begun as in others."""
    steps, begun = {}, np.zeros(IMAGES // BATCH)
    for step, batch in enumerate(epochs[0].reshape(-1, BATCH)):
        for block in find_blocks(batch, IMAGES, BATCH, SIZE):
            begun[step] += block not in steps
            steps.setdefault(block, []).append(step)
    assert all(end - begin <= SIZE for begin, end in steps)
    assert sum(end - begin for begin, end in steps) == IMAGES
    window = WINDOW * SIZE / 3
    assert max(each[-1] - each[0] for each in steps.values()) <= window
    few = begun[: len(begun) // 35 * 35].reshape(-1, 35).sum(axis=1)
    assert few[1:-1].max() < 3 * few[1:-1].mean()  # where lanes begin their windows together, 5 times


def test_a_block_is_in_one_lane():
    places = np.arange(1000)
    blocks = find_blocks(places, 1000, 96, 7)  # 32 lanes of 31 or 32 images
    assert [end for _, end in blocks[:-1]] == [begin for begin, _ in blocks[1:]]
    lanes = np.linspace(0, 1000, 33).astype(int)
    assert {begin for begin, _ in blocks} >= set(lanes[:-1].tolist())
    assert find_blocks(np.array([40, 39, 33]), 1000, 96, 7) == [(31, 38), (38, 45)]


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
    monkeypatch.setattr(batches, "ask_for", lambda path, start, length, epoch: asked.append((start, start + length)))
    chosen = TrainingSet(np.arange(8, 96), np.eye(88, dtype=np.float32))
    plain_batch(pixels, chosen, 16, 9, 8)
    for step in range(8 + batches.READ_AHEAD, 8 + batches.READ_AHEAD + batches.FEW):
        for row in chosen.rows[images_of_step(88, 16, 9, step, 5)]:
            begin = pixels.offset + row * pixels[0].nbytes
            assert any(start <= begin and begin + pixels[row].nbytes <= end for start, end in asked)
    asked_once = len(asked)
    plain_batch(pixels, chosen, 16, 9, 9)
    assert len(asked) == asked_once
    assert max(end for _, end in asked) <= (tmp_path / "pixels.npy").stat().st_size
    asked.clear()
    plain_batch(pixels, TrainingSet(chosen.rows[::-1], chosen.targets), 16, 9, 8)  # not in the file's order
    assert sum(end - start for start, end in asked) < 12_288  # of blocks of two, the beginning of the file
    far = TrainingSet(np.arange(0, 96, 6), chosen.targets)  # five of them in 25 images
    plain_batch(pixels, far, 16, 9, 8)
    assert asked
    asked.clear()
    monkeypatch.setattr(batches, "FAR", 1)
    plain_batch(pixels, far, 16, 9, 8)
    assert not asked
    monkeypatch.undo()
    batches.ask_for(pixels.filename, 0, 4096, 0)
    batches.ask_for(tmp_path / "removed.npy", 0, 4096, 0)


def test_what_is_asked_for_is_read(tmp_path):
    """Without that anything waits for it."""
    path = tmp_path / "pixels.npy"
    path.write_bytes(bytes(2**20))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

        def is_there(place):
            """Whether the system has a page of the file in memory."""
            try:
                return os.preadv(file.fileno(), [bytearray(4096)], place, os.RWF_NOWAIT) > 0
            except BlockingIOError:
                return False

        try:
            if is_there(2**19):
                pytest.skip("the system keeps this file in memory")
        except OSError:
            pytest.skip("this file system does not say what is in memory")
        batches.ask_for(path, 2**19, 2**17, 0)
        deadline = time.monotonic() + 10
        while not (is_there(2**19) and is_there(2**19 + 2**17 - 4096)):
            assert time.monotonic() < deadline
            time.sleep(0.01)


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
