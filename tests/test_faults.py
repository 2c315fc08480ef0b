"""The short form of ``make faults``; how quick ARGOS is back is judged by the long one, on a quiet machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
sys.path.append(str(CHECKOUT / "benchmarks"))

from render_faults import page  # noqa: E402


@pytest.mark.timeout(170)
def test_the_short_fault_matrix_is_survived(tmp_path: Path) -> None:
    figures = tmp_path / "faults.json"
    command = [sys.executable, "benchmarks/faults.py", "--short", "--limit-s", "20", "--json", str(figures)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=160, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(figures.read_text())
    assert all(
        line in page({"faults.json": told}) for line in ("| kick | tcp | process |", "- no key: nothing received")
    )
    assert {(one["fault"], one["isolate"], one["code"].split(", ")[0]) for one in told["faults"]} == {
        ("refuse", "thread", "ended"), ("kick", "thread", "ended"), ("stall", "thread", "timeout"),
        ("other size", "thread", ""), ("other codec", "thread", "timeout"), ("kick", "process", "ended"),
        ("kill -9", "process", "crashed"),
    }  # fmt: skip
    assert all(one["back_s"] is not None for one in told["faults"])
    assert [one["wrong"] for one in told["strangers"]] == [""] * 4
    assert told["growth"]["threads"] == 0
    assert "Traceback" not in done.stderr
