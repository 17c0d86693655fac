import numpy as np
import pytest

from kaggle_cnn.data import augment


@pytest.fixture
def arrays():
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 255, (50, 20, 20, 3), dtype=np.uint8)
    return {"pixels": pixels, "rows": np.arange(0, 50, 2), "targets": np.eye(25, dtype=np.float32), "batch": 8}


@pytest.mark.parametrize("pipeline", [augment.centre, augment.flip, augment.shift_rotate_flip])
def test_a_batch_depends_on_seed_and_step_alone(keras, arrays, pipeline):
    from kaggle_cnn.data.batches import training_batch

    made = pipeline(16)
    forwards = [training_batch(**arrays, pipeline=made, seed=3, step=step) for step in range(7)]
    made = pipeline(16)
    for step in (6, 0, 3):
        images, targets = training_batch(**arrays, pipeline=made, seed=3, step=step)
        assert images.shape == (8, 16, 16, 3)
        assert images.dtype == np.uint8
        assert (images == forwards[step][0]).all()
        assert (targets == forwards[step][1]).all()
    assert (forwards[0][1] != training_batch(**arrays, pipeline=made, seed=4, step=0)[1]).any()


def test_an_epoch_shows_each_image_once(keras, arrays):
    from kaggle_cnn.data.batches import steps_per_epoch, training_batch

    assert steps_per_epoch(25, 8) == 3
    assert steps_per_epoch(5, 8) == 1
    pipeline = augment.centre(20)
    shown = [training_batch(**arrays, pipeline=pipeline, seed=0, step=step)[1].argmax(1) for step in range(6)]
    seen = [np.concatenate(shown[:3]), np.concatenate(shown[3:])]
    for epoch in seen:
        assert len(set(epoch)) == 24
    assert (seen[0] != seen[1]).any()


def test_labels_stay_with_their_images(keras, arrays):
    from kaggle_cnn.data.batches import training_batch, validation_batch

    images, targets = training_batch(**arrays, pipeline=augment.centre(16), seed=0, step=1)
    for image, target in zip(images, targets, strict=True):
        assert (image == arrays["pixels"][arrays["rows"][target.argmax()], 2:18, 2:18]).all()
    fixed = (arrays["pixels"], arrays["rows"], arrays["targets"], 16, 8)
    parts = [validation_batch(*fixed, step)[1].argmax(1) for step in range(4)]
    assert np.concatenate(parts).tolist() == list(range(25))


def test_keras_sees_every_step_once_and_in_order(keras):
    """A plain generator fails here: from its second epoch on Keras gives its first two batches again."""
    from kaggle_cnn.data.batches import Endless

    def batch_at(step):
        return np.zeros((2, 1), np.float32), np.full((2, 1), step, np.float32)

    class Target(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return keras.ops.mean(y_true, axis=-1) + 0 * keras.ops.mean(y_pred)

    class Seen(keras.callbacks.Callback):
        steps, validation = [], []

        def on_train_batch_end(self, batch, logs=None):
            self.sum = logs["loss"] * (batch + 1)
            self.steps.append(round(float(self.sum - (self.before if batch else 0))))
            self.before = self.sum

    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile(keras.optimizers.SGD(0.0), Target())
    model.fit(Endless(batch_at, 10), steps_per_epoch=4, epochs=3, shuffle=False, verbose=0, callbacks=[Seen()])
    assert Seen.steps == list(range(10, 22))


def test_augmentation_moves_little_and_stays_in_the_picture():
    image = np.zeros((40, 40, 1), np.uint8)
    image[18:22, 18:22] = 255
    pipeline = augment.shift_rotate_flip(40)
    pipeline.set_random_seed(0)
    centres = []
    for _ in range(100):
        out = pipeline(image=image)["image"]
        assert out.shape == (40, 40, 1)
        centres.append([axis.mean() for axis in np.nonzero(out[:, :, 0] > 60)])
    centres = np.array(centres) - 19.5
    assert np.abs(centres).max() <= 4.6  # a tenth of 40, and what rounding adds
    assert centres.std(axis=0).min() > 1
