"""A plain Keras script on a fetched competition's fold 0, as a starter notebook has it; prints its epochs as kcnn does.

python benchmarks/score_keras.py DATA/COMPETITION SIZE EPOCHS

The baseline's network, Adam at its default rate, batches of 64, float32 images in memory, no augmentation, and
`model.fit` with `validation_data`.
"""

import os
import sys
import time
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3"}

import keras
import numpy as np
from competitions import arrays
from keras import layers


class Report(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        taken = time.perf_counter() - self.begun
        print(f"validation accuracy {logs['val_accuracy']:.4f}  {taken:.1f} s", file=sys.stderr, flush=True)


def main(folder: Path, size: int, epochs: int) -> None:
    images, labels, folds = arrays(folder, size)
    pixels = images.astype(np.float32) / 255
    held_out = folds == 0
    keras.utils.set_random_seed(0)
    stages = [
        [
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.Conv2D(filters, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
        ]
        for filters in (32, 64)
    ]
    top = [layers.Flatten(), layers.Dense(256, activation="relu"), layers.Dropout(0.5)]
    last = layers.Dense(int(labels.max()) + 1, activation="softmax")
    model = keras.Sequential([keras.Input(pixels.shape[1:]), *stages[0], *stages[1], *top, last])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        pixels[~held_out],
        labels[~held_out],
        batch_size=64,
        epochs=epochs,
        validation_data=(pixels[held_out], labels[held_out]),
        verbose=0,
        callbacks=[Report()],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
