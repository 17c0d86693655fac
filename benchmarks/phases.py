"""Seconds of a training step of the recipe pretrained, with a frozen backbone and with one that learns.

    python benchmarks/phases.py [BACKBONE ...] [--size 96] [--batch 32] [--steps 20]

The weights are random, which takes the same time; batch normalisation is as for pretrained ones. Each number is the
median of the steps after the first three, both phases in turn, three times.
"""

import argparse
import os
import statistics
import time

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3"}

import numpy as np
from rich.console import Console
from rich.table import Table

from kaggle_cnn.learn.backend import start_backend


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("backbones", nargs="*", default=["MobileNetV3Small", "EfficientNetV2B0", "ResNet50"])
    for name, value in {"size": 96, "batch": 32, "steps": 20}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    start_backend(None)
    table = Table("backbone", "frozen, ms a step", "learning, ms a step", "ratio")
    for name in options.backbones:
        times = time_phases(name, options.size, options.batch, options.steps)
        frozen, learning = (1000 * statistics.median(each) for each in times)
        table.add_row(name, f"{frozen:,.0f}", f"{learning:,.0f}", f"{frozen / learning:.2f}")
    Console().print(table)


def time_phases(name: str, size: int, batch: int, steps: int) -> list[list[float]]:
    """Return the seconds of the steps of both phases."""
    from kaggle_cnn.competition.metrics import find_metric
    from kaggle_cnn.competition.task import Task
    from kaggle_cnn.learn.backbone import keep_averages
    from kaggle_cnn.learn.model import build_network, make_loss
    from kaggle_cnn.learn.phases import build_optimizer, freeze, list_frozen, list_layers, plan_stages
    from kaggle_cnn.recipe import apply_settings, list_shipped_recipes, load_recipe

    [path] = [path for path in list_shipped_recipes() if path.stem == "pretrained"]
    recipe = apply_settings(load_recipe(path), {"backbone": name, "weights": "none", "size": size})
    task = Task("multiclass", tuple("abcde"), find_metric("accuracy"))
    network = build_network(recipe, 3, task)
    for part in [layer for layer in network.raw.layers if hasattr(layer, "layers")]:
        keep_averages(part)
    always = list_frozen(network.raw)
    assert any(not layer.trainable for layer in list_layers(network.raw)) or name.startswith(("VGG", "ConvNeXt"))
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    targets = np.eye(5, dtype=np.float32)[draw.integers(0, 5, batch)]
    found: list[list[float]] = [[], []]
    for _ in range(3):
        for number, stage in enumerate(plan_stages(recipe)):
            freeze(network.raw, stage.phase, always)
            optimizer = build_optimizer(recipe, 100, network.raw, stage.phase)
            network.raw.compile(optimizer, make_loss(recipe, task))
            for step in range(steps):
                begun = time.perf_counter()
                network.raw.train_on_batch(images, targets)
                if step >= 3:
                    found[number].append(time.perf_counter() - begun)
    return found


if __name__ == "__main__":
    main()
