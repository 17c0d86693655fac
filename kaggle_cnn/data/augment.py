"""Augmentation: functions of the crop size that return an Albumentations pipeline, for a recipe to name.

A pipeline takes a uint8 image (size, size, channels) and returns uint8 (crop, crop, channels). A recipe may as well
write its own such function; it needs nothing from here.
"""

import math
import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # before the import, which would ask PyPI for a newer version

import albumentations as A
import cv2
import numpy as np


class Warp(A.ImageOnlyTransform):
    """Turns, zooms, shifts, mirrors and cuts the centre out, all in one interpolation, from uint8 to uint8.

    In place of Albumentations' Affine, HorizontalFlip and CenterCrop: the first two take 104 us for an image of 64
    pixels on one thread, this one 29 (LOG.md). With nothing to turn, zoom or shift it gives the
    very pixels of the centre, or of its mirror image. What lies outside the picture is its reflection, or as `border`,
    one of OpenCV's border modes, says.

    degrees: turns by up to so many, either way. zoom: makes larger or smaller by a factor from 1 - zoom to 1 + zoom.
    shift: moves by up to this share of the side, each way. mirror: how often the image is mirrored, from 0 to 1.
    """

    def __init__(
        self,
        crop: int,
        degrees: float = 0,
        shift: float = 0,
        zoom: float = 0,
        mirror: float = 0,
        border: int = cv2.BORDER_REFLECT_101,
        p: float = 1,
    ):
        super().__init__(p=p)
        self.crop, self.degrees, self.shift, self.zoom, self.mirror = crop, degrees, shift, zoom, mirror
        self.border = border

    def get_params(self) -> dict:
        degrees, zoom, right, down = (
            self.py_random.uniform(-most, most) for most in (self.degrees, self.zoom, self.shift, self.shift)
        )
        mirrored = self.py_random.random() < self.mirror
        return {"radians": math.radians(degrees), "zoom": 1 + zoom, "moved": (right, down), "mirrored": mirrored}

    def apply(self, img: np.ndarray, radians: float, zoom: float, moved: tuple, mirrored: bool, **_) -> np.ndarray:
        height, width = img.shape[:2]
        # Where a pixel of the result comes from: counted from the centre, moved back, turned back, made smaller again.
        across, along = math.cos(radians) / zoom, math.sin(radians) / zoom
        x = (1 - self.crop) / 2 - moved[0] * width
        y = (1 - self.crop) / 2 - moved[1] * height
        source = np.array(
            [
                [across, -along, (width - 1) / 2 + across * x - along * y],
                [along, across, (height - 1) / 2 + along * x + across * y],
            ]
        )
        if mirrored:  # column c of the result shows what column crop - 1 - c would have shown
            source[:, 2] += source[:, 0] * (self.crop - 1)
            source[:, 0] *= -1
        size = (self.crop, self.crop)
        warped = cv2.warpAffine(
            img, source, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=self.border
        )
        return warped if warped.ndim == img.ndim else warped[:, :, np.newaxis]


class AlternatingFlip(A.ImageOnlyTransform):
    """Mirrors an image in every other epoch; in which half of them, the image's row says, at random over images.

    In two epochs each is so seen both ways round, where coins would show half of them twice the same way (Jordan 2024,
    arXiv:2404.00498).
    """

    def __init__(self):
        super().__init__(p=1)

    @property
    def targets_as_params(self) -> list[str]:
        return ["row", "epoch"]

    def get_params_dependent_on_data(self, params: dict, data: dict) -> dict:
        coin = (int(data["row"]) * 0x9E3779B1 >> 16) & 1  # Fibonacci hashing: neighbouring rows differ at random
        return {"mirrored": (coin + int(data["epoch"])) % 2}

    def apply(self, img: np.ndarray, mirrored: int, **_) -> np.ndarray:
        return np.ascontiguousarray(img[:, ::-1]) if mirrored else img


class PCAColour(A.ImageOnlyTransform):
    """Adds to each pixel the sum over the principal directions of colour of direction * variance * draw, the draws from
    a normal distribution of standard deviation `sigma`, anew for each image (Krizhevsky et al. 2012, section 4.1).

    `variances` (channels,) and `directions` (channels, channels), in columns, of colours from 0 to 1; see
    `principal_colours`.
    """

    def __init__(self, variances: np.ndarray, directions: np.ndarray, sigma: float = 0.1):
        super().__init__(p=1)
        self.variances, self.directions, self.sigma = np.asarray(variances), np.asarray(directions), sigma

    def get_params(self) -> dict:
        draws = [self.py_random.gauss(0, self.sigma) for _ in self.variances]
        return {"more": np.rint(255 * self.directions @ (self.variances * draws)).astype(np.int16)}

    def apply(self, img: np.ndarray, more: np.ndarray, **_) -> np.ndarray:
        return np.clip(img + more, 0, 255).astype(np.uint8)


def principal_colours(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The variances (channels,) and directions (channels, channels), in columns, of the principal components of the
    colours of uint8 images (n, height, width, channels), counted from 0 to 1; of a million pixels at most."""
    pixels = images.reshape(-1, images.shape[-1])
    pixels = pixels[:: max(1, len(pixels) // 1_000_000)] / 255
    return np.linalg.eigh(np.cov(pixels, rowvar=False).reshape(2 * images.shape[-1:]))


# Of ImageNet, as fb.resnet.torch has them, for a pipeline that is made without images.
IMAGENET_COLOURS = (
    (0.2175, 0.0188, 0.0045),
    ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203)),
)


def centre(crop: int) -> A.Compose:
    """No augmentation: the centre, as in validation."""
    return A.Compose([A.CenterCrop(crop, crop)])


def flip(crop: int) -> A.Compose:
    """A random crop and, half the time, its mirror image (Krizhevsky et al. 2012)."""
    return A.Compose([A.RandomCrop(crop, crop), A.HorizontalFlip(p=0.5)])


def shift_rotate_flip(crop: int, degrees: float = 10, shift: float = 0.1, zoom: float = 0.0) -> A.Compose:
    """Rotates by up to `degrees`, shifts each way by up to `shift` of the side, zooms by up to `zoom`, mirrors half the
    time, cuts the centre: one interpolation."""
    return A.Compose([Warp(crop, degrees, shift, zoom, mirror=0.5)])


def pca_colour_flip(crop: int, images: np.ndarray | None = None, sigma: float = 0.1) -> A.Compose:
    """AlexNet's: a random crop, mirrored half the time, its colour changed along the principal components of those of
    `images` (n, height, width, channels) uint8, or of ImageNet's (Krizhevsky et al. 2012)."""
    colours = IMAGENET_COLOURS if images is None else principal_colours(images)
    return A.Compose([A.RandomCrop(crop, crop), A.HorizontalFlip(p=0.5), PCAColour(*colours, sigma)])


def flip_brightness_contrast(crop: int, brightness: float = 63 / 255, contrast: float = 0.8) -> A.Compose:
    """A random crop, mirrored half the time, contrast times 1 - `contrast` to 1 + `contrast`, up to `brightness` of the
    range added or taken, as in TensorFlow's CIFAR-10 tutorial; but clipped to uint8, where the tutorial goes on in
    float."""
    colour = A.RandomBrightnessContrast(brightness_limit=brightness, contrast_limit=contrast, p=1)
    return A.Compose([A.RandomCrop(crop, crop), A.HorizontalFlip(p=0.5), colour])


def shift_flip_cutout(crop: int, pad: int = 4, cutout: int = 8) -> A.Compose:
    """Shifts by up to `pad` pixels over the reflected edge, mirrors half the time, blackens a square of `cutout` pixels
    (DeVries & Taylor 2017): what small photographs want."""
    hole = (cutout, cutout)
    square = [A.CoarseDropout((1, 1), hole, hole, fill=0, p=1)] if cutout else []
    return A.Compose([*shifted(crop, pad), A.HorizontalFlip(p=0.5), *square])


def shift_alternating_flip(crop: int, pad: int = 2) -> A.Compose:
    """Shifts by up to `pad` pixels over the reflected edge, and mirrors in every other epoch (Jordan 2024)."""
    return A.Compose([*shifted(crop, pad), AlternatingFlip()])


def shifted(crop: int, pad: int) -> list:
    return [A.Pad(pad, border_mode=cv2.BORDER_REFLECT_101), A.RandomCrop(crop, crop)]


def mix_up(
    images: np.ndarray, targets: np.ndarray, draw: np.random.Generator, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """Of uint8 images (n, height, width, channels) and targets (n, classes), a share of each and the rest of another of
    the batch; shares from Beta(`alpha`, `alpha`) (Zhang et al. 2018, arXiv:1710.09412)."""
    share, other = draw.beta(alpha, alpha, len(images)).astype(np.float32), draw.permutation(len(images))
    mixed = [
        cv2.addWeighted(image, float(own), images[two], float(1 - own), 0).reshape(image.shape)
        for image, own, two in zip(images, share, other, strict=True)
    ]
    return np.stack(mixed), share[:, None] * targets + (1 - share[:, None]) * targets[other]


def cut_and_mix(
    images: np.ndarray, targets: np.ndarray, draw: np.random.Generator, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """The same, but that the rest is a rectangle, its centre anywhere; a target's share is the area that is left, the
    area wanted from Beta(`alpha`, `alpha`) (Yun et al. 2019, arXiv:1905.04899)."""
    count, height, width, _ = images.shape
    other, mixed, share = draw.permutation(count), images.copy(), np.ones((count, 1), np.float32)
    for row, two in enumerate(other):
        half = np.sqrt(1 - draw.beta(alpha, alpha)) / 2
        y, x = draw.integers(height), draw.integers(width)
        top, bottom = max(0, round(y - half * height)), min(height, round(y + half * height))
        left, right = max(0, round(x - half * width)), min(width, round(x + half * width))
        mixed[row, top:bottom, left:right] = images[two, top:bottom, left:right]
        share[row] -= (bottom - top) * (right - left) / (height * width)
    return mixed, share * targets + (1 - share) * targets[other]
