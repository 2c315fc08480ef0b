"""Kernels compiled by a process beside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from argos.pipelines import compiling


def test_a_process_beside_compiles_at_the_first_start_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path))
    monkeypatch.setattr(compiling, "cores", lambda: (2, 2.0))
    monkeypatch.setattr(compiling, "_beside", None)
    compiling.compile_beside()
    beside = compiling._beside
    assert beside is not None
    compiling.compile_planning()
    assert beside.poll() == 0
    assert len(list(tmp_path.glob("compiled/*"))) == 1
    monkeypatch.setattr(compiling, "_beside", None)
    compiling.compile_beside()
    assert compiling._beside is None


def test_nothing_from_the_folder_it_is_started_in_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numba.py").write_text("raise SystemExit(5)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compiling, "cores", lambda: (2, 2.0))
    monkeypatch.setattr(compiling, "_beside", None)
    compiling.compile_beside()
    assert compiling._beside is not None
    assert compiling._beside.wait(60) == 0


def test_without_a_process_to_be_had_this_one_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object, **options: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path))
    monkeypatch.setattr(compiling, "cores", lambda: (2, 2.0))
    monkeypatch.setattr(compiling, "_beside", None)
    monkeypatch.setattr(subprocess, "Popen", refused)
    compiling.compile_beside()
    assert compiling._beside is None
    compiling.compile_planning()


def test_a_cache_that_cannot_be_written_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(compiling, "cores", lambda: (2, 2.0))
    monkeypatch.setattr(compiling, "_beside", None)
    compiling.compile_beside()
    compiling.compile_planning()
    assert compiling._beside is not None
    assert compiling._beside.poll() == 0


def test_the_process_beside_ends_with_the_one_that_began_it(tmp_path: Path) -> None:
    """Which is killed while both compile."""
    code = (
        "import time; from argos.pipelines import compiling; compiling.cores = lambda: (2, 2.0); "
        "compiling.compile_beside(); print(compiling._beside.pid, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "ARGOS_CACHE": str(tmp_path / "cache"), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        beside = Path(f"/proc/{int(parent.stdout.readline())}")
        time.sleep(0.5)
        assert beside.exists()
        parent.kill()
    until = time.monotonic() + 20
    while _runs(beside) and time.monotonic() < until:
        time.sleep(0.1)
    assert not _runs(beside)
    assert not list((tmp_path / "cache").rglob("compiled/*")), "it did not finish"


def _runs(process: Path) -> bool:
    """Whether a process is there and no zombie that nobody waits for."""
    try:
        return process.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
