"""Cameras come, go and change while a pipeline runs, and the others do not notice: real sources, sockets, signals."""

from __future__ import annotations

import json
import os
import pty
import signal
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from main_job import (
    FAST,
    ONE_THREAD,
    PEOPLE,
    assert_gapless,
    finish,
    free_port,
    line_count,
    lines_of,
    own_models,
    start,
    until,
)
from video_files import write_video
from watched_pipeline import SCENE, ZONE, more, running, written

from argos.commands.reload import hold_hangup, reload_on_hangup
from argos.config import Config, config_from_sources, load_config
from argos.errors import ConfigError
from argos.pipelines.api import Pipeline
from argos.types import Hello, Notice, Result, Status


def assert_untouched(results: list[Result]) -> None:
    """Gapless, of one connection, and with ids that go on."""
    first = results[0].seq
    assert [r.seq for r in results] == list(range(first, first + len(results)))
    assert {r.epoch for r in results} == {0}
    assert all(a.index < b.index and a.pts_s < b.pts_s for a, b in pairwise(results))
    # a live camera: what was not analysed is counted, so nothing was lost on the way either
    assert all(r.index == r.seq + sum(r.dropped.values()) for r in results)
    ids = [i for r in results if r.instances is not None for i in r.instances.ids.tolist() if i >= 0]
    assert max(ids) >= 1


def test_one_camera_changes_and_the_other_does_not_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    models, port = own_models(tmp_path), free_port()
    before = load_config(written(tmp_path, models, port, stays="", door=", zones: " + ZONE))
    after = load_config(written(tmp_path, models, port, stays="", door=f", rate: {{fps: 5}}, zones: {ZONE}", attic=""))
    adjusted = load_config(written(tmp_path, models, port, stays="", door=f", zones: {ZONE}, regions: {{mode: full}}"))
    with running(before, port) as (pipeline, messages):
        more(messages, "stays", 4)
        more(messages, "door", 4)
        changes = pipeline.reload(after)
        assert (changes.added, changes.removed, changes.reopened, changes.adjusted) == (("attic",), (), ("door",), ())
        more(messages, "attic", 3)
        more(messages, "door", 3, lambda r: r.epoch == 1)
        with pytest.raises(ConfigError, match=r"engine.threads: cannot change while ARGOS runs"):
            pipeline.reload(after.model_copy(update={"engine": after.engine.model_copy(update={"threads": 1})}))
        pipeline.reload(adjusted)  # opens the door again, for the rate, and lets the attic go
        more(messages, "door", 2, lambda r: r.epoch == 2)
        more(messages, "stays", 3)
    stays, door, attic = (messages.of(Result, name) for name in ("stays", "door", "attic"))
    assert_untouched(stays)
    assert [r.seq for r in door] == list(range(door[0].seq, door[-1].seq + 1))
    assert [r.epoch for r in door] == sorted(r.epoch for r in door)
    assert {r.epoch for r in door} == {0, 1, 2}
    assert all(a.index < b.index for a, b in pairwise(door))
    assert {r.mode for r in door if r.epoch == 2} == {"full"}
    assert [r.seq for r in attic] == list(range(len(attic)))
    assert [line["seq"] for line in lines_of(tmp_path / "out" / "door.jsonl")] == list(range(door[-1].seq + 1))
    assert_gapless(lines_of(tmp_path / "out" / "stays.jsonl"))
    assert len(lines_of(tmp_path / "out" / "attic.jsonl")) >= len(attic)
    assert [h.cameras for h in messages.of(Hello)] == [
        ("stays", "door"), ("stays", "door", "attic"), ("stays", "door"),
    ]  # fmt: skip
    notices = messages.of(Notice)
    assert [n.type for n in notices] == ["config.applied", "config.applied"]
    assert "added attic; reopened door" in notices[0].text
    assert {r.config for r in stays} == {r.config for r in door}
    assert [n.values["config"] for n in notices] == list(dict.fromkeys(r.config for r in stays))[1:]
    assert messages.of(Status, "stays")[-1].config == notices[-1].values["config"]
    gone = messages.of(Status, "attic")[-1]
    assert (gone.state, gone.code) == ("ended", "removed")


def test_an_adjusted_camera_stays_connected_and_new_ids_begin_a_new_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    models, port = own_models(tmp_path), free_port()
    before = load_config(written(tmp_path, models, port, door=""))
    mode = load_config(written(tmp_path, models, port, door=", regions: {mode: full}"))
    track = load_config(written(tmp_path, models, port, door=", regions: {mode: full}, track: {confirm_frames: 1}"))
    with running(before, port) as (pipeline, messages):
        more(messages, "door", 4)
        assert pipeline.reload(mode).adjusted == ("door",)
        more(messages, "door", 3, lambda r: r.mode == "full" and r.config == pipeline.status("door").config)
        assert pipeline.reload(track).adjusted == ("door",)
        more(messages, "door", 3, lambda r: r.epoch == 1)
    door = messages.of(Result, "door")
    assert [r.seq for r in door] == list(range(door[0].seq, door[-1].seq + 1))
    assert all(r.index == r.seq + sum(r.dropped.values()) for r in door)  # the source was never closed
    assert {r.epoch for r in door} == {0, 1}
    people = next(r.instances for r in door if r.epoch == 1)
    assert people is not None
    assert sorted(people.ids.tolist()) == [1, 2, 3]  # confirmed at once, and counted anew


TWICE = """
import torch

class Twice(torch.nn.Conv2d):
    def forward(self, image):
        return super().forward(image.repeat(2, 1, 1, 1))[: len(image)]

def twice():
    return Twice(3, 1, 1)
"""


def test_a_mode_in_which_a_network_cannot_run_is_refused_and_the_old_one_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "twice.py").write_text(TWICE)
    settings = ["camera.tasks=[semantic]", f"engine.models.semantic.network={tmp_path}/twice.py:twice"]
    before, after = (
        config_from_sources([f"{PEOPLE}&frames=8"], [*settings, f"camera.regions.mode={mode}"])
        for mode in ("mask", "gather")
    )
    with Pipeline(before) as pipeline:
        results = iter(pipeline)
        found = {next(results).mode}
        for _ in range(2):  # what was refused once is no better the second time
            pipeline.reload(after)
            found |= {next(results).mode for _ in range(3)}
        found |= {result.mode for result in results}
    assert found <= {"mask", "full", "skip"}
    assert pipeline.config == before
    told = [record.getMessage() for record in caplog.records if "the old configuration stays" in record.getMessage()]
    assert len(told) == 2
    assert all("set regions.mode to pack" in words for words in told)


def test_the_command_loads_a_file_that_changes_and_keeps_the_old_one_when_it_is_bad(tmp_path: Path) -> None:
    models, port = own_models(tmp_path), free_port()
    path = written(tmp_path, models, port, stays="", door="")
    process = start(
        "--log-format", "json", "run", "camera.yaml", "--watch", "--set", "engine.threads=1", folder=tmp_path
    )
    results = tmp_path / "out"
    until(lambda: all((results / f"{name}.jsonl").exists() for name in ("stays", "door")), of=process)
    secret = "  gate: {source: 'rtsp://zoltan:heimliches@10.0.0.7/main', max_people: 3}\nengine:"
    path.write_text(path.read_text().replace("max_people: 3", "max_peple: 3").replace("engine:", secret))
    lines: list[dict[str, object]] = []

    def read_logs() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(json.loads(line) if line.startswith("{") else {"event": "", "msg": line})

    reader = threading.Thread(target=read_logs)
    reader.start()
    until(lambda: any(line["event"] == "config.refused" for line in lines), of=process)
    written(tmp_path, models, port, stays="", attic="")
    until(lambda: (results / "attic.jsonl").exists(), of=process)
    process.send_signal(signal.SIGHUP)  # nothing is new
    until(lambda: sum(line["event"] == "config.applied" for line in lines) == 2, of=process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(170) == 0
    reader.join()
    assert process.stdout is not None
    process.stdout.close()
    refused = next(line for line in lines if line["event"] == "config.refused")
    assert "camera.yaml:3:" in str(refused["msg"])
    assert "unknown key - did you mean 'max_people'?" in str(refused["msg"])
    assert "\n" not in str(refused["msg"])
    assert "cameras.gate" in str(refused["msg"])
    assert not [line for line in lines if "zoltan" in str(line) or "heimliches" in str(line)]
    applied = [str(line["msg"]) for line in lines if line["event"] == "config.applied"]
    assert "added attic; removed door" in applied[0]
    assert "nothing has changed" in applied[1]
    assert_gapless(lines_of(results / "stays.jsonl"))


def test_watch_asks_for_a_configuration(tmp_path: Path) -> None:
    status, _, err = finish(start("run", SCENE.format(seed=1), "--watch", *FAST, folder=tmp_path))
    assert status == 2
    assert "--watch: there is no configuration to watch" in err


def test_a_pipeline_that_is_not_open_says_so() -> None:
    config = config_from_sources([str(PEOPLE)])
    pipeline = Pipeline.from_sources(Path(PEOPLE))
    for use in (lambda: pipeline.reload(config), lambda: pipeline.status("people")):
        with pytest.raises(ValueError, match="the pipeline is not open; enter it first"):
            use()


def test_what_a_refused_reload_opened_is_closed_and_its_folders_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    models, port = own_models(tmp_path), free_port()
    (tmp_path / "out" / "c").mkdir(parents=True)
    (tmp_path / "out" / "c" / "results.jsonl").mkdir()  # where a file should be
    keys = [
        "outputs=[{type: webhook, url: 'http://127.0.0.1:9/'}, {type: jsonl, path: out/%camera%/results.jsonl}]",
    ]
    before = load_config(written(tmp_path, models, port, a=""), keys)
    after = load_config(written(tmp_path, models, port, a="", b="", c=""), keys)
    taken: list[Config] = []
    with running(before, port) as (pipeline, messages):
        more(messages, "a", 2)
        threads = []
        for n in range(3):
            pipeline.reload(after, taken.append)
            until(lambda n=n: len([m for m in messages.of(Notice) if m.type == "config.refused"]) > n)
            more(messages, "a", 1)
            threads.append(threading.active_count())
        assert not (tmp_path / "out" / "b").exists()
        pipeline.reload(before, taken.append)
        until(lambda: taken)
    assert threads[-1] == threads[0]
    assert taken == [before]


def test_the_recording_of_a_camera_that_is_gone_is_told_too(tmp_path: Path) -> None:
    clips = [str(write_video(tmp_path / f"{name}.mp4", 12)) for name in ("door", "yard")]
    outputs = f"outputs=[{{type: recording, path: '{tmp_path}/rec/%camera%'}}]"
    settings = [
        outputs,
        "engine.scale=0.5",
        *(f"engine.models.{role}={path}" for role, path in own_models(tmp_path).items()),
    ]
    with Pipeline(config_from_sources(clips, settings)) as pipeline:
        results = iter(pipeline)
        next(results)
        pipeline.reload(config_from_sources(clips[:1], settings))
        assert {result.camera for result in list(results)[-3:]} == {"door"}
    assert pipeline.paths == [tmp_path / "rec" / "door", tmp_path / "rec" / "yard"]


def test_a_hangup_while_the_networks_are_loaded_is_a_wish_to_load_again(tmp_path: Path) -> None:
    models, port = own_models(tmp_path), free_port()
    written(tmp_path, models, port, stays="")
    process = start("--log-format", "json", "run", "camera.yaml", folder=tmp_path)
    until(lambda: b"SigBlk:\t0000000000000001" in Path(f"/proc/{process.pid}/status").read_bytes(), of=process)
    process.send_signal(signal.SIGHUP)
    until(lambda: line_count(tmp_path / "out" / "stays.jsonl") > 15, of=process)
    process.send_signal(signal.SIGTERM)
    status, _, err = finish(process)
    assert status == 0
    applied = [line for line in map(json.loads, err.splitlines()) if line["event"] == "config.applied"]
    assert ["nothing has changed" in line["msg"] for line in applied] == [True]


@pytest.mark.parametrize("begun", [False, True])
def test_a_terminal_that_is_closed_ends_it_although_standard_error_is_a_file(tmp_path: Path, begun: bool) -> None:
    models, port = own_models(tmp_path), free_port()
    written(tmp_path, models, port, stays="")
    command = [sys.executable, "-m", "argos", "run", "camera.yaml"]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.dup2(os.open("errors", os.O_WRONLY | os.O_CREAT), 2)
        os.execve(command[0], command, ONE_THREAD)
    held, results = "SigBlk:\t0000000000000001", tmp_path / "out" / "stays.jsonl"
    until(lambda: results.exists() if begun else held in Path(f"/proc/{child}/status").read_text())
    os.close(terminal)
    deadline = time.monotonic() + 60
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    assert "bug" not in (tmp_path / "errors").read_text()


def test_a_hangup_without_a_configuration_finishes_the_files(tmp_path: Path) -> None:
    process = start("run", SCENE.format(seed=1), "--record", "out", *FAST, folder=tmp_path)
    results = tmp_path / "out" / "people" / "results.jsonl"
    until(lambda: results.exists() and line_count(results) > 2, of=process)
    process.send_signal(signal.SIGHUP)
    status, out, _ = finish(process)
    assert status == 0
    assert "people found" in out
    assert {path.name for path in results.parent.iterdir()} == {"results.jsonl", "overlay.mp4", "contact_sheet.png"}


def test_a_hangup_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        reload_on_hangup(None, lambda: None, hold_hangup())
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.signal(signal.SIGHUP, before)
