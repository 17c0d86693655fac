"""Phases: what learns, how fast, over which epochs; frozen layers stay as they are, and resuming is exact."""

import numpy as np
import pytest
from conftest import TINY, Recorder, Stop

from kaggle_cnn import KcnnError, Phase, Recipe
from kaggle_cnn.runs.run import open_unfinished

PHASES = TINY.replace("import Recipe", "import Phase, Recipe").replace(
    "layers.Dense(outputs)(x)", 'layers.Dense(outputs, name="head")(x)'
).replace("recipe = Recipe(", """def head_first(frozen=0.5, lowest=0.1):
    return Phase(frozen, frozen=True), Phase(1 - frozen, rates=(lowest, 0.5))


recipe = Recipe(
    phases=head_first,""")  # fmt: skip


@pytest.fixture
def phased(tiny_workspace):
    (tiny_workspace.root / "recipes" / "phased.py").write_text(PHASES)


def make_model(shape, outputs):
    return None


def stages_of(epochs, *phases):
    from kaggle_cnn.learn.phases import plan_stages

    stages = plan_stages(Recipe(model=make_model, epochs=epochs, phases=(lambda: phases) if phases else None))
    return [(stage.first, stage.last) for stage in stages]


def test_each_phase_has_its_share_of_the_epochs(keras):
    half = (Phase(0.5, frozen=True), Phase(0.5))
    assert stages_of(7) == [(0, 7)]
    assert stages_of(10, *half) == [(0, 5), (5, 10)]
    assert stages_of(3, Phase(0.05, frozen=True), Phase(0.95)) == [(0, 1), (1, 3)]
    assert stages_of(1, *half) == [(0, 1)]
    assert stages_of(10, Phase(3, frozen=True), Phase(1), Phase(1)) == [(0, 6), (6, 8), (8, 10)]
    assert stages_of(4, Phase(0, frozen=True), Phase(1)) == [(0, 4)]


@pytest.mark.parametrize(("phases", "error"), [
    ((), "the recipe's phases should return a tuple of Phase"),
    ((0.5,), "the recipe's phases should return a tuple of Phase"),
])  # fmt: skip
def test_what_gives_no_phases_is_refused(keras, phases, error):
    from kaggle_cnn.learn.phases import plan_stages

    with pytest.raises(KcnnError, match=error):
        plan_stages(Recipe(model=make_model, phases=lambda: phases))


@pytest.mark.parametrize(
    "fields", [{"share": -1}, {"share": "a"}, {"rates": 0.1}, {"rates": (0.1, 0)}, {"frozen": True, "rates": (0.1,)}]
)
def test_a_phase_out_of_its_range_is_refused(fields):
    with pytest.raises(KcnnError):
        Phase(**fields)


def build(keras):
    layers = keras.layers
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    x = layers.Conv2D(4, 3, name="first")(layers.Rescaling(1 / 255)(inputs))
    body = keras.Sequential([layers.Conv2D(4, 3), layers.BatchNormalization()], name="body")
    x = layers.GlobalAveragePooling2D()(body(x))
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


def step(model, optimizer):
    model.compile(optimizer, "mse", run_eagerly=True)
    draw = np.random.default_rng(0)
    before = {each.path: np.array(each) for each in model.variables}
    model.train_on_batch(draw.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8), draw.normal(size=(4, 2)))
    return {each.path: np.array(each) - before[each.path] for each in model.variables}


def test_frozen_layers_stay_as_they_are_and_batch_normalisation_too(keras):
    from kaggle_cnn.learn.phases import freeze, list_frozen

    model = build(keras)
    freeze(model, Phase(frozen=True), set())
    moved = {path for path, change in step(model, keras.optimizers.Adam()).items() if change.any()}
    assert {path.split("/")[0] for path in moved} == {"head"}
    freeze(model, Phase(), set())
    moved = {path for path, change in step(model, keras.optimizers.Adam()).items() if change.any()}
    assert len(moved) == len(model.variables)
    model.get_layer("first").trainable = False  # as a recipe may have it
    always = list_frozen(model)
    freeze(model, Phase(), always)
    assert not step(model, keras.optimizers.Adam())["first/kernel"].any()
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="last")])
    with pytest.raises(KcnnError, match="a phase with frozen=True has no layer to train"):
        freeze(model, Phase(frozen=True), set())


def test_layers_learn_at_their_rates(keras):
    """By SGD, one step of a layer is its gradient times its rate."""
    from kaggle_cnn.learn.phases import build_optimizer, list_optimizers, read_rate

    def sgd(learning_rate, steps):
        return keras.optimizers.SGD(learning_rate)

    recipe, changes = Recipe(model=make_model, optimizer=sgd, learning_rate=0.1), []
    for phase in (Phase(), Phase(rates=(0.01, 0.5))):
        keras.utils.set_random_seed(0)
        model = build(keras)
        optimizer = build_optimizer(recipe, 10, model, phase)
        changes.append(step(model, optimizer))
    assert [read_rate(each) for each in list_optimizers(optimizer)] == pytest.approx([0.1, 0.05, 0.001])
    expected = {"first/kernel": 0.01, "conv2d/kernel": 0.01, "batch_normalization/gamma": 0.5, "head/kernel": 1}
    for path, rate in expected.items():
        [one], [other] = ([change for name, change in each.items() if name.rpartition("/")[0].rstrip("_0123456789")
                           .endswith(path.split("/")[0]) and name.endswith(path.split("/")[1])]
                          for each in changes)  # fmt: skip
        assert np.allclose(other, rate * one, rtol=1e-3, atol=1e-7), path


@pytest.mark.usefixtures("phased")
def test_resumed_around_a_change_of_phase_is_as_never_interrupted(train_tiny, tiny_workspace, keras):
    whole = train_tiny(recipe="phased.py", epochs=4)
    for epoch in (2, 3):
        with pytest.raises(KeyboardInterrupt):
            train_tiny(recipe="phased.py", epochs=4, progress=Stop(epoch))
        stopped = open_unfinished(tiny_workspace, "colours", "phased")
        resumed = train_tiny(recipe="phased.py", epochs=4, run=stopped, progress=Recorder())
        runs = (whole, resumed)
        states = [(run.fold_folder(0) / "history.csv").read_text() for run in runs]
        assert states[0] == states[1]
        models = [keras.models.load_model(run.fold_folder(0) / "model.keras", compile=False) for run in runs]
        for one, two in zip(*(model.get_weights() for model in models), strict=True):
            assert (one == two).all()


@pytest.mark.usefixtures("phased")
def test_the_phases_settings_are_settings_and_the_backbone_waits(train_tiny, keras):
    """All epochs frozen: the layers before the head are as the seed made them, whatever the rehearsal did."""
    run = train_tiny(recipe="phased.py", epochs=2, frozen=1.0, folds=(0, 1))
    assert run.settings["frozen"] == 1.0
    made = [keras.models.load_model(run.fold_folder(fold) / "model.keras", compile=False) for fold in (0, 1)]
    kernels = [model.get_layer("conv2d").get_weights()[0] for model in made]
    assert (kernels[0] == kernels[1]).all()
    heads = [model.get_layer("head").get_weights()[0] for model in made]
    assert (heads[0] != heads[1]).any()
    moving = made[0].get_layer("batch_normalization").get_weights()
    assert [float(np.ptp(each)) for each in moving] == [0, 0, 0, 0]  # gamma, beta, mean, variance as at the start
