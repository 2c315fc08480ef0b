"""The project's data folder, split by role: what to learn from, what to paste, what to measure on."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from argos.engines.weights import Task
from argos.errors import DataError
from argos.sources.figures import draw_person, random_person
from argos.training import photos
from argos.training.clutter import cluttered_rooms
from argos.training.formats.coco import coco_photos
from argos.training.formats.files import PhotoFiles
from argos.training.formats.labels import camvid_photos, folder_photos
from argos.training.packed import is_packed, read_cutouts, read_packed
from argos.training.photos import Photo
from argos.training.scenes import Mix

log = logging.getLogger(__name__)

EVERY_TENTH = 10
"""Backgrounds have no split of their own: every tenth is kept for measuring."""


def data_folder() -> Path:
    """Folder of training data: ``$ARGOS_DATA`` or ``../shared/data`` beside the checkout; or a packed copy of it.

    Raises:
        DataError: there is none.
    """
    folder = Path(os.environ.get("ARGOS_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (folder / "persons").is_dir() and not is_packed(folder):
        raise DataError(f"{folder}: no training data here (persons/ is missing); set ARGOS_DATA to the folder")
    return folder


RENDERED_PEOPLE, RENDERED_SEED = 200, 77
"""Rendered figures among the people to paste; none of them is drawn with ``HELD_OUT_SEED``, as the clip's are."""


def rendered_people() -> list[NDArray[np.uint8]]:
    """Rendered walkers seen from all sides, RGBA."""
    rng = np.random.default_rng(RENDERED_SEED)
    return [
        draw_person(
            random_person(rng),
            220,
            phase=rng.random(),
            facing=rng.uniform(0, 2 * np.pi),
            stride=float(rng.random() < 0.8),
            pitch=rng.uniform(0.0, 0.5),
        )
        for _ in range(RENDERED_PEOPLE)
    ]


RENDERED_ROOMS, ROOMS_SEED = 250, 78


def rendered_rooms() -> list[Photo]:
    """Rendered shops and stores without people."""
    none, nobody = np.zeros((0, 4), np.float32), np.zeros(0, np.uint8)
    return [
        Photo(room, np.zeros(room.shape[:2], np.uint8), none, nobody, none, "rendered", f"room {n}")
        for n, room in enumerate(cluttered_rooms(RENDERED_ROOMS, ROOMS_SEED))
    ]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingPhotos:
    """Photos of the training split by kind of annotation, and people to paste."""

    masks: list[Photo]
    boxes: list[Photo]
    streets: list[Photo]
    backgrounds: list[Photo]
    people: list[NDArray[np.uint8]]


GROUPS = ("masks", "incomplete", "boxes", "backgrounds", "val_masks", "val_boxes")
"""Roles of the photos: masks, masks of some of the people only, boxes, nobody, and the validation split. ``streets`` is
CamVid, which a packed copy has as it is."""


def photos_of(folder: Path, group: str) -> list[Photo]:
    """The readable photos of one role, from the data folder as it is or from a packed copy.

    The log counts those that cannot be read.

    Raises:
        DataError: something is missing.
    """
    return _readable(folder, group)[0]


def _readable(folder: Path, group: str) -> tuple[list[Photo], int]:
    """``photos_of``, and how many others there are."""
    sets = _sets(folder, group)
    photos = [photo for files in sets for photo in files]
    named = sum(map(len, sets))
    if len(photos) < named:
        log.warning("%s: %d of %d pictures cannot be read and are left out", group, named - len(photos), named)
    return photos, named - len(photos)


def _sets(folder: Path, group: str) -> list[PhotoFiles]:
    if is_packed(folder) and group in GROUPS:
        return [read_packed(folder, group)]
    readers: dict[str, Callable[[], list[PhotoFiles]]] = {
        "masks": lambda: _masks(folder, "instances_train.json"),
        "incomplete": lambda: [coco_photos(folder / "persons" / "instances_incomplete.json", complete_only=False)],
        "boxes": lambda: [coco_photos(folder / "persons_boxes" / "boxes_train.json", max_side=416)],
        "streets": lambda: [camvid_photos(folder / "camvid" / "train")],
        "backgrounds": lambda: [folder_photos(folder / "backgrounds")],
        "val_masks": lambda: _masks(folder, "instances_val.json"),
        "val_boxes": lambda: [coco_photos(folder / "persons_boxes" / "boxes_val.json", max_side=416)],
    }
    return readers[group]()


def _masks(folder: Path, annotations: str) -> list[PhotoFiles]:
    return [coco_photos(folder / name / annotations) for name in ("persons", "persons_more")]


def cutouts_of(folder: Path) -> list[NDArray[np.uint8]]:
    """People cut out by others, RGBA."""
    return read_cutouts(folder) if is_packed(folder) else photos.load_cutouts(folder / "cutouts")


def training_photos(folder: Path) -> TrainingPhotos:
    """Load the whole training split into memory (about 2 GB)."""
    masks = photos_of(folder, "masks")
    return TrainingPhotos(
        masks=masks,
        boxes=photos_of(folder, "boxes"),
        streets=photos_of(folder, "streets"),
        backgrounds=[p for n, p in enumerate(photos_of(folder, "backgrounds")) if n % EVERY_TENTH],
        people=[
            *cutouts_of(folder),
            *photos.cut_people([*masks, *photos_of(folder, "incomplete")]),
            *rendered_people(),
        ],
    )


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What a model is measured on.

    Attributes:
        photos: with masks, and of nobody.
        boxed: photos with boxes; None: those of ``photos`` that have some.
        left_out: how many others cannot be read.
    """

    photos: Sequence[Photo]
    boxed: Sequence[Photo] | None = None
    left_out: int = 0


def held_for(task: Task, folder: Path) -> Held:
    """What models for a task are measured on.

    Raises:
        DataError: something is missing.
    """
    if task == "classes":
        classes = class_photos(folder)
        return Held(classes, left_out=classes.left_out())
    masks, without_masks = _readable(folder, "val_masks")
    empty, without_empty = _readable(folder, "backgrounds")
    boxed, without_boxed = _readable(folder, "val_boxes") if task == "instances" else (None, 0)
    return Held([*masks, *empty[::EVERY_TENTH]], boxed, without_masks + without_empty + without_boxed)


def validation_photos(folder: Path) -> list[Photo]:
    """Photos with masks of the validation split, and the kept backgrounds."""
    return list(held_for("semantic", folder).photos)


def class_photos(folder: Path, split: str = "val") -> PhotoFiles:
    """CamVid's validation split, or its training split; the ids are the numbers of 11 classes.

    Raises:
        DataError: it is not there.
    """
    return camvid_photos(folder / "camvid" / split, "classes")


def semantic_mix(data: TrainingPhotos, min_height: float, *, near: bool = False) -> Mix:
    """Scenes for person segmentation; photos with boxes serve as street and room without people around the boxes.

    With ``near`` bodies may fill the view, and photos and rendered rooms without people come more often: seen from
    near, both are large and plain.
    """
    by_source: dict[str, list[Photo]] = {}
    for photo in data.masks:
        by_source.setdefault(photo.source, []).append(photo)
    weight = {"ccp": 2.0, "hsd": 1.5, "coco": 3.0, "jaialai": 0.5}
    rooms = rendered_rooms()
    groups = [*by_source.values(), data.boxes, data.streets, data.backgrounds, rooms]
    empty = [3.2, 1.8] if near else [1.6, 1.2]
    weights = [weight.get(source, 1.0) for source in by_source] + [4.0, 0.6, *empty]
    pasted_on = [*data.backgrounds, *rooms]
    zoom = 3.0 if near else 2.0
    return Mix(groups, weights, pasted_on, data.people, paste=0.45, min_height=min_height, max_zoom=zoom)


def joint_mix(data: TrainingPhotos) -> Mix:
    """Scenes for both tasks at once; where people are marked but not told apart, the detector learns nothing."""
    by_source: dict[str, list[Photo]] = {}
    for photo in data.masks:
        by_source.setdefault(photo.source, []).append(photo)
    weight = {"ccp": 1.2, "hsd": 1.0, "coco": 3.0, "jaialai": 0.7}
    stretched = [p for p in data.boxes if p.source != "voc07"]
    voc = [p for p in data.boxes if p.source == "voc07"]
    groups = [*by_source.values(), voc, stretched, data.streets, data.backgrounds]
    weights = [weight.get(source, 1.0) for source in by_source] + [3.0, 1.5, 0.4, 1.2]
    return Mix(groups, weights, data.backgrounds, data.people, paste=0.33, mosaic=0.4)
