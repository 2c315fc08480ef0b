"""Scenes for trackers: rendered people with exact truth, seen by a detector that errs as real ones do.

``python tests/tracked_scenes.py`` renders them again, and records what the ByteTrack of the package ``trackers`` makes
of them (Apache-2.0; ``pip install trackers`` in an environment of its own: it wants another OpenCV).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from argos.types import Instances, Size

FOLDER = Path(__file__).parent / "tracking" / "scenes"
SIZE: Size = (270, 480)
SCENES = {"street": (6, 3, 10, 200), "crowd": (10, 7, 10, 150), "slow": (8, 11, 5, 120)}
"""Name -> people, seed, frames per second, frames."""

SCORE, LOW_SCORE = 0.45, 0.1
SMALLEST = 60
"""Visible pixels from which a person counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One frame.

    Attributes:
        pts_s: its time.
        truth_boxes: ``(N, 4)`` of the people who count.
        truth_ids: ``(N,)`` int64, who they are.
        people: what the detector finds, false alarms among it.
        oracle: ``(M,)`` int64, the ids that the established tracker gave to ``people``; -1 for none.
    """

    pts_s: float
    truth_boxes: NDArray[np.int32]
    truth_ids: NDArray[np.int64]
    people: Instances
    oracle: NDArray[np.int64]


def load(name: str) -> list[Seen]:
    """A recorded scene."""
    with np.load(FOLDER / f"{name}.npz") as file:
        data = {key: file[key] for key in file.files}
    fps, frames = SCENES[name][2:]
    bits = np.unpackbits(data["masks"])
    ends = np.cumsum(np.prod(data["boxes"][:, 2:] - data["boxes"][:, :2], axis=1))
    seen = []
    for index in range(frames):
        rows, truth = np.flatnonzero(data["frame"] == index), data["truth_frame"] == index
        boxes = data["boxes"][rows].astype(np.int32)
        masks = tuple(
            bits[ends[row] - (y1 - y0) * (x1 - x0) : ends[row]].reshape(y1 - y0, x1 - x0).astype(np.bool_)
            for row, (x0, y0, x1, y1) in zip(rows.tolist(), boxes.tolist(), strict=True)
        )
        people = Instances(boxes, data["scores"][rows], np.zeros(len(rows), np.int32), masks, SIZE)
        truth_boxes, truth_ids = data["truth_boxes"][truth].astype(np.int32), data["truth_ids"][truth].astype(np.int64)
        seen.append(Seen(index / fps, truth_boxes, truth_ids, people, data["oracle"][rows].astype(np.int64)))
    return seen


def _detected(people: list, rng: np.random.Generator, largest: dict[int, float]) -> Instances:
    """What a detector finds: jittered boxes, scores that fall with occlusion, misses, now and then nobody's box."""
    boxes, scores, masks = [], [], []
    for person in people:
        area = float(person.mask.sum())
        largest[person.id] = max(0.97 * largest.get(person.id, 0.0), area)
        visible = area / largest[person.id]
        score = 0.85 - 0.9 * max(0.0, 0.75 - visible) + rng.normal(0, 0.06)
        x0, y0, x1, y1 = person.box
        jitter = rng.normal(0, 0.03, 4) * ([x1 - x0, y1 - y0] * 2)
        box = np.clip(np.rint(person.box + jitter), 0, [SIZE[1], SIZE[0]] * 2).astype(np.int32)
        if area < SMALLEST or visible < 0.12 or rng.random() < 0.04 or (box[2:] - box[:2]).min() < 2:
            continue
        full = np.zeros(SIZE, np.bool_)
        full[y0:y1, x0:x1] = person.mask
        boxes.append(box)
        scores.append(np.clip(score, 0.02, 0.99))
        masks.append(full[box[1] : box[3], box[0] : box[2]])
    if rng.random() < 0.1:
        height = int(rng.integers(20, 80))
        x, y = int(rng.integers(0, SIZE[1] - height // 3)), int(rng.integers(0, SIZE[0] - height))
        boxes.append(np.array([x, y, x + height // 3, y + height], np.int32))
        scores.append(rng.uniform(0.1, 0.6))
        masks.append(np.ones((height, height // 3), np.bool_))
    labels = np.zeros(len(boxes), np.int32)
    return Instances(np.array(boxes, np.int32).reshape(-1, 4), np.array(scores, np.float32), labels, tuple(masks), SIZE)


def _oracle_ids(seen: list[Instances], fps: float) -> Iterator[NDArray[np.int64]]:
    import supervision
    from trackers import ByteTrackTracker

    tracker = ByteTrackTracker(
        frame_rate=fps, lost_track_buffer=60, track_activation_threshold=SCORE, high_conf_det_threshold=SCORE,
        minimum_consecutive_frames=3, minimum_iou_threshold=0.1,
    )  # fmt: skip
    for people in seen:
        found = tracker.update(
            supervision.Detections(
                people.boxes.astype(np.float64), confidence=people.scores, class_id=np.arange(len(people))
            )
        )
        ids = np.full(len(people), -1, np.int64)
        if len(found):
            ids[found.class_id] = found.tracker_id
        yield ids


def record(name: str) -> None:
    """Render a scene, detect, run the oracle, write."""
    from argos.sources.synthetic import SceneParams, render

    count, seed, fps, frames = SCENES[name]
    film = list(render(SceneParams(people=count, seed=seed, fps=fps, size=SIZE, frames=frames)))
    rng, largest = np.random.default_rng(seed), dict[int, float]()
    seen = [_detected(list(rendered.people), rng, largest) for rendered in film]
    truth = [(n, p.id, *p.box) for n, r in enumerate(film) for p in r.people if p.mask.sum() >= SMALLEST]
    table = np.array(truth, np.int16)
    FOLDER.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        FOLDER / f"{name}.npz",
        truth_frame=table[:, 0],
        truth_ids=table[:, 1],
        truth_boxes=table[:, 2:],
        frame=np.repeat(np.arange(frames, dtype=np.int16), [len(people) for people in seen]),
        boxes=np.concatenate([people.boxes for people in seen]).astype(np.int16),
        scores=np.concatenate([people.scores for people in seen]),
        masks=np.packbits(np.concatenate([mask.ravel() for people in seen for mask in people.masks])),
        oracle=np.concatenate(list(_oracle_ids(seen, fps))).astype(np.int16),
    )


if __name__ == "__main__":
    for scene in SCENES:
        record(scene)
