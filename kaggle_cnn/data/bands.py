"""Images that Pillow does not open: DICOM files, and TIFFs of 16-bit colours or of many bands, as satellites send them.

Their values are scaled to 8 bits: those of a DICOM by its window, else from its least to its largest; those of a TIFF
by the least of 8, 10, 12, 14 and 16 bits that holds them, floats from the least to the largest.
"""

import logging
import warnings
from io import BytesIO
from typing import Any

import numpy as np

from kaggle_cnn.competition.metrics import Array

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the first bytes: of either byte order, and of a BigTIFF
DICOM = b"DICM"  # the bytes from PREAMBLE on
PREAMBLE = 128
MOST_BANDS = 64
BITS = (8, 10, 12, 14, 16)


def is_dicom(content: bytes) -> bool:
    return content[PREAMBLE : PREAMBLE + len(DICOM)] == DICOM


def read_dicom(content: bytes, most_pixels: int) -> Array:
    """Return a DICOM file as uint8 (height, width) or (height, width, 3): its window applied, white bright; of several
    frames the one in the middle. Raises ValueError for one without an image, or with more than `most_pixels`."""
    import pydicom
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut, convert_color_space
    from pydicom.pixels.utils import pixel_array

    logging.getLogger("pydicom").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(BytesIO(content))
        require_small(data, most_pixels)
        frames = int(data.get("NumberOfFrames", 1) or 1)
        index = frames // 2 if frames > 1 else 0
        pixels = pixel_array(BytesIO(content), index=index)
        kind = str(data.get("PhotometricInterpretation", ""))
        if pixels.ndim == 3:
            colours = convert_color_space(pixels, kind, "RGB") if kind.startswith("YBR") else pixels
            return scale_range(colours)
        values = apply_modality_lut(pixels, data)
        if "VOILUTSequence" in data:
            scaled = scale_range(np.asarray(apply_voi_lut(values, data), np.float32))
        elif data.get("WindowCenter") not in (None, "") and data.get("WindowWidth") not in (None, ""):
            scaled = apply_window(values, first_of(data.WindowCenter), first_of(data.WindowWidth))
        else:
            scaled = scale_range(pixels)
    return 255 - scaled if kind == "MONOCHROME1" else scaled


def apply_window(values: Array, centre: float, width: float) -> Array:
    """Return values as uint8 by a window, as the standard has it (PS3.3, C.11.2.1.2): the same brightness in every
    file, whatever else it shows."""
    shares = (values.astype(np.float32) - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5
    return np.asarray((np.clip(shares, 0, 1) * 255).round().astype(np.uint8))


def first_of(value: Any) -> float:
    """Return the number that an element has, or the first of several."""
    return float(value if isinstance(value, int | float | str) else value[0] if hasattr(value, "__len__") else value)


def require_small(data: Any, most_pixels: int) -> None:
    """Raise ValueError where a DICOM has no image, or a larger one than `most_pixels`."""
    if "PixelData" not in data:
        raise ValueError("a DICOM file without an image")
    height, width = int(data.Rows), int(data.Columns)
    if height * width > most_pixels:
        raise ValueError(f"{width}x{height} pixels, more than {most_pixels:,}")


def read_bands(content: bytes, most_pixels: int, bits: int = 0) -> Array:
    """Return a TIFF as uint8 (height, width, bands), its pages or samples; `bits` as in `scale_bits`. Raises ValueError
    where it is none, or larger than `most_pixels`."""
    return scale_bits(read_values(content, most_pixels), bits)


def read_values(content: bytes, most_pixels: int) -> Array:
    """Return the values of a TIFF (height, width, bands). Raises as `read_bands` does."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        with tifffile.TiffFile(BytesIO(content)) as file:
            series = file.series[0]
            shape = [side for side in series.shape if side > 1] or [1]
            if len(shape) not in (2, 3) or int(np.prod(shape)) > most_pixels or series.dtype.kind not in "uif":
                raise ValueError(f"a TIFF of shape {series.shape} and type {series.dtype}")
            axes = [axis for axis, side in zip(series.axes, series.shape, strict=True) if side > 1]
            values = series.asarray().reshape(shape)
    except tifffile.TiffFileError as error:
        raise ValueError(str(error)) from None
    if values.ndim == 2:
        values = values[..., None]
    elif axes[1:] == ["Y", "X"]:  # bands, height, width
        values = np.moveaxis(values, 0, 2)
    if values.shape[2] > MOST_BANDS:
        raise ValueError(f"a TIFF of {values.shape[2]} bands, more than {MOST_BANDS}")
    return values


def has_bands(content: bytes) -> bool:
    """Return whether a TIFF has more than Pillow reads of it: several pages of one size, more than four samples of a
    pixel, or colours of other than 8 bits."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        with tifffile.TiffFile(BytesIO(content)) as file:
            page, series = file.pages[0], file.series[0]
            samples = int(page.samplesperpixel)
            pages = len(series.pages)
            return 1 < pages <= MOST_BANDS or samples > 4 or (samples > 2 and page.bitspersample != 8)
    except Exception:  # tifffile raises many kinds for a damaged file: Pillow decides
        return False


def count_bits(values: Array) -> int:
    """Return the least of 8, 10, 12, 14 and 16 bits that holds whole numbers of 16 bits; 0 for other values, and for
    bytes, which need none of it."""
    if values.dtype.kind not in "ui" or values.dtype.itemsize == 1 or values.min() < 0:
        return 0
    return next((bits for bits in BITS if values.max() < 2**bits), 0)


def scale_bits(values: Array, bits: int = 0) -> Array:
    """Return values as uint8: whole numbers by so many `bits`, of which larger ones become 255; with 0 by the least
    that holds them. Others by their range, all bands alike."""
    if values.dtype == np.uint8 or not (own := count_bits(values)):
        return scale_range(values)
    scale = 255 / (2 ** (bits or own) - 1)
    return np.asarray((values.astype(np.float32) * scale).round().clip(0, 255).astype(np.uint8))


def scale_range(values: Array) -> Array:
    """Return values as uint8, the least as 0 and the largest as 255, what is not a number as the least; bytes as they
    are."""
    if values.dtype == np.uint8:
        return values
    good = np.isfinite(values)
    low, high = (float(edge) for edge in (values[good].min(), values[good].max())) if good.any() else (0.0, 0.0)
    filled = np.where(good, values, low).astype(np.float64)
    share = (filled / 2 - low / 2) / max(high / 2 - low / 2, 1e-12)  # halves: the range of float64 may be all of it
    return np.asarray((share * 255).round().astype(np.uint8))
