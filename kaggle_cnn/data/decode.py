"""One image file, or row of a CSV, -> one uint8 square. JPEGs by libjpeg-turbo, scaled while decoding; all else by
Pillow, which also decides where a JPEG is not as it should be."""

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageOps

from kaggle_cnn.data.pixels import read_rows, split_row

GREY_MODES = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"}
ORIENTATION = 0x0112  # the EXIF tag
JPEG = b"\xff\xd8"
TURNS = {  # of its values, those that change a picture: how many quarter turns to the left, and then a mirror image?
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}


def square(path: Path, size: int, channels: int) -> np.ndarray:
    """One file, or row of a CSV, as (size, size, channels) uint8: shorter side resized to `size`, centre cut out.

    EXIF rotation is honoured; transparent pixels lie on white; 16-bit and float grey is scaled to 8 bits; of an
    animation the first frame counts. Raises whatever Pillow raises on a file that is empty, cut short or no image.
    """
    if row := split_row(path):
        return pillow_square(Image.fromarray(read_rows(row[0])[row[1]]), size, channels)
    content = read_content(path)
    if content.startswith(JPEG):
        try:
            return jpeg_square(content, size, channels)
        except ValueError:
            pass  # four inks, or damaged somewhere
    with Image.open(BytesIO(content)) as image:
        return pillow_square(image, size, channels)


def read_content(path: Path) -> bytes:
    if content := path.read_bytes():
        return content
    raise ValueError("the file is empty")


def jpeg_square(content: bytes, size: int, channels: int) -> np.ndarray:
    """Decodes no larger than needed, then resizes. Raises ValueError as decode_scaled does."""
    pixels = decode_scaled(content, size, channels)
    if pixels.shape[:2] != (size, size):
        pixels = fit(pixels, size).reshape(size, size, channels)
    return upright(pixels, content)


def upright(pixels: np.ndarray, content: bytes) -> np.ndarray:
    """A JPEG's pixels, turned and mirrored as its EXIF says."""
    if b"Exif\0\0" in content[:4096]:  # it stands first, or after JFIF's few bytes
        turns, mirror = TURNS.get(Image.open(BytesIO(content)).getexif().get(ORIENTATION), (0, False))
        pixels = np.rot90(pixels, turns)[:, :: -1 if mirror else 1]
    return pixels


def picture(path: Path, least: int | None = None) -> np.ndarray:
    """One file, or row of a CSV, as a whole: uint8 (height, width, 3), upright. With `least` a JPEG comes at the
    smallest of 1/8, 1/4, 1/2 and 1 of its size whose shorter side is not below it. Raises as `square` does."""
    if row := split_row(path):
        return np.asarray(flatten(Image.fromarray(read_rows(row[0])[row[1]]), 3))
    content = read_content(path)
    if content.startswith(JPEG):
        try:
            return np.ascontiguousarray(upright(decode_scaled(content, least or Image.MAX_IMAGE_PIXELS, 3), content))
        except ValueError:
            pass
    with Image.open(BytesIO(content)) as image:
        return np.asarray(flatten(ImageOps.exif_transpose(image), 3))


def decode_scaled(content: bytes, size: int, channels: int) -> np.ndarray:
    """A JPEG at the smallest of 1/8, 1/4, 1/2 and 1 of its size whose shorter side is not below `size`.

    Raises ValueError for what is not whole, or not grey, YCbCr or RGB.
    """
    height, width, space, _ = simplejpeg.decode_jpeg_header(content)
    if space in ("CMYK", "YCCK") or height * width > Image.MAX_IMAGE_PIXELS:
        raise ValueError(f"{space}, {width}x{height}")
    shorter = min(height, width)
    part = next((part for part in (8, 4, 2) if shorter // part >= size), 1)
    pixels = simplejpeg.decode_jpeg(
        content, "GRAY" if channels == 1 else "RGB", min_height=-(-height // part), min_width=-(-width // part)
    )
    return pixels[: round(height / part), : round(width / part)]  # without what fills the last block


def fit(pixels: np.ndarray, size: int) -> np.ndarray:
    """The centre of `pixels` as (size, size): bilinear, or the mean of areas where more than a half is to go.

    The middle stays the middle, though OpenCV resizes whole pixels to whole pixels: as many are left out on one side as
    on the other, before and after. With an odd number to leave out, those few more are resized that come out nearest
    to an even number.
    """
    shorter = min(pixels.shape[:2])

    def kept(side: int) -> int:
        more = range((side - shorter) % 2, min(side - shorter, 16) + 1, 2)
        return min(more, key=lambda each: abs(each * size / shorter / 2 - round(each * size / shorter / 2)))

    more = [kept(side) for side in pixels.shape[:2]]
    rows, columns = (shorter + each for each in more)
    top, left = (pixels.shape[0] - rows) // 2, (pixels.shape[1] - columns) // 2
    height, width = (size + 2 * round(each * size / shorter / 2) for each in more)
    way = cv2.INTER_AREA if shorter >= 2 * size else cv2.INTER_LINEAR
    pixels = cv2.resize(pixels[top : top + rows, left : left + columns], (width, height), interpolation=way)
    top, left = (height - size) // 2, (width - size) // 2
    return pixels[top : top + size, left : left + size]


def pillow_square(image: Image.Image, size: int, channels: int) -> np.ndarray:
    image = flatten(ImageOps.exif_transpose(image), channels)
    image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(size, size, channels)


def flatten(image: Image.Image, channels: int) -> Image.Image:
    """Any Pillow mode as "L" (`channels` 1) or "RGB" (3)."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        # 16-bit files use their whole range; 32-bit and float ones come with a range of their own.
        low, high = (0, 65535) if image.mode.startswith("I;16") else (values.min(), values.max())
        image = Image.fromarray(np.round((values - low) / max(high - low, 1e-12) * 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if channels == 1 else "RGB")


def read_header(path: Path) -> tuple[int, int, str]:
    """Width and height after EXIF rotation, and Pillow's mode, of a file or a row of a CSV."""
    row = split_row(path)
    with Image.fromarray(read_rows(row[0])[row[1]]) if row else Image.open(path) as image:
        sideways = image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
        return (image.height, image.width, image.mode) if sideways else (image.width, image.height, image.mode)
