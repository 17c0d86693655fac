"""fastai in a given time, beside `kcnn compete`: the same images, no pretrained weights, the same submission.

    python benchmarks/compete_fastai.py split ZIP-OR-FOLDER FOLDER         # a competition whose test part is known
    python benchmarks/compete_fastai.py train FOLDER MINUTES SIZE OUT.csv  # fastai, from its import to the submission
    python benchmarks/compete_fastai.py judge FOLDER KCNN.csv FASTAI.csv   # accuracies of the test part, an interval

`split` takes a fifth of each class away from class folders: nobody trains on it. `train` does as fastai's guides do:
images are made smaller once; `vision_learner(resnet18, pretrained=False)` with `aug_transforms`, mixup and label
smoothing; one cycle of as many epochs as fit, by the time of the first one; predictions by its `tta`.
"""

import shutil
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

SEED, HELD_OUT = 1, 0.2
SPARE = 0.05  # of the time, for the predictions


def split(source: Path, folder: Path) -> None:
    """Class folders below `source` become train/<class>, test/, a sample submission and solution.csv."""
    if source.is_file():
        whole = folder.with_name(folder.name + "-whole")
        with zipfile.ZipFile(source) as archive:
            archive.extractall(whole)
        source = whole
    draw = np.random.default_rng(SEED)
    answers = []
    (folder / "test").mkdir(parents=True)
    for classes in sorted({path.parent for path in source.rglob("train/**/*.jpg")}):
        images = sorted(classes.glob("*.jpg"))
        held_out = set(draw.permutation(len(images))[: int(HELD_OUT * len(images))].tolist())
        (folder / "train" / classes.name).mkdir(parents=True)
        for number, image in enumerate(images):
            if number in held_out:
                answers.append((image, classes.name))
            else:
                shutil.copy(image, folder / "train" / classes.name / image.name)
    rows = []
    for number, place in enumerate(draw.permutation(len(answers)), start=1):
        image, name = answers[place]
        shutil.copy(image, folder / "test" / f"{number}.jpg")
        rows.append((f"{number}.jpg", name))
    table = pd.DataFrame(rows, columns=["id", "character"])
    table.to_csv(folder / "solution.csv", index=False)
    table.assign(character=table["character"].min()).to_csv(folder / "sample_submission.csv", index=False)


def train(folder: Path, minutes: float, size: int, out: Path) -> None:
    begun = time.monotonic()
    import torchvision_on_cpu  # noqa: F401
    from fastai.callback.mixup import MixUp
    from fastai.losses import LabelSmoothingCrossEntropy
    from fastai.vision.all import (
        ImageDataLoaders,
        Resize,
        accuracy,
        aug_transforms,
        get_image_files,
        resize_images,
        resnet18,
        set_seed,
        vision_learner,
    )

    set_seed(SEED)
    small = out.with_suffix("")
    shutil.rmtree(small, ignore_errors=True)
    for part in ("train", "test"):
        resize_images(folder / part, dest=small / part, max_size=int(1.75 * size), recurse=True, max_workers=2)
    loaders = ImageDataLoaders.from_folder(
        small / "train",
        valid_pct=0.1,
        seed=SEED,
        item_tfms=Resize(int(1.25 * size)),
        batch_tfms=aug_transforms(size=size, min_scale=0.75),
        bs=32,
        num_workers=2,
    )

    def make_learner():
        return vision_learner(loaders, resnet18, pretrained=False, metrics=accuracy,
                              loss_func=LabelSmoothingCrossEntropy(), cbs=[MixUp(0.2)])  # fmt: skip

    start, learner = time.monotonic(), make_learner()
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(1, 3e-3)
        epoch = time.monotonic() - start
        left = 60 * minutes * (1 - SPARE) - (time.monotonic() - begun)
        epochs = max(1, int(left / epoch))
        learner = make_learner()
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs, 3e-3)
        valid = float(learner.validate()[1])
        test = sorted(get_image_files(small / "test"))
        predicted, _ = learner.tta(dl=loaders.test_dl(test))
    names = [loaders.vocab[place] for place in predicted.argmax(dim=1).tolist()]
    by_id = dict(zip((path.name for path in test), names, strict=True))
    sample = pd.read_csv(folder / "sample_submission.csv")
    sample.assign(character=[by_id[name] for name in sample["id"]]).to_csv(out, index=False)
    print(f"{size} pixels: {epochs} epochs of {epoch:.1f} s, {valid:.4f} on a tenth of the training images, "
          f"{time.monotonic() - begun:.0f} s")  # fmt: skip


def judge(folder: Path, *submissions: Path) -> None:
    """The accuracy of each submission, and the interval of the first one's lead by 10,000 bootstrap samples."""
    truth = pd.read_csv(folder / "solution.csv").set_index("id")["character"]
    right = [(pd.read_csv(path).set_index("id")["character"].reindex(truth.index) == truth).to_numpy()
             for path in submissions]  # fmt: skip
    for path, each in zip(submissions, right, strict=True):
        print(f"{path}: {each.mean():.4f} of {len(truth)} test images")
    draw = np.random.default_rng(SEED)
    for path, other in zip(submissions[1:], right[1:], strict=True):
        lead = right[0].astype(float) - other
        means = lead[draw.integers(0, len(lead), (10_000, len(lead)))].mean(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        print(f"lead over {path}: {100 * lead.mean():+.2f} points, 95 % interval {100 * low:+.2f} to {100 * high:+.2f}")


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "split":
        split(*map(Path, arguments))
    elif what == "train":
        train(Path(arguments[0]), float(arguments[1]), int(arguments[2]), Path(arguments[3]))
    else:
        judge(*map(Path, arguments))
