"""Views and TTA policies: each view is the part of the image that its name says, each policy the mean it should be."""

import numpy as np
import pytest

from kaggle_cnn import tta
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.recipe import Recipe, apply_settings

# Policy -> view -> weight, worked out by hand: Krizhevsky et al. 2012, section 4.1; Jordan 2024, section 3.4.
WEIGHTS = {
    "none": {"centre": 1},
    "flip": {"centre": 1 / 2, "centre-mirrored": 1 / 2},
    "shift": {
        "centre": 1 / 4, "centre-mirrored": 1 / 4,
        "shifted-up-left": 1 / 8, "shifted-up-left-mirrored": 1 / 8,
        "shifted-down-right": 1 / 8, "shifted-down-right-mirrored": 1 / 8,
    },
    "shift-unmirrored": {"centre": 1 / 2, "shifted-up-left": 1 / 4, "shifted-down-right": 1 / 4},
    "five-crop": {"centre": 1 / 5, "top-left": 1 / 5, "top-right": 1 / 5, "bottom-left": 1 / 5, "bottom-right": 1 / 5},
    "ten-crop": {
        "centre": 1 / 10, "centre-mirrored": 1 / 10, "top-left": 1 / 10, "top-left-mirrored": 1 / 10,
        "top-right": 1 / 10, "top-right-mirrored": 1 / 10, "bottom-left": 1 / 10, "bottom-left-mirrored": 1 / 10,
        "bottom-right": 1 / 10, "bottom-right-mirrored": 1 / 10,
    },
}  # fmt: skip


def cut_by_hand(pixels, size):
    """View -> images, with NumPy alone."""
    margin = pixels.shape[1] - size
    middle = margin // 2
    corners = {
        "centre": (middle, middle), "top-left": (0, 0), "top-right": (0, margin), "bottom-left": (margin, 0),
        "bottom-right": (margin, margin),
    }  # fmt: skip
    cut = {name: pixels[:, top : top + size, left : left + size] for name, (top, left) in corners.items()}
    around = np.pad(pixels, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    for name, by in (("shifted-up-left", -1), ("shifted-down-right", 1)):
        start = 2 + middle + by
        cut[name] = around[:, start : start + size, start : start + size]
    return cut | {f"{name}-mirrored": images[:, :, ::-1] for name, images in cut.items()}


def noise(count, side, channels=2):
    return np.random.default_rng(0).integers(0, 255, (count, side, side, channels), dtype=np.uint8)


@pytest.fixture
def model(keras):
    """Not symmetric in any way, so that a view cut wrongly gives other logits."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.Dense(4)(x))


@pytest.mark.parametrize(("margin", "different"), [(0, 6), (1, 10), (3, 12), (4, 14)])  # in 1 the centre is a corner
def test_each_view_is_the_one_cut_by_hand(margin, different):
    pixels = noise(5, 6 + margin)
    expected = cut_by_hand(pixels, 6)
    assert set(tta.VIEWS) == set(expected)
    for name, images in expected.items():
        cut = tta.cut_view(pixels, name, 6)
        assert cut.shape == (5, 6, 6, 2)
        assert cut.dtype == np.uint8
        assert (cut == images).all(), name
    assert len({images.tobytes() for images in expected.values()}) == different


@pytest.mark.parametrize("margin", [0, 1, 3])
def test_logits_are_those_of_the_views(model, margin):
    """In the order that is asked for; more images than one batch, in no order, the last batch not full."""
    from kaggle_cnn.learn.predict import predict_views

    pixels = noise(300, 6 + margin)
    rows = np.arange(299, 9, -1)
    views = tuple(reversed(tta.VIEWS))
    logits = predict_views(model, pixels, rows, views, 6)
    assert logits.shape == (290, 14, 4)
    assert logits.dtype == np.float32
    cut = cut_by_hand(pixels[rows], 6)
    for number, name in enumerate(views):
        assert np.allclose(logits[:, number], model(cut[name]), atol=1e-5), name
    assert predict_views(model, pixels, rows[:0], ("centre",), 6).shape == (0, 1, 4)


def test_the_policies_are_these():
    assert {name: dict(policy) for name, policy in tta.POLICIES.items()} == {
        name: pytest.approx(weights) for name, weights in WEIGHTS.items()
    }
    for policy in tta.POLICIES.values():
        assert sum(weight for _, weight in policy) == pytest.approx(1)


def test_a_policy_is_the_weighted_mean_of_logits():
    """Of views in any order, among others that it does not name."""
    views = tuple(np.random.default_rng(1).permutation(list(tta.VIEWS)))
    logits = np.random.default_rng(0).normal(0, 3, (20, len(views), 4)).astype(np.float32)
    of = {name: logits[:, number].astype(float) for number, name in enumerate(views)}

    def both(name):
        return (of[name] + of[f"{name}-mirrored"]) / 2

    corners = ("top-left", "top-right", "bottom-left", "bottom-right")
    expected = {
        "none": of["centre"],
        "flip": both("centre"),
        "shift": 0.5 * both("centre") + 0.5 * (both("shifted-up-left") + both("shifted-down-right")) / 2,
        "shift-unmirrored": 0.5 * of["centre"] + 0.5 * (of["shifted-up-left"] + of["shifted-down-right"]) / 2,
        "five-crop": (of["centre"] + sum(of[name] for name in corners)) / 5,
        "ten-crop": (both("centre") + sum(both(name) for name in corners)) / 5,
    }
    assert set(expected) == set(tta.POLICIES)
    for name, values in expected.items():
        given = tta.average(logits, views, name)
        assert given.dtype == np.float32
        assert np.allclose(given, values, atol=1e-5), name


def test_which_views_policies_need():
    assert tta.views_of("none") == ("centre",)
    assert tta.views_of("none", "flip", "flip") == ("centre", "centre-mirrored")
    assert set(tta.views_of("shift")) == set(WEIGHTS["shift"])
    assert tta.policies_from(("centre", "centre-mirrored")) == ["none", "flip"]
    assert tta.policies_from(("centre-mirrored",)) == []
    assert tta.policies_from(tta.views_of("ten-crop")) == ["none", "flip", "five-crop", "ten-crop"]
    assert tta.policies_from(tuple(tta.VIEWS)) == list(tta.POLICIES)


def recipe_of(**settings):
    return Recipe(model=lambda shape, outputs: None, **settings)


@pytest.mark.parametrize("margin", [0, 1])
@pytest.mark.parametrize("policy", ["five-crop", "ten-crop"])
def test_crops_without_a_margin_are_refused(policy, margin):
    for make in (
        lambda: tta.require_policy(policy, margin),
        lambda: recipe_of(tta=policy, margin=margin),
        lambda: apply_settings(recipe_of(tta=policy, margin=8), {"margin": str(margin)}),
    ):
        with pytest.raises(KcnnError) as caught:
            make()
        assert caught.value.message == f"tta={policy} needs a margin of at least 2 pixels, and it is {margin}"
        assert "--set margin=8" in caught.value.hint
    assert recipe_of(tta=policy, margin=2).policy == policy


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_without_mirror_no_view_is_mirrored(name):
    recipe = recipe_of(tta=name, margin=8)
    assert recipe.policy == name
    unmirrored = apply_settings(recipe, {"mirror": "false"})
    views = tta.views_of(unmirrored.policy)
    assert not any("mirrored" in view for view in views)
    assert set(views) == {view.removesuffix("-mirrored") for view in WEIGHTS[name]}  # the same crops
    assert not any(tta.VIEWS[view].mirrored for view in views)


def pooled(keras, side):
    """A network that takes any size, with weights of its own."""
    inputs = keras.Input((side, side, 3), dtype="uint8")
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(x))
    return keras.Model(inputs, keras.layers.Dense(5)(x))


def test_a_larger_crop_is_the_same_network_over_more_of_the_image(keras):
    from kaggle_cnn.learn.predict import predict_views, resize_input

    small, large = pooled(keras, 8), pooled(keras, 12)
    large.set_weights(small.get_weights())
    pixels = noise(9, 12, 3)
    resized = resize_input(small, 12)
    assert resized.input_shape == (None, 12, 12, 3)
    assert resize_input(small, 8) is small
    whole, mirrored = np.asarray(large(pixels)), np.asarray(large(pixels[:, :, ::-1]))
    assert np.abs(whole - mirrored).max() > 1e-4
    views = tta.views_of("ten-crop")
    logits = predict_views(resized, pixels, np.arange(9), views, 12)
    for number, view in enumerate(views):  # the whole image has no corners to go to
        assert np.allclose(logits[:, number], mirrored if "mirrored" in view else whole, atol=1e-6), view


@pytest.mark.usefixtures("eager")
def test_a_crop_beyond_the_kept_image_is_refused(train_tiny, tiny_workspace):
    from conftest import Recorder, dataset_in

    from kaggle_cnn.learn.predict import complete_predictions

    run, dataset = train_tiny(epochs=1), dataset_in(tiny_workspace)
    whole = complete_predictions(run, dataset, "oof", ("centre",), 20, Recorder())
    assert (whole.crop, whole.views) == (20, ("centre",))
    assert not np.allclose(whole.logits, complete_predictions(run, dataset, "oof", ("centre",), 16, Recorder()).logits)
    with pytest.raises(KcnnError, match=r"--crop should be at most 20, the size of the kept images, got 21"):
        complete_predictions(run, dataset, "oof", ("centre",), 21, Recorder())


def test_a_network_of_one_size_says_so(model):
    from kaggle_cnn.learn.predict import resize_input

    with pytest.raises(KcnnError, match="takes 6x6 pixels only, not 8x8") as caught:
        resize_input(model, 8)
    assert "--crop" in caught.value.hint


def test_the_batch_fits_the_memory(keras):
    from kaggle_cnn.learn.predict import batch_size

    def network(side, width):
        inputs = keras.Input((side, side, 3), dtype="uint8")
        x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(width, 1)(keras.layers.Rescaling(1.0)(inputs)))
        return keras.Model(inputs, x)

    assert batch_size(network(8, 4)) == 256
    assert batch_size(network(64, 32)) == 64  # 0.5 MiB an image
    assert batch_size(network(512, 64)) == 1  # 64 MiB
    shared = network(64, 32)
    inputs = keras.Input((64, 64, 3), dtype="uint8")
    keras.Model(inputs, shared(keras.ops.flip(inputs, axis=2)))
    assert batch_size(shared) == 64
