"""The recipes that come with kcnn: as published, and fit for work on every backend."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import QUICK_XLA, REPOSITORY, environment
from recipe_trial import build, load, task_of, trial

from kaggle_cnn import KcnnError, Recipe
from kaggle_cnn.recipe import apply_settings, list_settings, list_shipped_recipes, load_recipe, read_outline

NAMES = [path.stem for path in list_shipped_recipes()]


def test_all_are_there_and_say_what_they_are(keras):
    assert {
        "baseline", "emotion_dnn", "emotion", "cifar10_tutorial", "alexnet", "vgg", "all_conv", "conv5", "maxnorm",
        "mlp", "lenet", "resnet", "sprint", "pretrained",
    } <= set(NAMES)  # fmt: skip
    for path in list_shipped_recipes():
        first_line, settings = read_outline(path)
        assert first_line.endswith(".")
        assert len(first_line) <= 120
        assert settings["size"]
        assert set(settings) <= set(list_settings(load_recipe(path))), path
        assert f"kcnn train recipes/{path.name}" in path.read_text(encoding="utf-8")


# Published, or worked out by hand from the layers; a recipe that drifts from its description shows here.
@pytest.mark.parametrize(
    ("name", "shape", "outputs", "parameters", "settings"),
    [
        ("baseline", (64, 64, 3), 18, 3_281_714, {}),
        ("baseline", (28, 28, 1), 10, 477_418, {}),
        ("vgg", (64, 64, 3), 18, 1_179_762, {}),
        ("vgg", (28, 28, 1), 10, 1_177_130, {}),
        ("vgg", (224, 224, 3), 1000, 138_357_544, {"depth": 16}),  # Simonyan & Zisserman 2014, table 2: 138 M, 144 M
        ("vgg", (224, 224, 3), 1000, 143_667_240, {"depth": 19}),
        ("alexnet", (227, 227, 3), 1000, 60_965_224, {"dense": 4096}),
        ("lenet", (28, 28, 1), 10, 60_000, {}),  # LeCun et al. 1998, section II.B
        ("lenet", (32, 32, 1), 10, 60_000, {}),
        ("all_conv", (32, 32, 3), 10, 1_369_738, {}),
        ("mlp", (28, 28, 1), 10, 266_610, {}),
        ("conv5", (32, 32, 3), 10, 148_298, {}),
        ("maxnorm", (32, 32, 3), 10, 4_210_090, {}),
        ("cifar10_tutorial", (24, 24, 3), 10, 1_068_298, {}),
        ("sprint", (32, 32, 3), 10, 1_973_951, {}),
    ],
)
def test_parameters(keras, name, shape, outputs, parameters, settings):
    recipe = apply_settings(load(name), settings)
    with keras.StatelessScope(initialize_variables=False):  # 138 million numbers need not be drawn
        assert recipe.model(shape, outputs).count_params() == parameters


@pytest.mark.parametrize("name", NAMES)
def test_builds_for_grey_colour_and_its_own_size(keras, name):
    recipe = load(name)
    for shape, outputs in [((48, 48, 1), 7), ((32, 32, 3), 10), ((recipe.size, recipe.size, 3), 18)]:
        network = build(recipe, shape, outputs)
        for model in (network.raw, network.whole, network.predicting):
            assert model.input_shape == (None, *shape)
            assert model.input.dtype == "uint8"
            assert model.output_shape == (None, outputs)
            assert model.output.dtype == "float32"
        assert network.raw.layers[-1].activation is keras.activations.linear
        assert network.whole.layers[-1].activation is keras.activations.softmax


@pytest.mark.parametrize("shape", [(32, 32, 3), (48, 48, 1)], ids=["colour", "grey"])
@pytest.mark.parametrize("name", NAMES)
def test_trains_saves_loads_and_predicts(keras, name, shape):
    trial(name, shape, 10 if shape[2] == 3 else 7, eager=True)


OTHER_KINDS = ["multilabel", "multioutput", "ordinal", "ordinal by cumulative", "ordinal by regression", "regression"]


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_serves_other_kinds_of_task(keras, kind):
    """All recipes by `python tests/recipe_trial.py tensorflow float32 NAME...`."""
    trial("lenet", (32, 32, 3), 4, kind, eager=True)


@pytest.mark.parametrize("name", ["resnet", "vgg"])
def test_others_serve_a_regression(keras, name):
    trial(name, (32, 32, 3), 3, "regression", eager=True)


def test_a_regression_is_trained_on_standardised_values_and_predicts_them_in_their_units(keras):
    from kaggle_cnn.learn.model import build_network, encode_targets, make_loss

    task, draw = task_of("regression", 2), np.random.default_rng(0)
    targets = np.stack([draw.normal(300, 40, 50), draw.normal(-2, 0.1, 50)], axis=1).astype(np.float32)
    network = build_network(ending_in(keras, lambda x: x), 3, task, targets=targets)
    images = draw.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    logits = np.asarray(network.raw(images))
    for model in (network.whole, network.predicting):
        assert np.allclose(model(images), logits * targets.std(axis=0) + targets.mean(axis=0), rtol=1e-4)
    recipe = ending_in(keras, lambda x: x)
    scaled = encode_targets(recipe, task, targets, targets)
    assert np.allclose(scaled.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(scaled.std(axis=0), 1, atol=1e-4)
    assert scaled.dtype == np.float32
    assert float(make_loss(recipe, task)(scaled, 0 * scaled)) == pytest.approx(1, abs=1e-3)
    alike = np.full((5, 2), 7, np.float32)  # a value that does not vary is not divided by 0
    assert (encode_targets(recipe, task, alike, alike) == 0).all()
    for kind in ("multiclass", "ordinal", "multilabel"):
        labels = np.eye(2, dtype=np.float32)
        assert encode_targets(recipe, task_of(kind, 2), labels, labels) is labels


def test_grades_become_what_is_trained_and_back(keras):
    """Cumulative: an output for each "the grade is above k". Regression: one standardised number, whose expected grade
    is the number again, and whose logits' mean is that of the mean number."""
    from kaggle_cnn.learn.model import GradesOfThresholds, GradesOfValue, encode_targets

    recipe, task = ending_in(keras, lambda x: x), task_of("ordinal", 4)
    marks = np.eye(4, dtype=np.float32)[[0, 1, 3, 2]]
    above = encode_targets(replace(recipe, ordinal="cumulative"), task, marks, marks)
    assert above.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 1], [1, 1, 0]]
    standard = encode_targets(replace(recipe, ordinal="regression"), task, marks, marks)
    assert np.allclose(standard[:, 0], (np.array([0, 1, 3, 2]) - 1.5) / np.std([0, 1, 2, 3]))

    sure = task.activate(np.asarray(GradesOfThresholds()(20 * (above - 0.5))))
    assert sure.argmax(axis=1).tolist() == [0, 1, 3, 2]
    assert np.allclose(sure.sum(axis=1), 1)
    chances = task.activate(np.asarray(GradesOfThresholds()(np.array([[2.0, 0.0, -1.0]], np.float32))))[0]
    edges = 1 / (1 + np.exp([-2.0, 0.0, 1.0]))
    assert np.allclose(chances, [1 - edges[0], edges[0] - edges[1], edges[1] - edges[2], edges[2]], atol=1e-6)

    value = GradesOfValue(4, 1.5, 0.5)
    logits = np.asarray(value(np.array([[-1.0], [1.0], [0.0]], np.float32)))  # grades 1, 2 and their mean, 1.5
    shares = task.activate(logits)
    assert shares.argmax(axis=1)[:2].tolist() == [1, 2]
    assert shares[2, 1] == pytest.approx(shares[2, 2])
    assert np.allclose(task.activate(logits[:2].mean(axis=0)), shares[2], atol=1e-6)


@pytest.mark.parametrize(("kind", "loss"), [("multiclass", "huber"), ("regression", "focal"), ("multilabel", "huber")])
def test_a_loss_that_does_not_fit_is_refused(keras, kind, loss):
    from kaggle_cnn.learn.model import make_loss

    with pytest.raises(KcnnError, match=f"loss should be auto or one of .* for this task, got '{loss}'"):
        make_loss(replace(ending_in(keras, lambda x: x), loss=loss), task_of(kind, 2))


def test_ordinal_is_for_grades(keras):
    from kaggle_cnn.learn.model import make_loss

    with pytest.raises(KcnnError, match="ordinal=cumulative is for grades, and this task is multilabel"):
        make_loss(replace(ending_in(keras, lambda x: x), ordinal="cumulative"), task_of("multilabel", 2))


def test_losses_are_those_of_their_names(keras):
    from kaggle_cnn.learn.model import make_loss

    def loss(kind, name, targets, logits):
        made = make_loss(replace(ending_in(keras, lambda x: x), loss=name), task_of(kind, 2))
        return float(made(np.array(targets, np.float32), np.array(logits, np.float32)))

    assert loss("regression", "mean_absolute_error", [[1, 2]], [[3, 2]]) == pytest.approx(1)
    assert loss("regression", "huber", [[1, 2]], [[4, 2.5]]) == pytest.approx((2.5 + 0.125) / 2)
    share = 1 / (1 + np.exp(-1))  # of the true class
    expected = -0.25 * (1 - share) ** 2 * np.log(share)  # Lin et al. 2017, equation 5, with alpha 0.25 and gamma 2
    assert loss("multiclass", "focal", [[1, 0]], [[1, 0]]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["alexnet", "all_conv", "sprint"])
def test_trains_in_half_precision(keras, name):
    """Those with a layer or an optimizer of our own, and one whose first steps overflow; all of them by
    `python tests/recipe_trial.py tensorflow mixed_float16 NAME...`."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        trial(name, (32, 32, 3), 10, eager=True)
    finally:
        keras.config.set_dtype_policy("float32")


def test_on_jax_too():
    """One with an optimizer of our own, one with a layer of our own, since XLA takes its time to compile: all recipes
    take a minute, by `python tests/recipe_trial.py jax float32 NAME...`."""
    names = ["sprint", "cifar10_tutorial"]
    program = REPOSITORY / "tests" / "recipe_trial.py"
    done = subprocess.run(
        [sys.executable, program, "jax", "float32", *names],
        env=environment(**QUICK_XLA),
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.stdout.splitlines() == [f"{name} is fine" for name in names], done.stderr


def ending_in(keras, end):
    def model(shape, outputs):
        inputs = keras.Input(shape, dtype="uint8")
        x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
        return keras.Model(inputs, end(keras.layers.Dense(outputs)(x)))

    return Recipe(model=model, size=8)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_recipe_that_ends_in_an_activation_is_refused(keras, activation):
    from kaggle_cnn.learn.model import build_network

    task = task_of("multiclass", 3)
    ends = [
        keras.layers.Activation(activation),
        keras.layers.Dense(3, activation=activation, name="last"),
        getattr(keras.ops, activation),
    ]
    for end in [*ends, keras.layers.Softmax()] if activation == "softmax" else ends:
        with pytest.raises(KcnnError) as caught:
            build_network(ending_in(keras, end), 3, task)
        assert caught.value.message == f"the recipe's model should return logits, and it ends in {activation}"
        assert "Dense(outputs) without an activation" in caught.value.hint
    assert build_network(ending_in(keras, lambda x: x / 9), 3, task).raw.output_shape == (None, 3)


def test_a_recipe_may_return_a_sequential_model(keras):
    from kaggle_cnn.learn.model import build_network

    def stack(*first):
        last = (keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(3))
        return Recipe(model=lambda shape, outputs: keras.Sequential([*first, *last]), size=8)

    network = build_network(stack(keras.Input((8, 8, 3), dtype="uint8")), 3, task_of("multiclass", 3))
    assert network.whole.output_shape == (None, 3)
    with pytest.raises(KcnnError, match=r"should return a keras\.Model of layers, got Sequential") as caught:
        build_network(stack(), 3, task_of("multiclass", 3))  # without Input there is no shape yet
    assert "Input(shape" in caught.value.hint


def test_what_is_no_model_of_the_task_is_refused(keras):
    from kaggle_cnn.learn.model import build_network

    class Written(keras.Model):
        def call(self, inputs):
            return inputs

    def fails(shape, outputs):
        return keras.layers.Conv2D(4, 99)(keras.Input(shape))

    for model, error in [
        (lambda shape, outputs: 3, "should return a keras.Model of layers, got int"),
        (lambda shape, outputs: Written(), "should return a keras.Model of layers, got Written"),
        (lambda shape, outputs: ending_in(keras, lambda x: x).model(shape, 4), "should give (None, 3), got (None, 4)"),
        (lambda shape, outputs: ending_in(keras, lambda x: x).model((9, 9, 1), 3), "should take (None, 8, 8, 3), got"),
        (fails, "the model cannot be built for (8, 8, 3) and 3 outputs: ValueError: "),
    ]:
        with pytest.raises(KcnnError) as caught:
            build_network(Recipe(model=model, size=8), 3, task_of("multiclass", 3))
        assert error in caught.value.message
        assert "\n" not in caught.value.message


def test_baseline_is_as_published(keras):
    recipe = load_recipe(REPOSITORY / "recipes" / "baseline.py")
    assert (recipe.size, recipe.margin, recipe.batch, recipe.epochs) == (64, 0, 32, 30)
    optimizer = recipe.optimizer(recipe.learning_rate, 1000)
    assert isinstance(optimizer, keras.optimizers.RMSprop)
    assert float(optimizer.learning_rate) == pytest.approx(1e-4)
    optimizer.iterations.assign(1_000_000)  # decay 1e-6: halved after a million steps
    assert float(optimizer.learning_rate) == pytest.approx(5e-5)
    layers = [type(layer).__name__ for layer in recipe.model((64, 64, 3), 18).layers]
    stage = ["Conv2D", "Conv2D", "MaxPooling2D", "Dropout"]
    assert layers == ["InputLayer", "Rescaling", *stage, *stage, "Flatten", "Dense", "Dropout", "Dense"]


def test_alexnet_has_its_published_shapes(keras):
    built = load("alexnet").model((227, 227, 3), 10)
    convolutions = [layer.output.shape[1:] for layer in built.layers if type(layer).__name__ == "Conv2D"]
    assert convolutions == [
        (55, 55, 96), (27, 27, 128), (27, 27, 128), (13, 13, 384), (13, 13, 192), (13, 13, 192), (13, 13, 128),
        (13, 13, 128),
    ]  # fmt: skip
    kinds = [type(layer).__name__ for layer in built.layers]
    assert kinds.count("LocalResponseNormalization") == 2
    tanh = apply_settings(load("alexnet"), {"activation": "tanh"})
    activations = {layer.activation for layer in tanh.model((64, 64, 3), 5).layers if hasattr(layer, "activation")}
    assert activations == {keras.activations.tanh, keras.activations.linear}


def test_vgg_depths(keras):
    with pytest.raises(KcnnError, match="depth should be 9, 11, 13, 16, 19, got 12"):
        apply_settings(load("vgg"), {"depth": 12}).model((32, 32, 3), 10)


@pytest.mark.parametrize("name", ["emotion", "emotion_dnn"])
def test_pixels_are_standardised_over_the_training_images(keras, name):
    recipe = load(name)
    images = np.random.default_rng(0).normal(90, 20, (500, 12, 12, 1)).clip(0, 255).astype(np.uint8)
    images[:, :6] //= 2
    model = recipe.model((12, 12, 1), 7, images=images)
    layer = next(layer for layer in model.layers if type(layer).__name__ == "Normalization")
    given = np.asarray(keras.ops.convert_to_numpy(layer(images)))
    assert np.abs(given.mean(axis=0)).max() < 1e-3
    assert np.abs(given.std(axis=0) - 1).max() < 1e-3


def test_sprint_begins_as_described(keras):
    recipe = load("sprint")
    draw = np.random.default_rng(0)
    smooth = draw.normal(0, 1, (300, 16, 16, 3)).cumsum(axis=1).cumsum(axis=2)
    images = (smooth * 8 + 120).clip(0, 255).astype(np.uint8)
    model = recipe.model((16, 16, 3), 10, images=images)
    standardised = model.layers[1](images)
    kernel, bias = model.get_layer("whiten").get_weights()
    assert kernel.shape == (2, 2, 3, 24)
    assert (bias == 0).all()
    whitened = np.asarray(keras.ops.conv(standardised, kernel[..., :12])).reshape(-1, 12)
    # Directions of little variance are held back: at most 1, and 1 where there is much to see.
    covariance = np.cov(whitened, rowvar=False)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 2e-2
    assert covariance.max() == pytest.approx(1, abs=2e-2)
    assert (kernel[..., 12:] == -kernel[..., :12]).all()
    second = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"][1]
    x = draw.normal(0, 1, (1, 8, 8, 24)).astype(np.float32)
    assert np.allclose(second(x)[..., :24], x, atol=1e-6)


def test_sprints_optimizer_is_nesterov_with_a_slow_average(keras):
    recipe = load("sprint")
    steps, rate, momentum = 12, 0.1, 0.85
    optimizer = recipe.optimizer(rate, steps)
    weight = keras.Variable(np.array([1.0, -2.0], np.float32), name="kernel")
    value, velocity, slow = np.array([1.0, -2.0]), np.zeros(2), np.array([1.0, -2.0])
    for step in range(steps):
        gradient = 0.3 * value + 0.1
        optimizer.apply([keras.ops.convert_to_tensor(0.3 * weight + 0.1)], [weight])
        done = step / steps
        now = rate * min(0.2 + 0.8 * done / 0.23, 1 - 0.93 * (done - 0.23) / 0.77)
        velocity = momentum * velocity - now * gradient
        value = value + momentum * velocity - now * gradient
        if (step + 1) % 5 == 0 or step + 1 == steps:
            kept = 1 if step + 1 == steps else 0.95**5 * ((step + 1) / steps) ** 3
            slow = kept * slow + (1 - kept) * value
            value = slow.copy()
        assert np.allclose(weight.numpy(), value, atol=1e-5), step


def test_recipes_are_listed(kcnn, tmp_path):
    listed = kcnn("recipes", cwd=tmp_path).stdout
    for name in NAMES:
        assert f"\n{name}\n" in f"\n{listed}"
    assert load_recipe(REPOSITORY / "recipes" / "resnet.py").epochs == 15
