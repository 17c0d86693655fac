"""Batches with rotation, shift and flip: kcnn beside ImageDataGenerator, tf.data with Keras layers, and torchvision.

    python benchmarks/augmentation.py [--picture benchmarks/augmentation.png]

32 images a batch, rotation by up to 10 degrees, shift by up to a tenth, mirrored half the time. ImageDataGenerator as
its users run it, from a folder of JPEGs, which it decodes anew in every epoch, and from an array in memory as all the
others; kcnn from its cache on disk, as in training. kcnn gives uint8, since scaling is the model's first layer, the
others float32 between 0 and 1; 'kcnn, float32' is turned into the same.
"""

import argparse
import contextlib
import io
import os
import tempfile
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1", "KERAS_BACKEND": "tensorflow"}

import torch._dynamo  # noqa: F401  # isort: skip  # PyTorch for CUDA crashes where TensorFlow was imported before it
import torchvision_on_cpu  # noqa: F401  # isort: skip

import cv2
import keras
import numpy as np
import tensorflow as tf
from pictures import write_photographs
from PIL import Image
from rounds import compare

from kaggle_cnn.augment import shift_rotate_flip
from kaggle_cnn.data.batches import Ahead, Augmenter, training_batch
from kaggle_cnn.data.image_cache import load_images
from kaggle_cnn.data.training_set import TrainingSet
from kaggle_cnn.progress import Silent

BATCH = 32


def kcnn(images: np.ndarray, steps: int, as_float: bool = False):
    chosen = TrainingSet(np.arange(len(images)), np.zeros((len(images), 1), np.float32))
    augmenter = Augmenter(shift_rotate_flip(images.shape[1]), seed=0)

    def batch_at(step: int):
        return training_batch(images, chosen, augmenter, BATCH, step)

    def run() -> int:
        with Ahead([batch_at]) as batches:
            for step in range(steps):
                batch = batches(step)[0]
                if as_float:
                    batch = cv2.multiply(batch.reshape(BATCH, -1), 1 / 255, dtype=cv2.CV_32F)
        return steps * BATCH

    return run, lambda: np.stack([augmenter(images[row], 0, row) for row in range(8)])


def image_data_generator(source: np.ndarray | Path, size: int, steps: int):
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        rescale=1 / 255, rotation_range=10, width_shift_range=0.1, height_shift_range=0.1, horizontal_flip=True
    )
    if isinstance(source, Path):
        with contextlib.redirect_stdout(io.StringIO()):
            flow = generator.flow_from_directory(source, (size, size), batch_size=BATCH, shuffle=False)
    else:
        flow = generator.flow(source, batch_size=BATCH, shuffle=False)

    def run() -> int:
        for _ in range(steps):
            next(flow)
        return steps * BATCH

    def first():
        flow.reset()
        batch = next(flow)
        return (batch[0] if isinstance(source, Path) else batch) * 255

    return run, first


def keras_layers(images: np.ndarray, steps: int):
    layers = keras.Sequential(
        [
            keras.layers.RandomRotation(10 / 360, fill_mode="reflect"),
            keras.layers.RandomTranslation(0.1, 0.1, fill_mode="reflect"),
            keras.layers.RandomFlip("horizontal"),
            keras.layers.Rescaling(1 / 255),
        ]
    )
    dataset = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images)).repeat().batch(BATCH)
    dataset = dataset.map(lambda batch: layers(batch, training=True), num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.take(steps).prefetch(tf.data.AUTOTUNE)

    def run() -> int:
        for _ in dataset:
            pass
        return steps * BATCH

    return run, lambda: layers(images[:BATCH], training=True).numpy() * 255


def torchvision(images: np.ndarray, steps: int, workers: int):
    import torch
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.RandomAffine(10, (0.1, 0.1), interpolation=v2.InterpolationMode.BILINEAR),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    channels_first = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()

    class Augmented(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return steps * BATCH

        def __getitem__(self, number: int):
            return transform(channels_first[number % len(images)])

    loader = torch.utils.data.DataLoader(Augmented(), BATCH, shuffle=True, num_workers=workers)

    def run() -> int:
        for _ in loader:
            pass
        return steps * BATCH

    def first():
        batch = torch.stack([transform(channels_first[number]) for number in range(BATCH)])
        return batch.permute(0, 2, 3, 1).numpy() * 255

    return run, first


def write_picture(path: str, rows: dict) -> None:
    """The same eight images as each library shows them to the network."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(rows), 8, figsize=(12, 1.7 * len(rows)), squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        line[0].set_title(name, loc="left", fontsize=10)
        for axis, image in zip(line, images, strict=False):
            axis.imshow(np.clip(image, 0, 255).astype(np.uint8))
            axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    Image.open(path).quantize(200).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--picture")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 224])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photographs = Path(folder) / "photographs"
        (photographs / "one class").mkdir(parents=True)
        files = write_photographs(photographs / "one class", 512)
        for size in options.sizes:
            names = [path.relative_to(folder).as_posix() for path in files]
            images = load_images(Path(folder), names, size, 3, Path(folder) / "cache", Silent()).pixels
            steps = 24 * 64 // size
            sides = {
                "ImageDataGenerator, JPEGs": image_data_generator(photographs, size, steps),
                "ImageDataGenerator, array": image_data_generator(np.array(images), size, steps),
                "tf.data, Keras layers": keras_layers(np.array(images), 2 * steps),
                "torchvision": torchvision(np.array(images), steps, 0),
                "torchvision, 2 processes": torchvision(np.array(images), 8 * steps, 2),
                "kcnn": kcnn(images, 16 * steps),
                "kcnn, float32": kcnn(images, 16 * steps, as_float=True),
            }
            compare(f"batches of 32 at {size} pixels", {name: run for name, (run, _) in sides.items()})
            if options.picture and size == options.sizes[0]:
                shown = {
                    name: first()[:8]
                    for name, (_, first) in sides.items()
                    if name not in ("torchvision, 2 processes", "kcnn, float32")
                }
                write_picture(options.picture, {"as they are": images[:8], **shown})


if __name__ == "__main__":
    main()
