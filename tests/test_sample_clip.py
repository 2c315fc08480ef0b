"""The shipped clip: its truth is exact, and the shipped networks find its people without any special case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import argos
from argos.pipelines.truth import Truth
from argos.sources.read import read

SAMPLES = Path(__file__).parents[1] / "samples"
CLIP, TRUTH = SAMPLES / "people.mp4", SAMPLES / "people_truth.json"
EVERY = 15
"""One frame a second is analysed; the rest of the clip only decodes."""


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(TRUTH)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[argos.Result]:
    """Results of both tasks on every fifteenth frame."""
    overrides = ("camera.rate.fps=1", "camera.tasks=[semantic, instances]")
    with argos.Pipeline.from_sources(str(CLIP), overrides=overrides) as pipeline:
        return list(pipeline)


def test_every_frame_of_the_clip_has_its_truth(truth: Truth) -> None:
    frames = list(read(str(CLIP), "people"))
    assert len(frames) == 150
    areas = [truth.person(frame.index).mean() for frame in frames[::10]]
    assert 0.01 < float(np.mean(areas)) < 0.2
    assert max(len(truth.masks(frame.index)) for frame in frames[::10]) >= 4


def test_truth_lies_on_people_and_not_beside_them(truth: Truth) -> None:
    """Pixels that change between frames far apart are people (or their shadows); the truth covers most of them."""
    frames = [frame.pixels.astype(np.int16) for frame in read(str(CLIP), "people")]
    background = np.median(np.stack(frames[::10]), axis=0)
    for index in (20, 75, 130):
        moved = np.abs(frames[index] - background).max(axis=2) > 60
        assert (truth.person(index) & moved).sum() > 0.6 * moved.sum()
