"""Building the cache of decoded images against libjpeg-turbo's own speed, on all cores.

    python benchmarks/cache.py [FOLDER OF JPEGS]

'the decoder alone' reads the files into memory beforehand, decodes each at the fraction that kcnn asks for, and throws
the pixels away: what no cache can beat. 'and resized' makes each the square that it is to be, and throws it away too.
"""

import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import simplejpeg
from pictures import write_photographs
from PIL import Image, ImageOps
from rounds import compare

from kaggle_cnn.data.decode import crop_centre, decode_scaled
from kaggle_cnn.data.image_cache import load_images
from kaggle_cnn.progress import Silent


def pillow(path: Path, size: int) -> bytes:
    with Image.open(path) as image:
        return ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR).tobytes()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(sys.argv[1]) if sys.argv[1:] else Path(folder)
        files = sorted(source.rglob("*.jpg")) if sys.argv[1:] else write_photographs(source, 1000)
        names = [path.relative_to(source).as_posix() for path in files]
        contents = [path.read_bytes() for path in files]
        pool = ThreadPoolExecutor(os.cpu_count())

        def whole() -> int:
            return sum(pool.map(lambda each: simplejpeg.decode_jpeg(each, "RGB").ndim == 3, contents))

        for size in (64, 128, 224):

            def bare(size=size) -> int:
                return sum(pool.map(lambda each: decode_scaled(each, size, 3).ndim == 3, contents))

            def resized(size=size) -> int:
                return sum(pool.map(lambda each: crop_centre(decode_scaled(each, size, 3), size).ndim == 3, contents))

            def build(size=size) -> int:
                cache = Path(folder) / "cache"
                load_images(source, names, size, None, cache, Silent())
                shutil.rmtree(cache)
                return len(files)

            def usual(size=size) -> int:
                return len(list(pool.map(lambda path: pillow(path, size), files)))

            compare(
                f"{len(files)} JPEGs to {size} pixels",
                {
                    "the decoder alone": bare,
                    "and resized": resized,
                    "kcnn's cache": build,
                    "decoded whole": whole,
                    "Pillow, resized": usual,
                },
            )


if __name__ == "__main__":
    main()
