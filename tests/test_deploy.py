"""What lies in ``deploy/`` names options, paths and statuses that there are."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from argos import errors
from argos.cli import _parse
from argos.web.server import PATHS

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"


def service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string((DEPLOY / "argos.service").read_text())
    return parser["Service"]


def container(word: str) -> list[str]:
    """What stands behind each of the instructions of this name."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    return re.findall(rf"^{word} (.*)$", text, flags=re.MULTILINE)


def test_service_and_container_run_a_command_line_that_is_understood() -> None:
    program, *of_service = shlex.split(service()["ExecStart"])
    entry, command = (json.loads(container(word)[-1]) for word in ("ENTRYPOINT", "CMD"))
    of_container = [*entry[1:], *command]
    assert (Path(program).name, entry[0]) == ("argos", "argos")
    for words in (of_service, of_container):
        args = _parse(words)
        assert (args.log_format, args.what) == ("json", ["/etc/argos/camera.yaml"])


def test_a_service_that_cannot_get_better_is_not_started_again() -> None:
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    assert {int(code) for code in service()["RestartPreventExitStatus"].split()} < codes
    assert errors.SourceError.exit_code not in map(int, service()["RestartPreventExitStatus"].split())


def test_the_container_asks_for_a_path_that_is_answered_and_copies_what_there_is() -> None:
    (check,) = container("HEALTHCHECK")
    assert re.search(r":8080(/\w+)", check)[1] in PATHS  # type: ignore[index]
    for line in container("COPY"):
        *files, _ = line.split()
        assert [file for file in files if not (ROOT / file).exists()] == []
    assert f"STOPSIGNAL {service()['KillSignal']}" in (DEPLOY / "Dockerfile").read_text()


def test_systemd_understands_the_service(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze")
    # the program it starts is somewhere else on this machine
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", (DEPLOY / "argos.service").read_text(), flags=re.MULTILINE)
    (tmp_path / "argos.service").write_text(text)
    done = subprocess.run(
        [tool, "verify", str(tmp_path / "argos.service")], capture_output=True, text=True, check=False
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "argos.service" in line]
    assert (done.returncode, ours) == (0, []), done.stderr
