"""Sheets of networks that tell classes apart: photo, truth and what was found, each class in its colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import nn

from argos.drawing.contact_sheet import contact_sheet
from argos.drawing.overlay import PALETTE
from argos.drawing.text import BLACK, draw_text, text_style
from argos.training.measure import class_ious, class_map, confusion_of
from argos.training.photos import IGNORE, Photo

NOT_JUDGED = (128, 128, 128)
LEGEND_HEIGHT = 28
"""Pixels of the row above the photos that says which colour is which class."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgedClasses:
    """One photo and what a network found in it.

    Attributes:
        photo: its ids are the numbers of classes.
        found: ``(H, W)`` uint8, the class of each pixel.
        score: mean IoU of the classes that occur in the photo, 0..1; 0 for a photo without labels.
    """

    photo: Photo
    found: NDArray[np.uint8]
    score: float


def judge_classes(network: nn.Module, photos: Sequence[Photo], classes: int) -> list[JudgedClasses]:
    """Score every photo, the worst first.

    Raises:
        DataError: a label is no class of the network.
    """
    return sorted((judged_classes(network, photo, classes) for photo in photos), key=lambda one: one.score)


def judged_classes(network: nn.Module, photo: Photo, classes: int) -> JudgedClasses:
    """Score one photo by a network in evaluation mode.

    Raises:
        DataError: as ``judge_classes``.
    """
    found = class_map(network, photo.image)
    score = class_ious(confusion_of(found, photo, classes))["miou"]
    return JudgedClasses(photo, found.astype(np.uint8), score)


def class_sheet(shown: Sequence[JudgedClasses], classes: int, columns: int = 2, width: int = 1800) -> NDArray[np.uint8]:
    """Draw photo, truth and finding side by side, in their order, below a legend; ``(H, width, 3)`` uint8 RGB.

    Unlabelled pixels are grey in the truth. Of no photos ``H`` is 0.
    """
    if not shown:
        return np.zeros((0, width, 3), np.uint8)
    colours = class_colours(classes)
    triples = [np.concatenate([one.photo.image, colours[one.photo.ids], colours[one.found]], axis=1) for one in shown]
    labels = [f"{one.score:.2f} {one.photo.name}" for one in shown]
    return np.concatenate([_legend(classes, width), contact_sheet(triples, labels, columns, width)])


def class_colours(classes: int) -> NDArray[np.uint8]:
    """The colour of each id, ``(256, 3)`` uint8 RGB: those of the palette, then the same ones darker, and so on."""
    colours = np.zeros((256, 3), np.uint8)
    for n in range(classes):
        colours[n] = np.asarray(PALETTE[n % len(PALETTE)]) * 0.6 ** (n // len(PALETTE))
    colours[IGNORE] = NOT_JUDGED
    return colours


def _legend(classes: int, width: int) -> NDArray[np.uint8]:
    """The numbers of the classes on their colours, ``(LEGEND_HEIGHT, width, 3)``."""
    row = np.zeros((LEGEND_HEIGHT, width, 3), np.uint8)
    edges = np.linspace(0, width, classes + 1).astype(int)
    style = text_style((480, 640))
    for n, colour in enumerate(class_colours(classes)[:classes].tolist()):
        cell = row[:, edges[n] : edges[n + 1]]
        cv2.rectangle(cell, (0, 0), (cell.shape[1], LEGEND_HEIGHT), colour, -1)
        draw_text(cell, str(n), (0, 0), style, BLACK, 0.6)
    return row
