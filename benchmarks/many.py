"""100,000 images of 64 pixels beside 5,000: peak memory, and time for an image.

    python benchmarks/many.py

The same tiny network, `kcnn train`'s own way from JPEGs to predictions, each number of images in a process of its own.
'folds' is what the first fetch adds to listing: every image is opened for its copies, and folds are drawn.
Peak memory counts the pages of the cache that are mapped, which the system takes back when it needs them.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

COUNTS = (5_000, 100_000)
RECIPE = """
from keras import Input, Model, layers
from kaggle_cnn import Recipe
from kaggle_cnn.augment import shift_rotate_flip

def small(shape, outputs):
    inputs = Input(shape, dtype="uint8")
    x = layers.Conv2D(8, 4, 4, activation="relu")(layers.Rescaling(1 / 255)(inputs))
    return Model(inputs, layers.Dense(outputs)(layers.GlobalAveragePooling2D()(x)))

recipe = Recipe(model=small, augment=shift_rotate_flip, epochs=2, tta="flip", batch=32)
"""


def work(folder: Path, count: int) -> None:
    """Prints the seconds of each part and the peak MiB."""
    from competitions import Times, fetched
    from pictures import squares
    from PIL import Image

    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.data.dataset import load_dataset
    from kaggle_cnn.data.image_cache import load_images
    from kaggle_cnn.progress import Silent

    kinds = [Image.fromarray(pixels) for pixels in squares(200, 64)]
    for number in range(count):
        path = folder / "source" / "train" / f"class {number % 10}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        kinds[number % 200].save(path, quality=75 + number // 200 % 20, comment=str(number).encode())
    workspace = fetched(folder / "source", folder / "work")
    seconds = {}
    competition = open_competition(workspace, None)
    for part in ("folds", "listing"):
        begun = time.perf_counter()
        dataset = load_dataset(workspace, competition)
        seconds[part] = time.perf_counter() - begun
    seconds["folds"] -= seconds["listing"]
    begun = time.perf_counter()
    load_images(competition.folder, dataset.ids.tolist(), 64, None, dataset.cache, Silent())
    seconds["decoding"] = time.perf_counter() - begun

    from kaggle_cnn.learn.backend import start_backend

    start_backend("tensorflow")
    from kaggle_cnn.learn.train import train
    from kaggle_cnn.recipe import load_recipe

    (folder / "small.py").write_text(RECIPE)
    times = Times()
    recipe = load_recipe(folder / "small.py")
    train(workspace, dataset, recipe, folder / "small.py", [0], times)
    seconds["training"] = times.seconds[-1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(*(seconds[part] / count * 1e6 for part in ("folds", "listing", "decoding", "training")), peak)


def main() -> None:
    if sys.argv[1:]:
        return work(Path(sys.argv[1]), int(sys.argv[2]))
    table = Table(title="images of 64 pixels, a tiny network", title_justify="left")
    for heading in ("images", "folds us", "listing us", "decoding us", "an epoch us", "peak MiB"):
        table.add_column(heading, justify="right")
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, folder, str(count)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
            table.add_row(f"{count:,}", *(f"{float(value):,.1f}" for value in done.stdout.split()))
    Console(width=100).print(table)
    return None


if __name__ == "__main__":
    main()
