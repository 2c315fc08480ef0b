"""Zones and lines in ``camera.yaml``: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from argos.config import load_config
from argos.errors import ConfigError

HEAD = "version: 1\ncamera:\n  source: webcam:0\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "camera.yaml"
    path.write_text(HEAD + text)
    return path


def test_zones_and_lines_in_shares_and_in_pixels(tmp_path: Path) -> None:
    text = """
  zones:
    porch: {polygon: [[0.1, 0.5], [0.9, 0.5], [0.9, 1]], anchor: bottom_center, leave_frames: 9}
    yard: {units: px, reference: [640, 360], polygon: [[0, 0], [320, 0], [640, 360]]}
  lines:
    gate: {points: [[0, 1], [1, 0.5]]}
    door: {points: [[64, 0], [64, 180]], units: px, reference: [640, 360], confirm_frames: 4}
"""
    (camera,) = load_config(written(tmp_path, text)).cameras.values()
    assert camera.zones["porch"].corners == ((0.1, 0.5), (0.9, 0.5), (0.9, 1.0))
    assert (camera.zones["porch"].anchor, camera.zones["porch"].enter_frames, camera.zones["porch"].leave_frames) == (
        "bottom_center", 3, 9,
    )  # fmt: skip
    assert camera.zones["yard"].corners == ((0.0, 0.0), (0.5, 0.0), (1.0, 1.0))
    assert camera.lines["gate"].ends == ((0.0, 1.0), (1.0, 0.5))
    assert camera.lines["door"].ends == ((0.1, 0.0), (0.1, 0.5))
    assert (camera.lines["gate"].anchor, camera.lines["door"].confirm_frames) == ("mask_bottom", 4)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "  zones: {a: {polygon: [[0, 0], [1, 1], [1, 0], [0, 1]]}}\n",
            "camera.yaml:4:24: camera.zones.a.polygon: two edges cross each other: give the corners in order",
        ),
        ("  zones: {a: {polygon: [[0, 0], [0.5, 0.5], [1, 1]]}}\n", "has no area: its corners lie on one line"),
        (
            "  zones: {a: {polygon: [[0, 0], [320, 0], [320, 200]]}}\n",
            "[320, 0] is outside of the frame, which ends at [1, 1] - for pixels write units: px and reference:",
        ),
        ("  zones: {a: {units: px, polygon: [[0, 0], [9, 0], [9, 9]]}}\n", "pixels of which frame? give reference:"),
        ("  lines: {a: {points: [[0, 0], [0, 0]]}}\n", "camera.lines.a.points: both points are the same"),
        ("  lines: {a: {points: [[0, 0], [700, 0]], units: px, reference: [640, 360]}}\n", "which ends at [640, 360]"),
        (
            "  tasks: [semantic]\n  lines: {a: {points: [[0, 0], [1, 1]]}}\n",
            "camera.yaml:5:10: camera.lines: needs people with ids: put instances into tasks and leave track.enabled",
        ),
        ("  track: {enabled: false}\n  zones: {a: {polygon: [[0, 0], [1, 0], [1, 1]]}}\n", "needs people with ids"),
        ("  lines: {A b: {points: [[0, 0], [1, 1]]}}\n", "should be 1 to 63 of a-z, 0-9"),
    ],
)
def test_a_mark_that_means_nothing_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, text))
    assert fault in str(caught.value), str(caught.value)
