"""Files of the cache, and what becomes of them where there is none."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import pytest

from argos import kept
from argos.errors import UsageError
from argos.kept import kept_file


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where ``write`` was told to write; nothing of other tests is kept elsewhere."""
    monkeypatch.setattr(kept, "_elsewhere", {})
    return []


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that nobody can write, root neither."""
    folder = tmp_path / "cache"
    folder.touch()
    monkeypatch.setenv("ARGOS_CACHE", str(folder))
    return folder


def named(written: list[Path], *, anew: bool = False) -> Path:
    """A file with its number in it."""

    def write(path: Path) -> None:
        written.append(path)
        path.write_text(str(len(written)))

    return kept_file("onnx", "name", write, anew=anew)


def test_a_file_is_written_once(written: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path))
    assert named(written) == named(written) == tmp_path / "onnx" / "name"
    assert [path.name for path in (tmp_path / "onnx").iterdir()] == ["name"]
    assert len(written) == 1


def test_without_a_cache_it_is_written_once_in_a_process_and_that_is_told_once(
    written: list[Path], no_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert named(written) == named(written)
    assert named(written).read_text() == str(len(written)) == "1"
    assert len(caplog.records) == 1
    assert f"the cache {no_cache} cannot be written" in caplog.text
    assert "set ARGOS_CACHE to a folder that can" in caplog.text


@pytest.mark.parametrize("cached", [True, False])
def test_a_damaged_file_is_written_anew_wherever_it_lies(
    written: list[Path], cached: bool, no_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cached:
        monkeypatch.setenv("ARGOS_CACHE", str(tmp_path))
    assert named(written) == named(written, anew=True)
    assert named(written).read_text() == str(len(written)) == "2"


def test_half_a_file_is_never_kept(written: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path))

    def write(path: Path) -> None:
        path.write_text("half")
        raise UsageError("no more")

    with pytest.raises(UsageError, match="no more"):
        kept_file("onnx", "name", write)
    assert list((tmp_path / "onnx").iterdir()) == []


def test_what_cannot_be_written_anywhere_says_what_to_do(
    written: list[Path], no_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_temporary", tempfile.TemporaryDirectory)  # a new one
    monkeypatch.setattr(tempfile, "tempdir", str(no_cache))
    with pytest.raises(UsageError, match=r"cannot be written .*set ARGOS_CACHE to a folder that can"):
        named(written)
