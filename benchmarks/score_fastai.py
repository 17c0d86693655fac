"""fastai's vision_learner on a fetched competition's fold 0, without pretrained weights; prints its epochs as kcnn.

python benchmarks/score_fastai.py DATA/COMPETITION SIZE EPOCHS
"""

import sys
import time
from pathlib import Path

import pandas as pd
import torchvision_on_cpu  # noqa: F401
from fastai.callback.core import Callback
from fastai.vision.all import ImageDataLoaders, Resize, accuracy, aug_transforms, resnet18, vision_learner


class Report(Callback):
    order = 60  # after the recorder

    def before_epoch(self):
        self.begun = time.perf_counter()

    def after_epoch(self):
        value = self.recorder.values[-1][-1]
        print(f"validation accuracy {value:.4f}  {time.perf_counter() - self.begun:.1f} s", file=sys.stderr, flush=True)


def main(folder: Path, size: int, epochs: int) -> None:
    folds = folder.parents[1] / "runs" / folder.name / "folds.csv"
    table = pd.read_csv(folds, dtype={"id": str, "label": str})
    table["held out"] = table["fold"] == 0
    loaders = ImageDataLoaders.from_df(
        table,
        folder,
        valid_col="held out",
        fn_col="id",
        label_col="label",
        item_tfms=Resize(size),
        batch_tfms=aug_transforms(),
        bs=64,
        num_workers=2,
    )
    learner = vision_learner(loaders, resnet18, pretrained=False, metrics=accuracy, cbs=[Report()])
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs, 3e-3)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3]))
