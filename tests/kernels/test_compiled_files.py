"""Numba's files of compiled kernels may be damaged or impossible to write: that costs time, and no more."""

from __future__ import annotations

import errno
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numba
import pytest
from numba.core import caching

from argos.kernels import compiled_files

KERNEL = """
from numba import njit

@njit(cache=True)
def doubled(n):
    return 2 * n
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of one kernel, which is kept below ``kept``."""
    (tmp_path / "kernel.py").write_text(KERNEL)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "kept"))
    compiled_files._tell.cache_clear()
    return tmp_path


def fresh(folder: Path) -> Callable[[int], int]:
    """The kernel as another process has it: not compiled yet."""
    found = importlib.util.spec_from_file_location("kernel", folder / "kernel.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    kernel: Callable[[int], int] = module.doubled
    return kernel


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("length", [0, 40])
def test_a_damaged_file_is_told_once_and_written_anew(
    folder: Path, suffix: str, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert fresh(folder)(3) == 6
    (damaged,) = folder.rglob(f"*.{suffix}")
    damaged.write_bytes(damaged.read_bytes()[:length])
    for _ in range(3):
        assert fresh(folder)(3) == 6
    (told,) = caplog.messages
    assert told.startswith("compiled kernels: those in ")
    assert told.endswith("; they are written anew")
    kernel = fresh(folder)
    kernel(3)
    assert sum(kernel.stats.cache_hits.values()) == 1  # type: ignore[attr-defined]


def test_a_full_disk_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "_open_for_write", full)
    assert fresh(folder)(3) == 6
    (told,) = caplog.messages
    assert "cannot be written (No space left on device); they are made anew at every start; set NUMBA_CACHE_DIR" in told


def test_without_a_folder_to_write_to_nothing_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    assert fresh(folder)(3) == 6
    (told,) = caplog.messages
    assert "there is no folder that can be written; they are made anew at every start; set NUMBA_CACHE_DIR" in told
