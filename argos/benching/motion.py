"""Regions where something moves, by OpenCV's MOG2, instead of proposals by a network."""

from __future__ import annotations

import cv2
import numpy as np

from argos.benching.contender import Contender, Outcome, Setting, networks_of, person_on
from argos.benching.whole import in_full
from argos.engines.dense import GRID
from argos.packing.canvas import smallest_canvas
from argos.packing.pack import pack, paste
from argos.propose.qunet import grid_size
from argos.propose.regions import regions_of
from argos.types import Frame, Placements, RegionMask, Regions, Size

SIDE = 320
"""Cells of the frame's long side, those of QU-Net: the dilation means the same."""

FEW_STEP = 2 * GRID
"""Sides of single boxes are multiples of this where each new shape costs time; otherwise of the grid."""


class MovingRegions:
    """Where something moves, from all frames of a camera so far.

    Args:
        setting: dilation, least area and margin as for any proposer.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._backgrounds: dict[str, cv2.BackgroundSubtractorMOG2] = {}  # by camera

    def __call__(self, frame: Frame) -> Regions:
        """Regions of the next frame; of the first one all of it."""
        height, width = grid_size(frame.size, SIDE)
        small = cv2.resize(frame.pixels, (width, height), interpolation=cv2.INTER_LINEAR)
        if frame.camera not in self._backgrounds:
            # what it takes for shadows in its first seconds are people
            self._backgrounds[frame.camera] = cv2.createBackgroundSubtractorMOG2(detectShadows=False)
        moving = cv2.medianBlur(self._backgrounds[frame.camera].apply(small), 3)  # without single cells of noise
        cells = np.asarray(moving > 0, np.bool_)
        mask = RegionMask(cells.astype(np.float32), cells, frame.size)
        view, scale = self.setting.view, self.setting.scale(frame)
        return regions_of(mask, dilation=view.dilation, min_area=view.min_area, margin=view.margin_at(scale))


def motion(setting: Setting) -> Contender:
    """MOG2 as proposer, its regions packed as those of QU-Net are."""
    networks, moving = networks_of(setting.people, setting.view), MovingRegions(setting)
    full, canvas = in_full(setting, networks), setting.people.canvas

    def run(frame: Frame, refresh: bool) -> Outcome:
        regions = [moving(frame)]
        if refresh:
            return full(frame, refresh)
        scale = setting.scale(frame)
        margin = setting.view.margin_at(scale)
        size = smallest_canvas(regions, canvas.size, scale=scale, margin=margin, gutter=canvas.gutter, few=canvas.few)
        batch = pack(
            [frame], regions, size, scale=scale, margin=margin, gutter=canvas.gutter, max_canvases=canvas.most
        )  # fmt: skip
        person = person_on(batch, frame.size, networks, setting.view)
        return Outcome(person, setting.share(frame, len(batch.pixels), size))

    return run


def motion_boxes(setting: Setting) -> Contender:
    """One inference for each region of MOG2, its sides rounded up."""
    networks, moving = networks_of(setting.people, setting.view), MovingRegions(setting)
    full, largest = in_full(setting, networks), setting.people.largest
    step = FEW_STEP if setting.people.canvas.few else GRID

    def run(frame: Frame, refresh: bool) -> Outcome:
        regions = moving(frame)
        if refresh:
            return full(frame, refresh)
        scale, person, share = setting.scale(frame), np.zeros(frame.size, np.bool_), 0.0
        for n in range(len(regions)):
            placement = alone(regions.boxes[n], frame, scale, setting.view.margin_at(scale), largest)
            width, height = (int(-(-side // step) * step) for side in placement.target[0, 2:])
            size = (height, width) if largest is None else (min(height, largest[0]), min(width, largest[1]))
            person |= person_on(paste([frame], placement, size), frame.size, networks, setting.view)
            share += setting.share(frame, 1, size)
        return Outcome(person, share)

    return run


def alone(
    box: np.ndarray[tuple[int], np.dtype[np.int32]], frame: Frame, scale: float, margin: int, largest: Size | None
) -> Placements:
    """A region with its margin in the corner of a canvas of its own, reduced where it is larger than ``largest``."""
    bottom, right = frame.size
    x0, y0, x1, y1 = box.tolist()
    source = np.array([[max(x0 - margin, 0), max(y0 - margin, 0), min(x1 + margin, right), min(y1 + margin, bottom)]],
                      np.int32)  # fmt: skip
    width, height = source[0, 2:] - source[0, :2]
    if largest is not None:
        scale = min(scale, largest[0] / height, largest[1] / width)
    sides = max(1, round(width * scale)), max(1, round(height * scale))
    target = np.array([[0, 0, *sides]], np.int32)
    zero = np.zeros(1, np.int32)
    return Placements(zero, source, source, zero, target, np.full(1, scale, np.float32))
