"""Augmentation that papers name: what comes out is what they say, and never mirrored where that is off."""

import inspect

import numpy as np
import pytest

from kaggle_cnn import augment
from kaggle_cnn.data import mixing
from kaggle_cnn.data.batches import Augmenter, Mixing, training_batch
from kaggle_cnn.data.training_set import TrainingSet

MIRRORING = [
    name
    for name, function in vars(augment).items()
    if inspect.isfunction(function) and {"size", "mirror"} <= set(inspect.signature(function).parameters)
]


def test_every_augmentation_but_the_centre_may_mirror():
    assert set(MIRRORING) == {
        "flip", "shift_rotate_flip", "pca_colour_flip", "flip_brightness_contrast", "shift_flip_cutout",
        "shift_alternating_flip",
    }  # fmt: skip


def two_halves(side):
    """Dark on the left, light on the right; within each of the halves all alike, so that a rotation keeps them so."""
    image = np.full((side, side, 3), 90, np.uint8)
    image[:, side // 2 :] = 165
    return image


def count_sides(images):
    """How many images are light on the right, and how many on the left; one whose halves are alike is neither."""
    middle = images.shape[2] // 2
    left, right = images[:, :, :middle].mean(axis=(1, 2, 3)), images[:, :, -middle:].mean(axis=(1, 2, 3))
    return int((right > left + 1).sum()), int((left > right + 1).sum())


@pytest.mark.parametrize("side", [24, 28])
@pytest.mark.parametrize("name", MIRRORING)
def test_mirror_is_obeyed(name, side):
    def draws(mirror):
        augmented = Augmenter(getattr(augment, name)(24, mirror=mirror), seed=0)
        return np.stack([augmented(two_halves(side), epoch, row) for epoch in range(4) for row in range(50)])

    upright, mirrored = count_sides(draws(mirror=False))
    assert mirrored == 0
    assert upright > 180
    upright, mirrored = count_sides(draws(mirror=True))
    assert 60 < mirrored < 140
    assert upright + mirrored > 180


def test_mirror_is_obeyed_on_the_device(keras):
    from kaggle_cnn.layers import AugmentOnDevice

    images = np.stack([two_halves(28)] * 200)
    settings = {"shift": 2, "cutout": 6, "brightness": 0.2, "contrast": 0.5, "seed": 3}

    def sides(mirror):
        layer = AugmentOnDevice(24, mirror=mirror, **settings)
        return count_sides(keras.ops.convert_to_numpy(layer(images)))

    upright, mirrored = sides(mirror=False)
    assert (upright, mirrored) == (200, 0)
    upright, mirrored = sides(mirror=True)
    assert 60 < mirrored < 140
    assert upright + mirrored == 200


def test_a_recipes_mirror_reaches_its_augmentation(keras):
    """As training makes its pipeline; `seed` and `images` reach it the same way, and nothing that it does not take."""
    from kaggle_cnn import Recipe
    from kaggle_cnn.learn.fit import make_pipeline

    was_given = []

    def given(size, images=None, mirror=True, seed=0):
        was_given.append((size, images, mirror, seed))
        return augment.centre(size)

    def plain(size):
        was_given.append(size)
        return augment.centre(size)

    def model(shape, outputs):
        return None

    recipe = Recipe(model=model, augment=given, size=24, mirror=False, seed=5)
    make_pipeline(recipe, "images")
    make_pipeline(Recipe(model=model, augment=plain, size=8, mirror=False), None)
    assert was_given == [(24, "images", False, 5), 8]
    centre = make_pipeline(Recipe(model=model, size=8), None)
    image = np.random.default_rng(0).integers(0, 255, (12, 12, 3), dtype=np.uint8)
    assert (centre(image=image)["image"] == image[2:10, 2:10]).all()


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(40, 200, (6, 12, 12, 3), dtype=np.uint8)


def test_an_alternating_flip_shows_both_sides_in_two_epochs(pictures):
    pipeline = augment.shift_alternating_flip(12, pad=0)
    mirrored = np.zeros((200, 4), bool)
    for row in range(200):
        for epoch in range(4):
            given = pipeline(image=pictures[0], row=row, epoch=epoch)["image"]
            mirrored[row, epoch] = (given == pictures[0][:, ::-1]).all()
            assert mirrored[row, epoch] or (given == pictures[0]).all()
    assert (mirrored[:, 0] != mirrored[:, 1]).all()
    assert (mirrored[:, ::2] == mirrored[:, :1]).all()
    assert 70 < mirrored[:, 0].sum() < 130
    assert 50 < (mirrored[1:, 0] != mirrored[:-1, 0]).sum() < 150  # not one after the other


def test_it_knows_row_and_epoch_in_training(pictures):
    augmenter = Augmenter(augment.shift_alternating_flip(12, pad=0), seed=0)
    chosen = TrainingSet(np.arange(6), np.eye(6, dtype=np.float32))
    seen = [training_batch(pictures, chosen, augmenter, 6, step) for step in (0, 1)]
    for number in range(6):
        sides = [images[wanted.argmax(axis=1).tolist().index(number)] for images, wanted in seen]
        assert (sides[0] == sides[1][:, ::-1]).all()


def test_a_shift_goes_over_the_reflected_edge(pictures):
    pipeline = augment.shift_alternating_flip(12, pad=2)
    pipeline.set_random_seed(0)
    around = np.pad(pictures[1], ((2, 2), (2, 2), (0, 0)), mode="reflect")
    places = set()
    for row in range(150):
        given = pipeline(image=pictures[1], row=row, epoch=0)["image"]
        for top in range(5):
            for left in range(5):
                cut = around[top : top + 12, left : left + 12]
                if (given == cut).all() or (given == cut[:, ::-1]).all():
                    places.add((top, left))
    assert len(places) == 25


def test_pca_colour_follows_the_training_images(pictures):
    """All colours on one line: what is added lies on it too, with the deviation that the paper gives."""
    line = np.array([3.0, 2.0, 1.0]) / np.sqrt(14)
    along = np.random.default_rng(0).normal(0, 20, (50, 8, 8, 1))
    images = np.rint(128 + along * line).clip(0, 255).astype(np.uint8)
    variances, directions = augment.find_principal_colours(images)
    assert variances[-1] == pytest.approx((20 / 255) ** 2, rel=0.1)
    assert abs(directions[:, -1] @ line) == pytest.approx(1, abs=1e-3)
    pipeline = augment.pca_colour_flip(8, images, sigma=10.0)
    pipeline.set_random_seed(0)
    flat = np.full((8, 8, 3), 128, np.uint8)
    more = np.array([pipeline(image=flat)["image"][0, 0].astype(float) - 128 for _ in range(400)])
    assert (more @ line).std() == pytest.approx(10 * 255 * variances[-1], rel=0.15)
    assert np.abs(more - np.outer(more @ line, line)).max() <= 1.0  # but for rounding


def test_pca_colour_without_images_and_in_grey(pictures):
    given = augment.pca_colour_flip(8)(image=pictures[0])["image"]
    assert given.shape == (8, 8, 3)
    assert given.dtype == np.uint8
    grey = pictures[..., :1]
    assert augment.pca_colour_flip(8, grey)(image=grey[0])["image"].shape == (8, 8, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["shift_flip_cutout", "flip_brightness_contrast"])
def test_named_pipelines_keep_shape_and_kind(pictures, name, channels):
    pipeline = getattr(augment, name)(10)
    given = [pipeline(image=picture[..., :channels])["image"] for picture in pictures]
    assert {image.shape for image in given} == {(10, 10, channels)}
    assert {image.dtype for image in given} == {np.dtype(np.uint8)}


def test_cutout_cuts_a_square(pictures):
    given = augment.shift_flip_cutout(12, pad=0, cutout=4)(image=pictures[0])["image"]
    assert (given == 0).all(axis=-1).sum() == 16
    assert (augment.shift_flip_cutout(12, pad=0, cutout=0)(image=pictures[0])["image"] > 0).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_mixup_is_the_same_mixture_of_images_targets_and_weights(pictures, channels):
    pictures, targets = pictures[..., :channels], np.eye(6, dtype=np.float32)
    weights = np.array([0.5, 1, 2, 4, 8, 16], np.float32)
    mixed, wanted, weighed = mixing.mix_up(pictures, targets, weights, np.random.default_rng(0), 0.8)
    assert mixed.dtype == np.uint8
    assert mixed.shape == pictures.shape
    assert wanted.dtype == weighed.dtype == np.float32
    assert np.allclose(wanted.sum(axis=1), 1)
    assert (wanted.max(axis=1) < 0.999).any()
    assert np.abs(mixed - np.einsum("nk,khwc->nhwc", wanted, pictures.astype(float))).max() <= 0.5001
    assert np.allclose(weighed, wanted @ weights, rtol=1e-5)
    assert not np.allclose(weighed, weights)


def test_cutmix_pastes_what_target_and_weight_say(pictures):
    many = np.concatenate([pictures] * 10)
    flat = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None, None], many.shape)
    weights = np.arange(1, 61, dtype=np.float32)
    eye = np.eye(60, dtype=np.float32)
    mixed, wanted, weighed = mixing.cut_and_mix(flat, eye, weights, np.random.default_rng(0), 1.0)
    for number, (image, target) in enumerate(zip(mixed, wanted, strict=True)):
        values, counts = np.unique(image[..., 0], return_counts=True)
        assert number in values or counts[0] == 144
        assert np.allclose(target[values], counts / 144, atol=1e-6)
        assert target.sum() == pytest.approx(1)
    assert 0.3 < wanted[np.arange(60), np.arange(60)].mean() < 0.85
    assert np.allclose(weighed, wanted @ weights, rtol=1e-5)


@pytest.mark.parametrize("settings", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_mixed_batches_depend_on_seed_and_step_alone(pictures, settings):
    chosen = TrainingSet(np.arange(6), np.eye(6, dtype=np.float32), np.arange(1, 7, dtype=np.float32))

    def batch(step, seed=0):
        return training_batch(pictures, chosen, Augmenter(augment.flip(10), seed), 3, step, Mixing(**settings))

    first = [batch(step) for step in range(8)]
    for step in (7, 2, 0):
        for one, two in zip(batch(step), first[step], strict=True):
            assert (one == two).all()
    assert any((wanted.max(axis=1) < 1).any() for _, wanted, _ in first)
    for _, wanted, weights in first:
        assert np.allclose(weights, wanted @ chosen.weights, rtol=1e-5)
    assert any((one[1] != batch(step, seed=1)[1]).any() for step, one in enumerate(first))


def test_either_mixup_or_cutmix_where_both_are_set(pictures):
    """Of flat images mixup leaves one colour in each, cutmix leaves only colours that were there."""
    flat = np.broadcast_to(np.arange(0, 240, 40, dtype=np.uint8)[:, None, None, None], pictures.shape)
    chosen, augmenter = TrainingSet(np.arange(6), np.eye(6, dtype=np.float32)), Augmenter(augment.centre(12), seed=0)
    kinds = {"mixup": 0, "cutmix": 0, "neither": 0}
    for step in range(40):
        images, _ = training_batch(flat, chosen, augmenter, 6, step, Mixing(0.4, 1.0))
        one_colour = all(len(np.unique(image)) == 1 for image in images)
        old_colours = set(np.unique(images)) <= set(range(0, 240, 40))
        assert one_colour or old_colours
        kinds["neither" if one_colour and old_colours else "mixup" if one_colour else "cutmix"] += 1
    assert kinds["mixup"] > 10
    assert kinds["cutmix"] > 10
