"""``argos top``, against a real publisher."""

from __future__ import annotations

import json
import threading

import pytest
from publishing_results import made_result, made_status

from argos.cli import main
from argos.commands.top import figures_of, table
from argos.publishing.publisher import Publisher


def test_the_cameras_of_a_publisher_are_shown_as_a_table_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    over = threading.Event()
    with Publisher("tcp://127.0.0.1:*", run="r", cameras=["door"]) as publisher:

        def publish() -> None:
            seq = 0
            while not over.wait(0.02):
                publisher.status_changed(made_status("door", state="up", code="", step=2))
                publisher.send(made_result(seq, "door", "r"))
                seq += 1

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            assert main(["top", publisher.endpoint, "--count", "1", "--every", "0.5", "--timeout", "30"]) == 0
            table = capsys.readouterr().out
            assert main(["top", publisher.endpoint, "--count", "1", "--every", "0.5", "--timeout", "30", "--json"]) == 0
            told = json.loads(capsys.readouterr().out)
        finally:
            over.set()
            thread.join()
    head, door, missed = table.splitlines()
    assert head.split() == [
        "camera",
        "state",
        "in",
        "fps",
        "out",
        "fps",
        "age",
        "ms",
        "people",
        "mode",
        "computed",
        "dropped",
        "overload",
    ]
    assert (door.split()[0], door.split()[-1]) == ("door", "regions")
    assert "messages missed" in missed
    (camera,) = told["cameras"]
    expected, shown = made_status("door", state="up", code="", step=2), made_result(0, "door")
    assert (camera["camera"], camera["state"], camera["fps_out"]) == (
        "door",
        expected.state,
        round(expected.fps_out, 1),
    )
    assert camera["step"] == 2
    assert shown.instances is not None
    assert (camera["mode"], camera["people"]) == (shown.mode, len(shown.instances))


def test_a_step_that_a_newer_publisher_tells_is_shown_as_its_number() -> None:
    rows = [figures_of("door", made_status("door", step=step), None) for step in (0, 9)]
    none, newer = table(rows, missed=0).splitlines()[1:3]
    assert (none.split()[-1], newer.split()[-1]) == ("none", "9")


def test_a_camera_that_is_away_has_no_age() -> None:
    """That of its last result would look like a young one for hours."""
    states = [("up", ""), ("stalled", "timeout"), ("lost", "refused"), ("ended", "")]
    rows = [figures_of("door", made_status("door", state=state, code=code), None) for state, code in states]  # type: ignore[arg-type]
    assert [row["age_ms"] is None for row in rows] == [False, True, True, True]


def test_nobody_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "tcp://127.0.0.1:1", "--timeout", "0.2"]) == 3
    assert "is the publisher running" in capsys.readouterr().err
    assert main(["top", "nowhere"]) == 2
