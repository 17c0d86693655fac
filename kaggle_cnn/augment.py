"""Augmentation: functions of the size that return an Albumentations pipeline, for a recipe to name.

A pipeline takes a uint8 image (size + margin, size + margin, channels) and returns uint8 (size, size, channels). A
recipe may write such a function itself; it needs nothing from here. `mirror` is the recipe's setting of that name.
"""

import math
import os
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # before the import, which would ask PyPI for a newer version

import albumentations as A
import cv2
import numpy as np

Pixels = np.ndarray[Any, Any]


class Warp(A.ImageOnlyTransform):
    """Rotate, zoom, shift, mirror and cut the centre out, all in one interpolation, from uint8 to uint8.

    It replaces Albumentations' Affine, HorizontalFlip and CenterCrop: the first two take 104 us for an image of 64
    pixels on one thread, this one 29 (LOG.md). With nothing to rotate, zoom or shift it gives the exact pixels of the
    centre, or of its mirror image. Beyond the edge the image is reflected, or as `border`, one of OpenCV's border
    modes, says.

    degrees: rotates by up to so many, either way. zoom: enlarges or shrinks by a factor from 1 - zoom to 1 + zoom.
    shift: moves by up to this share of the side, each way. mirror: how often the image is mirrored, from 0 to 1.
    """

    def __init__(
        self,
        size: int,
        degrees: float = 0,
        shift: float = 0,
        zoom: float = 0,
        mirror: float = 0,
        border: int = cv2.BORDER_REFLECT_101,
        p: float = 1,
    ):
        super().__init__(p=p)
        self.size, self.degrees, self.shift, self.zoom, self.mirror = size, degrees, shift, zoom, mirror
        self.border = border

    def get_params(self) -> dict[str, Any]:
        degrees, zoom, right, down = (
            self.py_random.uniform(-most, most) for most in (self.degrees, self.zoom, self.shift, self.shift)
        )
        mirrored = self.py_random.random() < self.mirror
        return {"radians": math.radians(degrees), "zoom": 1 + zoom, "moved": (right, down), "mirrored": mirrored}

    def apply(
        self, img: Pixels, radians: float, zoom: float, moved: tuple[float, float], mirrored: bool, **_: Any
    ) -> Pixels:
        height, width = img.shape[:2]
        # Where a pixel of the result comes from: counted from the centre, moved back, turned back, made smaller again.
        across, along = math.cos(radians) / zoom, math.sin(radians) / zoom
        x = (1 - self.size) / 2 - moved[0] * width
        y = (1 - self.size) / 2 - moved[1] * height
        source = np.array(
            [
                [across, -along, (width - 1) / 2 + across * x - along * y],
                [along, across, (height - 1) / 2 + along * x + across * y],
            ]
        )
        if mirrored:  # column c of the result shows what column size - 1 - c would have shown
            source[:, 2] += source[:, 0] * (self.size - 1)
            source[:, 0] *= -1
        square, flags = (self.size, self.size), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        if img.shape[2] > 4:  # OpenCV warps four channels at a time
            fours = (np.ascontiguousarray(img[:, :, place : place + 4]) for place in range(0, img.shape[2], 4))
            parts = [cv2.warpAffine(four, source, square, flags=flags, borderMode=self.border) for four in fours]
            return np.concatenate([np.atleast_3d(part) for part in parts], axis=2)
        warped = cv2.warpAffine(img, source, square, flags=flags, borderMode=self.border)
        return warped if warped.ndim == img.ndim else warped[:, :, np.newaxis]


class AlternatingFlip(A.ImageOnlyTransform):
    """Mirror an image in every other epoch; its row decides in which ones, at random over images.

    So each image is seen both ways in two epochs, where a coin would show half of them the same way twice (Jordan 2024,
    arXiv:2404.00498).
    """

    def __init__(self) -> None:
        super().__init__(p=1)

    @property
    def targets_as_params(self) -> list[str]:
        return ["row", "epoch"]

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        coin = (int(data["row"]) * 0x9E3779B1 >> 16) & 1  # Fibonacci hashing: neighbouring rows differ at random
        return {"mirrored": (coin + int(data["epoch"])) % 2}

    def apply(self, img: Pixels, mirrored: int, **_: Any) -> Pixels:
        return np.ascontiguousarray(img[:, ::-1]) if mirrored else img


class PCAColour(A.ImageOnlyTransform):
    """Add to each pixel the sum over the principal directions of colour of direction * variance * draw, with draws from
    a normal distribution of standard deviation `sigma`, new for each image (Krizhevsky et al. 2012, section 4.1).

    `variances` (channels,) and `directions` (channels, channels), in columns, of colours from 0 to 1; see
    `find_principal_colours`.
    """

    def __init__(self, variances: Any, directions: Any, sigma: float = 0.1):
        super().__init__(p=1)
        self.variances, self.directions, self.sigma = np.asarray(variances), np.asarray(directions), sigma

    def get_params(self) -> dict[str, Any]:
        draws = [self.py_random.gauss(0, self.sigma) for _ in self.variances]
        return {"more": np.rint(255 * self.directions @ (self.variances * draws)).astype(np.int16)}

    def apply(self, img: Pixels, more: Pixels, **_: Any) -> Pixels:
        return np.clip(img + more, 0, 255).astype(np.uint8)


def find_principal_colours(images: Pixels) -> tuple[Pixels, Pixels]:
    """Return the variances (channels,) and directions (channels, channels), in columns, of the principal components of
    the colours of uint8 images (n, height, width, channels), counted from 0 to 1; of a million pixels at most."""
    pixels = images.reshape(-1, images.shape[-1])
    pixels = pixels[:: max(1, len(pixels) // 1_000_000)] / 255
    return np.linalg.eigh(np.cov(pixels, rowvar=False).reshape(2 * images.shape[-1:]))


# Of ImageNet, as fb.resnet.torch has them, for a pipeline that is made without images.
IMAGENET_COLOURS = (
    (0.2175, 0.0188, 0.0045),
    ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203)),
)


def centre(size: int) -> A.Compose:
    """Cut the centre, as in validation: no augmentation."""
    return A.Compose([A.CenterCrop(size, size)])


def flip(size: int, mirror: bool = True) -> A.Compose:
    """Cut at a random place and mirror half the time (Krizhevsky et al. 2012)."""
    return A.Compose([A.RandomCrop(size, size), *mirror_half(mirror)])


def shift_rotate_flip(
    size: int, mirror: bool = True, degrees: float = 10.0, shift: float = 0.1, zoom: float = 0.0
) -> A.Compose:
    """Rotate by up to `degrees`, shift each way by up to `shift` of the side, zoom by up to `zoom`, mirror half the
    time and cut the centre, in one interpolation."""
    return A.Compose([Warp(size, degrees, shift, zoom, mirror=0.5 * mirror)])


def pca_colour_flip(size: int, images: Pixels | None = None, mirror: bool = True, sigma: float = 0.1) -> A.Compose:
    """Augment as AlexNet does: cut at a random place, mirror half the time, change the colour along the principal
    components of the colours of `images` (n, height, width, channels) uint8, or of ImageNet's (Krizhevsky et al. 2012).
    """
    colours = IMAGENET_COLOURS if images is None else find_principal_colours(images)
    return A.Compose([A.RandomCrop(size, size), *mirror_half(mirror), PCAColour(colours[0], colours[1], sigma)])


def flip_brightness_contrast(
    size: int, mirror: bool = True, brightness: float = 63 / 255, contrast: float = 0.8
) -> A.Compose:
    """Cut at a random place, mirror half the time, multiply the contrast by 1 - `contrast` to 1 + `contrast`, add or
    take up to `brightness` of the range, as in TensorFlow's CIFAR-10 tutorial; clipped to uint8, where the tutorial
    goes on in float."""
    colour = A.RandomBrightnessContrast(brightness_limit=brightness, contrast_limit=contrast, p=1)
    return A.Compose([A.RandomCrop(size, size), *mirror_half(mirror), colour])


def shift_flip_cutout(size: int, mirror: bool = True, pad: int = 4, cutout: int = 8) -> A.Compose:
    """Shift by up to `pad` pixels over the reflected edge, mirror half the time, blacken a square of `cutout` pixels
    (DeVries & Taylor 2017): for small photographs."""
    hole = (cutout, cutout)
    square = [A.CoarseDropout((1, 1), hole, hole, fill=0, p=1)] if cutout else []
    return A.Compose([*shift_by(size, pad), *mirror_half(mirror), *square])


def shift_alternating_flip(size: int, mirror: bool = True, pad: int = 2) -> A.Compose:
    """Shift by up to `pad` pixels over the reflected edge, and mirror in every other epoch (Jordan 2024)."""
    return A.Compose([*shift_by(size, pad), *([AlternatingFlip()] if mirror else [])])


def mirror_half(mirror: bool) -> list[Any]:
    """Return the transform that mirrors half the time, or none."""
    return [A.HorizontalFlip(p=0.5)] if mirror else []


def shift_by(size: int, pad: int) -> list[Any]:
    """Return the transforms that shift by up to `pad` pixels."""
    return [A.Pad(pad, border_mode=cv2.BORDER_REFLECT_101), A.RandomCrop(size, size)]
