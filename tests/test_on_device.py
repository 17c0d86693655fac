"""Augmentation on the device, and images that live there: the same whichever way they come."""

import numpy as np
import pytest

from kaggle_cnn.data.augment import centre


@pytest.fixture
def pictures():
    """Row and column can be read from every pixel."""
    rows, columns = np.mgrid[0:12, 0:12]
    picture = np.stack([rows * 10, columns * 10, rows * 0 + 7], axis=-1).astype(np.uint8)
    return np.stack([picture] * 64)


def augmented(keras, pictures, **settings):
    from kaggle_cnn.learn.on_device import AugmentOnDevice

    given = AugmentOnDevice(**settings)(pictures)
    return np.asarray(keras.ops.convert_to_numpy(given))


def test_nothing_asked_is_the_centre(keras, pictures):
    given = augmented(keras, pictures, crop=12, mirror=False)
    assert given.dtype == np.uint8
    assert (given == pictures).all()
    assert (augmented(keras, pictures, crop=12) == pictures[:, :, ::-1]).all(axis=(1, 2, 3)).any()


def test_random_crops_and_mirrors_are_parts_of_the_picture(keras, pictures):
    given = augmented(keras, pictures, crop=8)
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
    given = augmented(keras, pictures, crop=12, shift=2, mirror=False)
    tops = {tuple(picture[:, 0, 0] // 10) for picture in given.astype(int)}
    assert tops == {
        (2, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
        (1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
        tuple(range(12)),
        (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 10),
        (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 10, 9),
    }


def test_cutout_and_colour(keras, pictures):
    given = augmented(keras, pictures, crop=12, mirror=False, cutout=4)
    grey = (given == 127).all(axis=-1).sum(axis=(1, 2))
    assert set(grey) <= {4, 6, 8, 9, 12, 16}  # less than 16 where its centre is near the edge
    assert grey.max() == 16
    flat = np.full((64, 12, 12, 3), 100, np.uint8)
    given = augmented(keras, flat, crop=12, brightness=0.1, contrast=0.2).astype(int)
    assert (given.std(axis=(1, 2, 3)) == 0).all()
    assert given.min() >= 100 - 26 - 6
    assert given.max() <= 100 + 26 + 6
    assert len(np.unique(given)) > 20


def on_device(workspace):
    text = (workspace.root / "recipes" / "tiny.py").read_text()
    text = text.replace(
        "from kaggle_cnn.data.augment import shift_rotate_flip",
        "from kaggle_cnn.learn.on_device import AugmentOnDevice",
    )
    assert "AugmentOnDevice" in text
    text = text.replace("augment=shift_rotate_flip", "augment=lambda crop: AugmentOnDevice(crop, shift=2, cutout=4)")
    (workspace.root / "recipes" / "device.py").write_text(text)


def weights(keras, run):
    return keras.models.load_model(run.fold_folder(0) / "model.keras", compile=False).get_weights()


def test_images_on_the_device_or_sent_to_it_train_alike(train_tiny, tiny_workspace, keras, monkeypatch):
    from kaggle_cnn.learn import backend

    on_device(tiny_workspace)
    sent = train_tiny(recipe="device.py", epochs=3)
    roomy = backend.Device("CPU, roomy", "float32", memory=2**30)
    monkeypatch.setattr(backend, "find_device", lambda: roomy)
    resident = train_tiny(recipe="device.py", epochs=3)
    assert resident.record["device"] == "CPU, roomy"
    for one, two in zip(weights(keras, sent), weights(keras, resident), strict=True):
        assert (one == two).all()
    histories = [(run.fold_folder(0) / "history.csv").read_text() for run in (sent, resident)]
    assert histories[0] == histories[1]


def test_resumed_on_the_device_is_as_never_stopped(train_tiny, tiny_workspace, keras, monkeypatch):
    from conftest import Quiet

    from kaggle_cnn.learn import backend
    from kaggle_cnn.learn.run import open_unfinished

    class Stopped(Quiet):
        def epoch(self, row, better, seconds):
            if row["epoch"] == 2:
                raise KeyboardInterrupt

    on_device(tiny_workspace)
    monkeypatch.setattr(backend, "find_device", lambda: backend.Device("CPU, roomy", "float32", memory=2**30))
    whole = train_tiny(recipe="device.py", epochs=4)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(recipe="device.py", epochs=4, progress=Stopped())
    stopped = open_unfinished(tiny_workspace, "colours", "device")
    kept = np.load(stopped.fold_folder(0) / "state.npz")
    assert all(kept[name].dtype != np.uint8 for name in kept.files)  # the images are not kept again
    resumed = train_tiny(recipe="device.py", epochs=4, run=stopped)
    for one, two in zip(weights(keras, whole), weights(keras, resumed), strict=True):
        assert (one == two).all()


def test_row_numbers_are_the_images(keras):
    from kaggle_cnn.data.batches import plain_batch, training_batch

    pixels = np.random.default_rng(0).integers(0, 255, (30, 6, 6, 3), dtype=np.uint8)
    rows, targets = np.arange(1, 30, 2), np.eye(15, dtype=np.float32)
    for step in (0, 2, 5):
        fixed = (rows, targets, 4, 3, step)
        numbers, wanted = plain_batch(None, *fixed)
        images, _ = plain_batch(pixels, *fixed)
        cut, same = training_batch(pixels, rows, targets, centre(6), 4, 3, step)
        assert numbers.dtype == np.int32
        assert (pixels[numbers] == images).all()
        assert (images == cut).all()
        assert (wanted == same).all()
