"""The command line: what it imports, what it prints, and the exit status of each end."""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from types import ModuleType

import pytest

from argos import __version__
from argos.cli import VERBS, main
from argos.errors import ConfigError, DeviceError, PublishError, SourceError, UsageError, WeightsError

HEAVY = ("torch", "pydantic", "cv2", "av", "numba", "numpy", "zmq", "yaml")


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    logger = logging.getLogger("argos")
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:], logger.level = handlers, level


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A verb ``try`` whose ``run`` the test sets."""
    module = ModuleType("argos_test_verb")
    module.add_arguments = lambda parser: parser.add_argument("--file")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(VERBS, "try", (module.__name__, "try something"))
    return module


def loaded_after(arguments: list[str]) -> tuple[list[str], float]:
    """Which heavy packages a fresh process has imported after a command, and how long it took."""
    code = f"""
import sys
from argos.cli import main
main({arguments!r})
print("loaded", *[name for name in {HEAVY!r} if name in sys.modules])
"""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:], time.monotonic() - started


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["init", "--help"], ["check", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    loaded, seconds = min((loaded_after(arguments) for _ in range(2)), key=lambda found: found[1])
    assert loaded == []
    assert seconds < 5  # 0.2 s on an idle machine; torch alone takes longer than 1 s there


def test_checking_a_configuration_imports_no_network_and_no_codec() -> None:
    loaded, _ = loaded_after(["check", "configs/camera.yaml"])
    assert "pydantic" in loaded
    assert not {"torch", "cv2", "av", "numba"} & set(loaded)


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, (_, summary) in VERBS.items():
        assert f"\n  {name:<10} {summary}\n" in text


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_its_module(name: str) -> None:
    assert importlib.util.find_spec(VERBS[name][0]) is not None


def test_version_before_and_after_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["init", "--version"]) == 0
    assert capsys.readouterr().out == f"argos {__version__}\n" * 2


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["rnu"], "argos: error: unknown verb 'rnu' - did you mean 'run'?"),
        (["xyzzy"], "argos: error: unknown verb 'xyzzy'; argos --help lists them"),
        (["rtsp://h/a"], "a verb is missing before 'rtsp://h/a' - did you mean 'argos run rtsp://h/a'?"),
        (["tests"], "a verb is missing before 'tests' - did you mean 'argos run tests'?"),
        (["try", "--fiel", "x"], "argos try: error: unrecognized arguments: --fiel x"),
        (["--log-format", "xml", "try"], "argument --log-format: invalid choice: 'xml'"),
    ],
)
def test_usage_errors_exit_2(
    verb: ModuleType, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert main(arguments) == 2
    assert line in capsys.readouterr().err


def test_no_verb_prints_the_help_and_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "verbs (argos VERB --help says more):" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UsageError("give one configuration"), 2, "argos: give one configuration"),
        (ConfigError("camera.yaml:4:9: camera.rate.fps: wrong"), 2, "camera.yaml:4:9: camera.rate.fps: wrong"),
        (SourceError("camera 'gate': cannot open", "refused"), 3, "argos: camera 'gate': cannot open"),
        (WeightsError("no such model"), 4, "argos: no such model"),
        (DeviceError("no cuda:1"), 5, "argos: no cuda:1"),
        (PublishError("port in use"), 6, "argos: port in use"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_each_error_is_one_line_and_its_status(
    verb: ModuleType, capsys: pytest.CaptureFixture[str], error: BaseException, status: int, line: str
) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise error

    verb.run = fail  # type: ignore[attr-defined]
    assert main(["try"]) == status
    assert capsys.readouterr().err.strip() == line


def test_what_nobody_named_is_said_to_be_a_bug(verb: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise KeyError("rtsp://me:secret@host/a")

    verb.run = fail  # type: ignore[attr-defined]
    assert main(["try", "--file", "x"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("argos: this is a bug (KeyError: 'rtsp://***@host/a'). Please report it")
    assert line.endswith("run it again with -v and add the traceback: argos try --file x -v")
    assert main(["try", "-v"]) == 1
    text = capsys.readouterr().err
    assert "Traceback (most recent call last)" in text
    assert "secret" not in text


def test_a_verb_that_cannot_be_imported_is_a_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(VERBS, "try", ("argos.commands.not_there", "nothing"))
    assert main(["try"]) == 1
    assert "ModuleNotFoundError" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["-v", "try"], ["try", "-v"], ["-v", "try", "--log-format", "json"]])
def test_common_options_stand_before_or_after_the_verb(verb: ModuleType, arguments: list[str]) -> None:
    seen: list[argparse.Namespace] = []
    verb.run = lambda args: seen.append(args) or 0  # type: ignore[attr-defined]
    assert main(arguments) == 0
    assert (seen[0].verbose, seen[0].quiet, seen[0].log_level) == (True, False, "debug")
    assert seen[0].log_format == ("json" if "json" in arguments else None)
    assert logging.getLogger("argos").level == logging.DEBUG


def test_json_logs_hold_errors_too(verb: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: argparse.Namespace) -> int:
        log = logging.getLogger("argos.sources.live")
        log.info("quiet")
        log.warning(
            "no answer of %s",
            "rtsp://me:secret@h/",
            extra={"event": "source.reconnect", "camera": "door", "attempt": 3},
        )
        log.error("plain")
        raise ConfigError("a:1:1: one\na:2:1: two")

    verb.run = run  # type: ignore[attr-defined]
    assert main(["-q", "--log-format", "json", "try"]) == 2
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line.pop("ts")[-1] for line in lines] == ["Z"] * 4
    assert lines == [
        {"level": "warning", "event": "source.reconnect", "camera": "door", "run": None, "attempt": 3,
         "msg": "no answer of rtsp://***@h/"},
        {"level": "error", "event": "sources.live", "camera": None, "run": None, "msg": "plain"},
        {"level": "error", "event": "error", "camera": None, "run": None, "msg": "a:1:1: one"},
        {"level": "error", "event": "error", "camera": None, "run": None, "msg": "a:2:1: two"},
    ]  # fmt: skip


def test_text_logs_name_the_camera_and_no_password(verb: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: argparse.Namespace) -> int:
        logging.getLogger("argos.x").info("lost rtsp://me:secret@h/", extra={"camera": "door"})
        return 0

    verb.run = run  # type: ignore[attr-defined]
    assert main(["try"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.split(" ", 1)[1] == "info door: lost rtsp://***@h/"


def test_a_reader_that_left_is_no_error() -> None:
    code = "import sys; from argos.cli import main; sys.exit(main(['schema', 'config']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()  # before anything is written
    assert process.stderr.read() == b""
    assert process.wait(60) == 0


def test_standard_output_on_a_full_disk_is_told_and_no_bug() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "argos", "schema", "message"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (6, "argos: cannot write (No space left on device); free some space\n")


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "argos", "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"argos {__version__}\n")
