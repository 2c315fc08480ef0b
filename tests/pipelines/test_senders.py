"""Webhooks and brokers in a configuration: who gets which events, and what is shown of credentials."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from receivers import HookServer
from tracked_people import people_result

from argos.cli import main
from argos.config import Config, load_config
from argos.config_report import config_digest, resolved_yaml
from argos.errors import ConfigError
from argos.pipelines.build import output_files
from argos.pipelines.outputs import Outputs
from argos.publishing import delivery
from argos.types import Event, Result

HEAD = "version: 1\ncameras:\n  door: {source: 'webcam:0'}\n  gate: {source: 'webcam:1'}\noutputs:\n"


def config(folder: Path, *outputs: str) -> Config:
    path = folder / "camera.yaml"
    path.write_text(HEAD + "".join(f"  - {output}\n" for output in outputs))
    return load_config(path)


@pytest.fixture
def server() -> Iterator[HookServer]:
    served = HookServer()
    yield served
    served.stop()


def with_events(camera: str, *kinds: str) -> Result:
    """A result of Friday 20 November 2026, 23:30 in Berlin."""
    events = tuple(
        Event(camera, "run", 0, n, kind, "hall", 7, 0, 0, 0.1, 0, (1, 2, 5, 9), (3.0, 9.0), 1, 1)  # type: ignore[arg-type]
        for n, kind in enumerate(kinds)
    )
    return replace(people_result(0, {}), camera=camera, events=events, captured_ns=1795213800 * 10**9)


def test_every_camera_tells_the_events_that_are_wanted(server: HookServer, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{server.port}"
    night = "active: {hours: ['22:00-06:00'], timezone: Europe/Berlin}"
    chosen = config(
        tmp_path,
        f"{{type: webhook, url: '{url}/all'}}",
        f"{{type: webhook, url: '{url}/some', events: [crowd_start], {night}}}",
        f"{{type: webhook, url: '{url}/never', {night.replace('22:00-06:00', '06:00-22:00')}}}",
        f"{{type: events, path: '{tmp_path}/%camera%.jsonl', events: [zone_leave]}}",
    )
    outputs = Outputs(output_files(chosen))
    for camera in ("door", "gate"):
        outputs.write(with_events(camera, "zone_enter", "crowd_start", "zone_leave"))
    outputs.close()
    told = sorted((path, json.loads(body)["camera"], json.loads(body)["type"]) for path, _, body in server.requests)
    assert told == sorted(
        [("/all", camera, kind) for camera in ("door", "gate") for kind in ("zone_enter", "crowd_start", "zone_leave")]
        + [("/some", camera, "crowd_start") for camera in ("door", "gate")]
    )
    assert sorted((camera, kind, tally.delivered) for camera, kind, tally in outputs.tallies) == [
        ("door", "webhook", 0), ("door", "webhook", 1), ("door", "webhook", 3),
        ("gate", "webhook", 0), ("gate", "webhook", 1), ("gate", "webhook", 3),
    ]  # fmt: skip
    assert sorted(path.name for path in outputs.paths) == ["door.jsonl", "gate.jsonl"]
    assert [json.loads(line)["type"] for line in (tmp_path / "door.jsonl").open()] == ["zone_leave"]


def test_webhooks_that_hang_end_together_and_the_files_are_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "DRAIN_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as hanging:  # takes every connection and answers none
        hook = f"{{type: webhook, url: 'http://127.0.0.1:{hanging.getsockname()[1]}/', timeout_s: 20}}"
        video = f"{{type: overlay, path: '{tmp_path}/%camera%.mp4'}}"
        outputs = Outputs(output_files(config(tmp_path, hook, hook, video)))
        for camera in ("door", "gate"):
            outputs.write(replace(with_events(camera, "zone_enter"), image=np.zeros((1000, 1000, 3), np.uint8)))
        start = time.monotonic()
        outputs.close()
        assert time.monotonic() - start < 10  # one alone may hang for 20
    assert [tally.dropped for _, _, tally in outputs.tallies] == [{"closed": 1}] * 4
    assert sorted(path.name for path in tmp_path.glob("*.mp4")) == ["door.mp4", "gate.mp4"]


def test_a_camera_that_goes_holds_nobody_up_and_closes_its_outputs_together_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "DRAIN_S", 1.5)
    gone = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        hook = f"{{type: webhook, url: 'http://127.0.0.1:{hanging.getsockname()[1]}/', timeout_s: 20}}"
        outputs = Outputs(output_files(config(tmp_path, hook, hook, hook, hook)))
        outputs.write(with_events("door", "zone_enter"))
        start = time.monotonic()
        outputs.remove("door", gone.set)
        assert gone.wait(60)
        assert time.monotonic() - start < delivery.DRAIN_S  # results of other cameras are written behind it
        outputs.close()
        assert time.monotonic() - start < 10  # one alone may hang for 20


def test_credentials_are_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOOK", "https://me:p4ssw0rd@hooks.example.com:8443/T0/s3cret?key=k3y")
    monkeypatch.setenv("MQTT_PASSWORD", "br0ker-w0rd")
    chosen = config(
        tmp_path,
        "{type: webhook, url: '${HOOK}', headers: {Authorization: Bearer t0ken}}",
        "{type: mqtt, host: broker, username: argos, password: '${MQTT_PASSWORD}'}",
    )
    assert main(["check", str(tmp_path / "camera.yaml"), "--resolved"]) == 0
    shown = capsys.readouterr().out + resolved_yaml(chosen) + repr(chosen) + config_digest(chosen)
    assert main(["check", str(tmp_path / "camera.yaml")]) == 0
    shown += capsys.readouterr().out
    assert "tells: webhook https://hooks.example.com:8443/***" in shown
    for secret in ("p4ssw0rd", "s3cret", "k3y", "t0ken", "br0ker-w0rd"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        (
            "{type: webhook, url: 'ftp://h/s3cret'}",
            "outputs.0.url: should be http://HOST/PATH or https://HOST/PATH (the",
        ),
        ("{type: webhook, url: 'http://h:99999/s3cret'}", "outputs.0.url: should be http://HOST/PATH"),
        ("{type: webhook, url: 'http://h/s3cret/é'}", "percent-encode the others, a space as %20 (the value is not"),
        ("{type: webhook, url: 'http://h/?s3cret=a b'}", "outputs.0.url: should have no spaces"),
        ('{type: webhook, url: "http://h/s3cret\\x7f"}', "outputs.0.url: should have no spaces"),
        ('{type: webhook, url: "http://h/s3cret\\n"}', "outputs.0.url: should have no spaces"),
        (f"{{type: webhook, url: 'http://{'a' * 64}.de/s3cret'}}", "outputs.0.url: names a host that cannot be"),
        ("{type: webhook, url: 'http://bücher..de/s3cret'}", "each part between dots should have 1 to 63 letters"),
        ("{type: webhook}", "outputs.0.url: is required"),
        ("{type: webhook, url: 'http://h/', headers: {'X: y': s3cret}}", "outputs.0.headers: header 'X: y' should be"),
        (
            "{type: webhook, url: 'http://h/', retry: {max_s: 0.1}}",
            "outputs.0.retry.max_s: should be at least initial_s",
        ),
        ("{type: mqtt, host: h, events: [zone_entr]}", "did you mean 'zone_enter'?"),
        ("{type: mqtt, host: h, prefix: 'a/+'}", "outputs.0.prefix: should be"),
        (
            "{type: moments, path: 's3cret%camera%', before_s: 3, after_s: 3, longest_s: 5}",
            "outputs.0.longest_s: should be at least before_s and after_s together, 6, got 5",
        ),
        ("{type: mqtt, host: h, spool: 0}", "outputs.0.spool: should be at least 1, got 0"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, output: str, fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(tmp_path, output)
    assert fault in str(error.value)
    assert "s3cret" not in str(error.value)
