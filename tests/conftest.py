import gc
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from launching import finish
from PIL import Image

from kaggle_cnn.progress import Silent

pytest_plugins = ["kaggle_user"]  # the fixtures kaggle and online
REPOSITORY = Path(__file__).parents[1]

# Several trainings run side by side here, each on images and tables too small to share out among threads. Those of
# OpenMP spin while they wait for each other, which takes gradient boosting a hundred times as long on a busy computer.
LIBRARIES = ("TF_NUM_INTRAOP", "TF_NUM_INTEROP", "OMP_NUM", "OPENBLAS_NUM")
ONE_THREAD = {f"{name}_THREADS": "1" for name in LIBRARIES}
os.environ.update(ONE_THREAD)

# JAX compiles what is run once or twice: to compile it well takes longer than to run it.
QUICK_XLA = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"}

# Three filters and a dense layer: trains on 16x16 images in a blink. It has what resuming must carry over: dropout
# (a seed that moves), batch normalisation (weights that no gradient moves), a schedule, an optimizer with slots.
TINY = '''"""Tiny: for tests."""
from keras import Input, Model, layers, optimizers

from kaggle_cnn import Recipe
from kaggle_cnn.augment import shift_rotate_flip


def tiny(shape, outputs, width=4):
    inputs = Input(shape, dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(width, 3, activation="relu")(x)
    x = layers.BatchNormalization(momentum=0.8)(x)
    x = layers.GlobalMaxPooling2D()(layers.Dropout(0.2)(x))
    return Model(inputs, layers.Dense(outputs)(x))


def falling(learning_rate, steps):
    return optimizers.Adam(optimizers.schedules.CosineDecay(learning_rate, steps))


recipe = Recipe(
    model=tiny, size=16, margin=4, augment=shift_rotate_flip, optimizer=falling, learning_rate=0.01, epochs=2, batch=8,
    tta="ten-crop",
)
'''
COLOURS = {"red one": (200, 40, 40), "grün": (40, 200, 40), "blue": (40, 40, 200)}


def pytest_collection_finish():
    """A test module that imports Keras starts it as kcnn never does, and the weights of a training are others then than
    those in a process of its own."""
    assert "keras" not in sys.modules, "import Keras, and what imports it, in the test functions"


@pytest.fixture
def make_images():
    return make_images_in


def make_images_in(folder: Path, per_class: int = 15, tests: int = 6) -> Path:
    """A class competition of coloured noise: train/colours-3/<class>/pic_0001.jpg, test/test/1.jpg, a sample."""
    draw = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / "train" / "colours-3" / name).mkdir(parents=True)
        for number in range(per_class):
            save_noise(folder / "train" / "colours-3" / name / f"pic_{number:04}.jpg", colour, draw)
    (folder / "test" / "test").mkdir(parents=True)
    names = list(COLOURS)
    for number in range(1, tests + 1):
        save_noise(folder / "test" / "test" / f"{number}.jpg", COLOURS[names[number % 3]], draw)
    rows = "".join(f"{number},blue\n" for number in range(tests, 0, -1))  # not in the order of the files
    (folder / "sample_submission.csv").write_text(f"id,character\n{rows}")
    truth = "".join(f"{number},{names[number % 3]}\n" for number in range(1, tests + 1))
    (folder / "truth.csv").write_text(f"id,character\n{truth}", encoding="utf-8")
    return folder


def save_noise(path: Path, colour: tuple[int, int, int], draw: np.random.Generator) -> None:
    height, width = draw.integers(18, 40, 2)
    pixels = np.clip(np.array(colour) + draw.integers(-40, 40, (height, width, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=90)


def environment(**extra: str) -> dict[str, str]:
    """That of a new user: no KERAS_ or TF_ settings, an empty HOME."""
    foreign = ("KERAS_", "TF_", "KCNN_", "KAGGLE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, **ONE_THREAD, "COLUMNS": "100", **extra}


@pytest.fixture
def folder(tmp_path):
    """The folder of a competition x in a workspace, without any files yet."""
    path = tmp_path / "data" / "x"
    path.mkdir(parents=True)
    return path


def save_greys(folder: Path, *names: str) -> Path:
    """Write PNGs of 9x9 pixels, each of another grey."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (9, 9), 5 + number % 240).save(folder / name)
    return folder


@pytest.fixture
def work(tmp_path):
    """A directory with recipes/tiny.py and nothing else."""
    folder = tmp_path / "work"
    (folder / "recipes").mkdir(parents=True)
    (folder / "recipes" / "tiny.py").write_text(TINY)
    return folder


@pytest.fixture
def begin(work, monkeypatch):
    """Fetches a folder in this process, in `work`, with more recipes where given; its solution.csv, where there is one,
    scores submissions. Returns what is printed."""

    def run(folder, **recipes):
        for name, text in recipes.items():
            (work / "recipes" / f"{name}.py").write_text(text)
        monkeypatch.chdir(work)
        printed = in_this_process("fetch", str(folder))
        if (folder / "solution.csv").is_file():
            use_solution(work / "data" / folder.name)
        return printed

    return run


def use_solution(folder):
    """Lets solution.csv score the submissions of the competition in a folder."""
    path = folder / "competition.toml"
    path.write_text(path.read_text().replace('solution = ""', 'solution = "solution.csv"'))


@pytest.fixture
def kcnn(tmp_path):
    """Runs the command as its user would, in `cwd` (default: this test's folder), in a process of its own; `afresh` in
    a new Python, see launching.py."""
    home = tmp_path / "home"
    home.mkdir()

    def run(*arguments, cwd=tmp_path, code=0, timeout=240, afresh=False, file_limit=None, **extra):
        surroundings = environment(HOME=str(home), **extra)
        if afresh:
            command = [sys.executable, "-m", "kaggle_cnn", *map(str, arguments)]
            done = subprocess.run(
                command, cwd=cwd, env=surroundings, capture_output=True, text=True, timeout=timeout,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        else:
            done = finish(arguments, cwd, surroundings, home, timeout, file_limit)
        assert done.returncode == code, f"exit {done.returncode}, expected {code}\n{done.stdout}\n{done.stderr}"
        assert not re.search("Traceback|oneDNN|absl::", done.stderr), done.stderr
        return done

    return run


@pytest.fixture
def refused(kcnn):
    """Runs the command and expects exit 1 with just one `error:` and one `hint:` line; returns the error."""

    def run(*arguments, **options):
        done = kcnn(*arguments, code=1, **options)
        error, _ = error_of(done)
        assert sum(line.startswith(("error:", "hint:")) for line in done.stderr.splitlines()) == 2
        return error

    return run


def error_of(done) -> tuple[str, str]:
    """The error and the hint that a command ended in."""
    lines = done.stderr.strip().splitlines()
    assert lines[-2].startswith("error: "), done.stderr
    assert lines[-1].startswith("hint: "), done.stderr
    return lines[-2].removeprefix("error: "), lines[-1].removeprefix("hint: ")


def in_this_process(*arguments):
    """The command's output, without another import of TensorFlow."""
    from typer.testing import CliRunner

    from kaggle_cnn.cli import app

    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


@pytest.fixture(scope="session")
def keras():
    """Keras on TensorFlow, started as the command line starts it."""
    from kaggle_cnn.learn.backend import start_backend

    start_backend("tensorflow")
    import keras

    # Keras collects garbage before every model: 0.3 s among the million objects that the imports have made.
    gc.freeze()
    return keras


class Recorder(Silent):
    """A progress that keeps what it is shown."""

    def __init__(self):
        self.said, self.rows, self.tracked = [], [], []

    def say(self, text):
        self.said.append(text)

    def track(self, items, description, total):
        self.tracked.append(description)
        return iter(items)

    def fold(self, fold, images, steps, epochs, done):
        self.said.append(f"fold {fold} from epoch {done}")

    def epoch(self, row, better, seconds):
        self.rows.append(row)


class Stop(Recorder):
    """One that is interrupted as soon as an epoch is on the disk."""

    def __init__(self, epoch):
        super().__init__()
        self.last = epoch

    def epoch(self, row, better, seconds):
        if row["epoch"] == self.last:
            raise KeyboardInterrupt


@pytest.fixture
def tiny_workspace(tmp_path, make_images):
    """A workspace in which `colours` has been fetched and recipes/tiny.py stands."""
    from kaggle_cnn.competition.fetch import fetch
    from kaggle_cnn.workspace import Workspace

    workspace = Workspace(tmp_path / "work")
    source = make_images(tmp_path / "colours")
    competition, _ = fetch(str(source), workspace, Silent())
    workspace.make_current(competition.name)
    (workspace.root / "recipes").mkdir()
    (workspace.root / "recipes" / "tiny.py").write_text(TINY)
    return workspace


def dataset_in(workspace):
    """The current competition's dataset."""
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.data.dataset import load_dataset

    return load_dataset(workspace, open_competition(workspace, None))


def edit_competition(workspace, **fields):
    """Changes fields of the current competition, as its user would in competition.toml."""
    from dataclasses import replace

    from kaggle_cnn.competition.opening import open_competition

    replace(open_competition(workspace, None), **fields).write()


@pytest.fixture
def train_tiny(tiny_workspace, keras):
    """Trains recipes/tiny.py in this process, with settings; returns the run."""

    def run(folds=(0,), progress=None, run=None, recipe="tiny.py", tensorboard=False, seeds=1, **settings):
        from kaggle_cnn.learn.train import train
        from kaggle_cnn.recipe import apply_settings, load_recipe

        path = tiny_workspace.root / "recipes" / recipe
        dataset = dataset_in(tiny_workspace)
        chosen = apply_settings(load_recipe(path), settings)
        shown = progress or Recorder()
        numbers, more = list(folds), {"tensorboard": tensorboard, "more": {"seeds": seeds} if seeds > 1 else {}}
        return train(tiny_workspace, dataset, chosen, path, numbers, shown, settings, run, **more)

    yield run
    keras.config.set_dtype_policy("float32")  # a precision stays set in this process


@pytest.fixture
def eager(keras):
    """Trains and predicts without compiled graphs, for tests that train only to have a run: a third of the time."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
