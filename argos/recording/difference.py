"""Two files of results over the same pictures, frame by frame: where do the masks differ?

Frames are the same when camera, connection and time are. Time is compared to two milliseconds, because a recording
keeps whole ones; connections (``run`` and ``epoch``) are numbered as they come, because a replay is one run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from argos.errors import SchemaError, UsageError
from argos.publishing.jsonl import read_line
from argos.sources.segments import files_of
from argos.types import Instances, Result

SAME_S = 0.002
"""Times as far apart as this are the same."""

SAME_PERSON = 0.1
"""Two masks that overlap less than this (IoU) are two people."""


Boxes = tuple[tuple[int, ...], ...]
"""``(x0, y0, x1, y1)`` in frame pixels."""


class _Head(msgspec.Struct):
    """What tells which frame a line is about."""

    run: str
    camera: str
    epoch: int
    frame: int
    pts_s: float
    models: dict[str, str]
    config: str


@dataclass(frozen=True, slots=True)
class Line:
    """Where the result of a frame stands.

    Attributes:
        path, offset: of the line.
        index, pts_s: of the frame.
    """

    path: Path
    offset: int
    index: int
    pts_s: float

    def result(self) -> Result:
        """Read it."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            try:
                return read_line(file.readline())
            except SchemaError as error:
                raise SchemaError(f"{self.path}: frame {self.index}: {error}") from error


@dataclass(slots=True)
class Contents:
    """What a file or folder of results holds, without the masks.

    Attributes:
        connections: camera -> its connections in order, each a list of frames by time.
        models, configs: digests, in the order of their first use.
        skipped: unfinished lines.
    """

    connections: dict[str, list[list[Line]]] = field(default_factory=dict)
    models: dict[str, list[str]] = field(default_factory=dict)
    configs: list[str] = field(default_factory=list)
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class FrameChange:
    """A frame whose people are not the same.

    Attributes:
        camera, connection: of the frame; connections count from 0.
        index: of the frame in A.
        pts_s: its time.
        changed: IoU of each person whose mask changed, lowest first.
        appeared: boxes of people only in B.
        vanished: boxes of people only in A.
        semantic: IoU of the person masks of the whole frame where it is below the threshold; else None.
        other: what else keeps the frames from being compared; empty where nothing does.
    """

    camera: str
    connection: int
    index: int
    pts_s: float
    changed: tuple[float, ...] = ()
    appeared: Boxes = ()
    vanished: Boxes = ()
    semantic: float | None = None
    other: str = ""


def contents_of(path: Path) -> Contents:
    """Look through a ``.jsonl`` file, or through those of a recording.

    Raises:
        UsageError: there are no results.
        SchemaError: a finished line is no result, with file and line.
    """
    files = [path]
    if path.is_dir():
        files = [file for files in files_of(path).values() for file in files if file.suffix == ".jsonl"]
    if not files or not all(file.is_file() for file in files):
        raise UsageError(f"{path}: no results there; give a .jsonl file of results, or a folder of argos record")
    found = Contents()
    seen: dict[str, tuple[str, int]] = {}
    decoder = msgspec.json.Decoder(_Head)
    for file in files:
        offset = 0
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    head = decoder.decode(line)
                except msgspec.ValidationError as error:
                    raise SchemaError(f"{file}:{number}: {error}") from error
                except msgspec.DecodeError:  # cut off when its process was killed
                    found.skipped += 1
                else:
                    _note(found, head, Line(file, offset, head.frame, head.pts_s), seen)
                offset += len(line)
    for connections in found.connections.values():
        for frames in connections:
            frames.sort(key=lambda line: line.pts_s)
    return found


def _note(found: Contents, head: _Head, line: Line, seen: dict[str, tuple[str, int]]) -> None:
    """Put a line where it belongs."""
    connections = found.connections.setdefault(head.camera, [])
    if seen.get(head.camera) != (head.run, head.epoch):
        seen[head.camera] = head.run, head.epoch
        connections.append([])
    connections[-1].append(line)
    for role, name in head.models.items():
        names = found.models.setdefault(role, [])
        if name not in names:
            names.append(name)
    if head.config not in found.configs:
        found.configs.append(head.config)


def paired(a: Contents, b: Contents) -> Iterator[tuple[str, int, Line | None, Line | None]]:
    """The frames of both: camera, connection, the line in A and that in B; None where one has no such frame.

    Two files of one camera each are compared whatever its name is.

    Raises:
        UsageError: they have no camera in common.
    """
    cameras = [(name, name) for name in a.connections if name in b.connections]
    if not cameras and len(a.connections) == len(b.connections) == 1:
        cameras = [(next(iter(a.connections)), next(iter(b.connections)))]
    if not cameras:
        has = [", ".join(found.connections) or "no results" for found in (a, b)]
        raise UsageError(f"no camera in common: A has {has[0]}; B has {has[1]}")
    for in_a, in_b in cameras:
        of_a, of_b = a.connections[in_a], b.connections[in_b]
        for n in range(max(len(of_a), len(of_b))):
            for one, other in _merged(of_a[n] if n < len(of_a) else [], of_b[n] if n < len(of_b) else []):
                yield in_a, n, one, other
    for name, connections in a.connections.items():
        if name not in [in_a for in_a, _ in cameras]:
            yield from ((name, n, line, None) for n, lines in enumerate(connections) for line in lines)
    for name, connections in b.connections.items():
        if name not in [in_b for _, in_b in cameras]:
            yield from ((name, n, None, line) for n, lines in enumerate(connections) for line in lines)


def _merged(a: list[Line], b: list[Line]) -> Iterator[tuple[Line | None, Line | None]]:
    """Pairs of equal time, and the rest alone; both are in order."""
    i = j = 0
    while i < len(a) and j < len(b):
        step_s = a[i].pts_s - b[j].pts_s
        yield (a[i] if step_s <= SAME_S else None), (b[j] if step_s >= -SAME_S else None)
        i, j = i + (step_s <= SAME_S), j + (step_s >= -SAME_S)
    yield from ((line, None) for line in a[i:])
    yield from ((None, line) for line in b[j:])


def change(a: Result, b: Result, iou: float, connection: int = 0) -> FrameChange | None:
    """How the people of a frame differ; None where they do not.

    Args:
        a, b: two results of one frame.
        iou: a mask whose IoU is below this has changed; 1 asks for equal pixels.
        connection: of the frame.
    """
    where = (a.camera, connection, a.index, a.pts_s)
    if a.size != b.size:
        return FrameChange(*where, other=f"size {a.size[1]}x{a.size[0]} became {b.size[1]}x{b.size[0]}")
    tasks = [
        f"task {task} only in {'A' if two is None else 'B'}"
        for task, one, two in (("instances", a.instances, b.instances), ("semantic", a.semantic, b.semantic))
        if (one is None) != (two is None)
    ]
    people: tuple[tuple[float, ...], Boxes, Boxes] = ((), (), ())
    if a.instances is not None and b.instances is not None:
        people = _people(a.instances, b.instances, iou)
    semantic = None
    if a.semantic is not None and b.semantic is not None:
        semantic = mask_iou(a.semantic.mask, b.semantic.mask)
    found = FrameChange(
        *where,
        *people,
        semantic=semantic if semantic is not None and semantic < iou else None,
        other=", ".join(tasks),
    )
    return None if found == FrameChange(*where) else found


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Overlap of two masks ``(h, w)``, 0..1; of two empty ones 1."""
    union = np.count_nonzero(a | b)
    return 1.0 if union == 0 else np.count_nonzero(a & b) / union


def _people(a: Instances, b: Instances, iou: float) -> tuple[tuple[float, ...], Boxes, Boxes]:
    """IoUs of changed people, boxes of those only in B, boxes of those only in A; the best overlaps are the same."""
    overlaps = np.array([[_overlap(a, i, b, j) for j in range(len(b))] for i in range(len(a))]).reshape(len(a), len(b))
    left, right, changed = set(range(len(a))), set(range(len(b))), []
    for i, j in zip(*np.unravel_index(np.argsort(-overlaps, axis=None, kind="stable"), overlaps.shape), strict=True):
        if overlaps[i, j] < SAME_PERSON:
            break
        if i in left and j in right:
            left.remove(i)
            right.remove(j)
            if overlaps[i, j] < iou:
                changed.append(float(overlaps[i, j]))
    boxes_a, boxes_b = a.boxes.tolist(), b.boxes.tolist()
    return (
        tuple(sorted(changed)),
        tuple(tuple(boxes_b[j]) for j in sorted(right)),
        tuple(tuple(boxes_a[i]) for i in sorted(left)),
    )


def _overlap(a: Instances, i: int, b: Instances, j: int) -> float:
    """IoU of two people, on the part of the frame that either covers."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a.boxes[i].tolist(), b.boxes[j].tolist()
    x0, y0, x1, y1 = max(ax0, bx0), max(ay0, by0), min(ax1, bx1), min(ay1, by1)
    if x0 >= x1 or y0 >= y1:
        return 0.0
    one = a.masks[i][y0 - ay0 : y1 - ay0, x0 - ax0 : x1 - ax0]
    two = b.masks[j][y0 - by0 : y1 - by0, x0 - bx0 : x1 - bx0]
    both = np.count_nonzero(one & two)
    either = np.count_nonzero(a.masks[i]) + np.count_nonzero(b.masks[j]) - both
    return both / either if either else 0.0


def digests(a: Mapping[str, list[str]], b: Mapping[str, list[str]]) -> dict[str, tuple[str, str]]:
    """Role -> the models of A and of B that had it; several are joined by commas, none is empty."""
    return {role: (", ".join(a.get(role, ())), ", ".join(b.get(role, ()))) for role in sorted({*a, *b})}
