"""Outputs: what happens to the other files, and to the run, when one cannot be written."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from argos.errors import PublishError
from argos.pipelines.outputs import WAITING, ContactSheet, EventLines, Outputs, OverlayVideo, ResultLines, file_at
from argos.pipelines.senders import EventFilter
from argos.types import Event, Regions, Result, SemanticMask

NEW_LINES = partial(ResultLines, anew=True)


def result(seq: int = 0, size: tuple[int, int] = (48, 64)) -> Result:
    return Result(
        camera="door",
        epoch=0,
        seq=seq,
        index=seq,
        pts=seq,
        time_base=(1, 10),
        pts_s=seq / 10,
        captured_ns=0,
        clock="file",
        run="r",
        size=size,
        mode="full",
        regions=Regions(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), size),
        instances=None,
        semantic=SemanticMask(np.zeros(size, np.bool_)),
        deep_share=1.0,
        spans_ms={},
        dropped={},
        models={},
        image=np.full((*size, 3), seq * 10 % 256, np.uint8),
    )


def test_a_file_that_fails_ends_the_run_and_spares_the_others(tmp_path: Path) -> None:
    (tmp_path / "full.jsonl").symlink_to("/dev/full")
    files = [
        file_at(tmp_path / "o.mp4", OverlayVideo),
        file_at(tmp_path / "full.jsonl", NEW_LINES),
        file_at(tmp_path / "c.png", ContactSheet),
    ]
    outputs = Outputs({"door": files})

    def write_on() -> None:
        for n in range(10 * WAITING):  # would wait for ever if nobody emptied the queue
            outputs.write(result(n))

    with pytest.raises(PublishError, match="No space left") as first:
        write_on()
    with pytest.raises(PublishError) as again:
        outputs.close()
    assert again.value is first.value
    outputs.close()  # more often than once is nothing
    assert (tmp_path / "o.mp4").exists()
    assert not (tmp_path / "c.png").exists()  # its turn never came


def test_earlier_lines_are_kept_or_replaced_by_the_first_result(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"earlier": 1}\n')
    for anew, lines in [(True, 1), (False, 2), (False, 3), (True, 1)]:
        files = [file_at(path, partial(ResultLines, anew=anew))]
        Outputs({"door": files}).close()
        before = path.read_bytes()
        outputs = Outputs({"door": files})
        assert path.read_bytes() == before  # not before there is a new one
        assert outputs.paths == []
        outputs.write(result())
        outputs.close()
        assert outputs.paths == [path]
        assert path.read_bytes().count(b"\n") == lines
    assert b"earlier" not in path.read_bytes()


def test_events_are_lines_of_their_own_file(tmp_path: Path) -> None:
    events = partial(EventLines, anew=True, passed=EventFilter(None, None))
    outputs = Outputs({"door": [file_at(tmp_path / "e.jsonl", events), file_at(tmp_path / "r.jsonl", NEW_LINES)]})
    event = Event(
        "door", "r", 0, 0, "line_cross", "gate", 7, 1, 1, 0.1, 5, (1, 2, 5, 9), (3.0, 9.0), 1, direction="left_to_right"
    )
    outputs.write(result(0))
    outputs.write(replace(result(1), events=(event, replace(event, seq=1, id=8))))
    outputs.close()
    lines = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert [(line["schema"], line["seq"], line["id"]) for line in lines] == [
        ("argos.event/1.0", 0, 7),
        ("argos.event/1.0", 1, 8),
    ]
    assert lines[0]["box"] == [1, 2, 4, 7]
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 2


def test_without_results_there_are_no_files_and_no_new_folders(tmp_path: Path) -> None:
    kinds = {"r.jsonl": NEW_LINES, "o.mp4": OverlayVideo, "c.jpg": ContactSheet}
    (tmp_path / "old").mkdir()
    for folder in (tmp_path / "old", tmp_path / "new" / "inner"):
        Outputs({"door": [file_at(folder / name, kind) for name, kind in kinds.items()]}).close()
    assert list(tmp_path.rglob("*")) == [tmp_path / "old"]


def test_a_name_that_is_too_long_is_refused_as_every_other(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"cannot be written .*; choose another path"):
        Outputs({"door": [file_at(tmp_path / ("x" * 300) / "r.jsonl", NEW_LINES)]})


def test_a_sheet_makes_its_folder_again(tmp_path: Path) -> None:
    """Which a run beside it has made, and taken away as it had no results."""
    outputs = Outputs({"door": [file_at(tmp_path / "new" / "c.png", ContactSheet)]})
    (tmp_path / "new").rmdir()
    outputs.write(result())
    outputs.close()
    assert (tmp_path / "new" / "c.png").is_file()


def test_one_that_cannot_be_opened_leaves_none_open(tmp_path: Path) -> None:
    (tmp_path / "c.png").mkdir()
    files = [
        file_at(tmp_path / "r.jsonl", NEW_LINES),
        file_at(tmp_path / "o.mp4", OverlayVideo),
        file_at(tmp_path / "c.png", ContactSheet),
    ]
    with pytest.raises(PublishError, match=r"c.png: cannot be written, it is a directory"):
        Outputs({"door": files})
    assert [path.name for path in tmp_path.iterdir()] == ["c.png"]


def test_a_bug_is_raised_as_what_it_is(tmp_path: Path) -> None:
    outputs = Outputs({"yard": [file_at(tmp_path / "r.jsonl", NEW_LINES)]})
    outputs.write(result())  # of a camera nobody announced
    with pytest.raises(KeyError, match="door"):
        outputs.close()


@pytest.mark.parametrize("size", [(2, 700), (700, 2), (1, 1)])
def test_the_sheet_takes_slits_and_has_the_format_of_its_name(tmp_path: Path, size: tuple[int, int]) -> None:
    outputs = Outputs({"door": [file_at(tmp_path / "c.jpg", ContactSheet)]})
    for n in range(3):
        outputs.write(result(n, size))
    outputs.close()
    assert (tmp_path / "c.jpg").read_bytes()[:2] == b"\xff\xd8"
    sheet = cv2.imread(str(tmp_path / "c.jpg"))
    assert sheet is not None
    assert sheet.shape[1] == 1440
    assert sheet.shape[0] < 5000
