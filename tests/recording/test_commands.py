"""``argos record``, ``replay`` and ``diff`` in one go, on a real clip with the shipped networks."""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from reading import write_clip
from video_files import write_video

from argos.cli import main
from argos.commands.replay import add_arguments, configuration
from argos.config_outputs import JsonlOutput
from argos.errors import ConfigError
from argos.publishing.jsonl import read_jsonl
from argos.sources.read import read
from argos.sources.segments import files_of, segments_of


def test_a_recording_replayed_with_the_same_settings_does_not_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = write_clip(tmp_path / "gate.mp4", (96, 160), 12)
    small = ["--set", "engine.scale=1.0"]
    assert main(["-q", "record", clip, "-o", "rec", "--segment", "0.4s", *small]) == 0
    assert "wrote rec/gate" in capsys.readouterr().out
    files = list(files_of(tmp_path / "rec" / "gate").values())
    assert [[path.suffix for path in of_segment] for of_segment in files] == [[".mkv", ".jsonl"]] * 2
    assert [result.index for _, lines in files for result in read_jsonl(lines)] == list(range(12))

    assert main(["-q", "replay", "rec/gate", "--json", *small]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["frames"], report["paths"]) == (12, ["rec/gate.replay.jsonl"])
    assert {result.camera for result in read_jsonl(Path("rec/gate.replay.jsonl"))} == {"gate"}
    assert main(["diff", "rec/gate", "rec/gate.replay.jsonl", "--iou", "1"]) == 0
    assert "12 frames compared, 0 changed" in capsys.readouterr().out


def test_a_configuration_records_and_replays_its_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "a.mp4", (96, 160), 6)
    text = "version: 1\ncameras:\n  door: {source: a.mp4}\n  gate: {source: webcam:7}\nengine: {scale: 1.0}\n"
    (tmp_path / "two.yaml").write_text(text)
    recording = "outputs: [{type: recording, path: rec/%camera%, segment_s: 5, quota_mb: 10}]\n"
    (tmp_path / "one.yaml").write_text(f"version: 1\ncamera: {{name: door, source: a.mp4}}\n{recording}")
    assert main(["-q", "run", "one.yaml", "--frames", "6"]) == 0
    assert len(segments_of("rec/door")) == 1
    capsys.readouterr()
    assert main(["-q", "replay", "rec/door", "two.yaml", "-o", "again.jsonl"]) == 0
    assert {(result.camera, result.clock) for result in read_jsonl(tmp_path / "again.jsonl")} == {("door", "recording")}
    assert main(["replay", "rec/door", "two.yaml", "--camera", "yard"]) == 2
    assert "two.yaml: has no camera 'yard', only door, gate; choose with --camera" in capsys.readouterr().err
    assert main(["replay", "gone"]) == 2
    assert "gone: no such recording; argos record makes one" in capsys.readouterr().err


def test_a_replay_needs_no_passwords_of_cameras_and_receivers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """\
version: 1
cameras:
  door: {source: "rtsp://u:${NOT_SET}@10.0.0.7/1", rate: {fps: 5}}
  gate: {source: {url: "rtsp://u:${NOT_SET}@10.0.0.8/1"}}
publish: {bind: "tcp://${NOT_SET}:5555"}
http: {bind: "127.0.0.1:8080", token: "${NOT_SET}"}
outputs: [{type: webhook, url: "${NOT_SET}"}]
"""
    path = tmp_path / "camera.yaml"
    path.write_text(text)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    clip = str(write_video(tmp_path / "clip.mp4", 4))
    found = configuration(parser.parse_args([clip, str(path), "--camera", "door"]))
    assert [(c.name, c.source.url, c.rate.fps) for c in found.cameras.values()] == [("door", clip, 5.0)]
    assert [output.type for output in found.outputs] == ["jsonl"]
    path.write_text(text.replace("fps: 5", 'fps: "${NOT_SET}"'))
    with pytest.raises(ConfigError, match=r"cameras.door.rate.fps: environment variable NOT_SET is not set") as fault:
        configuration(parser.parse_args([clip, str(path), "--camera", "door"]))
    assert len(str(fault.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("recording", "results"),
    [
        (".", "{here}/rec/gate.replay.jsonl"),
        ("..", "{here}/rec.replay.jsonl"),
        ("../gate", "../gate.replay.jsonl"),
        ("/", "/.replay.jsonl"),
    ],
)
def test_results_lie_beside_a_recording_that_is_told_without_its_name(
    recording: str, results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rec" / "gate").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "rec" / "gate")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    (output,) = configuration(parser.parse_args([recording])).outputs
    assert isinstance(output, JsonlOutput)
    assert output.path == results.format(here=tmp_path)


ALONE = """
import sys
from argos.cli import main
status = main(sys.argv[1:])
print([name for name in ("torch", "numba") if name in sys.modules], file=sys.stderr)
sys.exit(status)
"""


def test_packets_alone_are_kept_without_loading_a_network(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", 40)
    arguments = ["record", str(clip), "--packets-only", "-o", str(tmp_path / "rec"), "--json"]
    done = subprocess.run([sys.executable, "-c", ALONE, *arguments], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert json.loads(done.stdout) == {"paths": [str(tmp_path / "rec" / "clip")], "errors": []}
    assert len(list(read(str(tmp_path / "rec" / "clip"), "door"))) == 40


def test_a_camera_that_cannot_be_reached_is_told_and_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"rtsp://127.0.0.1:{taken.getsockname()[1]}/live"
        assert main(["record", url, "--packets-only", "-o", str(tmp_path / "rec"), "--duration", "0.5s"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "connection refused; check that the camera is on" in said.err
    assert said.err.endswith("warning nothing was recorded\n")
    assert not (tmp_path / "rec").exists()


@pytest.mark.parametrize(("signals", "status"), [(1, 0), (2, 130)])
def test_signals_end_the_wait_for_a_camera_that_does_not_answer(tmp_path: Path, signals: int, status: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:  # takes connections and says nothing
        url = f"rtsp://127.0.0.1:{frozen.getsockname()[1]}/live"
        command = [sys.executable, "-m", "argos", "record", url, "--packets-only", "-o", str(tmp_path / "rec")]
        patient = ["--set", "camera.source.open_timeout_s=60"]
        process = subprocess.Popen([*command, *patient], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        frozen.settimeout(60)
        connection, _ = frozen.accept()
        asked = time.monotonic()
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - asked < 15
        connection.close()
    assert (process.returncode, out, "Traceback" in err) == (status, "", False)


def test_two_recordings_of_a_camera_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [{"type": "recording", "path": str(tmp_path / name)} for name in ("a", "b")]
    clip = write_video(tmp_path / "clip.mp4", 2)
    assert main(["record", str(clip), "--packets-only", "--set", f"outputs={json.dumps(entries)}"]) == 2
    assert "two of type recording" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["privacy.people=blur", "mask_areas=[[[0,0],[1,0],[1,1]]]"])
def test_a_covered_camera_is_not_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str) -> None:
    clip = write_video(tmp_path / "clip.mp4", 2)
    out = str(tmp_path / "rec")
    assert main(["record", str(clip), "--packets-only", "-o", out, "--set", f"camera.{key}"]) == 2
    assert "camera 'clip' is covered (privacy or mask_areas); leave the recording out" in capsys.readouterr().err
    assert not Path(out).exists()
