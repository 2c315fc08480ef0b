"""Pictures and clips of events: what is in them, when they are whole, and how much of them stays."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tracked_people import SIZE, people_result

from argos.errors import PublishError
from argos.pipelines import moments as module
from argos.pipelines.moments import Moments, MomentSettings
from argos.pipelines.outputs import Outputs
from argos.pipelines.senders import EventFilter
from argos.types import Event, Regions, Result

SMALL = (48, 64)
ALL = EventFilter(None, None)


def frame(n: int, *kinds: str, epoch: int = 0, size: tuple[int, int] = SMALL) -> Result:
    """Result ``n`` at ``n / 10`` s, its picture as grey as ``n``; events as named."""
    base = people_result(n, {})
    events = tuple(
        Event(
            "door",
            "run",
            epoch,
            10 * n + k,
            kind,
            "hall",
            7,
            n,
            n,
            n / 10,
            base.captured_ns,
            (1, 2, 5, 9),
            (3.0, 9.0),
            1,
        )  # type: ignore[arg-type]
        for k, kind in enumerate(kinds)
    )
    none = Regions(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), size)
    image = np.full((*size, 3), 2 * n % 256, np.uint8)
    return replace(base, epoch=epoch, size=size, regions=none, instances=None, image=image, events=events)


def greys(path: Path) -> list[int]:
    """Grey of each picture of a clip, half of it: the number of its result."""
    with av.open(str(path)) as container:
        pictures = [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]
    return [round(float(np.median(picture[:20])) / 2) for picture in pictures]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(folder: Path, results: list[Result], settings: MomentSettings) -> None:
    moments = Moments(folder, settings, ALL)
    for result in results:
        moments.write(result)
    moments.close()
    moments.close()


def test_a_clip_begins_before_its_event_and_ends_after_it(tmp_path: Path) -> None:
    results = [frame(n, *(["zone_enter"] if n == 50 else [])) for n in range(100)]
    write(tmp_path, results, MomentSettings(before_s=2.0, after_s=1.0))
    stem = "19700101T000005-000Z-zone_enter-hall-500"
    assert names(tmp_path) == [f"{stem}.jpg", f"{stem}.json", f"{stem}.mp4"]
    assert greys(tmp_path / f"{stem}.mp4") == pytest.approx(list(range(30, 61)), abs=1)
    said = json.loads((tmp_path / f"{stem}.json").read_text())
    assert (said["type"], said["seq"], said["snapshot"], said["clip"]) == (
        "zone_enter", 500, f"{stem}.jpg", f"{stem}.mp4",
    )  # fmt: skip
    snapshot = cv2.imread(str(tmp_path / f"{stem}.jpg"))
    assert snapshot is not None
    assert snapshot.shape == (*SMALL, 3)
    assert np.median(snapshot[:20]) == pytest.approx(100, abs=3)


def test_events_close_together_share_a_clip_that_has_a_longest(tmp_path: Path) -> None:
    results = [frame(n, *(["zone_enter", "crowd_start"] if n % 8 == 0 and 16 <= n <= 40 else [])) for n in range(70)]
    write(tmp_path, results, MomentSettings(before_s=0.5, after_s=1.0, longest_s=2.0))
    clips = [name for name in names(tmp_path) if name.endswith(".mp4")]
    sidecars = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*.json"), key=lambda path: path.name)]
    assert len(sidecars) == 8
    assert len(clips) == 2
    first, second = (greys(tmp_path / name) for name in clips)
    assert first == pytest.approx(list(range(11, 32)), abs=1)  # 2 s from its first picture
    assert second == pytest.approx(list(range(27, 48)), abs=1)  # the pre-roll of the next one overlaps
    assert {said["clip"] for said in sidecars} == set(clips)


def test_pictures_alone_and_only_of_the_events_that_are_wanted(tmp_path: Path) -> None:
    moments = Moments(tmp_path, MomentSettings(has_clip=False), EventFilter(["crowd_start"], None))
    moments.write(frame(1, "zone_enter"))
    moments.write(frame(2, "crowd_start"))
    moments.write(replace(frame(3, "crowd_start"), image=None))
    moments.close()
    assert [name.rpartition("Z-")[2] for name in names(tmp_path)] == [
        "crowd_start-hall-20.jpg",
        "crowd_start-hall-20.json",
    ]
    assert json.loads(next(tmp_path.glob("*.json")).read_text())["clip"] is None


def test_a_reconnect_ends_a_clip_and_is_no_pre_roll(tmp_path: Path) -> None:
    results = [frame(n, *(["zone_enter"] if n == 8 else [])) for n in range(10)]
    results += [frame(n, *(["zone_enter"] if n == 12 else []), epoch=1) for n in range(10, 20)]
    write(tmp_path, results, MomentSettings(before_s=5.0, after_s=5.0))
    first, second = sorted(tmp_path.glob("*.mp4"))
    assert greys(first) == pytest.approx(list(range(10)), abs=1)
    assert greys(second) == pytest.approx(list(range(10, 20)), abs=1)


def test_the_oldest_moments_go_when_the_quota_is_used_up(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    rng = np.random.default_rng(1)
    results = []
    for n in range(12):
        result = frame(10 * n, "zone_enter")
        results.append(replace(result, image=rng.integers(0, 255, (*SMALL, 3)).astype(np.uint8)))
    write(tmp_path, results, MomentSettings(has_clip=False, quota_bytes=20_000))
    left = [path for path in tmp_path.iterdir() if path.suffix != ".txt"]
    assert sum(path.stat().st_size for path in left) <= 20_000
    stems = {path.stem for path in left}
    assert 2 <= len(stems) < 12
    assert max(stems) == "19700101T000011-000Z-zone_enter-hall-1100"
    assert len(left) == 2 * len(stems)
    assert (tmp_path / "notes.txt").exists()


def test_moments_that_somebody_else_deletes_meanwhile_are_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = module.os.listdir
    monkeypatch.setattr(
        module.os, "listdir", lambda folder: [*listed(folder), "19700101T000000-000Z-zone_enter-hall-0.jpg"]
    )
    write(tmp_path, [frame(1, "zone_enter")], MomentSettings(has_clip=False, quota_bytes=20_000))
    assert (tmp_path / "19700101T000000-100Z-zone_enter-hall-10.json").is_file()


def test_a_clip_that_events_share_stays_as_long_as_the_last_of_them(tmp_path: Path) -> None:
    results = [frame(n, *(["zone_enter"] if n in (5, 20, 35) else [])) for n in range(50)]
    write(tmp_path, results, MomentSettings(before_s=0.5, after_s=2.0, longest_s=60.0))
    (clip,) = tmp_path.glob("*.mp4")
    most = clip.stat().st_size + sum(path.stat().st_size for path in sorted(tmp_path.glob("*zone_enter-hall-0.*"))[:2])
    for path in tmp_path.iterdir():
        path.unlink()
    write(tmp_path, results, MomentSettings(before_s=0.5, after_s=2.0, longest_s=60.0, quota_bytes=most))
    assert [path.name for path in tmp_path.glob("*.mp4")] == [clip.name]


def test_what_is_covered_in_the_result_is_covered_in_picture_and_clip(tmp_path: Path) -> None:
    """The output sees nothing but the result's own picture."""
    size = (120, 160)
    results = [frame(n, *(["zone_enter"] if n == 3 else []), size=size) for n in range(6)]
    covered = [replace(result, image=np.zeros((*size, 3), np.uint8)) for result in results]
    write(tmp_path, covered, MomentSettings(style="outline"))
    assert greys(next(tmp_path.glob("*.mp4"))) == [0] * 6
    snapshot = cv2.imread(str(next(tmp_path.glob("*.jpg"))))
    assert snapshot is not None
    assert snapshot[:20].max() <= 3


def test_no_clip_shows_pictures_from_before_the_camera_was_covered_otherwise(tmp_path: Path) -> None:
    moments = Moments(tmp_path, MomentSettings(before_s=5.0, after_s=5.0), ALL)
    outputs = Outputs({"door": []}, {"door": [moments]})
    for n in range(40):
        if n in (10, 20):
            outputs.forget("door")
        outputs.write(frame(n, *(["zone_enter"] if n in (15, 30) else [])))
    outputs.close()
    first, second = sorted(tmp_path.glob("*.mp4"))
    assert greys(first) == pytest.approx(list(range(10, 20)), abs=1)
    assert greys(second) == pytest.approx(list(range(20, 40)), abs=1)


def test_a_slow_machine_leaves_pictures_out_of_clips_but_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RING_BYTES", 2000)
    free, draw = threading.Event(), Moments._drawn

    def drawn(self: Moments, kept: module._Kept) -> NDArray[np.uint8]:
        free.wait(60)
        return draw(self, kept)

    monkeypatch.setattr(Moments, "_drawn", drawn)
    moments = Moments(tmp_path, MomentSettings(before_s=1.0, after_s=1.0), ALL)
    for n in range(40):
        moments.write(frame(n, *(["zone_enter"] if n in (0, 30) else []), size=SIZE))
    free.set()
    moments.close()
    assert len(list(tmp_path.glob("*.jpg"))) == 2
    assert "pictures were left out of clips" in caplog.text


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PublishError, match=r"file.*cannot hold moments .*choose another folder"):
        Moments(tmp_path / "file", MomentSettings(), ALL)
    folder = tmp_path / "gone"
    moments = Moments(folder, MomentSettings(has_clip=False), ALL)
    folder.rmdir()
    moments.write(frame(1, "zone_enter"))
    with pytest.raises(PublishError, match="gone"):
        moments.close()
