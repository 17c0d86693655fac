"""Photographs made of nothing: colour fields with edges and noise, in the sizes that competitions have."""

from pathlib import Path

import cv2
import numpy as np


def photograph(draw: np.random.Generator, height: int, width: int) -> np.ndarray:
    """uint8 (height, width, 3): large shapes, fine edges, and the noise of a camera."""
    coarse = draw.integers(0, 255, (draw.integers(4, 9), draw.integers(4, 9), 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(25):
        corners = (draw.random((4, 2)) * (width, height)).astype(np.int32)
        cv2.fillConvexPoly(picture, corners, draw.integers(0, 255, 3).tolist(), cv2.LINE_AA)
    noise = draw.normal(0, 6, picture.shape).astype(np.float32)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def write_photographs(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """`count` JPEGs of 300 to 500 pixels a side, quality 80 to 95, about 60 kB each."""
    draw = np.random.default_rng(seed)
    files = []
    for number in range(count):
        height, width = draw.integers(300, 501, 2)
        path = folder / f"{number:05}.jpg"
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(draw.integers(80, 96))]
        cv2.imwrite(str(path), photograph(draw, int(height), int(width)), quality)
        files.append(path)
    return files


def squares(count: int, size: int, seed: int = 0) -> np.ndarray:
    """uint8 (count, size, size, 3), as they lie in the cache."""
    draw = np.random.default_rng(seed)
    return np.stack([cv2.resize(photograph(draw, 2 * size, 2 * size), (size, size)) for _ in range(count)])
