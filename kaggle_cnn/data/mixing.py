"""Mix each image of a batch with another image of the batch: mixup and cutmix."""

import cv2
import numpy as np

from kaggle_cnn.competition.metrics import Array


def mix_up(
    images: Array, targets: Array, weights: Array, draw: np.random.Generator, alpha: float
) -> tuple[Array, Array, Array]:
    """Return weighted means of image pairs, with their targets and sample weights.

    Takes and returns images uint8 (n, height, width, channels), targets float32 (n, outputs) and weights float32 (n,).
    Each image gets a partner from the batch and a share from Beta(`alpha`, `alpha`). Its pixels, target and weight are
    the share of its own plus the rest of its partner's (Zhang et al. 2018, arXiv:1710.09412).
    """
    share, other = draw.beta(alpha, alpha, len(images)).astype(np.float32), draw.permutation(len(images))
    mixed = [
        cv2.addWeighted(image, float(own), images[partner], float(1 - own), 0).reshape(image.shape)
        for image, own, partner in zip(images, share, other, strict=True)
    ]
    return np.stack(mixed), mix(targets, share[:, None], other), mix(weights, share, other)


def cut_and_mix(
    images: Array, targets: Array, weights: Array, draw: np.random.Generator, alpha: float
) -> tuple[Array, Array, Array]:
    """Return images with a rectangle of another image pasted in, with their targets and sample weights.

    Shapes and dtypes are those of `mix_up`. The centre of the rectangle is anywhere in the image. Its area is drawn
    from Beta(`alpha`, `alpha`), then cut at the border. An image's share is the area that it keeps. Targets and weights
    are mixed by that share (Yun et al. 2019, arXiv:1905.04899).
    """
    count, height, width, _ = images.shape
    other, mixed, share = draw.permutation(count), images.copy(), np.ones(count, np.float32)
    for row, partner in enumerate(other):
        half = np.sqrt(1 - draw.beta(alpha, alpha)) / 2
        y, x = draw.integers(height), draw.integers(width)
        top, bottom = max(0, round(y - half * height)), min(height, round(y + half * height))
        left, right = max(0, round(x - half * width)), min(width, round(x + half * width))
        mixed[row, top:bottom, left:right] = images[partner, top:bottom, left:right]
        share[row] -= (bottom - top) * (right - left) / (height * width)
    return mixed, mix(targets, share[:, None], other), mix(weights, share, other)


def mix(values: Array, share: Array, other: Array) -> Array:
    """Return `share` of each row of `values` plus the rest of row `other`: `share` float32, `other` int (n,)."""
    mixed: Array = share * values + (1 - share) * values[other]
    return mixed
