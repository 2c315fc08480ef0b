"""``argos run --web``: the server as part of a run, in a process of its own."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from pathlib import Path

from main_job import FAST, always_four, finish, free_port, run_here, start, until

from argos.config import load_config
from argos.pipelines.web import shapes_of


def fetched(url: str) -> tuple[int, bytes]:
    """Status and body; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()
    except OSError:
        return 0, b""


def test_a_run_serves_its_page_and_ends_with_it(tmp_path: Path) -> None:
    port = free_port()
    camera = "fake://people?n=2&seed=3&size=160x120&fps=5&realtime=1"
    here = ("--web", f"127.0.0.1:{port}", "--set", "camera.name=door", "--set", "publish.bind=tcp://127.0.0.1:*")
    process = start("run", camera, *here, *FAST, *always_four(tmp_path), folder=tmp_path)
    url = f"http://127.0.0.1:{port}"
    until(lambda: fetched(f"{url}/readyz")[0] == 200, of=process)
    until(lambda: b'argos_frames_processed_total{camera="door"}' in fetched(f"{url}/metrics")[1], of=process)
    door = json.loads(fetched(f"{url}/status")[1])["cameras"]["door"]
    assert (door["status"]["state"], door["status"]["size"]) == ("up", [160, 120])
    assert door["figures"]["people"] == 4
    assert fetched(f"{url}/cameras/door.jpg")[1][:3] == b"\xff\xd8\xff"
    process.send_signal(signal.SIGTERM)
    status, _, err = finish(process)
    assert status == 0
    assert f"live page at {url}/" in err
    assert fetched(f"{url}/healthz")[0] == 0


def test_an_address_that_others_reach_is_refused_without_a_token(tmp_path: Path) -> None:
    assert run_here("fake://people", "--web", "0.0.0.0:8080") == 2


def test_zones_and_lines_of_the_configuration_are_drawn_as_shares_of_the_frame(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "version: 1\ncamera:\n  name: door\n  source: a.mp4\n"
        "  zones:\n    porch:\n      crowd: {people: 3}\n"
        "      units: px\n      reference: [200, 100]\n      polygon: [[0, 0], [100, 0], [200, 100]]\n"
        "  lines: {gate: {points: [[0.2, 0.8], [0.8, 0.8]]}}\n"
    )
    assert shapes_of(load_config(tmp_path / "c.yaml")) == {
        "door": {
            "zones": {
                "porch": {"polygon": ((0.0, 0.0), (0.5, 0.0), (1.0, 1.0)), "more": {"crowd": {"people": 3}}},
            },
            "lines": {"gate": {"points": ((0.2, 0.8), (0.8, 0.8)), "more": {}}},
        }
    }
