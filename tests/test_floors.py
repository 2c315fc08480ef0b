"""The order of the floors in ``pyproject.toml``: nothing imports upward, and every module stands on one of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    here = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=here)


def test_nothing_imports_upward() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_a_module_on_no_floor_and_an_import_upward_are_found(tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", "argos", "pyproject.toml", str(tmp_path)], cwd=ROOT, check=True)
    (tmp_path / "argos" / "errors.py").write_text("from argos.kernels import rectangles\n")
    assert "argos.errors is not allowed to import argos.kernels" in lint(tmp_path).stdout
    (tmp_path / "argos" / "attic.py").touch()
    done = lint(tmp_path)
    assert done.returncode != 0
    assert "attic" in done.stdout
