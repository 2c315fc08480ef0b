"""How much of people is shown although it should be covered, and how much is covered besides.

    python benchmarks/privacy.py               # the sample, whose truth is known to the pixel; a quarter of a minute
    python benchmarks/privacy.py --frames 90

``privacy: {people: fill}`` in mode ``auto``, as shipped but for the settings named. *shown*: share of the true pixels
of people whose colour is that of the video; *covered*: share of all pixels that have another, for people who are
*there* in so many; *bare masks*: what the person masks alone would have shown.
"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import argos
from argos.pipelines.truth import Truth
from argos.sources.read import read

SAMPLES = Path(__file__).parents[1] / "samples"
FILM = str(SAMPLES / "people.mp4")
SETTINGS = {
    "as shipped": [],
    "hold_s: 0": ["camera.privacy.hold_s=0"],
    "on_uncertain: full_frame": ["camera.privacy.on_uncertain=full_frame"],
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=45, help="of the sample (default 45)")
    args = parser.parse_args()
    truth = Truth(SAMPLES / "people_truth.json")
    frames = list(islice(read(FILM, "door"), args.frames))
    people = [truth.person(frame.index) for frame in frames]
    report = {}
    for name, settings in SETTINGS.items():
        shown = missed = covered = 0
        with argos.Pipeline.from_sources(FILM, overrides=["camera.privacy.people=fill", *settings]) as pipeline:
            for frame, person, result in zip(frames, people, pipeline, strict=False):
                assert result.image is not None
                assert result.index == frame.index
                same = (result.image == frame.pixels).all(axis=2)
                shown += int((same & person).sum())
                missed += int((person & ~masked(result)).sum())
                covered += int((~same).sum())
        there, pixels = sum(map(np.count_nonzero, people)), sum(person.size for person in people)
        shares = {
            "shown": shown / there,
            "bare masks": missed / there,
            "covered": covered / pixels,
            "there": there / pixels,
        }
        report[name] = {word: round(share, 3) for word, share in shares.items()}
    print(json.dumps(report, indent=1))


def masked(result: argos.Result) -> NDArray[np.bool_]:
    """Pixels of the masks of a result."""
    mask = np.zeros(result.size, np.bool_)
    if result.semantic is not None:
        mask |= result.semantic.mask
    if result.instances is not None:
        for (x0, y0, x1, y1), one in zip(result.instances.boxes.tolist(), result.instances.masks, strict=True):
            mask[y0:y1, x0:x1] |= one
    return mask


if __name__ == "__main__":
    main()
