"""A run's models on single images: what is kept of them, and when it is made again."""

import numpy as np
import pytest
from conftest import Recorder, dataset_in, save_noise

pytestmark = pytest.mark.usefixtures("eager")


def test_features_follow_the_images_and_the_model(train_tiny, tiny_workspace):
    """Kept by what the images are, not by what they are called."""
    from kaggle_cnn.learn.predict import load_model
    from kaggle_cnn.learn.single_images import training_features

    run = train_tiny(epochs=1)
    dataset = dataset_in(tiny_workspace)
    model = load_model(run, run.models[0])

    def features():
        progress = Recorder()
        rows, values = training_features(run, model, 0, dataset, progress)
        return rows, values, any(text.startswith("features of") for text in progress.tracked)

    rows, first, computed = features()
    assert computed
    assert len(rows) == len(dataset.ids) == len(first)
    _, again, computed = features()
    assert not computed
    assert (again == first).all()
    path = dataset.competition.folder / str(dataset.ids[0])
    path.unlink()
    save_noise(path, (250, 250, 10), np.random.default_rng(9))
    _, changed, computed = features()
    assert computed
    assert not np.allclose(changed[0], first[0])
    assert (changed[1:] == first[1:]).all()
