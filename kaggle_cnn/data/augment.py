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
