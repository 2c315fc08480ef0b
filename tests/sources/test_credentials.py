"""User and password of a camera reach no log, status, metric, page, report or exception, whatever goes wrong."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from decoders import decoders
from reading import write_clip
from waiting import wait_for

from argos.cli import main
from argos.errors import SourceError
from argos.fakecam.fake_camera import FakeCamera
from argos.fakecam.script import Command
from argos.logs import JsonLines, TextLines
from argos.pipelines.feeds import Feed
from argos.publishing.encode import encode_status
from argos.sources.options import SourceOptions
from argos.sources.probe import probe
from argos.sources.read import read

SECRETS = ("zoltan", "heimliches", "wort")
USER_INFO = "zoltan:heimliches%40wort"
QUICK = SourceOptions(open_timeout_s=1.0, stall_timeout_s=1.0)
FAULTS = {
    "refuse": "refused",
    "unauthorized": "unauthorized",
    "missing": "not_found",
    "no_video": "no_video",
    "mute": "timeout",
    "stall": "timeout",
    "kick": "ended",
}
"""Fault of the camera -> code of the status."""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeCamera]:
    clip = write_clip(tmp_path_factory.mktemp("clips") / "small.mp4", (96, 160), 30)
    with FakeCamera([clip], user="zoltan", password="heimliches@wort") as camera:
        yield camera


def assert_no_secret(*texts: str | bytes) -> None:
    for text in texts:
        readable = text.decode(errors="replace") if isinstance(text, bytes) else text
        assert readable, "nothing to look into"
        assert not [word for word in SECRETS if word in readable], readable


class Watched:
    """A feed of a camera, its statuses kept."""

    def __init__(self, url: str, options: SourceOptions = QUICK) -> None:
        self.stop, self.statuses = threading.Event(), []
        self.feed = Feed(
            "gate", url, options, every_frame=False, live=True, fail_fast=False,
            changed=threading.Condition(), on_state=self._keep, stop=self.stop,
        )  # fmt: skip

    def _keep(self, feed: Feed) -> None:
        self.statuses.append(feed.status("01jtest"))

    def codes(self) -> list[str]:
        return [status.code for status in self.statuses]

    def __enter__(self) -> Watched:
        self.feed.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.feed.join(15)


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_tells_the_password(
    camera: FakeCamera, fault: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    url = camera.url.replace("rtsp://", f"rtsp://{USER_INFO}@")
    with Watched(url) as watched:
        wait_for(lambda: any(status.state == "up" for status in watched.statuses))
        camera.apply(Command(fault))
        if fault not in ("kick", "stall"):
            camera.apply(Command("kick"))  # they are met by those who come
        wait_for(lambda: FAULTS[fault] in watched.codes())
        if fault != "stall":  # it ends a reading, not an opening
            with pytest.raises(SourceError) as caught:
                _read_until_it_fails(url, camera)
            assert caught.value.code == FAULTS[fault]
            assert_no_secret("".join(traceback.format_exception(caught.value)), repr(caught.value))
        report = probe(url, 0.3, QUICK)
        if fault != "kick":
            camera.apply(Command(fault, 0))
        live = [encode_status(status)[1] for status in watched.statuses]
        assert_no_secret(*live, *(repr(status) for status in watched.statuses), repr(report))
        _assert_no_secret_on_the_page(watched)
    formats = (JsonLines(), TextLines(short=True), logging.Formatter())
    assert [record for record in caplog.records if record.name.startswith("argos")]
    assert_no_secret(*(form.format(record) for form in formats for record in caplog.records))
    written = capfd.readouterr()
    assert not [word for word in SECRETS if word in written.out + written.err]  # FFmpeg writes past every logger


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_decoder_process_keeps_it_too(
    camera: FakeCamera, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    url = camera.url.replace("rtsp://", f"rtsp://{USER_INFO}@")
    with Watched(url, replace(QUICK, isolate="process")) as watched:
        wait_for(lambda: any(status.state == "up" for status in watched.statuses))
        (pid,) = decoders()
        decoder = Path(f"/proc/{pid}")
        assert_no_secret((decoder / "cmdline").read_bytes(), (decoder / "environ").read_bytes())
        os.kill(int(decoder.name), signal.SIGKILL)
        wait_for(lambda: "crashed" in watched.codes() and watched.statuses[-1].state == "up")
        camera.apply(Command("unauthorized"))
        camera.apply(Command("kick"))
        wait_for(lambda: "unauthorized" in watched.codes())
        camera.apply(Command("unauthorized", 0))
    assert_no_secret(*(encode_status(status)[1] for status in watched.statuses), *map(repr, watched.statuses))
    assert_no_secret(
        *(form.format(record) for form in (JsonLines(), TextLines(short=True)) for record in caplog.records)
    )
    written = capfd.readouterr()
    assert not [word for word in SECRETS if word in written.out + written.err]


def _read_until_it_fails(url: str, camera: FakeCamera) -> None:
    for _ in read(url, "gate", QUICK, fail_fast=True):
        camera.apply(Command("kick"))


def _assert_no_secret_on_the_page(watched: Watched) -> None:
    pytest.importorskip("prometheus_client")
    from argos.web.board import Board
    from argos.web.metrics import Metrics

    board = Board("01jtest", ["gate"], {}, watched.feed.status)
    metrics = Metrics(board, "cpu")
    for status in watched.statuses:
        board.state_changed(status)
        metrics.status(status)
    assert_no_secret(metrics.text(), board.state(), board.hello(), repr(board.events()))


def test_the_commands_keep_it_too(camera: FakeCamera, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = camera.url.replace("rtsp://", "rtsp://zoltan:falsches-wort@")
    config = tmp_path / "camera.yaml"
    config.write_text(f"version: 1\ncamera: {{source: '{wrong}'}}\n")
    assert main(["probe", wrong]) == 3
    assert main(["probe", wrong, "--json"]) == 3
    assert main(["-v", "check", str(config), "--connect"]) == 3
    assert main(["check", str(config), "--resolved"]) == 0
    written = capfd.readouterr()
    assert "unauthorized" in written.out
    assert not [word for word in ("zoltan", "falsches", "wort") if word in written.out + written.err]
