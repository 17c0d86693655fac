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

from kaggle_cnn.learn.recipe import given_images, load_recipe, set_knobs

# Recipe, knobs, images in a step.
CASES = [
    ("emotion", {"width": 32}, 64),
    ("all_conv", {"width": 48}, 128),
    ("sprint", {"width": 32}, 256),
    ("vgg", {"size": 32, "crop": 32}, 64),
    ("resnet", {"size": 32, "crop": 32}, 64),
    ("resnet", {"size": 32, "crop": 32, "stride": 1}, 128),
    ("resnet", {"size": 32, "crop": 32, "stride": 1, "width": 32}, 128),
    ("baseline", {}, 32),
    ("alexnet", {}, 32),
]


def steps(name: str, knobs: dict, batch: int, precision: str, count: int = 4):
    """Does `count` steps and returns how many images they had."""
    keras.config.set_dtype_policy(precision)
    recipe = set_knobs(load_recipe(Path(__file__).parents[1] / "recipes" / f"{name}.py"), knobs)
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (batch, recipe.crop, recipe.crop, 3), dtype=np.uint8)
    targets = np.eye(10, dtype=np.float32)[draw.integers(0, 10, batch)]
    model = given_images(recipe.model, images)(images.shape[1:], 10)
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), "categorical_crossentropy")

    def run() -> int:
        for _ in range(count):
            model.train_on_batch(images, targets)
        return count * batch

    return run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    for name, knobs, batch in CASES:
        sides = {each: steps(name, knobs, batch, each) for each in ("float32", "mixed_bfloat16")}
        settings = [f"{knob}={value}" for knob, value in {**knobs, "batch": batch}.items()]
        compare(" ".join([name, *settings]), sides, rounds)


if __name__ == "__main__":
    main()
