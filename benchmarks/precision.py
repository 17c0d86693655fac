"""Training steps in mixed_bfloat16 beside float32, on a processor that has bfloat16 (`grep avx512_bf16 /proc/cpuinfo`).

    python benchmarks/precision.py [--rounds 5]

Compiled steps on images in memory, without augmentation, both precisions in turns. On a processor without it bfloat16
takes ten times as long as float32.
"""

import argparse
import os
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3"}

from rounds import compare

from kaggle_cnn.learn.backend import start_backend

start_backend("tensorflow")

import keras
import numpy as np

from kaggle_cnn.competition.metrics import find_metric
from kaggle_cnn.competition.task import Task
from kaggle_cnn.learn.model import build_network, make_loss
from kaggle_cnn.recipe import apply_settings, load_recipe

TASK = Task("multiclass", tuple("abcdefghij"), find_metric("accuracy"))
# Recipe, settings, images in a step.
CASES = [
    ("emotion", {"width": 32}, 64),
    ("all_conv", {"width": 48}, 128),
    ("sprint", {"width": 32}, 256),
    ("vgg", {"size": 32, "margin": 0, "tta": "flip"}, 64),
    ("resnet", {"size": 32}, 64),
    ("resnet", {"size": 32, "stride": 1}, 128),
    ("resnet", {"size": 32, "stride": 1, "width": 32}, 128),
    ("baseline", {}, 32),
    ("alexnet", {}, 32),
]


def steps(name: str, settings: dict, batch: int, precision: str, count: int = 4):
    """Does `count` steps and returns how many images they had."""
    keras.config.set_dtype_policy(precision)
    recipe = apply_settings(load_recipe(Path(__file__).parents[1] / "recipes" / f"{name}.py"), settings)
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (batch, recipe.size, recipe.size, 3), dtype=np.uint8)
    targets = np.eye(10, dtype=np.float32)[draw.integers(0, 10, batch)]
    model = build_network(recipe, 3, TASK, images).raw
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), make_loss(recipe, TASK))

    def run() -> int:
        for _ in range(count):
            model.train_on_batch(images, targets)
        return count * batch

    return run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    for name, settings, batch in CASES:
        sides = {each: steps(name, settings, batch, each) for each in ("float32", "mixed_bfloat16")}
        words = [f"{setting}={value}" for setting, value in {**settings, "batch": batch}.items()]
        compare(" ".join([name, *words]), sides, rounds)


if __name__ == "__main__":
    main()
