"""Batches into `model.fit`."""

import itertools
from typing import Any

import keras

from kaggle_cnn.data.batches import Batch, BatchMaker
from kaggle_cnn.learn.processes import across_processes, explain_loss


def fit_batches(trained: keras.Model, batch_at: BatchMaker, first_step: int = 0, **options: Any) -> Any:
    """Fit a compiled model on the batches from `first_step` on; return its History. `options` are those of `fit`: how
    many, and what is called."""
    with across_processes(), explain_loss():
        return trained.fit(feed(batch_at, first_step), shuffle=False, verbose=0, **options)


class Endless(keras.utils.PyDataset):
    """`batch_at(step)` for step = `first_step`, `first_step` + 1, ... without end.

    A plain generator does not work: Keras 3.15 replays its first two batches at the start of every epoch. A finite
    PyDataset, or several workers, shift the steps on one backend or the other.
    """

    def __init__(self, batch_at: BatchMaker, first_step: int = 0):
        super().__init__(workers=1)
        self.batch_at, self.first_step = batch_at, first_step

    @property
    def num_batches(self) -> None:
        return None

    def __getitem__(self, index: int) -> Batch:
        return self.batch_at(self.first_step + index)


def feed(batch_at: BatchMaker, first_step: int = 0) -> Any:
    """Return what `model.fit` takes, from `first_step` on without end, all batches of one shape.

    TensorFlow gets a tf.data pipeline that does not tune itself: the end of the one that Keras makes of a PyDataset
    came 5 s late in two fits of ten (LOG.md).
    """
    if keras.backend.backend() != "tensorflow":
        return Endless(batch_at, first_step)
    import tensorflow as tf

    signature = keras.tree.map_structure(lambda part: tf.TensorSpec(part.shape, part.dtype), batch_at(first_step))
    options = tf.data.Options()
    options.autotune.enabled = False
    batches = tf.data.Dataset.from_generator(
        lambda: map(batch_at, itertools.count(first_step)), output_signature=signature
    )
    return batches.with_options(options).prefetch(1)
