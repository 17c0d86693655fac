"""Decode one image file, or one row of a CSV, to uint8 pixels.

libjpeg-turbo decodes JPEGs, and scales them down while it decodes. Pillow decodes all other formats, and every JPEG
that libjpeg-turbo rejects. A file may hold anything, whatever it is called: only the formats of FORMATS are opened, and
an image that would take more memory or time than an image does is refused.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.data.bands import (
    TIFF,
    count_bits,
    has_bands,
    is_dicom,
    read_bands,
    read_dicom,
    read_values,
    scale_bits,
    scale_range,
)
from kaggle_cnn.data.pixel_tables import read_parquet_row, read_rows, split_path, split_row

GREY_MODES = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"}
ORIENTATION = 0x0112  # the EXIF tag
UNUSUAL = {".tif", ".tiff", ".dcm", ".dicom"}  # endings of files that Pillow may not open, see bands
BANDS = " bands"
JPEG = b"\xff\xd8"  # the first bytes of a JPEG
START_OF_SCAN = b"\xff\xda"
# Pillow opens fifty formats, some by other programs: of an EPS called .png it starts Ghostscript.
FORMATS = ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "AVIF"]
LARGEST_FILE = 2**29  # bytes
MOST_PIXELS = 89_478_485  # where Pillow begins to warn: 1 GiB at 12 bytes a pixel, which is what the worst mode takes
LONGEST_SIDE = 65_500  # pixels, libjpeg's limit; an image of one row of 89 million takes 2.8 GiB
LARGE = 2**24  # pixels; of images that have more, one at a time is decoded
MOST_SCANS = 100  # a progressive JPEG has about ten; each is a pass over all pixels, and may be a few bytes long
WHOLE = 2**16  # pixels: a side that no image has; asks for all of it
LARGEST_MARGIN = 16  # pixels, see crop_centre
TURNS = {  # EXIF orientation -> number of quarter turns to the left, and whether a mirror image follows
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}


def decode_square(path: Path, size: int, channels: int, fit: str = "crop", bits: int = 0) -> Array:
    """Return one file, or one row of a CSV, as uint8 (size, size, channels).

    `fit` is how the image becomes a square, one of recipe.FITS. Several files are its channels, one after the other.
    The EXIF orientation is applied. Transparent pixels
    become white. 16-bit and float grey values are scaled to 8 bits. Of an animation, the first frame is used.
    `bits` are those of 16-bit values that count, see find_bits; 0 asks the file itself.
    Raises whatever Pillow raises for a file that is empty, truncated or not an image.
    """
    if len(files := split_path(path)) > 1:
        if channels % len(files):
            raise ValueError(f"{len(files)} files for {channels} channels")
        parts = [decode_square(file, size, channels // len(files), fit, bits) for file in files]
        return np.concatenate(parts, axis=2)
    if row := split_row(path):
        return convert_square(Image.fromarray(read_rows(row[0])[row[1]]), size, channels, fit)
    content = read_content(path)
    if isinstance(content, np.ndarray):
        return convert_square(Image.fromarray(content), size, channels, fit)
    if content.startswith(JPEG):
        try:
            return decode_jpeg_square(content, size, channels, fit)
        except ValueError:
            pass  # a CMYK JPEG or a damaged one: Pillow decides
    if (bands := read_unusual(content, bits)) is not None:
        return square_bands(bands, size, channels, fit)
    with open_image(content) as image, take_turns(image.width * image.height):
        return convert_square(image, size, channels, fit, bits)


def read_unusual(content: bytes, bits: int = 0) -> Array | None:
    """Return an image that Pillow does not open, uint8 (height, width, bands); None where Pillow is to decide."""
    if is_dicom(content):
        return np.atleast_3d(read_dicom(content, MOST_PIXELS))
    if content.startswith(TIFF) and has_bands(content):
        return read_bands(content, MOST_PIXELS, bits)
    return None


def square_bands(bands: Array, size: int, channels: int, fit: str) -> Array:
    """Return uint8 (height, width, bands) as (size, size, channels). Raises ValueError where it has other bands."""
    count = bands.shape[2]
    if count in (1, 3) and channels in (1, 3):
        return convert_square(Image.fromarray(bands.squeeze()), size, channels, fit)
    if count != channels:
        raise ValueError(f"an image of {count} bands, expected {channels}")
    parts = [convert_square(Image.fromarray(np.ascontiguousarray(bands[..., n])), size, 1, fit) for n in range(count)]
    return np.concatenate(parts, axis=2)


def decode_whole(path: Path, least: int | None = None) -> Array:
    """Return one file, or one row of a CSV, as uint8 (height, width, 3), with the EXIF orientation applied.

    With `least`, a JPEG is decoded at 1/8, 1/4, 1/2 or all of its size: the smallest of these whose shorter side has at
    least `least` pixels. Raises as `decode_square` does.
    """
    path = split_path(path)[0]  # of several, the first one stands for all
    if row := split_row(path):
        return np.asarray(convert_mode(Image.fromarray(read_rows(row[0])[row[1]]), 3))
    content = read_content(path)
    if isinstance(content, np.ndarray):
        return np.asarray(convert_mode(Image.fromarray(content), 3))
    if content.startswith(JPEG):
        try:
            return np.ascontiguousarray(apply_orientation(decode_scaled(content, least or WHOLE, 3), content))
        except ValueError:
            pass  # a CMYK JPEG or a damaged one: Pillow decides
    if (bands := read_unusual(content)) is not None:
        return np.ascontiguousarray(bands[..., :3] if bands.shape[2] >= 3 else np.repeat(bands[..., :1], 3, axis=2))
    with open_image(content) as image, take_turns(image.width * image.height):
        return np.asarray(convert_mode(ImageOps.exif_transpose(image), 3))


def find_bits(path: Path) -> int:
    """Return how many bits the values of a 16-bit image need, 0 for another image."""
    if path.suffix.lower() not in (".png", ".tif", ".tiff"):
        return 0
    content = read_content(split_path(path)[0])
    if isinstance(content, np.ndarray):
        return 0
    if content.startswith(TIFF) and has_bands(content):
        return count_bits(read_values(content, MOST_PIXELS))
    with open_image(content) as image:
        return count_bits(np.asarray(image)) if image.mode.startswith("I;16") else 0


def open_image(source: Path | bytes) -> Image.Image:
    """Return a file, or its bytes, as Pillow opens it, the pixels not read yet where the format allows.

    libheif is asked where Pillow alone knows no format, whatever the file is called. Raises ValueError for an image of
    more than MOST_PIXELS, and what they raise for a file that is not an image.
    """
    try:
        image = Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    except UnidentifiedImageError:
        register_heif()
        image = Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=["HEIF"])
    if image.width * image.height > MOST_PIXELS or max(image.size) > LONGEST_SIDE:
        most = f"{MOST_PIXELS:,} in all, or {LONGEST_SIDE:,} a side"
        raise ValueError(f"{image.width}x{image.height} pixels, more than {most}")
    return image


one_large_image = threading.Lock()


@contextmanager
def take_turns(pixels: int) -> Iterator[None]:
    """Keep the threads that decode from decoding two large images at once: the memory is that of one."""
    if pixels <= LARGE:
        yield
        return
    with one_large_image:
        yield


@cache
def register_heif() -> None:
    from pi_heif import register_heif_opener  # type: ignore[import-untyped]

    register_heif_opener()


def read_content(path: Path) -> bytes | Array:
    """Return the bytes of a file, or of a row of a parquet file, or its pixels. Raises ValueError if it is empty, or
    what no image is."""
    content = read_parquet_row(path)
    if isinstance(content, np.ndarray):
        return content
    if content is None and path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"the file is larger than {LARGEST_FILE // 2**20} MiB")
    content = path.read_bytes() if content is None else content
    if not content:
        raise ValueError("the file is empty")
    if content.startswith(JPEG) and (scans := content.count(START_OF_SCAN)) > MOST_SCANS:
        raise ValueError(f"a JPEG of {scans:,} scans")
    return content


def decode_jpeg_square(content: bytes, size: int, channels: int, fit: str) -> Array:
    """Return a JPEG as uint8 (size, size, channels). Raises ValueError as `decode_scaled` does."""
    pixels = decode_scaled(content, size, channels)
    if pixels.shape[:2] != (size, size):
        whole = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        pixels = crop_centre(pixels, size) if fit == "crop" else fit_whole(whole, size, fit)
    return apply_orientation(pixels.reshape(size, size, channels), content)


def decode_scaled(content: bytes, size: int, channels: int) -> Array:
    """Return a JPEG as uint8 (height, width, channels), at 1/8, 1/4, 1/2 or all of its size.

    The scale is the smallest of these whose shorter side has at least `size` pixels. Raises ValueError if the JPEG is
    truncated, or is not grey, YCbCr or RGB.
    """
    height, width, space, _ = simplejpeg.decode_jpeg_header(content)
    if space in ("CMYK", "YCCK") or height * width > MOST_PIXELS:
        raise ValueError(f"{space}, {width}x{height}")
    shorter = min(height, width)
    divisor = next((divisor for divisor in (8, 4, 2) if shorter // divisor >= size), 1)
    least = {"min_height": -(-height // divisor), "min_width": -(-width // divisor)}
    with take_turns(height * width):
        pixels: Array = simplejpeg.decode_jpeg(content, "GRAY" if channels == 1 else "RGB", **least)
    return pixels[: round(height / divisor), : round(width / divisor)]  # without the padding of the last block


def apply_orientation(pixels: Array, content: bytes) -> Array:
    """Return the pixels of a JPEG, rotated and mirrored as its EXIF orientation says."""
    if b"Exif\0\0" in content[:4096]:  # EXIF is the first segment, or follows the short JFIF segment
        with Image.open(BytesIO(content)) as image:
            turns, mirror = TURNS.get(image.getexif().get(ORIENTATION, 1), (0, False))
        pixels = np.rot90(pixels, turns)[:, :: -1 if mirror else 1]
    return pixels


def crop_centre(pixels: Array, size: int) -> Array:
    """Resize the shorter side to `size` and return the centre square, uint8 (size, size) or (size, size, channels).

    Resizing is bilinear. Where it makes the image half as large or smaller, each new pixel is the mean of an area.

    The centre of the image stays the centre of the square. OpenCV resizes whole pixels to whole pixels, so the square
    keeps a margin of a few pixels while it is resized, and the margin is cut off afterwards. The same number of pixels
    is cut off on both sides, before and after. The chosen margin is the one that has nearly a whole number of pixels on
    each side after resizing.
    """
    shorter = min(pixels.shape[:2])

    def scale_half(margin: int) -> float:
        return margin * size / shorter / 2

    def choose_margin(side: int) -> int:
        margins = range((side - shorter) % 2, min(side - shorter, LARGEST_MARGIN) + 1, 2)
        return min(margins, key=lambda margin: abs(scale_half(margin) - round(scale_half(margin))))

    margins = [choose_margin(side) for side in pixels.shape[:2]]
    rows, columns = (shorter + margin for margin in margins)
    top, left = (pixels.shape[0] - rows) // 2, (pixels.shape[1] - columns) // 2
    height, width = (size + 2 * round(scale_half(margin)) for margin in margins)
    method = cv2.INTER_AREA if shorter >= 2 * size else cv2.INTER_LINEAR
    resized: Array = cv2.resize(pixels[top : top + rows, left : left + columns], (width, height), interpolation=method)
    top, left = (height - size) // 2, (width - size) // 2
    return resized[top : top + size, left : left + size]


def convert_square(image: Image.Image, size: int, channels: int, fit: str, bits: int = 0) -> Array:
    """Return a Pillow image as uint8 (size, size, channels); `fit` is one of recipe.FITS."""
    image = convert_mode(ImageOps.exif_transpose(image), channels, bits)
    if fit == "crop":
        pixels = np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))
    else:
        pixels = fit_whole(image, size, fit)
    return pixels.reshape(size, size, channels)


def fit_whole(image: Image.Image, size: int, fit: str) -> Array:
    """Return the whole of an image of mode "L" or "RGB" as a square, uint8 (size, size) or (size, size, 3).

    `fit` "squash" resizes each side by itself. "pad" resizes both by the same factor, and fills up the shorter side
    with the median colour of the border: black beside a scan on black, white beside a leaf on paper.
    """
    width, height = (size if fit == "squash" else max(1, round(side * size / max(image.size))) for side in image.size)
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    top, left = (size - pixels.shape[0]) // 2, (size - pixels.shape[1]) // 2
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    square = np.empty((size, size, *pixels.shape[2:]), np.uint8)
    square[:] = np.median(border, axis=0)
    square[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return square


def convert_mode(image: Image.Image, channels: int, bits: int = 0) -> Image.Image:
    """Return a Pillow image of any mode as mode "L" (`channels` is 1) or "RGB" (`channels` is 3)."""
    if image.mode.startswith("I") or image.mode == "F":
        # A 16-bit file holds values of 8 to 16 bits. A 32-bit or float file has a range of its own.
        values = np.asarray(image)
        image = Image.fromarray(scale_bits(values, bits) if image.mode.startswith("I;16") else scale_range(values))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if channels == 1 else "RGB")


def read_header(path: Path) -> tuple[int, int, str]:
    """Return width, height and Pillow mode of a file or a row of a CSV, with the EXIF orientation applied; the mode of
    an image of many bands is their number and BANDS."""
    path = split_path(path)[0]
    row = split_row(path)
    if (held := read_parquet_row(path)) is not None:
        with Image.fromarray(held) if isinstance(held, np.ndarray) else open_image(held) as image:
            return image.width, image.height, image.mode
    if not row and path.suffix.lower() in UNUSUAL and (bands := read_unusual(path.read_bytes())) is not None:
        mode = {1: "L", 3: "RGB"}.get(bands.shape[2], f"{bands.shape[2]}{BANDS}")
        return bands.shape[1], bands.shape[0], mode
    with Image.fromarray(read_rows(row[0])[row[1]]) if row else open_image(path) as image:
        sideways = image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
        return (image.height, image.width, image.mode) if sideways else (image.width, image.height, image.mode)
