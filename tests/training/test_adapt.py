"""From a camera to a model of its own in one command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from argos.cli import main
from argos.config import load_config
from argos.engines.weights import load_card, load_network
from argos.errors import DataError, SourceError
from argos.networks.qunet import QUNet
from argos.sources.options import OnState, Reconnect, SourceOptions
from argos.sources.read import read
from argos.training import collect as collecting
from argos.training import fit
from argos.training.adapt import Adapted
from argos.training.collect import collect, split_in_time
from argos.training.measure import iou_by_source
from argos.training.photos import CROWD, IGNORE, Photo
from argos.types import Frame

FILM = "fake://people?n=2&seed=5&size=320x180&fps=5&frames=12"


def thirds(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Sure of people on the left, undecided in the middle, sure of nobody on the right."""
    scores = np.full(image.shape[:2], 0.5, np.float32)
    scores[:, :100], scores[:, 220:] = 0.9, 0.1
    return scores


def test_frames_are_collected_at_intervals_and_labelled() -> None:
    photos = collect(FILM, thirds, every_s=0.2, most=11)
    assert [photo.name for photo in photos] == [f"frame {n}" for n in range(11)]
    ids = photos[0].ids
    assert (ids[:, :100] == CROWD).all()
    assert (ids[:, 100:220] == IGNORE).all()
    assert (ids[:, 220:] == 0).all()
    assert not photos[0].boxes_known


def test_a_slit_of_a_picture_keeps_a_row(tmp_path: Path) -> None:
    for n in range(10):
        cv2.imwrite(str(tmp_path / f"{n}.png"), np.zeros((1, 2000, 3), np.uint8))
    photos = collect(str(tmp_path), thirds, every_s=0.01, most=10)
    assert {photo.image.shape for photo in photos} == {(1, 512, 3)}


def test_a_camera_that_was_away_is_collected_from_as_soon_as_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def dropping(source: str, camera: str, options: SourceOptions, on_state: OnState) -> Iterator[Frame]:
        for epoch in range(3):
            for frame in read(source, camera):
                yield replace(frame, epoch=epoch)

    monkeypatch.setattr(collecting, "read", dropping)
    photos = collect(FILM, thirds, every_s=0.4, most=18)
    assert [photo.name for photo in photos] == [f"frame {n}" for n in range(0, 12, 2)] * 3


def test_a_source_with_too_little_to_learn_from_is_named() -> None:
    with pytest.raises(SourceError, match=r"fake://people.*: 6 frames at intervals of 0.4 s are too few"):
        collect(FILM, thirds, every_s=0.4, most=100)


def test_what_came_before_a_source_broke_off_is_learnt_from(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def dying(source: str, camera: str, options: SourceOptions, on_state: OnState) -> Iterator[Frame]:
        yield from islice(read(source, camera), alive)
        raise SourceError(f"{camera}: ended early", "ended_early")

    monkeypatch.setattr(collecting, "read", dying)
    alive = 10
    assert len(collect(FILM, thirds, every_s=0.2, most=100)) == 10
    assert "collect: ended early; the 10 frames before that are learnt from" in caplog.text
    alive = 9
    with pytest.raises(SourceError, match="collect: ended early"):
        collect(FILM, thirds, every_s=0.2, most=100)


def test_a_camera_that_does_not_answer_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(collecting, "PATIENCE", SourceOptions(reconnect=Reconnect(0.01, 0.01, give_up_after=3)))
    with pytest.raises(SourceError, match=r"rtsp://127.0.0.1:9/.*refused"):
        collect("rtsp://127.0.0.1:9/x", thirds, every_s=0.2, most=10)
    assert "refused" in caplog.text, "it is said while one waits"


def test_a_camera_that_nobody_passed_has_nothing_to_teach(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sure(score: float) -> list[Photo]:
        return collect(FILM, lambda image: np.full(image.shape[:2], score, np.float32), every_s=0.2, most=10)

    people, nobody = sure(0.9), sure(0.1)
    learnt, held = split_in_time(people, FILM)
    assert [photo.name for photo in held] == ["frame 8", "frame 9"]
    assert len(learnt) == 8
    assert not caplog.records
    nobody[9].ids[:3, :3] = CROWD
    learnt, held = split_in_time([*people[:1], *nobody[1:]], FILM)
    assert len(learnt) == 8
    figures = iou_by_source(lambda image: np.zeros(image.shape[:2], np.float32), held)
    assert figures == {"empty_ok": 1.0}, "a speck is no person to be found"
    assert "nobody in the last 2 frames, on which is measured" in caplog.text
    with pytest.raises(DataError, match="sees nobody in the 8 frames to learn from; take them while people pass"):
        split_in_time([*nobody[:8], *people[8:]], FILM)
    nobody[0].ids[:3, :3] = CROWD  # a speck is nobody
    with pytest.raises(DataError, match="sees nobody"):
        split_in_time(nobody, FILM)
    monkeypatch.setattr(collecting, "SURE", 2.0)
    command = ["train", "--from", FILM, "--teacher", "asbunet", "--minutes", "0.03", "--every", "0.2"]
    assert main([*command, "--out", str(tmp_path / "run"), "--threads", "1"]) == 2
    assert "the teacher sees nobody in the 10 frames" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_one_command_makes_a_model_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "CALIBRATION", 2)  # a minute otherwise
    command = ["train", "--from", FILM, "--teacher", "asbunet", "--minutes", "0.03", "--every", "0.2"]
    tmp_path = tmp_path / "gate, north: 1"
    tmp_path.mkdir()
    monkeypatch.chdir(tmp_path)
    assert main([*command, "--out", ".", "--threads", "1"]) == 0
    out = capsys.readouterr().out
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
    assert "learnt from 10 frames, measured on the 2 after them" in out
    config = tmp_path.parent / "camera.yaml"  # what is printed is found from any folder
    config.write_text(f"version: 1\ncamera: {{source: '{FILM}'}}\n" + out.partition("in the configuration:\n")[2])
    assert load_config(config).engine.models.proposal == str(tmp_path / "qunet16-camera.safetensors")
    network, card = load_network(str(tmp_path / "qunet16-camera.safetensors"), task="proposal")
    assert isinstance(network, QUNet)
    assert card.data[-1].startswith("10 frames of fake://people")
    assert "asbunet@sha256:" in card.data[-1]
    assert set(card.metrics) == {"pixels_covered", "area", "area_true"}
    other = [part.replace("seed=5", "seed=6") for part in command]
    assert main([*other, "--out", str(tmp_path), "--threads", "1"]) == 2
    assert f"{tmp_path} holds another training: source is '{FILM}' there and" in capsys.readouterr().err
    assert load_card(str(tmp_path / "qunet16-camera.safetensors")) == card, "the model of the first camera is untouched"


def test_a_model_that_got_worse_is_known() -> None:
    def adapted(*figures: tuple[float, float]) -> bool:
        before, after = ({"pixels_covered": covered, "area": area, "area_true": 0.1} for covered, area in figures)
        return Adapted(Path("x"), (8, 2), before, after).worse

    assert adapted((0.9, 0.3), (0.8, 0.3))
    assert not adapted((0.9, 0.3), (0.88, 0.2)), "it looks at far less"
    assert Adapted(Path("x"), (8, 2), {"iou_camera": 0.5}, {"iou_camera": 0.4}).worse


def test_what_cannot_be_adapted_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "people", "--from", FILM, "--out", str(tmp_path)]) == 2
    assert "choose qunet16, qunet8 or asbunet" in capsys.readouterr().err
    assert main(["train", "--teacher", "asbunet"]) == 2
    assert "needs the NAME of a network, a recipe file, or --from SOURCE" in capsys.readouterr().err
    assert main(["train", "qunet16", "--from", FILM, "--every", "0"]) == 2
    assert "--every should be above 0" in capsys.readouterr().err
    assert main(["train", "qunet16", "--from", str(tmp_path / "no.mp4"), "--teacher", "asbunet"]) == 3
    assert "no.mp4" in capsys.readouterr().err
