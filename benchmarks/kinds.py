"""Make two competitions of scikit-learn's 1,797 handwritten digits: their value as a number, and as an ordered grade.

    python benchmarks/kinds.py FOLDER
    kcnn fetch FOLDER/number && kcnn train resnet --set size=32 --set epochs=10 --folds all --set mirror=false
    kcnn fetch FOLDER/grade && kcnn train resnet --set size=32 --set epochs=10 --folds all --set mirror=false \\
        --set ordinal=regression

Of the grades most images are of the lower ones, as in medicine: of the digit d every (1 + d // 2)-th is kept. A fifth
of the images is the test part, with its solution.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def main(folder: Path) -> None:
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    for kind in ("number", "grade"):
        seen = dict.fromkeys(range(10), 0)
        rows: dict[str, list[str]] = {"train": [], "test": []}
        for number in order.tolist():
            value = int(digits.target[number])
            seen[value] += 1
            if kind == "grade" and seen[value] % (1 + value // 2):
                continue
            part = "test" if number % 5 == 0 else "train"
            (folder / kind / part).mkdir(parents=True, exist_ok=True)
            pixels = np.kron(digits.images[number] / 16 * 255, np.ones((4, 4))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / kind / part / f"{number}.png")
            rows[part].append(f"{number},{value}{'.0' if kind == 'number' else ''}")
        (folder / kind / "train.csv").write_text("id,value\n" + "\n".join(rows["train"]) + "\n")
        (folder / kind / "solution.csv").write_text("id,value\n" + "\n".join(rows["test"]) + "\n")
        first = "4.5" if kind == "number" else "0"
        sample = "".join(f"{row.partition(',')[0]},{first}\n" for row in rows["test"])
        (folder / kind / "sample_submission.csv").write_text("id,value\n" + sample)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
