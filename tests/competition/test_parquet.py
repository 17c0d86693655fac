"""Images in the rows of parquet files: pixels a column each, encoded bytes, and Hugging Face's {bytes, path}."""

import io

import numpy as np
import pyarrow as pa
import pytest
from conftest import in_this_process
from PIL import Image
from pyarrow import parquet

from kaggle_cnn.competition.listing import list_images
from kaggle_cnn.data.decode import decode_square, decode_whole, read_header
from kaggle_cnn.data.image_cache import attempt, load_images
from kaggle_cnn.data.pixel_tables import load_parquet
from kaggle_cnn.progress import Silent

DRAW = np.random.default_rng(0)


def encoded(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    return stream.getvalue()


def save_pixels(path, ids, images):
    columns = {"image_id": ids, **{str(n): images.reshape(len(ids), -1)[:, n] for n in range(images[0].size)}}
    parquet.write_table(pa.table(columns), path)


def test_pixels_a_column_each(tmp_path):
    """As bengaliai-cv19, whose images are not square."""
    images = DRAW.integers(0, 256, (3, 6, 11), dtype=np.uint8)
    save_pixels(tmp_path / "train_image_data_0.parquet", ["Train_0", "Train_1", "Train_2"], images)
    names = list_images(tmp_path)
    assert names == [f"train_image_data_0.parquet/Train_{n}" for n in range(3)]
    assert (decode_whole(tmp_path / names[1])[..., 0] == images[1]).all()
    assert decode_square(tmp_path / names[1], 6, 1).shape == (6, 6, 1)
    assert read_header(tmp_path / names[1]) == (11, 6, "L")


def test_a_file_is_read_once_by_all_threads(tmp_path):
    images = DRAW.integers(0, 256, (400, 6, 11), dtype=np.uint8)
    for part in range(2):
        rows = slice(200 * part, 200 * part + 200)
        save_pixels(tmp_path / f"{part}.parquet", [f"i{n}" for n in range(400)[rows]], images[rows])
    load_parquet.cache_clear()
    read = load_images(tmp_path, list_images(tmp_path), 6, 1, tmp_path / "cache", Silent())
    assert not read.problems
    assert load_parquet.cache_info().misses == 2


def test_encoded_images(tmp_path):
    images = DRAW.integers(0, 256, (2, 9, 7, 3), dtype=np.uint8)
    parquet.write_table(pa.table({"name": ["a", "b"], "image": list(map(encoded, images))}), tmp_path / "x.parquet")
    held = [{"bytes": encoded(each), "path": f"{n}.png"} for n, each in enumerate(images)]
    parquet.write_table(pa.table({"image": held, "label": [0, 1]}), tmp_path / "y.parquet")
    assert list_images(tmp_path) == ["x.parquet/a", "x.parquet/b", "y.parquet/0.png", "y.parquet/1.png"]
    for name in ("x.parquet/b", "y.parquet/1.png"):
        assert (decode_whole(tmp_path / name) == images[1]).all()
        assert read_header(tmp_path / name) == (7, 9, "RGB")
    parquet.write_table(pa.table({"id": ["a", "b"], "age": [3, 4]}), tmp_path / "z.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no table")
    assert len(list_images(tmp_path)) == 4  # tables without images, and what cannot be read, have none
    parquet.write_table(pa.table({"name": ["a"], "image": [b"no image"]}), tmp_path / "x.parquet")
    assert attempt(lambda: decode_whole(tmp_path / "x.parquet/a"))[1] == "it is not an image"


@pytest.mark.usefixtures("keras", "eager")
def test_they_are_trained_on_by_the_ids_of_a_csv(tmp_path, begin):
    folder = tmp_path / "letters"
    folder.mkdir()
    for part, count in (("train", 40), ("test", 10)):
        ids = [f"{part.title()}_{n}" for n in range(count)]
        levels = np.where(np.arange(count) % 2, 200, 40)
        images = (levels[:, None, None] + DRAW.integers(-30, 30, (count, 18, 20))).astype(np.uint8)
        save_pixels(folder / f"{part}_image_data_0.parquet", ids, images)
    (folder / "train.csv").write_text("image_id,grapheme\n" + "".join(f"Train_{n},{'ab'[n % 2]}\n" for n in range(40)))
    (folder / "sample_submission.csv").write_text("image_id,grapheme\n" + "".join(f"Test_{n},a\n" for n in range(10)))
    (folder / "solution.csv").write_text(
        "image_id,grapheme\n" + "".join(f"Test_{n},{'ab'[n % 2]}\n" for n in range(10))
    )
    assert "letters: 40 training images of 2 classes, 10 test images" in begin(folder)
    in_this_process("train", "recipes/tiny.py", "--set", "epochs=10", "--set", "learning_rate=0.03")
    assert float(in_this_process("submit", "--yes").split("public score")[1]) > 0.8
    assert in_this_process("look", "--json")
