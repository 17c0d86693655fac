"""A recipe's mistakes end in one line before the first epoch, and no run is made."""

import pytest
from conftest import TINY, dataset_in

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.learn.backend import free_memory
from kaggle_cnn.runs.run import list_runs

RETURN = "    return Model(inputs, layers.Dense(outputs)(x))"
AUGMENT = """import albumentations as A
import numpy as np
import keras


class Odd(A.ImageOnlyTransform):
    def apply(self, image, **parameters):
        ODD


def shift_rotate_flip(size):
    return A.Compose([A.CenterCrop(size, size), Odd(p=1)])
"""
LAYER = """import keras


REGISTERclass Own(layers.Layer):
    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, x):
        return x * self.factor


def tiny"""
REGISTERED = LAYER.replace("REGISTER", "@keras.saving.register_keras_serializable()\n")
FORGETS = REGISTERED.replace(
    "    def call", "    def get_config(self):\n        return super(Own, self).get_config()\n\n    def call"
).replace("return super(Own, self).get_config()", "return {'name': self.name, 'trainable': self.trainable}")
NO_FIXED_SHAPE = "import random\n\n\ndef tiny"
AUGMENTED = "from kaggle_cnn.augment import shift_rotate_flip"
MISTAKES = {
    "a Lambda": (RETURN, "    x = layers.Lambda(lambda v: v * 2)(x)\n" + RETURN, "cannot be saved and loaded again"),
    "a layer of its own": (
        ("def tiny", LAYER.replace("REGISTER", "")), (RETURN, "    x = Own()(x)\n" + RETURN),
        r"cannot be saved and loaded again: .*Could not locate class 'Own'",
    ),
    "a layer without its arguments": (
        ("def tiny", FORGETS),
        (RETURN, "    return Model(inputs, Own(7.0)(layers.Dense(outputs)(x)))"),
        "predicts something else after it is saved and loaded",
    ),
    "another network each time": (
        ("def tiny", NO_FIXED_SHAPE), ("Conv2D(width", "Conv2D(random.SystemRandom().randint(1, 10**4)"),
        "another one each time",
    ),
    "two outputs": (RETURN, "    y = layers.Dense(outputs)(x)\n    return Model(inputs, [y, y])", "give one tensor"),
    "named outputs": (RETURN, "    return Model(inputs, {'a': layers.Dense(outputs)(x)})", "give one tensor"),
    "a model that ends Python": (RETURN, "    raise SystemExit(0)", "cannot be built"),
    "an end of Python at import": ("recipe = Recipe(", "raise SystemExit(0)\nrecipe = Recipe(", "SystemExit"),
    "a logarithm of zero": (
        "layers.Rescaling(1 / 255)(inputs)", "layers.Rescaling(1 / 255)(inputs) * float('nan')",
        "the loss of the first batch is nan",
    ),
    "an optimizer of one argument": (
        "def falling(learning_rate, steps):", "def falling(learning_rate):", "optimizer cannot be made of",
    ),
    "no optimizer": ("    return optimizers.Adam", "    optimizers.Adam", "should return a keras.Optimizer, got None"),
    "no augmentation": (AUGMENTED, "def shift_rotate_flip(size):\n    pass", "should return a pipeline or a layer"),
    "an augmentation that fails": (AUGMENTED, AUGMENT.replace("ODD", "raise KeyError('x')"), "fails: KeyError"),
    "an augmentation that gives nothing": (AUGMENTED, AUGMENT.replace("ODD", "return None"), "the recipe's augmen"),
    "an augmentation of another size": (
        AUGMENTED, AUGMENT.replace("ODD", "return image[:-1]"), r"uint8 \(16, 16, 3\), got uint8 \(15, 16, 3\)",
    ),
    "an augmentation to floats": (
        AUGMENTED, AUGMENT.replace("ODD", "return (image / 255).astype(np.float32)"), "got float32",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_makes_no_run(train_tiny, tiny_workspace, mistake):
    *changes, error = MISTAKES[mistake]
    text = TINY
    for old, new in changes if isinstance(changes[0], tuple) else [changes]:
        assert old in text
        text = text.replace(old, new)
    (tiny_workspace.root / "recipes" / "wrong.py").write_text(text)
    with pytest.raises(KcnnError, match=error) as caught:
        train_tiny(recipe="wrong.py", epochs=1)
    assert len(caught.value.message) < 600
    assert caught.value.hint
    assert not list_runs(tiny_workspace, "colours")


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("fault", "named"), [("1 / 0", "ZeroDivisionError"), ("exit(0)", "SystemExit")])
def test_an_augmentation_that_fails_later_is_named(train_tiny, tiny_workspace, fault, named):
    """At one image of the validation's other folds, in an epoch: TensorFlow makes another error of it on its way."""
    text = TINY.replace(
        AUGMENTED,
        AUGMENT.replace(
            "ODD", "COUNT.append(1)\n        return image if len(COUNT) < 60 else FAULT".replace("FAULT", fault)
        ),
    )
    (tiny_workspace.root / "recipes" / "wrong.py").write_text("COUNT = []\n" + text)
    with pytest.raises(KcnnError, match=f"augmentation fails: {named}"):
        train_tiny(recipe="wrong.py", epochs=9)


@pytest.mark.usefixtures("eager")
def test_numbers_that_only_validation_and_prediction_lack(train_tiny, tiny_workspace):
    """A layer that fails outside training: the run does not count as finished, and nothing can be submitted."""
    layer = REGISTERED.replace(
        "    def call(self, x):\n        return x * self.factor",
        "    def call(self, x, training=False):\n"
        "        dark = keras.ops.mean(x) < keras.ops.mean(x) + COUNT()\n"
        "        return x if training else x / keras.ops.cast(dark, 'float32')",
    )
    text = TINY.replace(
        "def tiny",
        "CALLS = []\n\n\ndef COUNT():\n    CALLS.append(1)\n    return 1.0 if len(CALLS) < 8 else -1.0\n\n\n" + layer,
    )
    text = text.replace(RETURN, "    return Model(inputs, Own()(layers.Dense(outputs)(x)))")
    (tiny_workspace.root / "recipes" / "wrong.py").write_text(text)
    with pytest.raises(KcnnError, match="not numbers after every epoch"):
        train_tiny(recipe="wrong.py", epochs=2)
    [run] = list_runs(tiny_workspace, "colours")
    assert not run.finished
    assert not (run.fold_folder(0) / "oof.npz").exists()


def test_more_memory_than_there_is(train_tiny, tiny_workspace, monkeypatch):
    assert 2**28 < free_memory() < 2**45
    with pytest.raises(KcnnError, match=r"a batch of 8 images of 40000x40000 needs 143\.1 GiB"):
        train_tiny(size=40_000)
    with monkeypatch.context() as patch:
        patch.setattr("kaggle_cnn.learn.rehearsal.free_memory", lambda: 40_000)
        with pytest.raises(KcnnError, match=r"this network needs .* GiB or more to train a batch of 8 images"):
            train_tiny()
    monkeypatch.setattr("kaggle_cnn.data.image_cache.disk_usage", lambda path: type("Usage", (), {"free": 100}))
    with pytest.raises(KcnnError, match=r"45 images of 21x21 need 0\.0 GiB"):
        train_tiny(size=17)
    assert not list_runs(tiny_workspace, "colours")


@pytest.mark.usefixtures("eager")
def test_what_is_edited_meanwhile_is_not_in_the_run(tiny_workspace, keras, monkeypatch):
    from kaggle_cnn import training

    path = tiny_workspace.root / "recipes" / "tiny.py"
    load = training.load_recipe

    def edit(source, text):
        path.write_text(TINY + "# edited\n")
        return load(source, text)

    monkeypatch.setattr(training, "load_recipe", edit)
    run = training.train(path, {"epochs": 1}, workspace=tiny_workspace)
    assert path.read_text() == TINY + "# edited\n"
    assert (run.folder / "recipe.py").read_text() == TINY
    assert dataset_in(tiny_workspace).competition.name == "colours"
