"""What it is worth that regions keep their place on the canvas: the same regions placed afresh and where they lay.

    python benchmarks/steady.py samples/people.mp4 --truth samples/people_truth.json --json steady.json

Both sides get the same regions of every frame, proposed for each frame by itself, and run through the same networks.
``same pixels``: share of the people of two consecutive frames whose place on the canvas has moved by no more than they
have in the frame themselves, to a pixel; ``near``: by at most 16 canvas pixels. ``flicker``: pixels whose answer
changes from one frame to the next although the truth does not, as a share of the people.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from argos.benching.contender import networks_of, person_on
from argos.config import config_from_sources
from argos.engines.dense import auto_scale
from argos.packing.layout import Layout, lay_out
from argos.packing.pack import paste
from argos.packing.rectangles import boxes_of
from argos.packing.steady import Steady
from argos.pipelines.build import people_of_config, view_of
from argos.propose.regions import regions_of
from argos.sources.read import read

NEAR = 16


@dataclass(slots=True, eq=False)
class Side:
    """What one way of placing gave, frame by frame."""

    layouts: list[Layout] = field(default_factory=list)
    masks: list[NDArray[np.bool_]] = field(default_factory=list)


def main() -> None:
    """Measure both sides and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", help="a video")
    parser.add_argument("--truth", type=Path, required=True, help="its people, COCO with track_id")
    parser.add_argument("--task", choices=("semantic", "instances"), default="semantic", help="default: semantic")
    parser.add_argument("--frames", type=int, default=150, help="from the beginning (default: 150)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    config = config_from_sources([given.clip], [f"camera.tasks=[{given.task}]", "engine.threads=1"])
    people, cards = people_of_config(config)
    view = view_of(next(iter(config.cameras.values())), config, cards)
    networks, canvas, steady = networks_of(people, view), people.canvas, Steady()
    sides = {"afresh": Side(), "steady": Side()}
    for frame in itertools.islice(read(given.clip, "clip"), given.frames):
        mask = people.proposer(frame)
        scale = auto_scale(frame.size, people.largest)
        margin = view.margin_at(scale)
        regions = regions_of(mask, dilation=view.dilation, min_area=view.min_area, margin=margin)
        boxes = boxes_of([regions], scale=scale, margin=margin)
        layout = lay_out(boxes, canvas.size, gutter=canvas.gutter, max_canvases=canvas.most, few=canvas.few)
        for side, placed in (
            (sides["afresh"], layout),
            (sides["steady"], steady.settle(layout, ["clip"], gutter=canvas.gutter)),
        ):
            batch = paste([frame], placed.placements, placed.canvas_size)
            side.layouts.append(placed)
            side.masks.append(person_on(batch, frame.size, networks, view))
    truth, centres = truth_of(given.truth, len(sides["afresh"].masks))
    report = {name: figures(side, truth, centres) for name, side in sides.items()}
    report["truth"] = {"consecutive": consecutive(truth)}
    for name, row in report.items():
        print(f"{name:<8}" + "".join(f"  {key} {value:.4g}" for key, value in row.items()))
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


def figures(
    side: Side, truth: list[NDArray[np.bool_]], centres: list[dict[int, tuple[float, float]]]
) -> dict[str, Any]:
    """The row of one side."""
    moves = []
    for n in range(1, len(side.layouts)):
        for person in centres[n].keys() & centres[n - 1].keys():
            pair = [on_canvas(side.layouts[k], centres[k][person]) for k in (n - 1, n)]
            if pair[0] is not None and pair[1] is not None:
                own = (np.array(centres[n][person]) - centres[n - 1][person]) * pair[1][1]
                moved = pair[1][0] - pair[0][0]  # canvas, x, y
                moves.append((moved[0] == 0, np.abs(moved[1:]).max(), np.abs(moved[1:] - own).max()))
    changes = [
        np.count_nonzero((a ^ b) & ~(s ^ t)) / np.count_nonzero(t)
        for a, b, s, t in zip(side.masks, side.masks[1:], truth, truth[1:], strict=False)
        if t.any()
    ]
    return {
        "people": len(moves),
        "same pixels": float(np.mean([same and rest <= 1 for same, _, rest in moves])),
        "near": float(np.mean([same and far <= NEAR for same, far, _ in moves])),
        "canvas pixels": float(np.mean([layout.pixels for layout in side.layouts])),
        "consecutive": consecutive(side.masks),
        "flicker": float(np.mean(changes)),
        "IoU with truth": float(np.mean([iou(a, b) for a, b in zip(side.masks, truth, strict=True)])),
    }


def on_canvas(layout: Layout, point: tuple[float, float]) -> tuple[NDArray[np.float64], float] | None:
    """Canvas and place ``(canvas, x, y)`` of a point of the frame, and canvas pixels per frame pixel there."""
    placements = layout.placements
    x0, y0, x1, y1 = placements.core.T
    inside = np.flatnonzero((x0 <= point[0]) & (point[0] < x1) & (y0 <= point[1]) & (point[1] < y1))
    if not len(inside):
        return None
    n = int(inside[0])
    scale = float(placements.scale[n])
    x, y = (np.array(point) - placements.source[n, :2]) * scale + placements.target[n, :2]
    return np.array([placements.canvas[n], x, y], np.float64), scale


def consecutive(masks: list[NDArray[np.bool_]]) -> float:
    """Mean IoU of each mask with the one before."""
    return float(np.mean([iou(a, b) for a, b in itertools.pairwise(masks)]))


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union; 1 where both are empty."""
    return 1.0 if not (a | b).any() else np.count_nonzero(a & b) / np.count_nonzero(a | b)


def truth_of(path: Path, frames: int) -> tuple[list[NDArray[np.bool_]], list[dict[int, tuple[float, float]]]]:
    """Person pixels of each frame, and the middle of the box of each person by track."""
    described = json.loads(path.read_text())
    masks = [np.zeros((image["height"], image["width"]), np.bool_) for image in described["images"][:frames]]
    centres: list[dict[int, tuple[float, float]]] = [{} for _ in masks]
    for person in described["annotations"]:
        n = person["image_id"]
        if n < frames:
            masks[n] |= coco.decode(person["segmentation"]).astype(np.bool_)
            x, y, w, h = person["bbox"]
            centres[n][person["track_id"]] = (x + w / 2, y + h / 2)
    return masks, centres


if __name__ == "__main__":
    main()
