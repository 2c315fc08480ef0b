"""The choice of routes: measured once, read afterwards, and never a route that is not exact."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch

from argos.engines import integer_routes
from argos.engines.integer_routes import Shape, Times, fastest_routes, measure

LAYERS = [Shape(3, 8, 16, 32, 8), Shape(64, 32, 4, 5, 1)]


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Shape]:
    """Shapes as they are measured, in a cache of its own; the last route of a shape is the fastest."""
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path))
    shapes = []

    def measured(shape: Shape, routes: list[str]) -> Times:
        shapes.append(shape)
        return {name: 1.0 / (n + 1) for n, name in enumerate(routes)}

    def candidates(bits: int) -> list[str]:
        return {1: ["onednn", "popcount"], 4: ["float"], 8: ["onednn", "float"]}[bits]

    monkeypatch.setattr(integer_routes, "measure", measured)
    monkeypatch.setattr(integer_routes, "candidates", candidates)
    return shapes


def test_shape_is_measured_once_on_this_machine(timed: list[Shape]) -> None:
    expected = {LAYERS[0]: "float", LAYERS[1]: "popcount"}
    assert fastest_routes(LAYERS * 2) == expected
    assert sorted(timed) == sorted(LAYERS)
    assert fastest_routes(LAYERS) == expected
    assert len(timed) == 2
    more = Shape(8, 8, 16, 32, 8)
    assert fastest_routes([*LAYERS, more]) == {**expected, more: "float"}
    assert timed[2:] == [more]


def test_shape_that_one_route_takes_is_not_measured(timed: list[Shape]) -> None:
    shape = Shape(8, 8, 16, 32, 4)
    assert fastest_routes([shape]) == {shape: "float"}
    assert timed == []


def test_route_that_is_not_exact_any_more_is_not_taken(timed: list[Shape], monkeypatch: pytest.MonkeyPatch) -> None:
    fastest_routes(LAYERS)
    monkeypatch.setattr(integer_routes, "candidates", lambda bits: ["onednn"])
    assert fastest_routes([LAYERS[1]]) == {LAYERS[1]: "onednn"}


@pytest.mark.parametrize("condition", ["ONEDNN_MAX_CPU_ISA", "threads"])
def test_other_conditions_have_another_file(
    timed: list[Shape], monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    fastest_routes(LAYERS)
    if condition == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    else:
        monkeypatch.setenv(condition, "SSE41")
    fastest_routes(LAYERS)
    assert len(timed) == 4


@pytest.mark.parametrize("text", [b"", b"{}", b'{"format": 3}', b'{"format": "\xff"}'])
def test_damaged_file_is_told_and_written_anew(
    timed: list[Shape], tmp_path: Path, caplog: pytest.LogCaptureFixture, text: bytes
) -> None:
    fastest_routes(LAYERS)
    (path,) = (tmp_path / "routes").iterdir()
    path.write_bytes(text)
    with caplog.at_level(logging.WARNING):
        fastest_routes(LAYERS)
    assert f"{path}: ignored, not readable" in caplog.text
    assert len(timed) == 4
    assert len(json.loads(path.read_text())["times_ms"]) == 2


def test_folder_that_cannot_be_written_is_told(
    timed: list[Shape], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        assert fastest_routes(LAYERS)[LAYERS[1]] == "popcount"
    assert "cannot be written" in caplog.text


def test_measurement_gives_the_time_of_every_route() -> None:
    times = measure(Shape(64, 512, 24, 40, 1), ["popcount", "float"])
    assert list(times) == ["popcount", "float"]
    assert all(0 < ms < 10_000 for ms in times.values())
