"""Results in the formats of other tools: COCO, YOLO segmentation, MOTChallenge, a table of counts."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from argos.errors import PublishError
from argos.publishing.coco import coco_annotations
from argos.publishing.wire import LABELS
from argos.types import Result


def write_coco(results: Iterable[Result], path: Path) -> None:
    """A COCO data set: ``images`` (``id`` counts from 1), ``annotations`` with RLE masks and areas, ``categories``."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, result in enumerate(results, 1):
        name = f"{result.camera}_{result.index:06d}.jpg"
        images.append({"id": number, "file_name": name, "height": result.size[0], "width": result.size[1]})
        areas = () if result.instances is None else [int(np.count_nonzero(mask)) for mask in result.instances.masks]
        for area, annotation in zip(areas, coco_annotations(result), strict=True):
            own = {"id": len(annotations) + 1, "image_id": number, "area": area, "iscrowd": 0}
            annotations.append(annotation | own)
    categories = [{"id": n, "name": name, "supercategory": name} for n, name in enumerate(LABELS, 1)]
    with path.open("w", encoding="utf-8") as file:
        json.dump({"images": images, "annotations": annotations, "categories": categories}, file)


def write_mot(results: Iterable[Result], path: Path) -> None:
    """MOTChallenge: ``frame,id,left,top,width,height,score,-1,-1,-1``; frames count from 1, only people with an id."""
    with path.open("w", encoding="ascii") as file:
        for result in results:
            people = result.instances
            if people is None or not len(people.ids):
                continue
            for track, score, (x0, y0, x1, y1) in zip(people.ids, people.scores, people.boxes.tolist(), strict=True):
                if track >= 0:
                    file.write(f"{result.index + 1},{track},{x0},{y0},{x1 - x0},{y1 - y0},{score:.4f},-1,-1,-1\n")


def write_csv(results: Iterable[Result], path: Path) -> None:
    """A row per frame: who looked when, how many people, how much of the frame is person."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["camera", "epoch", "frame", "pts_s", "people", "person_share", "mode"])
        for result in results:
            people = "" if result.instances is None else len(result.instances)
            share = "" if result.semantic is None else f"{result.semantic.area:.6f}"
            table.writerow(
                [result.camera, result.epoch, result.index, f"{result.pts_s:.6f}", people, share, result.mode]
            )


def write_yolo(results: Iterable[Result], path: Path) -> None:
    """A folder with a file per frame: ``class x y x y ...``, the largest outline of everybody, shares of the frame."""
    path.mkdir()
    for result in results:
        lines = list(_outlines(result))
        (path / f"{result.camera}_{result.index:06d}.txt").write_text("".join(f"{line}\n" for line in lines))


def _outlines(result: Result) -> Iterator[str]:
    import cv2  # here, so that the other formats need no OpenCV

    people = result.instances
    if people is None:
        return
    for label, (x0, y0, _, _), mask in zip(people.labels.tolist(), people.boxes.tolist(), people.masks, strict=True):
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        if not contours:
            continue
        largest: NDArray[np.int32] = max(contours, key=cv2.contourArea).reshape(-1, 2)
        if len(largest) < 3:
            continue  # a line or a dot is no outline
        places = (largest + np.array([x0 + 0.5, y0 + 0.5])) / np.array([result.size[1], result.size[0]])
        yield f"{label} " + " ".join(f"{value:.6f}" for value in places.ravel())


FORMATS: Mapping[str, Callable[[Iterable[Result], Path], None]] = {
    "coco": write_coco,
    "yolo-seg": write_yolo,
    "mot": write_mot,
    "csv": write_csv,
}
"""Name -> what writes it."""


def export(results: Iterable[Result], name: str, path: Path) -> int:
    """Write results in a format of ``FORMATS``; nothing unfinished is left behind under the final name.

    Args:
        results: of one camera and one run: their frames grow. Ids of its epochs follow each other.
        name: of the format.
        path: of the file, or for ``yolo-seg`` of the folder, which must not exist.

    Returns:
        The number of frames.

    Raises:
        PublishError: it cannot be written, or the results are not of one camera and run.
    """
    if name == "yolo-seg" and path.exists():
        raise PublishError(f"{path}: exists; choose a folder that does not, so that no old labels are mixed in")
    count = 0

    def counted() -> Iterator[Result]:
        nonlocal count
        for result in _ids_going_on(_one_run(results)):
            count += 1
            yield result

    # a pipe or a device is written into: a file put in its place would take it away from everybody
    is_stream = path.exists() and not path.is_file()
    target = Path(os.path.realpath(path))
    partial = target.with_name(f".{target.name}.part")
    try:
        if is_stream:
            FORMATS[name](counted(), path)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            FORMATS[name](counted(), partial)
            partial.replace(target)
    except OSError as error:
        raise PublishError(f"{path}: cannot be written ({error.strerror}); choose another path") from error
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)
    return count


def _one_run(results: Iterable[Result]) -> Iterator[Result]:
    """The results, as long as they are of one camera and run."""
    before = None
    for result in results:
        if before is not None and (result.camera, result.run) != (before.camera, before.run):
            raise PublishError(
                f"results of camera '{before.camera}' are followed by those of "
                f"{'another run' if result.camera == before.camera else repr(result.camera)}, whose frames would be "
                "mixed up; write one file for each"
            )
        before = result
        yield result


def _ids_going_on(results: Iterable[Result]) -> Iterator[Result]:
    """Ids begin anew with each epoch, and nobody of one is known to be of another: they go on after the highest."""
    epoch, before, highest = None, 0, 0
    for result in results:
        if result.epoch != epoch:
            epoch, before = result.epoch, highest
        people = result.instances
        if people is not None and len(people.ids):
            ids = np.where(people.ids >= 0, people.ids + before, people.ids)
            highest = max(highest, int(ids.max()))
            result = replace(result, instances=replace(people, ids=ids))
        yield result
