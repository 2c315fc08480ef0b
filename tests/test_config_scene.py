"""Zones and lines in ``camera.yaml``: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from argos.analytics.crowd import Crowd
from argos.analytics.loiter import Loiter
from argos.config import load_config
from argos.errors import ConfigError
from argos.pipelines.follow import analyst_of

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


def test_crowds_loiterers_and_hours(tmp_path: Path) -> None:
    text = """
  active: {hours: ["mon-fri 22:00-06:00", "sat,sun"], timezone: Europe/Berlin}
  zones:
    porch:
      polygon: [[0.1, 0.5], [0.9, 0.5], [0.9, 1]]
      crowd: {people: 5, start_s: 2}
      loiter: {after_s: 30}
      active: {hours: ["08:00-18:00"]}
  lines: {gate: {points: [[0, 1], [1, 0.5]]}}
"""
    (camera,) = load_config(written(tmp_path, text)).cameras.values()
    analyst = analyst_of(camera)
    assert analyst is not None
    (zone,), (line,) = ([watch.zone for watch in analyst._zones], [watch.line for watch in analyst._lines])
    assert (zone.crowd, zone.loiter) == (Crowd(5, 4, 2.0, 3.0), Loiter(30.0, 5.0))
    night, office = zone.hours
    assert line.hours == (night,)
    friday_23 = 1795213800 * 10**9
    assert (night.hold(friday_23), str(night.zone), office.zone) == (True, "Europe/Berlin", None)
    assert not night.hold(friday_23 - 2 * 3600 * 10**9)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("  active: {hours: []}\n", "camera.active.hours: should be a list of at least 1, got an empty list"),
        ("  active: {hours: [22-6]}\n", "camera.yaml:4:20: camera.active.hours.0: should be hours like"),
        ("  active: {hours: [sat], timezone: Berlin}\n", "camera.active.timezone: should be a name of the tz database"),
        ("  active: {hours: [sat], timezone: ../etc}\n", "camera.active.timezone: should be a name of the tz database"),
        (
            "  zones: {a: {polygon: [[0, 0], [1, 0], [1, 1]], crowd: {people: 4, end_people: 4}}}\n",
            "camera.zones.a.crowd.end_people: should be less than people (4), got 4",
        ),
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
