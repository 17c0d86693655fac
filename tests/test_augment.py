"""Augmentation that papers name: what comes out is what they say."""

import numpy as np
import pytest

from kaggle_cnn.data import augment


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


def test_it_knows_row_and_epoch_in_training(keras, pictures):
    from kaggle_cnn.data.batches import training_batch

    pipeline = augment.shift_alternating_flip(12, pad=0)
    rows, targets = np.arange(6), np.eye(6, dtype=np.float32)
    seen = [training_batch(pictures, rows, targets, pipeline, 6, 0, step) for step in (0, 1)]
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
    variances, directions = augment.principal_colours(images)
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


def test_mixup_is_the_same_mixture_of_images_and_targets(pictures):
    targets = np.eye(6, dtype=np.float32)
    mixed, wanted = augment.mix_up(pictures, targets, np.random.default_rng(0), 0.8)
    assert mixed.dtype == np.uint8
    assert np.allclose(wanted.sum(axis=1), 1)
    assert (wanted.max(axis=1) < 0.999).any()
    assert np.abs(mixed - np.einsum("nk,khwc->nhwc", wanted, pictures.astype(float))).max() <= 0.5001


def test_cutmix_pastes_what_the_target_says(pictures):
    many = np.concatenate([pictures] * 10)
    flat = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None, None], many.shape)
    mixed, wanted = augment.cut_and_mix(flat, np.eye(60, dtype=np.float32), np.random.default_rng(0), 1.0)
    for number, (image, target) in enumerate(zip(mixed, wanted, strict=True)):
        values, counts = np.unique(image[..., 0], return_counts=True)
        assert number in values or counts[0] == 144
        assert np.allclose(target[values], counts / 144, atol=1e-6)
        assert target.sum() == pytest.approx(1)
    assert 0.3 < wanted[np.arange(60), np.arange(60)].mean() < 0.85


@pytest.mark.parametrize("settings", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_mixed_batches_depend_on_seed_and_step_alone(keras, pictures, settings):
    from kaggle_cnn.data.batches import training_batch

    rows, targets = np.arange(6), np.eye(6, dtype=np.float32)

    def batch(step, seed=0):
        return training_batch(pictures, rows, targets, augment.flip(10), 3, seed, step, **settings)

    first = [batch(step) for step in range(8)]
    for step in (7, 2, 0):
        for one, two in zip(batch(step), first[step], strict=True):
            assert (one == two).all()
    assert any((wanted.max(axis=1) < 1).any() for _, wanted in first)
    assert any((one[1] != batch(step, seed=1)[1]).any() for step, one in enumerate(first))
