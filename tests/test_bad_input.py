"""Whatever is wrong outside the program ends in one clear line and the documented status, never in a traceback."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch
import zmq
from main_job import (
    FAST,
    PEOPLE,
    assert_gapless,
    decoded,
    finish,
    free_port,
    lines_of,
    own_models,
    run_here,
    start,
    until,
)
from video_files import numbered, write_sound, write_video

from argos.config import config_from_sources
from argos.pipelines.api import Pipeline
from argos.publishing.subscriber import Subscriber
from argos.types import Overlay

TWO = PEOPLE.replace("320x240", "160x96") + "&frames=2"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ends_with(capfd: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Runs ``argos run ARGUMENTS`` and checks its status, that nothing else is said, and the words of its one line."""

    def check(status: int, words: str, *arguments: str) -> None:
        capfd.readouterr()
        assert run_here(*arguments) == status
        out, err = capfd.readouterr()
        assert out == ""
        (line,) = err.splitlines()
        assert re.search(words, line), line

    return check


Ends = Callable[..., None]


def test_a_missing_file_by_the_program_itself(tmp_path: Path) -> None:
    status, out, err = finish(start("run", "gone.mp4", folder=tmp_path))
    assert (status, out) == (3, "")
    assert err == f"argos: gone.mp4: no such file (looked in {tmp_path}); check the path\n"


def test_a_source_that_is_no_video_ends_with_3(tmp_path: Path, ends_with: Ends) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("people walk by\n" * 50)
    write_sound(tmp_path / "sound.mp4")
    (tmp_path / "text.jpg").write_text("people walk by")
    ends_with(3, r"^argos: gone.mp4: no such file .*; check the path$", "gone.mp4")
    ends_with(3, r"^argos: empty: no images in it, looked for .*; check the path$", "empty")
    ends_with(3, r"^argos: gone/\*\.png: no images in it", "gone/*.png")
    ends_with(3, r"^argos: text.mp4: not a video", "text.mp4")
    ends_with(3, r"^argos: sound.mp4: has no video stream \(only audio\); give a source with pictures$", "sound.mp4")
    ends_with(3, r"^argos: text.jpg cannot be decoded as an image; replace or remove it$", "text.jpg")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fail_fast", [False, True])
def test_a_truncated_video_keeps_what_decoded_and_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], fail_fast: bool
) -> None:
    path = write_video(tmp_path / "cut.mp4", 24, size=(96, 160), noise=True, movflags="faststart")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert run_here("cut.mp4", *FAST, "--json", *(["--fail-fast"] if fail_fast else [])) == 3
    out, err = capfd.readouterr()
    lines = lines_of(tmp_path / "out/cut/results.jsonl")
    assert_gapless(lines)
    assert 3 < len(lines) < 21
    assert err == (
        f"argos: cut.mp4: ended early: {len(lines)} of 24 frames decoded; "
        "the file is truncated or damaged, copy or record it again\n"
    )
    assert len(decoded(tmp_path / "out/cut/overlay.mp4")) == len(lines)
    assert cv2.imread("out/cut/contact_sheet.png") is not None
    if not fail_fast:
        summary = json.loads(out)
        assert (summary["frames"], summary["errors"]["cut"]["code"]) == (len(lines), "ended_early")


def test_of_two_files_the_good_one_is_analysed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "good.mp4", 3, size=(96, 160))
    (tmp_path / "bad.mp4").write_text("nothing")
    assert run_here("good.mp4", "bad.mp4", "worse.mp4", "--json", *FAST) == 3
    out, err = capfd.readouterr()
    assert [line.split(":")[:2] for line in err.splitlines()] == [["argos", " bad.mp4"], ["argos", " worse.mp4"]]
    assert json.loads(out)["frames"] == len(lines_of(tmp_path / "out/good/results.jsonl")) == 3
    assert len(json.loads(out)["paths"]) == 3


def test_one_damaged_image_does_not_stop_the_others(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    cv2.imwrite("photos/1.png", numbered(1, 60, 80))
    (tmp_path / "photos/2.png").write_bytes(b"nothing")
    cv2.imwrite("photos/3.png", numbered(3, 60, 80))
    assert run_here("photos", *FAST) == 3
    assert "photos: 1 of 3 images, first photos/2.png, cannot be decoded as an image" in capfd.readouterr().err
    lines = lines_of(tmp_path / "out/photos/results.jsonl")
    assert [(line["frame"], line["dropped"]) for line in lines] == [(0, {}), (2, {"damaged": 1})]


def test_a_slit_is_shown_to_subscribers(tmp_path: Path) -> None:
    """Reduced to the width of the overlay it would have no row left."""
    cv2.imwrite("slit.png", numbered(1, 1, 3000))
    models = [f"engine.models.{role}={path}" for role, path in own_models(tmp_path).items()]
    config = config_from_sources(["slit.png"], ["camera.name=door", "publish.bind=tcp://127.0.0.1:*", *models])
    with Pipeline(config) as pipeline:
        publisher = pipeline._publisher
        assert publisher is not None
        with Subscriber(publisher.endpoint, kinds=["overlay"], timeout=20) as subscriber:
            until(lambda: publisher.wants("overlay", "door"))
            assert len(list(pipeline)) == 1
            shown = subscriber.receive()
    assert isinstance(shown, Overlay)
    assert shown.size[0] == 1


def _camera(port: int) -> list[str]:
    return [f"rtsp://me:secret@127.0.0.1:{port}/live", "--set", "publish.bind=null"]


def test_a_camera_that_refuses_ends_with_3_when_asked_to_fail_fast(ends_with: Ends) -> None:
    words = r"^argos: camera '[a-z0-9-]+': rtsp://\*\*\*@127.0.0.1:\d+/live: connection refused; check that the camera"
    ends_with(3, words, *_camera(free_port()), "--fail-fast")


def test_a_camera_that_refuses_is_tried_again_until_the_time_is_over(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_here(*_camera(free_port()), "--duration", "1.2s", "--record", "rec", "--json") == 0
    out, err = capfd.readouterr()
    summary = json.loads(out)
    assert (summary["frames"], summary["errors"], summary["paths"]) == (0, {}, [])
    lost, nothing = err.splitlines()
    assert "connection refused; check that the camera is on" in lost
    assert lost.endswith("(lost)")
    assert "secret" not in err
    assert nothing.endswith("warning no frame was analysed")
    assert [path for path in tmp_path.glob("rec/**/*") if path.is_file()] == []


def test_a_camera_that_refuses_does_not_hold_up_the_others(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "clip.mp4", 3, size=(96, 160))
    assert run_here("clip.mp4", *_camera(free_port()), "--duration", "4s", "--record", "rec", "--json", *FAST) == 0
    summary = json.loads(capfd.readouterr().out)
    assert (summary["frames"], summary["errors"]) == (3, {})
    assert len(lines_of(tmp_path / "rec/clip/results.jsonl")) == len(decoded(tmp_path / "rec/clip/overlay.mp4")) == 3


CAMERA_YAML = """version: 1
camera:
  source: clip.mp4
  rate: {fps: -1}
  regions:
    mod: pack
outputs:
  - {type: jsonl, path: "${NOWHERE_SET}/results.jsonl"}
"""


def test_every_fault_of_a_configuration_is_said_with_its_place(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "camera.yaml").write_text(CAMERA_YAML)
    assert run_here("camera.yaml") == 2
    out, err = capfd.readouterr()
    assert out == ""
    fps, mode, variable = err.splitlines()
    assert fps == "camera.yaml:4:15: camera.rate.fps: should be greater than 0, got -1"
    assert mode == "camera.yaml:6:5: camera.regions.mod: unknown key - did you mean 'mode'?"
    assert variable.startswith("camera.yaml:8:25: outputs.0.path: ")
    assert "NOWHERE_SET" in variable


def test_wrong_arguments_end_with_2(tmp_path: Path, ends_with: Ends) -> None:
    ends_with(2, r"^gone.yaml: cannot be read \(No such file or directory\) - argos init writes one$", "gone.yaml")
    ends_with(2, r"fake://people\?n=x: n: should be a whole number, got 'x'$", "fake://people?n=x")
    ends_with(2, r"^argos: a.yaml: give one configuration or sources, not both", "a.yaml", "b.mp4")
    ends_with(2, r"--set .*'speed'|speed: unknown key", TWO, "--set", "camera.speed=3")
    for n in range(3):
        cv2.imwrite(f"{n}.jpg", numbered(n, 32, 32))
    words = (
        r"^argos: 3 images would be 3 cameras; name their directory \(\./\), or quote the pattern .* as in '\*.jpg'$"
    )
    ends_with(2, words, "0.jpg", "1.jpg", "2.jpg")
    assert run_here("*.jpg", *FAST) == 0  # as told


def test_an_address_in_use_ends_with_6(tmp_path: Path, ends_with: Ends) -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        address = f"tcp://127.0.0.1:{port}"
        ends_with(6, f"^argos: {address}: address already in use; choose", TWO, "--set", f"publish.bind={address}")
    assert not (tmp_path / "out/people/results.jsonl").exists()


def test_an_output_that_cannot_be_written_ends_with_6(tmp_path: Path, ends_with: Ends) -> None:
    (tmp_path / "file").write_text("in the way")
    ends_with(6, r"^argos: file/people/results.jsonl: cannot be written \(Not a directory\)", TWO, "--record", "file")
    (tmp_path / "rec/people/overlay.mp4").mkdir(parents=True)
    words = r"^argos: rec/people/overlay.mp4: cannot be written, it is a directory; choose another path$"
    ends_with(6, words, TWO, "--record", "rec")
    assert sorted(path.name for path in (tmp_path / "rec/people").iterdir()) == ["overlay.mp4"]  # nothing half made


def test_a_source_is_never_overwritten(tmp_path: Path, ends_with: Ends) -> None:
    path = write_video(tmp_path / "clip.mp4", 2)
    before = path.read_bytes()
    for kind in ("jsonl", "overlay"):
        output = f"outputs=[{{type: {kind}, path: ./clip.mp4}}]"
        ends_with(6, r"^argos: clip.mp4: is the source of camera 'clip'; write to another", "clip.mp4", "--set", output)
    assert path.read_bytes() == before


def test_a_full_disk_ends_with_6_and_leaves_what_was_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full.jsonl").symlink_to("/dev/full")
    outputs = "outputs=[{type: overlay, path: o.mp4}, {type: jsonl, path: full.jsonl}]"
    assert run_here(TWO, "--set", outputs, *FAST) == 6
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("argos: full.jsonl: cannot write (No space left on device); what was written before stays")
    assert len(err.splitlines()) == 1
    assert len(decoded(tmp_path / "o.mp4")) == 1
    assert (tmp_path / "full.jsonl").is_symlink()


def test_models_that_are_missing_or_damaged_end_with_4(tmp_path: Path, ends_with: Ends) -> None:
    def asked(role: str, name: object) -> list[str]:
        return [TWO, "--set", f"engine.models.{role}={name}"]

    ends_with(4, r"^argos: qunet17: no such model; shipped are .*, or give the path", *asked("proposal", "qunet17"))
    own = own_models(tmp_path)
    ends_with(
        4, r"^argos: .*own-semantic.safetensors: a model for semantic, not for", *asked("proposal", own["semantic"])
    )
    damaged = shutil.copy(own["proposal"], tmp_path / "damaged.safetensors")
    ends_with(4, r"^argos: .*damaged.json: no card beside the weights; a model", *asked("proposal", damaged))
    shutil.copy(own["proposal"].with_suffix(".json"), tmp_path / "damaged.json")
    content = bytearray(Path(damaged).read_bytes())
    content[-9] ^= 1
    Path(damaged).write_bytes(content)
    ends_with(4, r"^argos: .*damaged.safetensors: digest .* does not match its card", *asked("proposal", damaged))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_ends_with_5(ends_with: Ends) -> None:
    words = r"^argos: engine.device: cuda is not available here; choose auto or cpu$"
    ends_with(5, words, TWO, "--set", "engine.device=cuda")
