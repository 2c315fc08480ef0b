"""Endless training scenes: crops of photos, mosaics of photos, and people pasted onto empty backgrounds.

Most photos show one large person in the middle; cameras see several small ones anywhere. Mosaics shrink real photos
without inventing pixels, pasting draws the number and the size of people freely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.training.augment import camera_look
from argos.training.pasting import jittered, matched, paste, place_of
from argos.training.photos import CROWD, IGNORE, Photo

MIN_VISIBLE = 0.25
"""A person of whom less than this share of the box is left in the view is ignored, not learnt."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One training view.

    Attributes:
        image: ``(S, S, 3)`` uint8, RGB.
        ids: ``(S, S)`` uint8 id mask as in ``photos``.
        boxes: ``(N, 4)`` float32, people to be found.
        box_ids: ``(N,)`` uint8, value in ``ids``; 0 where only the box is known.
        ignore: ``(K, 4)`` float32.
    """

    image: NDArray[np.uint8]
    ids: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    box_ids: NDArray[np.uint8]
    ignore: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Mix:
    """What scenes are made of.

    Attributes:
        groups: lists of photos; each draw first chooses a group by ``weights``, then a photo in it.
        weights: relative frequency of each group.
        backgrounds: photos without people, for pasting.
        people: RGBA cut-outs, for pasting.
        paste: share of scenes with pasted people.
        mosaic: share of mosaics among the scenes without pasted people.
        min_height: height of the smallest pasted person in pixels.
        max_height: of the largest, as a share of the view; between them heights are drawn log-uniformly.
        max_zoom: largest scale of a photo by itself, where 1 is that at which it just covers the view.
        augment: False shows each photo whole and as it is, and nothing else.
    """

    groups: Sequence[Sequence[Photo]]
    weights: Sequence[float]
    backgrounds: Sequence[Photo]
    people: Sequence[NDArray[np.uint8]]
    paste: float = 0.45
    mosaic: float = 0.65
    min_height: float = 22.0
    max_height: float = 1.1
    max_zoom: float = 2.0
    augment: bool = True


def draw_scene(mix: Mix, side: int, rng: np.random.Generator) -> Scene:
    """Draw a scene of ``side`` x ``side`` pixels; mosaics are rarer in small views, they would show dwarfs.

    Scales from 0.3 to ``max_zoom`` result, where 1 is that of a photo that just covers the view: in 1,500 scenes of 240
    pixels and up to 2 photos came at 1 to 2 (median 1.4), the parts of mosaics at 0.32 to 1.1 (median 0.7, two fifths
    below 0.63).
    """
    if not mix.augment:
        return whole_photo(_draw_photo(mix, rng), side)
    kind = rng.random()
    if kind < mix.paste:
        scene = pasted_scene(mix, side, rng)
    elif kind < mix.paste + mix.mosaic * min(1.0, side / 256) * (1 - mix.paste):
        scene = mosaic_scene(mix, side, rng)
    else:
        scene = photo_view(_draw_photo(mix, rng), (side, side), rng, mix.max_zoom)
    return Scene(camera_look(scene.image, rng), scene.ids, scene.boxes, scene.box_ids, scene.ignore)


def whole_photo(photo: Photo, side: int) -> Scene:
    """A photo as it is, its longer side ``side`` pixels; what it leaves free of the view is black and ignored."""
    rows, columns = photo.image.shape[:2]
    scale = side / max(rows, columns)
    height, width = max(1, round(rows * scale)), max(1, round(columns * scale))
    image = np.zeros((side, side, 3), np.uint8)
    ids = np.full((side, side), IGNORE, np.uint8)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image[:height, :width] = cv2.resize(photo.image, (width, height), interpolation=how)
    ids[:height, :width] = cv2.resize(photo.ids, (width, height), interpolation=cv2.INTER_NEAREST)
    factor = np.array([width / columns, height / rows] * 2, np.float32)
    return _clipped(
        Scene(image, ids, photo.boxes * factor, photo.box_ids, photo.ignore * factor), drop=not photo.boxes_known
    )


def photo_view(photo: Photo, size: tuple[int, int], rng: np.random.Generator, max_zoom: float) -> Scene:
    """Cut a random window of a photo, filling ``size`` (height, width).

    The scale is 1 to ``max_zoom`` times that at which the photo just covers the window, drawn log-uniformly.
    """
    height, width = size
    rows, columns = photo.image.shape[:2]
    fit = max(height / rows, width / columns)
    zoom = fit * max_zoom ** rng.random()
    stretch = np.exp(rng.normal(0, 0.06))
    scale_x, scale_y = max(zoom * stretch, width / columns), max(zoom / stretch, height / rows)
    x0 = rng.random() * max(0.0, columns * scale_x - width)
    y0 = rng.random() * max(0.0, rows * scale_y - height)
    flip = rng.random() < 0.5

    # the window is cut first and resized after: area averaging where it shrinks, so that nothing aliases
    left, top = x0 / scale_x, y0 / scale_y
    right, bottom = min((x0 + width) / scale_x, columns), min((y0 + height) / scale_y, rows)
    window = (slice(int(top), max(int(top) + 1, round(bottom))), slice(int(left), max(int(left) + 1, round(right))))
    how = cv2.INTER_AREA if min(scale_x, scale_y) < 0.9 else cv2.INTER_LINEAR
    image = cv2.resize(photo.image[window], (width, height), interpolation=how)
    ids = cv2.resize(photo.ids[window], (width, height), interpolation=cv2.INTER_NEAREST)
    factor = np.array([width, height] * 2, np.float32) / np.array(
        [window[1].stop - window[1].start, window[0].stop - window[0].start] * 2, np.float32
    )
    shift = np.array([window[1].start, window[0].start] * 2, np.float32)
    boxes = np.asarray((photo.boxes - shift) * factor, np.float32)
    ignore = np.asarray((photo.ignore - shift) * factor, np.float32)
    if flip:
        image, ids = image[:, ::-1], ids[:, ::-1]
        boxes, ignore = _flipped(boxes, width), _flipped(ignore, width)
    return _clipped(
        Scene(np.ascontiguousarray(image), np.ascontiguousarray(ids), boxes, photo.box_ids, ignore),
        drop=not photo.boxes_known,
    )


def mosaic_scene(mix: Mix, side: int, rng: np.random.Generator) -> Scene:
    """Four photos around a random cross, each scaled to fill its quarter."""
    cx, cy = (int(v) for v in rng.uniform(0.3 * side, 0.7 * side, 2))
    image = np.zeros((side, side, 3), np.uint8)
    ids = np.zeros((side, side), np.uint8)
    boxes, box_ids, ignore, used = [], [], [], 0
    for x0, y0, x1, y1 in ((0, 0, cx, cy), (cx, 0, side, cy), (0, cy, cx, side), (cx, cy, side, side)):
        part = photo_view(_draw_photo(mix, rng), (y1 - y0, x1 - x0), rng, max_zoom=1.6)
        image[y0:y1, x0:x1] = part.image
        people = (part.ids > 0) & (part.ids < CROWD)
        ids[y0:y1, x0:x1] = np.where(people, np.minimum(part.ids.astype(int) + used, CROWD - 1), part.ids)
        boxes.append(part.boxes + np.array([x0, y0, x0, y0], np.float32))
        box_ids.append(np.where(part.box_ids > 0, np.minimum(part.box_ids.astype(int) + used, CROWD - 1), 0))
        ignore.append(part.ignore + np.array([x0, y0, x0, y0], np.float32))
        used += int(part.ids[people].max(initial=0))
    return Scene(image, ids, np.concatenate(boxes), np.concatenate(box_ids).astype(np.uint8), np.concatenate(ignore))


def pasted_scene(mix: Mix, side: int, rng: np.random.Generator) -> Scene:
    """People cut from other photos, standing in front of an empty background; nearer ones cover farther ones."""
    background = mix.backgrounds[int(rng.integers(len(mix.backgrounds)))]
    view = photo_view(background, (side, side), rng, max_zoom=2.5)
    image, ids, place = view.image.copy(), view.ids.copy(), place_of(view.image)
    count = int(rng.choice([0, 1, 2, 3, 4, 6, 9], p=[0.1, 0.15, 0.2, 0.2, 0.15, 0.12, 0.08]))
    height = side * np.exp(rng.uniform(np.log(mix.min_height / side), np.log(mix.max_height)))
    heights = np.sort(height * np.exp(rng.normal(0, 0.3, count)))
    ground = rng.uniform(0.4, 1.05) * side
    full = []
    for number, tall in enumerate(heights, start=1):
        person = jittered(mix.people[int(rng.integers(len(mix.people)))], max(8, round(float(tall))), rng)
        h, w = person.shape[:2]
        foot = ground + (tall - height) * 0.7 + rng.normal(0, 0.15) * side
        x0 = int(rng.uniform(min(-0.3 * w, side - 0.7 * w), max(-0.3 * w, side - 0.7 * w)))
        y0 = int(np.clip(foot - h, -0.3 * h, side - 0.4 * h))
        around = view.image[max(0, y0) : y0 + h, max(0, x0 - w // 2) : x0 + w + w // 2]
        paste(image, ids, matched(person, around, place, rng), x0, y0, number)
        full.append((x0, y0, x0 + w, y0 + h))
    return _visible_boxes(Scene(image, ids, *_box_arrays(full), view.ignore))


def _box_arrays(boxes: list[tuple[int, int, int, int]]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    return np.asarray(boxes, np.float32).reshape(-1, 4), np.arange(1, len(boxes) + 1, dtype=np.uint8)


def _draw_photo(mix: Mix, rng: np.random.Generator) -> Photo:
    weights = np.asarray(mix.weights, float)
    group = mix.groups[int(rng.choice(len(mix.groups), p=weights / weights.sum()))]
    return group[int(rng.integers(len(group)))]


def _visible_boxes(scene: Scene) -> Scene:
    """Shrink each box to the visible pixels of its person; the barely visible become ignored."""
    boxes, box_ids, ignore = [], [], [scene.ignore]
    for (x0, y0, x1, y1), number in zip(scene.boxes.tolist(), scene.box_ids.tolist(), strict=True):
        rows, columns = np.nonzero(scene.ids == number)
        if len(rows) < 0.08 * (x1 - x0) * (y1 - y0) or len(rows) < 12:
            if len(rows):
                scene.ids[rows, columns] = IGNORE
                tight = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                ignore.append(np.asarray([tight], np.float32))
            continue
        boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        box_ids.append(number)
    return Scene(
        scene.image,
        scene.ids,
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(box_ids, np.uint8),
        np.concatenate(ignore),
    )


def _flipped(boxes: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)


def _clipped(scene: Scene, drop: bool) -> Scene:
    """Clip boxes to the view; mostly cut-off or tiny people become ignored. ``drop``: none are known one by one."""
    height, width = scene.ids.shape
    limit = np.array([width, height, width, height], np.float32)
    boxes = np.clip(scene.boxes, 0, limit)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    whole = (scene.boxes[:, 2] - scene.boxes[:, 0]) * (scene.boxes[:, 3] - scene.boxes[:, 1])
    keep = (area >= MIN_VISIBLE * whole) & (area >= 24)
    ignore = np.clip(scene.ignore, 0, limit)
    if drop:
        keep = np.zeros(len(boxes), bool)
        ignore = np.asarray([[0, 0, width, height]], np.float32)
    ignore = np.concatenate([ignore, boxes[~keep & (area > 0)]])
    ignore = ignore[(ignore[:, 2] > ignore[:, 0]) & (ignore[:, 3] > ignore[:, 1])]
    return Scene(scene.image, scene.ids, boxes[keep], scene.box_ids[keep], ignore.astype(np.float32))
