"""Batches: which images, with which targets and weights, in which order, and augmented how."""

import copy
import hashlib
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from kaggle_cnn import augment
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.data.batches import (
    Ahead,
    Augmenter,
    LateGenerator,
    Mixing,
    QuickRandom,
    centres,
    plain_batch,
    training_batch,
)
from kaggle_cnn.data.dataset import Dataset
from kaggle_cnn.data.folds import Folds
from kaggle_cnn.data.image_cache import Images
from kaggle_cnn.data.order import steps_per_epoch
from kaggle_cnn.data.training_set import TrainingSet, training_set, validation_rows

PIXELS = np.random.default_rng(0).integers(0, 255, (50, 20, 20, 3), dtype=np.uint8)
CHOSEN = TrainingSet(np.arange(0, 50, 2), np.eye(25, dtype=np.float32))


class Noise(A.ImageOnlyTransform):
    """Draws with NumPy: 32 bits at a time, of which an odd number leaves half a draw of the generator behind."""

    def __init__(self):
        super().__init__(p=1)

    def apply(self, img, **_):
        drawn = self.random_generator.integers(-20, 20, 8 + int(self.random_generator.random() < 0.5), dtype=np.int32)
        return np.clip(img + drawn[:8].repeat(2)[:, None, None], 0, 255).astype(np.uint8)


def nested(size):
    """One of several, some of several, each with draws of its own kind."""
    return A.Compose(
        [
            A.RandomCrop(size, size),
            A.OneOf([Noise(), A.HorizontalFlip(p=1), A.RandomBrightnessContrast(p=1)], p=0.8),
            A.SomeOf([A.Transpose(p=0.7), A.RandomRotate90(p=0.7), A.CoarseDropout(p=1), A.GaussNoise(p=1)], n=2, p=1),
            A.Sequential([A.OneOf([A.Rotate(20, p=1), A.NoOp(p=1)], p=1)], p=0.9),
        ]
    )


PIPELINES: dict[str, Callable[[int], A.Compose]] = {
    "warp, Python's draws": augment.shift_rotate_flip,
    "alternating, row and epoch": augment.shift_alternating_flip,
    "colours, gauss draws": lambda size: augment.pca_colour_flip(size, sigma=3.0),
    "NumPy's draws": lambda size: A.Compose([A.RandomCrop(size, size), Noise(), A.GaussNoise(p=0.7)]),
    "nested": nested,
}


def batch_at(step, chosen=CHOSEN, pipeline=augment.shift_rotate_flip, seed=3, batch=8, size=16):
    return training_batch(PIXELS, chosen, Augmenter(pipeline(size), seed), batch, step)


@pytest.mark.parametrize("pipeline", [augment.centre, augment.flip, augment.shift_rotate_flip])
def test_a_batch_depends_on_seed_and_step_alone(pipeline):
    augmenter = Augmenter(pipeline(16), seed=3)
    forwards = [training_batch(PIXELS, CHOSEN, augmenter, 8, step) for step in range(7)]
    augmenter = Augmenter(pipeline(16), seed=3)
    for step in (6, 0, 3):
        images, targets = training_batch(PIXELS, CHOSEN, augmenter, 8, step)
        assert images.shape == (8, 16, 16, 3)
        assert images.dtype == np.uint8
        assert (images == forwards[step][0]).all()
        assert (targets == forwards[step][1]).all()
    assert (forwards[0][1] != batch_at(0, pipeline=pipeline, seed=4)[1]).any()


def test_an_epoch_shows_each_image_once():
    assert steps_per_epoch(25, 8) == 3
    assert steps_per_epoch(5, 8) == 1
    shown = [batch_at(step, pipeline=augment.centre)[1].argmax(1) for step in range(6)]
    seen = [np.concatenate(shown[:3]), np.concatenate(shown[3:])]
    for epoch in seen:
        assert len(set(epoch)) == 24
    assert (seen[0] != seen[1]).any()


def test_targets_stay_with_their_images():
    images, targets = batch_at(1, pipeline=augment.centre)
    for image, target in zip(images, targets, strict=True):
        assert (image == PIXELS[CHOSEN.rows[target.argmax()], 2:18, 2:18]).all()
    some = CHOSEN.rows[3:9]
    assert (centres(PIXELS, some, 16) == PIXELS[some, 2:18, 2:18]).all()


def images_of_epochs(pipeline, chosen=CHOSEN, seed=3, batch=8, epochs=2, threads=1):
    """(epoch, row) -> the augmented image, of all batches of the first epochs. Targets tell which row it is."""

    def maker():
        augmenter = Augmenter(pipeline(16), seed)
        return lambda step: training_batch(PIXELS, chosen, augmenter, batch, step)

    found = {}
    steps = steps_per_epoch(len(chosen.rows), batch)
    with Ahead([maker() for _ in range(threads)]) as at:
        for step in range(epochs * steps):
            for image, target in zip(*at(step), strict=True):
                found[step // steps, 2 * int(target.argmax())] = image.tobytes()
    return found


def differing(one, other):
    """The share of the images that both have which is not the same."""
    shared = one.keys() & other.keys()
    assert len(shared) >= 20
    return np.mean([one[key] != other[key] for key in shared])


@pytest.mark.parametrize("name", PIPELINES)
def test_one_seed_for_each_image(name):
    """The image of (seed, epoch, row) is the same in any batch, of any thread, of any shard; and another one in
    another epoch, for another seed and for another row."""
    pipeline = PIPELINES[name]
    whole = images_of_epochs(pipeline, batch=1)
    assert len(whole) == 50  # all rows of two epochs
    for batch in (3, 8, 32):
        assert differing(whole, images_of_epochs(pipeline, batch=batch)) == 0
    assert differing(whole, images_of_epochs(pipeline, batch=3, threads=3)) == 0
    shards = {}
    for start in (0, 1):
        shard = TrainingSet(CHOSEN.rows[start::2], CHOSEN.targets[start::2])
        shards |= images_of_epochs(pipeline, shard, batch=4)
    assert len(shards) == 48  # 12 of the 13 and all 12, in two epochs
    assert differing(whole, shards) == 0
    later = {(0, row): image for (epoch, row), image in whole.items() if epoch == 1}
    assert differing(whole, later) > 0.9
    if name != "alternating, row and epoch":
        assert differing(whole, images_of_epochs(pipeline, batch=1, seed=4)) > 0.9


def test_another_row_has_other_draws():
    """The same pixels in every row."""
    for name, pipeline in PIPELINES.items():
        augmenter = Augmenter(pipeline(16), seed=3)
        made = {augmenter(PIXELS[0], 0, row).tobytes() for row in range(20)}
        assert len(made) > 10, name
        again = {augmenter(PIXELS[0], 0, row).tobytes() for row in reversed(range(20))}
        assert made == again, name


def looks_uniform(values):
    """Mean, variance and histogram within five standard errors of those of the uniform distribution on 0 to 1."""
    count = len(values)
    assert values.min() >= 0
    assert values.max() < 1
    assert abs(values.mean() - 1 / 2) < 5 * (1 / 12 / count) ** 0.5
    assert abs(values.var() - 1 / 12) < 5 * (1 / 180 / count) ** 0.5
    expected = count / 20
    chi_squared = ((np.histogram(values, 20, (0, 1))[0] - expected) ** 2 / expected).sum()
    assert chi_squared < 19 + 5 * 38**0.5


def unrelated(one, other):
    assert abs(np.corrcoef(one, other)[0, 1]) < 5 / len(one) ** 0.5


def test_rows_epochs_and_seeds_draw_independently():
    """What is drawn first for an image: by Python's generator and by NumPy's."""

    class First(A.ImageOnlyTransform):
        def __init__(self):
            super().__init__(p=1)
            self.drawn = []

        def apply(self, img, **_):
            self.drawn.append((self.py_random.random(), self.random_generator.random()))
            return img

    def drawn(seed, epoch):
        pipeline = A.Compose([First()])
        augmenter = Augmenter(pipeline, seed)
        for row in range(2000):
            augmenter(np.zeros((2, 2, 1), np.uint8), epoch, row)
        return np.array(pipeline.transforms[0].drawn).T

    python, numpy = drawn(0, 0)
    for values in (python, numpy):
        looks_uniform(values)
        for apart in (1, 2, 64):
            unrelated(values[apart:], values[:-apart])
    unrelated(python, numpy)
    for other in (drawn(0, 1), drawn(1, 0)):
        for values, same in zip(other, (python, numpy), strict=True):
            unrelated(values, same)
            unrelated(values[1:], same[:-1])  # nor is one epoch, or seed, another one moved by a row
            unrelated(values[:-1], same[1:])


def test_quick_random_is_a_random_generator():
    quick = QuickRandom(7)
    values = np.array([quick.random() for _ in range(50_000)])
    looks_uniform(values)
    for apart in (1, 2, 3):
        unrelated(values[apart:], values[:-apart])
    assert [QuickRandom(7).random() for _ in range(2)] == [values[0]] * 2
    assert QuickRandom(8).random() != values[0]
    quick.seed(7)
    assert quick.random() == values[0]
    for bits in (1, 5, 32, 53, 64, 65, 128, 200):
        drawn = [quick.getrandbits(bits) for _ in range(600)]
        assert 0 <= min(drawn) <= max(drawn) < 2**bits
        for place in {0, bits // 2, bits - 1}:
            assert 230 < sum(number >> place & 1 for number in drawn) < 370
    assert quick.getrandbits(0) == 0
    counts = np.bincount([quick.randint(1, 6) for _ in range(6000)], minlength=7)
    assert counts[0] == 0
    assert (np.abs(counts[1:] - 1000) < 150).all()
    first = []
    for _ in range(2000):
        cards = list(range(5))
        quick.shuffle(cards)
        assert sorted(cards) == list(range(5))
        first.append(cards[0])
    assert (np.abs(np.bincount(first) - 400) < 90).all()
    assert set(quick.sample(range(10), 10)) == set(range(10))
    normal = np.array([quick.gauss(3, 2) for _ in range(5000)])
    assert normal.mean() == pytest.approx(3, abs=0.15)
    assert normal.std() == pytest.approx(2, abs=0.1)


def colours(tmp_path, kind, targets, folds):
    """A dataset of that many images, and their images, of which the third cannot be read."""
    classes = tuple(f"class {number}" for number in range(targets.shape[1]))
    competition = Competition(tmp_path, "made", "local", "", "folders", classes, kind)
    ids = np.array([f"{number}.png" for number in range(len(targets))])
    drawn = Folds(np.array(folds), "folds.csv", "", max(folds) + 1)
    dataset = Dataset(competition, ids, targets, drawn, np.array([], str), np.array([], str), tmp_path)
    return dataset, Images(PIXELS[: len(targets)], {2: "it is not an image"})


@pytest.mark.parametrize("kind", ["multiclass", "ordinal"])
def test_balanced_weights_are_those_of_scikit_learn(tmp_path, kind):
    numbers = np.array([0] * 20 + [1] * 7 + [2] * 3)
    targets = np.eye(3, dtype=np.float32)[np.random.default_rng(0).permutation(numbers)]
    dataset, images = colours(tmp_path, kind, targets, folds=[0, 1, 2] * 10)
    for fold in range(3):
        plain, balanced = (training_set(dataset, images, fold, each) for each in ("none", "balanced"))
        expected_rows = [row for row in range(30) if row % 3 != fold and row != 2]
        for chosen in (plain, balanced):
            assert chosen.rows.tolist() == expected_rows
            assert (chosen.targets == targets[expected_rows]).all()
        assert plain.weights is None
        assert balanced.weights.dtype == np.float32
        own = targets[expected_rows].argmax(axis=1)
        weights = compute_class_weight("balanced", classes=np.arange(3), y=own)
        assert np.allclose(balanced.weights, weights[own])
        assert balanced.weights.mean() == pytest.approx(1)
        assert validation_rows(dataset, images, fold).tolist() == [row for row in range(fold, 30, 3) if row != 2]


def test_a_class_without_training_images_weighs_nothing(tmp_path):
    targets = np.eye(3, dtype=np.float32)[[0, 0, 0, 0, 1, 1, 1, 2]]
    dataset, images = colours(tmp_path, "multiclass", targets, folds=[0, 1] * 3 + [1, 0])
    chosen = training_set(dataset, images, 0, "balanced")
    assert chosen.targets.sum(axis=0).tolist() == [2, 2, 0]
    assert np.isfinite(chosen.weights).all()


def test_weights_reach_the_batches():
    """Each stays with its image, whoever makes the batch, also where mixup blends it with another."""
    weighted = TrainingSet(CHOSEN.rows, CHOSEN.targets, np.arange(1, 26, dtype=np.float32))
    augmenter = Augmenter(augment.centre(20), seed=3)
    for step in (0, 2, 4):
        images, targets, weights = training_batch(PIXELS, weighted, augmenter, 8, step)
        assert weights.dtype == np.float32
        assert (weights == targets.argmax(axis=1) + 1).all()
        for part, other in zip((images, targets), training_batch(PIXELS, CHOSEN, augmenter, 8, step), strict=True):
            assert (part == other).all()
        for pixels in (PIXELS, None):
            found = plain_batch(pixels, weighted, 8, 3, step)
            assert (found[1] == targets).all()
            assert (found[2] == weights).all()
            assert len(plain_batch(pixels, CHOSEN, 8, 3, step)) == 2
        _, mixed, blended = training_batch(PIXELS, weighted, augmenter, 8, step, Mixing(mixup=0.5))
        assert np.allclose(blended, mixed @ weighted.weights, rtol=1e-5)
        assert not np.allclose(blended, weights)


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_prepared_ahead_are_the_same(threads):
    """In order, begun in the middle, and asked for twice or backwards."""

    def maker():
        augmenter = Augmenter(augment.shift_rotate_flip(16), seed=3)
        return lambda step: training_batch(PIXELS, CHOSEN, augmenter, 8, step)

    direct = [maker()(step) for step in range(12)]
    with Ahead([maker() for _ in range(threads)]) as at:
        for step in (*range(9), 4, 5, 5, 2, 11):
            for part, expected in zip(at(step), direct[step], strict=True):
                assert (part == expected).all()


def test_what_fails_while_prepared_ahead_is_raised():
    def broken(step):
        raise ValueError(f"no batch {step}")

    before = threading.active_count()
    with Ahead([broken]) as at, pytest.raises(ValueError, match="no batch 3"):
        at(3)
    assert threading.active_count() == before


def test_batches_stay_what_they_are():
    """A run that goes on, or is made again, sees the very same images as with the version before."""
    pipeline = A.Compose([A.RandomCrop(16, 16), A.HorizontalFlip(p=0.5), A.RandomRotate90(p=0.5)])
    augmenter, digest = Augmenter(pipeline, seed=3), hashlib.sha256()
    for step in (0, 1, 5):
        for part in training_batch(PIXELS, CHOSEN, augmenter, 8, step):
            digest.update(part.tobytes())
    assert digest.hexdigest() == "5f18db63252b8deec65fe0f7f368b74d845cf571d221ed32cd3b2d61430b6901"


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from Linux' /proc")
def test_what_was_read_from_the_cache_does_not_stay_in_memory(tmp_path):
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    shape = (10_000, 96, 96, 3)  # 264 MiB
    written = np.lib.format.open_memmap(tmp_path / "pixels.npy", "w+", np.uint8, shape)
    written[:] = 7
    del written
    pixels, rows = np.load(tmp_path / "pixels.npy", mmap_mode="r"), np.arange(10_000)
    chosen, augmenter = TrainingSet(rows, np.zeros((10_000, 1), np.float32)), Augmenter(augment.centre(96), seed=0)
    before, most = resident(), 0
    for step in range(1250):
        batch, _ = training_batch(pixels, chosen, augmenter, 8, step)
        assert (batch == 7).all()
        most = max(most, resident())
    for start in range(0, 10_000, 100):
        assert (centres(pixels, rows[start : start + 100], 90) == 7).all()
        most = max(most, resident())
    assert most - before < 132 * 2**20


def test_keras_sees_every_step_once_and_in_order(keras):
    """A plain generator fails here: from its second epoch on Keras gives its first two batches again."""
    from kaggle_cnn.learn.feed import feed

    def numbered(step):
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
    model.fit(feed(numbered, 10), steps_per_epoch=4, epochs=3, shuffle=False, verbose=0, callbacks=[Seen()])
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


def test_a_generator_that_waits_can_be_copied_and_pickled():
    waiting = LateGenerator()
    waiting.wanted = 7
    others = [copy.deepcopy(waiting), pickle.loads(pickle.dumps(waiting))]
    drawn = waiting.integers(0, 1000, 5).tolist()
    assert [other.integers(0, 1000, 5).tolist() for other in others] == [drawn, drawn]
