import hashlib
import os
import threading
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
import pytest

from kaggle_cnn.data import augment


@pytest.fixture
def arrays():
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 255, (50, 20, 20, 3), dtype=np.uint8)
    return {"pixels": pixels, "rows": np.arange(0, 50, 2), "targets": np.eye(25, dtype=np.float32), "batch": 8}


@pytest.mark.parametrize("pipeline", [augment.centre, augment.flip, augment.shift_rotate_flip])
def test_a_batch_depends_on_seed_and_step_alone(keras, arrays, pipeline):
    from kaggle_cnn.data.batches import training_batch

    made = pipeline(16)
    forwards = [training_batch(**arrays, pipeline=made, seed=3, step=step) for step in range(7)]
    made = pipeline(16)
    for step in (6, 0, 3):
        images, targets = training_batch(**arrays, pipeline=made, seed=3, step=step)
        assert images.shape == (8, 16, 16, 3)
        assert images.dtype == np.uint8
        assert (images == forwards[step][0]).all()
        assert (targets == forwards[step][1]).all()
    assert (forwards[0][1] != training_batch(**arrays, pipeline=made, seed=4, step=0)[1]).any()


def test_an_epoch_shows_each_image_once(keras, arrays):
    from kaggle_cnn.data.batches import steps_per_epoch, training_batch

    assert steps_per_epoch(25, 8) == 3
    assert steps_per_epoch(5, 8) == 1
    pipeline = augment.centre(20)
    shown = [training_batch(**arrays, pipeline=pipeline, seed=0, step=step)[1].argmax(1) for step in range(6)]
    seen = [np.concatenate(shown[:3]), np.concatenate(shown[3:])]
    for epoch in seen:
        assert len(set(epoch)) == 24
    assert (seen[0] != seen[1]).any()


def test_labels_stay_with_their_images(keras, arrays):
    from kaggle_cnn.data.batches import centres, training_batch

    images, targets = training_batch(**arrays, pipeline=augment.centre(16), seed=0, step=1)
    for image, target in zip(images, targets, strict=True):
        assert (image == arrays["pixels"][arrays["rows"][target.argmax()], 2:18, 2:18]).all()
    chosen = arrays["rows"][3:9]
    assert (centres(arrays["pixels"], chosen, 16) == arrays["pixels"][chosen, 2:18, 2:18]).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_prepared_ahead_are_the_same(keras, arrays, threads):
    """In order, begun in the middle, and asked for twice or backwards."""
    from kaggle_cnn.data.batches import Ahead, training_batch

    def maker():
        pipeline = augment.shift_rotate_flip(16)
        return lambda step: training_batch(**arrays, pipeline=pipeline, seed=3, step=step)

    direct = [maker()(step) for step in range(12)]
    with Ahead([maker() for _ in range(threads)]) as batch_at:
        for step in (*range(9), 4, 5, 5, 2, 11):
            for part, expected in zip(batch_at(step), direct[step], strict=True):
                assert (part == expected).all()


def test_what_fails_while_prepared_ahead_is_told(keras):
    from kaggle_cnn.data.batches import Ahead

    def broken(step):
        raise ValueError(f"no batch {step}")

    before = threading.active_count()
    with Ahead([broken]) as batch_at, pytest.raises(ValueError, match="no batch 3"):
        batch_at(3)
    assert threading.active_count() == before


def test_the_batches_of_the_libraries_own_transforms_stay_what_they_were(keras, arrays):
    """By version 0.1: a recipe that names no Warp trains on the very same batches as then."""
    from kaggle_cnn.data.batches import training_batch

    pipeline = A.Compose([A.RandomCrop(16, 16), A.HorizontalFlip(p=0.5), A.RandomRotate90(p=0.5)])
    digest = hashlib.sha256()
    for step in (0, 1, 5):
        for part in training_batch(**arrays, pipeline=pipeline, seed=3, step=step):
            digest.update(part.tobytes())
    assert digest.hexdigest() == "b6c7d4fadafb07ad6e75217306a06331d3183bdea47fa8bb5c0c9d0881a4696a"


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from Linux' /proc")
def test_what_was_read_from_the_cache_does_not_stay_in_memory(keras, tmp_path):
    from kaggle_cnn.data.batches import centres, training_batch

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    shape = (10_000, 96, 96, 3)  # 264 MiB
    written = np.lib.format.open_memmap(tmp_path / "pixels.npy", "w+", np.uint8, shape)
    written[:] = 7
    del written
    pixels, rows = np.load(tmp_path / "pixels.npy", mmap_mode="r"), np.arange(10_000)
    targets, pipeline = np.zeros((10_000, 1), np.float32), augment.centre(96)
    before, most = resident(), 0
    for step in range(1250):
        batch, _ = training_batch(pixels, rows, targets, pipeline, 8, 0, step)
        assert (batch == 7).all()
        most = max(most, resident())
    for start in range(0, 10_000, 100):
        assert (centres(pixels, rows[start : start + 100], 90) == 7).all()
        most = max(most, resident())
    assert most - before < 132 * 2**20


def test_keras_sees_every_step_once_and_in_order(keras):
    """A plain generator fails here: from its second epoch on Keras gives its first two batches again."""
    from kaggle_cnn.data.batches import feed

    def batch_at(step):
        return np.zeros((2, 1), np.float32), np.full((2, 1), step, np.float32)

    class Target(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return keras.ops.mean(y_true, axis=-1) + 0 * keras.ops.mean(y_pred)

    class Seen(keras.callbacks.Callback):
        steps, validation = [], []

        def on_train_batch_end(self, batch, logs=None):
            self.sum = logs["loss"] * (batch + 1)
            self.steps.append(round(float(self.sum - (self.before if batch else 0))))
            self.before = self.sum

    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile(keras.optimizers.SGD(0.0), Target())
    model.fit(feed(batch_at, 10), steps_per_epoch=4, epochs=3, shuffle=False, verbose=0, callbacks=[Seen()])
    assert Seen.steps == list(range(10, 22))


def test_augmentation_moves_little_and_stays_in_the_picture():
    image = np.zeros((40, 40, 1), np.uint8)
    image[18:22, 18:22] = 255
    pipeline = augment.shift_rotate_flip(40)
    pipeline.set_random_seed(0)
    centres = []
    for _ in range(100):
        out = pipeline(image=image)["image"]
        assert out.shape == (40, 40, 1)
        centres.append([axis.mean() for axis in np.nonzero(out[:, :, 0] > 60)])
    centres = np.array(centres) - 19.5
    assert np.abs(centres).max() <= 4.6  # a tenth of 40, and what rounding adds
    assert centres.std(axis=0).min() > 1


@pytest.mark.parametrize("channels", [1, 3])
def test_a_warp_that_does_nothing_changes_no_pixel(channels):
    image = np.random.default_rng(0).integers(0, 255, (20, 20, channels), dtype=np.uint8)
    centre = image[3:17, 3:17]
    assert (A.Compose([augment.Warp(14)])(image=image)["image"] == centre).all()
    assert (A.Compose([augment.Warp(14, mirror=1)])(image=image)["image"] == centre[:, ::-1]).all()


@pytest.mark.parametrize(
    ("degrees", "shift", "zoom"), [(30, (0, 0), 1), (0, (6, -4), 1), (0, (0, 0), 1.3), (-17, (3, 5), 0.8)]
)
def test_a_warp_is_the_affine_of_albumentations(degrees, shift, zoom):
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 1.5)
    affine = A.Affine(
        rotate=(degrees, degrees),
        translate_px={"x": (shift[0],) * 2, "y": (shift[1],) * 2},
        scale=(zoom, zoom),
        border_mode=cv2.BORDER_REFLECT_101,
        p=1,
    )
    expected = affine(image=image)["image"][4:36, 4:36]
    moved = (shift[0] / 40, shift[1] / 40)
    for mirrored in (False, True):
        warped = augment.Warp(32).apply(image, np.radians(degrees), zoom, moved, mirrored)
        # OpenCV rounds a place to 1/32 pixel, and mirrored it may round the other way.
        assert np.abs(warped.astype(int) - expected[:, :: -1 if mirrored else 1]).mean() < 0.5


def test_what_a_warp_draws():
    pipeline = A.Compose([augment.Warp(16, degrees=15, shift=0.2, zoom=0.3, mirror=0.25)])
    pipeline.set_random_seed(1)
    draws = [pipeline.transforms[0].get_params() for _ in range(2000)]
    for values, most in [
        ([np.degrees(draw["radians"]) for draw in draws], 15),
        ([draw["zoom"] - 1 for draw in draws], 0.3),
        ([draw["moved"][0] for draw in draws], 0.2),
        ([draw["moved"][1] for draw in draws], 0.2),
    ]:
        assert most * 0.98 < np.max(values) <= most
        assert -most <= np.min(values) < -most * 0.98
        assert abs(np.mean(values)) < most * 0.05
    assert np.mean([draw["mirrored"] for draw in draws]) == pytest.approx(0.25, abs=0.04)
