"""Augmentation on the device, and images that live there: the same whichever way they come."""

import numpy as np
import pytest
from conftest import Recorder, Stop

from kaggle_cnn.augment import centre
from kaggle_cnn.data.batches import Augmenter, plain_batch, training_batch
from kaggle_cnn.data.training_set import TrainingSet


@pytest.fixture
def pictures():
    """Row and column can be read from every pixel."""
    rows, columns = np.mgrid[0:12, 0:12]
    picture = np.stack([rows * 10, columns * 10, rows * 0 + 7], axis=-1).astype(np.uint8)
    return np.stack([picture] * 64)


def augmented(keras, pictures, **settings):
    from kaggle_cnn.layers import AugmentOnDevice

    given = AugmentOnDevice(**settings)(pictures)
    return np.asarray(keras.ops.convert_to_numpy(given))


def test_without_settings_it_cuts_the_centre(keras, pictures):
    given = augmented(keras, pictures, size=12, mirror=False)
    assert given.dtype == np.uint8
    assert (given == pictures).all()
    assert (augmented(keras, pictures, size=12) == pictures[:, :, ::-1]).all(axis=(1, 2, 3)).any()


def test_random_crops_and_mirrors_are_parts_of_the_picture(keras, pictures):
    given = augmented(keras, pictures, size=8)
    places = set()
    for picture in given.astype(int):
        tops, lefts = picture[:, 0, 0] // 10, picture[0, :, 1] // 10
        mirrored = lefts[0] > lefts[-1]
        lefts = lefts[::-1] if mirrored else lefts
        assert (np.diff(tops) == 1).all()
        assert (np.diff(lefts) == 1).all()
        assert (picture[:, :, 2] == 7).all()
        places.add((tops[0], lefts[0], mirrored))
    assert {top for top, _, _ in places} == {left for _, left, _ in places} == set(range(5))
    assert len({mirrored for _, _, mirrored in places}) == 2


def test_a_shift_brings_in_the_reflection(keras, pictures):
    given = augmented(keras, pictures, size=12, shift=2, mirror=False)
    tops = {tuple(picture[:, 0, 0] // 10) for picture in given.astype(int)}
    assert tops == {
        (2, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
        (1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
        tuple(range(12)),
        (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 10),
        (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 10, 9),
    }


def test_cutout_and_colour(keras, pictures):
    given = augmented(keras, pictures, size=12, mirror=False, cutout=4)
    grey = (given == 127).all(axis=-1).sum(axis=(1, 2))
    assert set(grey) <= {4, 6, 8, 9, 12, 16}  # less than 16 where its centre is near the edge
    assert grey.max() == 16
    flat = np.full((64, 12, 12, 3), 100, np.uint8)
    given = augmented(keras, flat, size=12, brightness=0.1, contrast=0.2).astype(int)
    assert (given.std(axis=(1, 2, 3)) == 0).all()
    assert given.min() >= 100 - 26 - 6
    assert given.max() <= 100 + 26 + 6
    assert len(np.unique(given)) > 20


ON_DEVICE = """
def on_device(size, mirror=True, seed=0, shift=2):
    return AugmentOnDevice(size, shift=shift, mirror=mirror, cutout=4, seed=seed)


recipe = Recipe("""


def write_on_device(workspace):
    text = (workspace.root / "recipes" / "tiny.py").read_text()
    for old, new in [
        ("from kaggle_cnn.augment import shift_rotate_flip", "from kaggle_cnn.layers import AugmentOnDevice"),
        ("augment=shift_rotate_flip", "augment=on_device"),
        ("\nrecipe = Recipe(", ON_DEVICE),
    ]:
        assert text.count(old) == 1
        text = text.replace(old, new)
    (workspace.root / "recipes" / "device.py").write_text(text)


def roomy(monkeypatch):
    """As if there were a device on which the images fit."""
    from kaggle_cnn.learn import backend, train

    monkeypatch.setattr(train, "find_device", lambda: backend.Device("CPU, roomy", "float32", memory=2**30))


def weights(keras, run):
    return keras.models.load_model(run.fold_folder(0) / "model.keras", compile=False).get_weights()


def test_images_on_the_device_or_sent_to_it_train_alike(train_tiny, tiny_workspace, keras, monkeypatch):
    write_on_device(tiny_workspace)
    sent = train_tiny(recipe="device.py", epochs=3)
    roomy(monkeypatch)
    resident = train_tiny(recipe="device.py", epochs=3)
    assert resident.record["device"] == "CPU, roomy"
    assert sent.record["device"] != "CPU, roomy"
    for one, two in zip(weights(keras, sent), weights(keras, resident), strict=True):
        assert (one == two).all()
    histories = [(run.fold_folder(0) / "history.csv").read_text() for run in (sent, resident)]
    assert histories[0] == histories[1]


def test_resumed_on_the_device_is_as_never_stopped(train_tiny, tiny_workspace, keras, monkeypatch):
    from kaggle_cnn.runs.run import open_unfinished

    write_on_device(tiny_workspace)
    roomy(monkeypatch)
    whole = train_tiny(recipe="device.py", epochs=4)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(recipe="device.py", epochs=4, progress=Stop(2))
    stopped = open_unfinished(tiny_workspace, "colours", "device")
    with np.load(stopped.fold_folder(0) / "state.npz") as kept:
        assert all(kept[name].dtype != np.uint8 for name in kept.files)  # the images are not kept again
        assert len(kept["history"]) < 4
    progress = Recorder()
    resumed = train_tiny(recipe="device.py", epochs=4, run=stopped, progress=progress)
    assert len(progress.rows) < 4
    for one, two in zip(weights(keras, whole), weights(keras, resumed), strict=True):
        assert (one == two).all()


def test_row_numbers_are_the_images():
    pixels = np.random.default_rng(0).integers(0, 255, (30, 6, 6, 3), dtype=np.uint8)
    chosen = TrainingSet(np.arange(1, 30, 2), np.eye(15, dtype=np.float32))
    augmenter = Augmenter(centre(6), seed=3)
    for step in (0, 2, 5):
        numbers, wanted = plain_batch(None, chosen, 4, 3, step)
        images, _ = plain_batch(pixels, chosen, 4, 3, step)
        cut, same = training_batch(pixels, chosen, augmenter, 4, step)
        assert numbers.dtype == np.int32
        assert (pixels[numbers] == images).all()
        assert (images == cut).all()
        assert (wanted == same).all()


@pytest.mark.parametrize("resident", [False, True])
def test_the_network_comes_after_the_augmentation(keras, pictures, resident):
    """And shares its weights; in prediction it is called without."""
    from kaggle_cnn.layers import AugmentOnDevice
    from kaggle_cnn.learn.resident import augment_first

    inputs = keras.Input((12, 12, 3), dtype="uint8")
    network = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(keras.ops.cast(inputs, "float32"))))
    trained = augment_first(network, AugmentOnDevice(12, mirror=False), pictures, resident)
    rows = np.array([5, 0, 63], np.int32)
    given = np.asarray(trained(rows if resident else pictures[rows]))
    assert np.allclose(given, network(pictures[rows]), rtol=1e-5)
    assert len(trained.trainable_variables) == 2
    assert all(one is two for one, two in zip(trained.trainable_variables, network.trainable_variables, strict=True))
    augmented = augment_first(network, AugmentOnDevice(12, shift=3), pictures, resident)
    assert np.abs(np.asarray(augmented(rows if resident else pictures[rows])) - given).max() > 1
