"""Log lines for programs: stable events, repeats held back, and an end that a blocked output cannot hold up."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from argos.logs import MOST_REPEATS, REPEATS_S, JsonLines, Repeats, TextLines

CHECKOUT = Path(__file__).parents[1]
EVENT = re.compile(r"""["']event["']: f?["']([a-z_.{}]+)["']|\.tell\(\s*["']([a-z_]+\.[a-z_]+)["']""")


def record(text: str, *values: object, level: int = logging.WARNING, **about: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "argos.sources.live", "msg": text, "args": values, "levelno": level})
    made.levelname = logging.getLevelName(level)
    vars(made).update(about)
    return made


def test_a_line_of_json_has_the_fields_of_the_contract() -> None:
    told = json.loads(
        JsonLines("01jrun").format(record("no %s", "answer", event="source.lost", camera="door", attempt=3))
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("ts"))
    assert told == {
        "level": "warning", "event": "source.lost", "camera": "door", "run": "01jrun", "attempt": 3, "msg": "no answer",
    }  # fmt: skip


def test_repeats_of_a_kind_are_held_back_and_counted() -> None:
    now_s = 0.0
    repeats = Repeats(lambda: now_s)
    written = [record("lost", event="source.lost", camera=camera) for camera in 40 * ["door"] + ["yard"]]
    assert sum(map(repeats.filter, written)) == MOST_REPEATS + 1
    assert repeats.filter(record("else", event="source.up", camera="door"))
    now_s = REPEATS_S
    after = record("lost", event="source.lost", camera="door")
    assert repeats.filter(after)
    assert json.loads(JsonLines().format(after))["repeated"] == 40 - MOST_REPEATS
    assert TextLines(short=True).format(after).endswith(f"door: lost ({40 - MOST_REPEATS} more of this kind before)")
    later = record("lost", event="source.lost", camera="door")
    assert repeats.filter(later)
    assert not hasattr(later, "repeated")


def test_lines_without_an_event_are_told_apart_by_where_they_stand_in_the_code() -> None:
    repeats = Repeats(lambda: 0.0)
    assert [repeats.filter(record("camera %s", n)) for n in range(7)] == [True] * MOST_REPEATS + [False] * 2
    assert repeats.filter(record("another %s", 1))


def test_errors_are_never_held_back() -> None:
    repeats = Repeats(lambda: 0.0)
    assert all(repeats.filter(record("fault", level=logging.ERROR, event="error")) for _ in range(100))


def test_cameras_without_number_do_not_fill_the_memory() -> None:
    repeats = Repeats(lambda: 0.0)
    assert all(repeats.filter(record("lost", event="source.lost", camera=f"cam{n}")) for n in range(3000))
    assert len(repeats._kinds) <= 1024


@pytest.mark.parametrize("form", [JsonLines("01jrun"), TextLines(short=True), TextLines(short=False)])
def test_no_form_tells_a_password_wherever_it_stands(form: logging.Formatter) -> None:
    url = "rtsp://zoltan:heimliches@10.0.0.7/main?token=wort"
    try:
        raise OSError(f"cannot open {url}")
    except OSError:
        fault = sys.exc_info()
    line = form.format(record("lost %s", url, event="source.lost", camera="door", url=url, of=[url], exc_info=fault))
    assert "10.0.0.7" in line
    assert not [word for word in ("zoltan", "heimliches", "wort") if word in line]


def test_every_event_of_the_code_is_documented_and_the_other_way_round() -> None:
    in_code: set[str] = set()
    for path in (CHECKOUT / "argos").rglob("*.py"):
        in_code |= {one or other for one, other in EVENT.findall(path.read_text())}
    states = {name.replace("{state.state}", state) for name in in_code if "{state.state}" in name
              for state in ("connecting", "up", "stalled", "lost", "ended")}  # fmt: skip
    in_code = {name for name in in_code if "{" not in name} | states
    page = (CHECKOUT / "docs" / "operation.md").read_text()
    table = page[page.index("## Events of the log") :]
    documented = set(re.findall(r"^\| `([a-z_.]+)` \|", table, re.M))
    assert {name for name in in_code if not name.startswith("fakecam.")} == documented


BLOCKED = """
import sys, time
from argos.commands import run
from argos.logs import set_up_logs
set_up_logs(form="json")
run.DRAIN_S = 0.3
run.stop_on_signals(lambda: print("stopping", flush=True))
print("ready", flush=True)
time.sleep(100)
time.sleep(100)
"""


def test_what_blocks_does_not_hold_up_the_end_after_a_signal() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", BLOCKED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    began_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=90)
    assert (process.returncode, out) == (143, "stopping\n")
    assert json.loads(err)["event"] == "run.drain_timeout"
    assert time.monotonic() - began_s < 90
