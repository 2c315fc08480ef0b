"""The shipped clip and its truth belong together."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import av
import numpy as np
import pytest

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def truth() -> dict:
    return json.loads((SAMPLES / "people_truth.json").read_text())


def test_truth_has_every_frame_of_the_clip(truth) -> None:
    with av.open(str(SAMPLES / "people.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == truth["info"]["fps"]
        frames = sum(1 for _ in container.decode(stream))
        assert (stream.height, stream.width) == (truth["images"][0]["height"], truth["images"][0]["width"])
    assert [image["id"] for image in truth["images"]] == list(range(frames))
    assert {annotation["image_id"] for annotation in truth["annotations"]} <= set(range(frames))


def test_clip_has_few_and_many_people_and_much_empty_space(truth) -> None:
    image = truth["images"][0]
    people = np.bincount([a["image_id"] for a in truth["annotations"]], minlength=len(truth["images"]))
    assert people.min() <= 2
    assert people.max() >= 6
    area = sum(a["area"] for a in truth["annotations"]) / (image["height"] * image["width"] * len(truth["images"]))
    assert 0.03 < area < 0.10


def test_clip_and_truth_are_what_the_script_renders(truth) -> None:
    spec = importlib.util.spec_from_file_location("make_clip", SAMPLES / "make_clip.py")
    make_clip = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_clip)
    rendered = next(make_clip.pictures())
    kept = [annotation for annotation in truth["annotations"] if annotation["image_id"] == 0]
    again = make_clip.truth_of(0, rendered)
    assert [a["track_id"] for a in again] == [a["track_id"] for a in kept]
    for one, two in zip(again, kept, strict=True):  # another processor may round a pixel of the outline otherwise
        assert np.abs(np.subtract(one["bbox"], two["bbox"])).max() <= 1
        assert one["area"] == pytest.approx(two["area"], rel=0.02)
    with av.open(str(SAMPLES / "people.mp4")) as container:
        decoded = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.abs(decoded.astype(int) - rendered.pixels).mean() < 5
