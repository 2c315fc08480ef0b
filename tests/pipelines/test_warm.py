"""Compiling before the first frame."""

from __future__ import annotations

import time

import numpy as np
import pytest

from argos.kernels.maxrects import place_near, place_rectangles
from argos.kernels.paste import paste_rectangles
from argos.kernels.rectangles import highest, merge_rectangles, same_rectangles
from argos.kernels.tiles import cut_regions
from argos.packing.layout import lay_out
from argos.packing.pack import paste
from argos.packing.rectangles import boxes_of
from argos.packing.steady import settled
from argos.pipelines.warm import compile_kernels, told_when_long
from argos.propose.regions import regions_of
from argos.types import Frame, RegionMask

KERNELS = (place_rectangles, place_near, paste_rectangles, highest, merge_rectangles, same_rectangles, cut_regions)


@pytest.mark.parametrize("scale", [1.0, 0.375])
def test_nothing_is_compiled_for_real_frames_any_more(scale: float) -> None:
    compile_kernels()
    before = [list(kernel.signatures) for kernel in KERNELS]
    assert all(before)
    random = np.random.default_rng(0)
    frames = [Frame(random.integers(0, 256, (h, 400, 3), np.uint8), f"camera{h}", 0, 0.0) for h in (240, 300)]
    regions = []
    for frame in frames:
        scores = np.zeros((60, 80), np.float32)
        scores[5::12, 6::14] = 0.8
        mask = RegionMask(scores, scores > 0.5, frame.size)
        regions.append(regions_of(mask, dilation=2, min_area=0.0, margin=4))
    assert sum(map(len, regions)) > 20
    boxes = boxes_of(regions, scale=[scale, scale], margin=[4, 4])
    layout = lay_out(boxes, (320, 480), gutter=8, max_canvases=4)
    layout = settled(layout, layout, gutter=8)
    batch = paste(frames, layout.placements, layout.canvas_size)
    assert len(batch.placements) > 20
    assert [list(kernel.signatures) for kernel in KERNELS] == before


def test_only_a_long_start_says_why(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "argos"):
        with told_when_long(0.05):
            time.sleep(0.5)
        with told_when_long(30.0):
            pass
    assert ["compiles kernels" in record.message for record in caplog.records] == [True]
