"""Augmentation: functions of the crop size that return an Albumentations pipeline, for a recipe to name.

A pipeline takes a uint8 image (size, size, channels) and returns uint8 (crop, crop, channels). A recipe may as well
write its own such function; it needs nothing from here.
"""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # before the import, which would ask PyPI for a newer version

import albumentations as A
import cv2


def centre(crop: int) -> A.Compose:
    """No augmentation: the centre, as in validation."""
    return A.Compose([A.CenterCrop(crop, crop)])


def flip(crop: int) -> A.Compose:
    """A random crop and, half the time, its mirror image (Krizhevsky et al. 2012)."""
    return A.Compose([A.RandomCrop(crop, crop), A.HorizontalFlip(p=0.5)])


def shift_rotate_flip(crop: int, degrees: float = 10, shift: float = 0.1) -> A.Compose:
    """Rotates by up to `degrees`, shifts each way by up to `shift` of the side, mirrors half the time, cuts the centre.

    What lies outside the picture is filled with its reflection.
    """
    return A.Compose(
        [
            A.Affine(
                rotate=(-degrees, degrees), translate_percent=(-shift, shift), border_mode=cv2.BORDER_REFLECT_101, p=1
            ),
            A.HorizontalFlip(p=0.5),
            A.CenterCrop(crop, crop),
        ]
    )
