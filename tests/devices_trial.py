"""python devices_trial.py BACKEND: trains in the workspace here, each case on two devices and on one; prints as JSON
how far the two are apart. In a process of its own: a machine without a GPU decides once how many devices it has."""

import json
import sys
from pathlib import Path

import numpy as np

from kaggle_cnn import training
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Silent
from kaggle_cnn.runs.predictions import Predictions

CASES = {
    "plain": {},
    "dropout": {"dropout": 0.5},
    "normalised": {"normalised": True},
    "weighted, averaged, mixed up": {"class_weight": "balanced", "ema": 0.9, "swa": 2, "mixup": 0.3},
    "half precision": {"precision": "mixed_bfloat16"},
    "half precision, scaled loss": {"precision": "mixed_float16"},
    "on the device": {"on_device": True},
}


class Stop(Silent):
    """Ctrl-C, once the second epoch is on the disk."""

    def epoch(self, row, better, seconds):
        if row["epoch"] == 2:
            raise KeyboardInterrupt


def train(devices, progress=None, **options):
    return training.train("even", devices=devices, progress=progress or Silent(), **options)


def compare_runs(one, other):
    """The largest difference of any weight, relative difference of any loss, difference of any prediction."""
    import keras

    weights = [keras.models.load_model(run.models[0], compile=False).get_weights() for run in (one, other)]
    losses = [run.histories()[0][["loss", "val_loss"]].to_numpy() for run in (one, other)]
    logits = [Predictions.read(run.folder / "oof.npz").logits for run in (one, other)]
    return {
        "weights": max(float(np.abs(a - b).max()) for a, b in zip(*weights, strict=True)),
        "losses": float((np.abs(losses[0] - losses[1]) / losses[1]).max()),
        "logits": float(np.abs(logits[0] - logits[1]).max()),
        "rows": len(logits[0]),
    }


def count_copies() -> int:
    """How many devices have a copy of a weight of a network that is built on two."""
    import keras

    from kaggle_cnn.learn.distribution import CURRENT, on_devices, use_devices

    use_devices("2")
    with on_devices():
        layer = keras.layers.Dense(2)
        layer.build((None, 3))
    if keras.backend.backend() == "jax":
        return len(layer.kernel.value.sharding.device_set)
    return len(CURRENT.strategy.experimental_local_results(layer.kernel.value))


def main(backend: str, names: list[str]) -> None:
    found = {}
    for name in [name for name in names if name in CASES]:
        runs = [train(devices, settings=CASES[name], backend=backend) for devices in ("2", "1")]
        found[name] = {**compare_runs(*runs), "device": [run.record["device"] for run in runs]}
    if "resumed" in names:
        try:
            train("2", Stop(), settings={"dropout": 0.5})
        except KeyboardInterrupt:
            resumed = train("2", resume=True)
            found["resumed"] = compare_runs(resumed, train("2", settings={"dropout": 0.5}))
    found["spread"] = count_copies()
    before = len(list(Path("runs/colours").iterdir()))
    try:
        train("2", settings={"batch": 9})
    except KcnnError as error:
        found["refused"] = [error.message, error.hint, len(list(Path("runs/colours").iterdir())) - before]
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or [*CASES, "resumed"])
