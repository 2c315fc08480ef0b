"""Write the demonstration clip and its exact truth again: ``python samples/make_clip.py [FOLDER]``.

``people.mp4``: ten seconds of rendered people, H.264. ``people_truth.json``: the visible mask and box of every person
in every frame, in COCO format. The clip shows the figures and the scene of ``HELD_OUT_SEED``, which no network is
trained on. The pictures and the truth are the same on every run; the video file depends on the encoder's version.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from argos.publishing.masks import full_frame_runs, rle_string
from argos.sources.figures import HELD_OUT_SEED
from argos.sources.synthetic import Film, Rendered, SceneParams

PARAMS = SceneParams(people=7, seed=HELD_OUT_SEED, fps=15.0, size=(720, 1280), frames=150)
START_S = 121
"""Where the clip begins in the endless film: two people, then seven, then three."""

CRF = 23


def pictures() -> Iterator[Rendered]:
    """The frames of the clip with their truth."""
    film = Film(PARAMS)
    first = round(START_S * PARAMS.fps)
    for index in range(PARAMS.frames or 0):
        yield film.picture(first + index)


def truth_of(index: int, rendered: Rendered) -> list[dict[str, Any]]:
    """COCO annotations of one frame; their ``id`` is set when all are known."""
    annotations = []
    for person in rendered.people:
        x0, y0, x1, y1 = person.box
        runs = full_frame_runs(person.mask, (x0, y0), PARAMS.size)
        annotations.append(
            {
                "image_id": index,
                "category_id": 1,
                "track_id": person.id,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": int(person.mask.sum()),
                "segmentation": {"size": list(PARAMS.size), "counts": rle_string(runs).decode("ascii")},
                "iscrowd": 0,
            }
        )
    return annotations


def write_clip(folder: Path) -> None:
    """Write ``people.mp4`` and ``people_truth.json`` into ``folder``."""
    annotations: list[dict[str, Any]] = []
    with av.open(str(folder / "people.mp4"), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(PARAMS.fps))
        stream.height, stream.width = PARAMS.size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(CRF), "preset": "slow"}
        stream.codec_context.thread_count = 1  # several threads would cut the pictures into other slices
        for index, rendered in enumerate(pictures()):
            for packet in stream.encode(av.VideoFrame.from_ndarray(rendered.pixels, format="rgb24")):
                container.mux(packet)
            annotations += truth_of(index, rendered)
        for packet in stream.encode():
            container.mux(packet)
    height, width = PARAMS.size
    truth = {
        "info": {
            "description": "people.mp4: every frame, visible masks of all people; track_id is kept over time",
            "seed": PARAMS.seed,
            "fps": PARAMS.fps,
        },
        "images": [
            {"id": index, "file_name": f"people.mp4#{index}", "height": height, "width": width}
            for index in range(PARAMS.frames or 0)
        ],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{"id": at, **annotation} for at, annotation in enumerate(annotations, start=1)],
    }
    (folder / "people_truth.json").write_text(json.dumps(truth, separators=(",", ":")) + "\n", encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write the demonstration clip and its truth.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, help="where to write")
    write_clip(parser.parse_args().folder)


if __name__ == "__main__":
    main()
