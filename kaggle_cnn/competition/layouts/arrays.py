"""The layout `arrays`: images and labels as arrays in .npz, .npy or IDX files, as MNIST is passed on.

An array is named by its file, and in a .npz by its key, as in `mnist.npz[x_train]`; the image in its row 17 is
`mnist.npz[x_train]#17`.
"""

import gzip
import re
import zipfile
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from kaggle_cnn.competition.archive import LARGEST_RATIO, most_unpacked
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts.labels import Found
from kaggle_cnn.competition.listing import list_files
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.errors import KcnnError

ARRAY_FILE = re.compile(r".*(\.npz|\.npy|(idx\d+[-.]|\.)(ubyte|idx)(\.gz)?|idx\d+-ubyte(\.gz)?)", re.IGNORECASE)
IN_NPZ = re.compile(r"(.*\.npz)\[(.*)\]", re.IGNORECASE)
IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}  # http://yann.lecun.com/exdb/mnist/
TEST_NAME = re.compile(r"(?<![a-z])(test|t10k|val)", re.IGNORECASE)
TRAIN_NAME = re.compile(r"(?<![a-z])train", re.IGNORECASE)


def is_array(name: str) -> bool:
    """Return whether a path names an array."""
    return bool(IN_NPZ.fullmatch(name) or ARRAY_FILE.fullmatch(name))


def array_file(path: Path) -> Path:
    """Return the file that holds an array."""
    inner = IN_NPZ.fullmatch(str(path))
    return Path(inner[1]) if inner else path


@lru_cache(maxsize=8)
def read_array(path: Path) -> Array:
    """Return an array. Raises KcnnError where it is not there, damaged, of Python objects, or far larger unpacked than
    packed."""
    inner = IN_NPZ.fullmatch(str(path))
    try:
        if inner:
            with zipfile.ZipFile(inner[1]) as packed:
                require_small(sum(entry.file_size for entry in packed.infolist()), Path(inner[1]))
            with np.load(inner[1], allow_pickle=False) as arrays:
                return np.asarray(arrays[inner[2]])
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        return read_idx(path)
    except Exception as error:  # NumPy, zipfile and zlib raise many kinds for a damaged file
        words = str(error) or type(error).__name__
        raise KcnnError(f"{path} cannot be read: {words}", "get the file from its source again") from None


def require_small(unpacked: int, path: Path) -> None:
    """Raise ValueError where a file has far more bytes unpacked than packed."""
    if unpacked > most_unpacked(path.stat().st_size):
        raise ValueError(f"it unpacks to more than {LARGEST_RATIO} times its own size")


def read_idx(path: Path) -> Array:
    """Return the array of an IDX file, packed by gzip or not. Raises ValueError where it is not one."""
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        with gzip.open(path) as stream:
            content = stream.read(most_unpacked(len(content)) + 1)
        require_small(len(content), path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in IDX_TYPES:
        raise ValueError("it is not an IDX file")
    sides = np.frombuffer(content, ">i4", content[3], 4)
    return np.frombuffer(content, IDX_TYPES[content[2]], -1, 4 + 4 * content[3]).reshape(sides)


def list_arrays(folder: Path) -> list[str]:
    """Return the names of all arrays below `folder`."""
    found = []
    for name in list_files(folder):
        if name.lower().endswith(".npz"):
            try:
                with np.load(folder / name, allow_pickle=False) as arrays:
                    found += [f"{name}[{key}]" for key in arrays.files]
            except Exception:  # as in read_array, which says why
                found.append(f"{name}[]")
        elif ARRAY_FILE.fullmatch(name):
            found.append(name)
    return found


def find_arrays(folder: Path) -> Found | None:
    """Return the labels of the arrays below `folder`, or None where there is no array of images with one of labels."""
    arrays, damaged = {}, []
    for name in list_arrays(folder):
        try:
            arrays[name] = read_array(folder / name)
        except KcnnError as error:
            damaged.append(error)
    images = [name for name, values in arrays.items() if values.ndim in (3, 4) and values.dtype.kind in "uif"]
    labels = [name for name, values in arrays.items() if is_labels(values)]
    pairs = [(name, partner) for name in images if (partner := find_partner(name, arrays, labels))]
    if not pairs:
        return None
    if damaged:  # the part that it holds would be missing, or another one be taken for it
        raise damaged[0]
    train, partner = max(pairs, key=lambda pair: (rank(pair[0]), len(arrays[pair[0]])))
    tests = [name for name in images if name != train and rank(name) < 1]
    test = max(tests, key=lambda name: -rank(name), default="")
    solution = dict(pairs).get(test, "")
    fields = {"layout": "arrays", "train": train, "test": test, "labels": partner, "solution": solution}
    return Found(fields, [(cell,) for cell in read_label_array(folder / partner)])


def rank(name: str) -> int:
    """Return 1 for an array that is called so for training, -1 for one for tests."""
    return 1 if TRAIN_NAME.search(name) else -1 if TEST_NAME.search(name) else 0


def is_labels(values: Array) -> bool:
    """Return whether an array holds a label for each image: numbers or words (N,) or (N, 1), or one-hot rows."""
    flat = values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)
    one_hot = values.ndim == 2 and values.dtype.kind in "uifb" and bool((values.sum(axis=1) == 1).all())
    return len(values) > 0 and ((flat and values.dtype.kind in "uibUS") or one_hot)


def find_partner(name: str, arrays: dict[str, Array], labels: list[str]) -> str:
    """Return the array of labels for an array of images: as many, of the same part by name; or ""."""
    fitting = [each for each in labels if len(arrays[each]) == len(arrays[name]) and rank(each) == rank(name)]
    same = [each for each in fitting if PurePosixPath(each).parent == PurePosixPath(name).parent]
    return (same or fitting or [""])[0]


def read_label_array(path: Path) -> list[str]:
    """Return the labels of an array as texts: of one-hot rows the number of the class."""
    values = read_array(path)
    if values.ndim == 2:
        values = values[:, 0] if values.shape[1] == 1 else values.argmax(axis=1)
    return [str(value) for value in values.tolist()]


def read_images(path: Path) -> Array:
    """Return an array of images as uint8 (N, height, width) or (N, height, width, 3).

    Channels may come first; fractions up to 1 are scaled to 255. Raises KcnnError for another shape or range.
    """
    values = read_array(path)
    if values.ndim == 4 and values.shape[1] in (1, 3) and values.shape[3] not in (1, 3):
        values = values.transpose(0, 2, 3, 1)
    values = values[..., 0] if values.ndim == 4 and values.shape[3] == 1 else values
    if values.ndim not in (3, 4) or (values.ndim == 4 and values.shape[3] != 3) or 0 in values.shape:
        raise KcnnError(f"{path} has the shape {values.shape}", "expected (images, height, width) or (..., 3)")
    if values.dtype == np.uint8:
        return values
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):  # not NaN either
        raise KcnnError(f"{path} has values from {low:g} to {high:g}", "expected 0 to 255, or 0 to 1")
    scale = 255 if values.dtype.kind == "f" and high <= 1 else 1
    return np.round(values * scale).astype(np.uint8)


def read_rows_and_labels(
    competition: Competition,
) -> tuple[list[str], list[tuple[str, ...]], list[str], list[str]]:
    """Return the training images, their labels, the test images, and notes; see `recognise.read`."""
    labels = read_label_array(competition.folder / competition.labels)
    tests = 0 if not competition.test else len(read_array(competition.folder / competition.test))
    if len(labels) != len(read_array(competition.folder / competition.train)):
        raise KcnnError(
            f"{competition.train} and {competition.labels} should have as many rows as each other",
            f"correct train and labels in {competition.folder / 'competition.toml'}",
        )
    trained = [f"{competition.train}#{row}" for row in range(len(labels))]
    return trained, [(label,) for label in labels], [f"{competition.test}#{row}" for row in range(tests)], []
