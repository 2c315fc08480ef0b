"""Results on canvases back to the frames: the inverse of ``pack``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.types import Instances, Placements, Size, no_instances


def stitch_scores(
    canvases: NDArray[np.float32],
    placements: Placements,
    frame: int,
    frame_size: Size,
    read: Callable[[NDArray[np.float32]], NDArray[Any]] = lambda scores: scores,
) -> NDArray[Any]:
    """Put scores of canvases back on one frame.

    At the scale of the frame scores are copied unchanged, otherwise interpolated linearly.

    Args:
        canvases: ``(B, H, W)`` float32, at least 0.
        placements: of the batch that was computed.
        frame: index of the frame in the batch.
        frame_size: its size.
        read: what is kept of the scores, such as their ``levels``; a larger score never gives less.

    Returns:
        ``(H, W)`` of what ``read`` gives: inside the cores, the larger one where cores overlap, 0 elsewhere.
    """
    found = np.zeros(frame_size, read(np.zeros(0, np.float32)).dtype)
    for n in np.flatnonzero(placements.frame == frame):
        x0, y0, x1, y1 = placements.source[n].tolist()
        a0, b0, a1, b1 = placements.target[n].tolist()
        c0, d0, c1, d1 = placements.core[n].tolist()
        piece = canvases[placements.canvas[n], b0:b1, a0:a1]
        if piece.shape != (y1 - y0, x1 - x0):
            piece = cv2.resize(piece, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        core = found[d0:d1, c0:c1]
        np.maximum(core, read(piece[d0 - y0 : d1 - y0, c0 - x0 : c1 - x0]), out=core)
    return found


def stitch_instances(
    per_canvas: Sequence[Instances],
    placements: Placements,
    frame: int,
    frame_size: Size,
    *,
    nms: float,
    max_people: int,
) -> Instances:
    """Put instances of canvases back on one frame, each person once.

    An instance belongs to the rectangle that holds the centre of its box; it is cut at that rectangle and dropped
    when no rectangle holds it or no pixel of it is left. Two rectangles of a frame may share pixels (margins, tiles
    of a large region). Two instances of one class from different rectangles are one person when

    - their masks overlap by more than ``nms`` of the smaller one, or
    - one of them ends near (``_near``) an edge of its rectangle that lies inside the other rectangle, and within the
      pixels both rectangles share the IoU of their masks is more than ``nms``.

    When one of the two ends at such an edge their masks are joined, otherwise the one with the higher score stays.

    Args:
        per_canvas: instances of each canvas, in canvas pixels.
        placements: of the batch that was computed.
        frame: index of the frame in the batch.
        frame_size: its size.
        nms: overlap in 0..1 above which two instances are one person.
        max_people: most instances kept.

    Returns:
        Instances in frame pixels, highest score first.
    """
    found: list[_Person] = []
    for n, canvas in enumerate(per_canvas):
        here = np.flatnonzero(placements.canvas == n)
        for k in range(len(canvas)):
            placement = _holder(canvas.boxes[k], placements.target[here])
            if placement is None or placements.frame[here[placement]] != frame:
                continue
            person = _to_frame(canvas, k, placements, int(here[placement]))
            if person is not None:
                found.append(person)
    found.sort(key=lambda person: -person.score)  # stable: canvas and order of the engine decide between equals
    kept: list[list[_Person]] = []
    for person in found:
        links = [[_link(person, member, nms) for member in group] for group in kept]
        linked = [group for group, of_group in zip(kept, links, strict=True) if any(of_group)]
        if not linked:
            kept.append([person])
        elif any("joined" in of_group for of_group in links):
            first, *others = linked  # whom the middle of three tiles shows ends in both of the others
            first += [*chain.from_iterable(others), person]
            kept = [group for group in kept if group not in others]
    people = [_joined(group) for group in kept[:max_people]]
    if not people:
        return no_instances(frame_size)
    return Instances(
        np.array([person.box for person in people], np.int32),
        np.array([person.score for person in people], np.float32),
        np.array([person.label for person in people], np.int32),
        tuple(person.mask for person in people),
        frame_size,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Person:
    """One instance in frame pixels and the rectangle ``source`` it was seen in."""

    box: tuple[int, int, int, int]
    score: float
    label: int
    mask: NDArray[np.bool_]
    source: tuple[int, int, int, int]


def _holder(box: NDArray[np.int32], targets: NDArray[np.int32]) -> int | None:
    """Index of the target that holds the centre of ``box``; targets of one canvas never overlap."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    inside = (targets[:, 0] <= x) & (x < targets[:, 2]) & (targets[:, 1] <= y) & (y < targets[:, 3])
    return int(inside.argmax()) if inside.any() else None


def _to_frame(canvas: Instances, k: int, placements: Placements, n: int) -> _Person | None:
    """Instance ``k`` of a canvas, cut at target ``n`` and moved to the frame; None when no pixel is left."""
    target, source = tuple(placements.target[n].tolist()), tuple(placements.source[n].tolist())
    whole = tuple(canvas.boxes[k].tolist())
    box = _intersection(whole, target)
    mask = _window(canvas.masks[k], whole, box)
    if target[2] - target[0] == source[2] - source[0] and target[3] - target[1] == source[3] - source[1]:
        dx, dy = source[0] - target[0], source[1] - target[1]
        box = (box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy)
    else:
        box, mask = _rescaled(box, mask, target, source)
    if not mask.any():
        return None
    return _Person(box, float(canvas.scores[k]), int(canvas.labels[k]), mask, source)


def _rescaled(
    box: tuple[int, int, int, int],
    mask: NDArray[np.bool_],
    target: tuple[int, int, int, int],
    source: tuple[int, int, int, int],
) -> tuple[tuple[int, int, int, int], NDArray[np.bool_]]:
    """A mask in canvas pixels interpolated at the centres of frame pixels; on where at least half is on."""
    sx = (source[2] - source[0]) / (target[2] - target[0])  # frame pixels per canvas pixel
    sy = (source[3] - source[1]) / (target[3] - target[1])
    x0 = source[0] + int(np.floor((box[0] - target[0]) * sx))
    y0 = source[1] + int(np.floor((box[1] - target[1]) * sy))
    x1 = min(source[0] + int(np.ceil((box[2] - target[0]) * sx)), source[2])
    y1 = min(source[1] + int(np.ceil((box[3] - target[1]) * sy)), source[3])
    to_mask = np.array(
        [
            [1 / sx, 0, (x0 + 0.5 - source[0]) / sx - 0.5 - (box[0] - target[0])],
            [0, 1 / sy, (y0 + 0.5 - source[1]) / sy - 0.5 - (box[1] - target[1])],
        ]
    )
    values = cv2.warpAffine(
        mask.astype(np.float32), to_mask, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    return (x0, y0, x1, y1), np.asarray(values >= 0.5)


def _link(a: _Person, b: _Person, nms: float) -> Literal["", "same", "joined"]:
    """Whether both are one person, seen twice (``same``) or cut by a seam (``joined``); empty when they are not."""
    overlap = _intersection(a.box, b.box)
    if a.source == b.source or a.label != b.label or _is_empty(overlap):
        return ""
    shared = _intersection(a.source, b.source)  # not empty, both boxes lie inside
    both = int((_window(a.mask, a.box, overlap) & _window(b.mask, b.box, overlap)).sum())
    cut = _ends_inside(a, b.source, shared) or _ends_inside(b, a.source, shared)
    same = both > nms * min(int(a.mask.sum()), int(b.mask.sum()))
    if cut and not same:
        in_shared = sum(int(_window(p.mask, p.box, _intersection(p.box, shared)).sum()) for p in (a, b))
        same = both > nms * (in_shared - both)
    if not same:
        return ""
    return "joined" if cut else "same"


def _ends_inside(person: _Person, other: tuple[int, int, int, int], shared: tuple[int, int, int, int]) -> bool:
    """Whether the mask comes near an edge of its rectangle that lies inside the rectangle ``other``."""
    x0, y0, x1, y1 = person.source
    x_near, y_near = _near(shared[2] - shared[0]), _near(shared[3] - shared[1])
    bands = []
    if other[0] < x0 < other[2]:
        bands.append((x0, y0, x0 + x_near, y1))
    if other[0] < x1 < other[2]:
        bands.append((x1 - x_near, y0, x1, y1))
    if other[1] < y0 < other[3]:
        bands.append((x0, y0, x1, y0 + y_near))
    if other[1] < y1 < other[3]:
        bands.append((x0, y1 - y_near, x1, y1))
    parts = [_intersection(person.box, band) for band in bands]
    return any(bool(_window(person.mask, person.box, part).any()) for part in parts if not _is_empty(part))


def _near(shared: int) -> int:
    """Frame pixels that count as near an edge: a quarter of the shared width, because a network that sees nothing
    beyond the edge seldom ends its mask exactly there."""
    return max(4, shared // 4)


def _joined(group: list[_Person]) -> _Person:
    """The union of the masks of one person with the score of the best; ``group[0]`` is the best."""
    best = group[0]
    if len(group) == 1:
        return best
    boxes = np.array([member.box for member in group])
    x0, y0 = boxes[:, :2].min(axis=0).tolist()
    x1, y1 = boxes[:, 2:].max(axis=0).tolist()
    mask = np.zeros((y1 - y0, x1 - x0), np.bool_)
    for member in group:
        a0, b0, a1, b1 = member.box
        mask[b0 - y0 : b1 - y0, a0 - x0 : a1 - x0] |= member.mask
    return _Person((x0, y0, x1, y1), best.score, best.label, mask, best.source)


def _intersection(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The common rectangle of two boxes; empty when its end is not after its start."""
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def _is_empty(box: tuple[int, int, int, int]) -> bool:
    return box[2] <= box[0] or box[3] <= box[1]


def _window(mask: NDArray[np.bool_], box: tuple[int, ...], window: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """The part of a mask of ``box`` inside ``window``, which lies inside ``box``."""
    x0, y0, x1, y1 = window
    return mask[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
