"""``argos doctor``."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

import pytest

from argos import machine
from argos.cli import main
from argos.commands import doctor
from argos.engines import weights


def test_the_report_names_versions_processor_codecs_and_models(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    found = {finding["name"]: finding for finding in report["findings"]}
    assert report["ok"] == (status == 0) == all(finding["state"] != "problem" for finding in report["findings"])
    assert found["python"]["value"].startswith(platform.python_version())
    for name in ("torch", "numpy", "cv2", "av", "zmq", "numba"):
        assert found[name]["value"][0].isdigit()
    assert found["decode h264"]["value"] == "yes"
    assert found["numba threads"]["value"] in ("tbb", "omp", "workqueue")
    assert "cpu" in found["devices"]["value"]
    assert {f"model {card.name}" for card in weights.list_cards()} <= set(found)


def test_each_problem_has_a_remedy_and_the_status_is_7(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(weights, "SHIPPED", tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main(["doctor"]) == 7
    lines = capsys.readouterr().out.splitlines()
    at = lines.index(f"! {'weights':<22} none")
    assert lines[at + 1].strip() == "problem: install argos-vision again: this copy has no models"
    at = lines.index(f"- {'display':<22} none")
    assert lines[at + 1].strip() == "note: no windows here: use argos sub --view FILE.jpg and recorded overlays"
    assert lines[-1] == "1 problem found"


def test_a_changed_weights_file_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = weights.list_cards()
    if not cards:
        pytest.skip("no models are shipped yet")
    for card in cards:
        (tmp_path / f"{card.name}.json").write_bytes((weights.SHIPPED / f"{card.name}.json").read_bytes())
        (tmp_path / f"{card.name}.safetensors").write_bytes(b"something else")
    monkeypatch.setattr(weights, "SHIPPED", tmp_path)
    for finding in doctor.weights():
        assert finding.state == "problem"
        assert finding.value.endswith("but the file is another one")


def test_a_package_that_cannot_be_imported_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(machine.PACKAGES, "argos_not_there", "argos-not-there")
    (finding,) = [finding for finding in doctor.software() if finding.name == "argos_not_there"]
    assert finding.state == "problem"
    assert finding.value == "(No module named 'argos_not_there')"
    assert finding.remedy.startswith("install it again")


def test_the_machine_is_measured_within_its_bounds() -> None:
    name, flags = machine.processor()
    assert name
    assert set(flags) <= set(machine.FLAGS)
    usable, share = machine.cores()
    assert 1 <= usable <= (os.cpu_count() or 1)
    assert 0 < share <= usable
    assert 2**28 < machine.memory_bytes() < 2**50


def test_a_limited_container_counts_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"/sys/fs/cgroup/cpu.max": "50000 100000\n", "/sys/fs/cgroup/memory.max": f"{2**30}\n"}
    monkeypatch.setattr(machine, "_read", files.__getitem__)
    assert machine.cores()[1] == 0.5
    assert machine.memory_bytes() == 2**30
    files |= {"/sys/fs/cgroup/cpu.max": "max 100000\n", "/sys/fs/cgroup/memory.max": "max\n"}
    usable, share = machine.cores()
    assert share == usable
    assert machine.memory_bytes() > 2**30


def test_arm_processors_of_other_kinds_have_other_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def named(*parts: str) -> str:
        cores = [f"processor : {n}\nFeatures : asimd\nCPU implementer : 0x41\nCPU part : {part}\n"
                 for n, part in enumerate(parts)]  # fmt: skip
        with monkeypatch.context() as patched:
            patched.setattr(Path, "read_text", lambda *_, **__: "\n".join(cores))
            return machine.processor()[0]

    assert named("0xd03", "0xd03").endswith("CPU implementer 0x41, CPU part 0xd03")
    assert named("0xd08").endswith("CPU part 0xd08")
    assert named("0xd08", "0xd03").endswith("CPU part 0xd03/0xd08")


def test_a_user_without_a_name_has_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("ARGOS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    assert machine.cache_folder() == Path("/.cache/argos")
