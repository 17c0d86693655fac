"""Makes demo.zip and solution.csv from the official Fashion-MNIST files.

    apt-get download dataset-fashion-mnist && dpkg -x dataset-fashion-mnist_*.deb fashion
    python kaggle_cnn/competition/demo/make_demo.py fashion/usr/share/datasets/fashion-mnist

Same input, same bytes: fixed seed, fixed dates, images in a fixed order.
"""

import csv
import gzip
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

# The official order. "T-shirt/top" loses its slash, which no folder name can hold.
CLASSES = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
TRAIN_PER_CLASS, TEST_PER_CLASS, SEED = 600, 100, 20170825


def read_part(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """One official part ("train" or "t10k"): images (N, 28, 28) uint8 and labels (N,) uint8, from the IDX files."""
    images = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


def choose(labels: np.ndarray, per_class: int, draw: np.random.Generator) -> np.ndarray:
    """`per_class` indices of each class, all shuffled together."""
    chosen = [draw.choice(np.flatnonzero(labels == k), per_class, replace=False) for k in range(len(CLASSES))]
    return draw.permutation(np.concatenate(chosen))


def add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    compression = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
    archive.writestr(zipfile.ZipInfo(name, (2017, 8, 25, 0, 0, 0)), content, compress_type=compression)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def main(source: Path, target: Path) -> None:
    draw = np.random.default_rng(SEED)
    train_images, train_labels = read_part(source, "train")
    test_images, test_labels = read_part(source, "t10k")
    test = choose(test_labels, TEST_PER_CLASS, draw)
    with zipfile.ZipFile(target / "demo.zip", "w") as archive:
        add(archive, "classes.txt", "".join(f"{name}\n" for name in CLASSES).encode())
        add(archive, "sampleSubmission.csv", sheet([CLASSES[0]] * len(test)))
        for number, index in enumerate(choose(train_labels, TRAIN_PER_CLASS, draw), 1):
            add(archive, f"train/{CLASSES[train_labels[index]]}/{number}.png", png(train_images[index]))
        for number, index in enumerate(test, 1):
            add(archive, f"test/{number}.png", png(test_images[index]))
    (target / "solution.csv").write_bytes(sheet([CLASSES[label] for label in test_labels[test]]))


def sheet(labels: list[str]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([("id", "label"), *enumerate(labels, 1)])
    return stream.getvalue().encode()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent)
