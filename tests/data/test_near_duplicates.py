"""Near-duplicates: which pairs are found, in which order, and that they can be kept in one fold."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.data.folds import join_pairs
from kaggle_cnn.data.near_duplicates import find_looks, near_pairs
from kaggle_cnn.progress import Silent


def smooth(draw, side=64):
    """Return a photograph of nothing: soft blobs of colour, each one's own."""
    return cv2.resize(draw.integers(0, 256, (6, 6, 3)).astype(np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)


def pairs_of(folder, names):
    return near_pairs(find_looks(folder, names, folder / "cache", Silent()), np.arange(len(names)))


def save_digits(folder, copies=()):
    """Write scikit-learn's 1,797 digits, 28x28, and JPEG copies of some; return the names."""
    folder.mkdir()
    names = []
    for number, pixels in enumerate(load_digits().images):
        grey = cv2.resize((pixels * 15.9).astype(np.uint8), (28, 28), interpolation=cv2.INTER_CUBIC)
        Image.fromarray(grey).save(folder / f"{number}.png")
        names.append(f"{number}.png")
        if number in copies:
            Image.fromarray(grey).save(folder / f"{number}.jpg", quality=50)
            names.append(f"{number}.jpg")
    return names


def test_digits_are_no_copies_of_each_other_and_copies_of_digits_are_found(tmp_path):
    """The hashes alone give 74 pairs of other digits."""
    copied = (3, 500, 1203)
    names = save_digits(tmp_path / "digits", copied)
    found = {(names[one], names[other]) for _, one, other in pairs_of(tmp_path / "digits", names)}
    assert {(f"{number}.png", f"{number}.jpg") for number in copied} <= found
    assert len(found) <= len(copied) + 2


def test_silhouettes(tmp_path):
    draw = np.random.default_rng(0)
    names = []
    for number in range(400):
        around = np.linspace(0, 2 * np.pi, 200)
        radius = 35 + 12 * np.cos(draw.integers(2, 7) * around) * draw.uniform(0.1, 1)
        across, down = draw.uniform(0.5, 1.2, 2)
        points = np.stack([60 + radius * np.cos(around) * across, 60 + radius * np.sin(around) * down], axis=1)
        leaf = cv2.fillPoly(np.full((120, 120), 255, np.uint8), [points.astype(np.int32)], 0)
        Image.fromarray(leaf).save(tmp_path / f"{number}.png")
        names.append(f"{number}.png")
    Image.open(tmp_path / "7.png").resize((80, 80)).save(tmp_path / "7 small.png")
    names.append("7 small.png")
    looks = find_looks(tmp_path, names, tmp_path / "cache", Silent())
    assert looks.plain.all()
    pairs = near_pairs(looks, np.arange(len(names)))
    assert (0, 7, 400) in pairs or (2, 7, 400) in pairs or (4, 7, 400) in pairs
    by_hash = np.bitwise_count(looks.hashes[:, None] ^ looks.hashes[None])
    assert len(pairs) < (np.triu(by_hash <= 4, 1).sum()) / 2


def test_photographs_are_found_in_other_sizes_qualities_and_brightness(tmp_path):
    draw = np.random.default_rng(0)
    names = []
    for number in range(30):
        image = Image.fromarray(smooth(draw))
        for name, made in (
            (f"{number}.png", image),
            (f"{number} small.png", image.resize((48, 48))),
            (f"{number}.jpg", image),
            (f"{number} bright.png", ImageEnhance.Brightness(image).enhance(1.04)),
        ):
            made.save(tmp_path / name)
            names.append(name)
    looks = find_looks(tmp_path, names, tmp_path / "cache", Silent())
    assert not looks.plain.any()
    groups = join_pairs(len(names), *np.array([pair[1:] for pair in pairs_of(tmp_path, names)]).T)
    assert len(set(groups)) == pytest.approx(30, abs=1)  # the four of an image are one group, and none is in two
    assert [len(set(groups[start : start + 4])) for start in range(0, 120, 4)].count(1) >= 29


@pytest.fixture
def frames(work, tmp_path, kcnn):
    """A competition whose training images are twelve films of four frames each, two of its tests frames of the first
    film; a frame of the second film has another label."""
    draw = np.random.default_rng(0)
    for film in range(12):
        still = smooth(draw).astype(int)
        for frame in range(4):
            name = "sea" if (film + (film == 1 and frame == 3)) % 2 else "wood"
            path = tmp_path / "films" / "train" / name / f"{film}-{frame}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(still + 3 * frame, 0, 255).astype(np.uint8)).save(path)
        if film == 0:
            (tmp_path / "films" / "test").mkdir()
            Image.fromarray(np.clip(still + 20, 0, 255).astype(np.uint8)).save(tmp_path / "films" / "test" / "t.png")
    kcnn("fetch", tmp_path / "films", cwd=work)
    return work


def test_look_lists_all_pairs_those_that_matter_first(kcnn, frames):
    found = json.loads(kcnn("look", "--json", cwd=frames).stdout)["near"]
    matters = [pair["across"] or pair["conflicting"] for pair in found]
    assert matters == sorted(matters, reverse=True)
    assert 0 < sum(matters) < len(matters)
    assert {each["part"] for each in found[0]["images"]} in ({"train", "test"}, {"train"})
    assert any(pair["across"] for pair in found)
    assert any(pair["conflicting"] and not pair["across"] for pair in found)
    words = " ".join(kcnn("look", cwd=frames).stdout.split())
    across, conflicting = (sum(pair[name] for pair in found) for name in ("across", "conflicting"))
    said = (
        f"pairs of near-duplicates: {len(found)}, of these {across} across parts, {conflicting} with different labels"
    )
    assert said in words
    assert "kcnn fetch --keep-together near" in words


def test_near_duplicates_stay_in_one_fold(kcnn, frames):
    fetched = kcnn("fetch", "--keep-together", "near", cwd=frames)
    assert "near-duplicates: 48 of 48 images stay in the fold of another one" in fetched.stderr + fetched.stdout
    folders = frames / "runs" / "films"
    apart, together = (pd.read_csv(folders / f"{name}.csv") for name in ("folds", "folds-near"))
    counts = [
        each.groupby(each["id"].str.extract(r"(\d+)-", expand=False))["fold"].nunique() for each in (apart, together)
    ]
    assert counts[0].max() > 1
    assert counts[1].max() == 1
    competition = Competition.read(frames / "data" / "films")
    assert (competition.keep_together, competition.folds) == ("near", "folds-near.csv")
    assert "--keep-together near" not in kcnn("look", cwd=frames).stdout
    kcnn("fetch", "--keep-together", "same", cwd=frames)
    assert Competition.read(frames / "data" / "films").folds == "folds.csv"
    kcnn("fetch", "--keep-together", "film", cwd=frames, code=2)
