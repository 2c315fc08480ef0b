"""The pictures of docs/gallery.md show what ARGOS does."""

from __future__ import annotations

import importlib.util
from itertools import islice
from pathlib import Path

import argos
from argos.sources.read import read

ROOT = Path(__file__).parents[2]
CLIP = str(ROOT / "samples" / "people.mp4")

_spec = importlib.util.spec_from_file_location("make_gallery", ROOT / "docs" / "make_gallery.py")
assert _spec is not None
assert _spec.loader is not None
make_gallery = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_gallery)


def test_the_canvas_shown_is_the_one_that_was_computed() -> None:
    overrides = ["camera.regions.mode=pack", "engine.backend=onnxruntime"]
    with argos.Pipeline.from_sources(CLIP, overrides=overrides) as pipeline:
        result = next(result for result in pipeline if result.mode == "pack")
    frame = next(islice(read(CLIP, "people"), result.seq, None))
    height, width, _ = make_gallery.canvas_of(frame, result).shape
    assert height * width / (352 * 640) == result.deep_share
