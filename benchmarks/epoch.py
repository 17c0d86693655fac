"""Seconds an epoch of `kcnn train recipes/baseline.py` takes, beside bare loops over the same images.

    python benchmarks/epoch.py [--images 2000] [--rounds 4]

64 pixels, batches of 32, 18 classes, a fifth of the images for validation. kcnn augments, validates on one view and
writes checkpoints. The bare loops do none of that: a compiled step (TensorFlow: tf.function; PyTorch: eager, its usual
way) over an array that is ready in memory, then one pass over the validation images. Each round trains kcnn for three
epochs, of which the first, with its compilation, does not count, and two epochs of each loop.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3"}

from competitions import Times, fetched
from pictures import squares
from PIL import Image

from kaggle_cnn.learn.backend import start_backend

start_backend("tensorflow")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from kaggle_cnn.competition.opening import open_competition
from kaggle_cnn.data.dataset import load_dataset
from kaggle_cnn.data.image_cache import load_images
from kaggle_cnn.learn.train import train
from kaggle_cnn.progress import Silent
from kaggle_cnn.recipe import apply_settings, load_recipe
from kaggle_cnn.workspace import Workspace

CLASSES, BATCH = 18, 32
RECIPE = Path(__file__).parents[1] / "recipes" / "baseline.py"


def make_competition(folder: Path, images: int) -> Workspace:
    for number, pixels in enumerate(squares(images, 64)):
        path = folder / "source" / "train" / f"class {number % CLASSES:02}" / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return fetched(folder / "source", folder / "work")


def kcnn(workspace: Workspace, dataset, recipe):
    def run() -> list[float]:
        times = Times()
        train(workspace, dataset, recipe, RECIPE, [0], times)
        return times.seconds[1:]

    return run


def bare_keras(recipe, pixels, targets, held_out):
    model = recipe.model((64, 64, 3), CLASSES)
    optimizer = recipe.optimizer(recipe.learning_rate, 1000)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.CategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(images, wanted):
        with tf.GradientTape() as tape:
            loss = loss_of(wanted, model(images, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    forward = tf.function(lambda images: model(images, training=False))

    def epoch() -> None:
        for start in range(0, len(pixels) - BATCH + 1, BATCH):
            step(pixels[start : start + BATCH], targets[start : start + BATCH])
        for start in range(0, len(held_out), 64):
            forward(held_out[start : start + 64]).numpy()

    return lambda: timed(epoch)


def in_torch(folder: Path, layout: str):
    command = [sys.executable, Path(__file__).with_name("epoch_torch.py"), folder, layout]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run() -> list[float]:
        print("go", file=process.stdin, flush=True)
        return [float(each) for each in process.stdout.readline().split()]

    return run


def timed(epoch) -> list[float]:
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - begun)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_competition(Path(folder), options.images)
        competition = open_competition(workspace, None)
        dataset = load_dataset(workspace, competition)
        recipe = apply_settings(load_recipe(RECIPE), {"epochs": 3, "tta": "none"})
        images = load_images(competition.folder, dataset.ids.tolist(), 64, None, dataset.cache, Silent())
        pixels, folds = np.array(images.pixels), dataset.folds.numbers
        trained, held_out = folds != 0, pixels[folds == 0]
        data = (pixels[trained], dataset.targets[trained], held_out)
        for name, array in zip(("pixels", "targets", "held_out"), data, strict=True):
            np.save(f"{folder}/{name}.npy", array)
        sides = {
            "bare loop, TensorFlow": bare_keras(recipe, *data),
            "kcnn train": kcnn(workspace, dataset, recipe),
            "bare loop, PyTorch": in_torch(Path(folder), "contiguous_format"),
            "the same, channels last": in_torch(Path(folder), "channels_last"),
        }
        for name in ("bare loop, TensorFlow", "bare loop, PyTorch", "the same, channels last"):
            sides[name]()
        seconds = {name: [] for name in sides}
        for _ in range(options.rounds):
            for name, side in sides.items():
                seconds[name].append(side())
    table = Table(title=f"baseline, {trained.sum()} + {len(held_out)} images of 64 pixels", title_justify="left")
    for heading in ("", "s/epoch", "times the bare loop's", "least", "most", "slowest epoch, s"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, rounds in seconds.items():
        first = seconds["bare loop, TensorFlow"]
        ratios = [sum(own) / sum(other) for own, other in zip(rounds, first, strict=True)]
        every = [each for pair in rounds for each in pair]
        values = (statistics.median(ratios), min(ratios), max(ratios))
        table.add_row(name, f"{statistics.median(every):.2f}", *(f"{each:.3f}" for each in values), f"{max(every):.2f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
