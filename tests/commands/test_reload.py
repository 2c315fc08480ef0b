"""When a configuration is loaded again: real files, a thread, and what the pipeline is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from waiting import wait_for

from argos.commands.reload import Again, Reloader, file_state
from argos.commands.run import configuration
from argos.config import Config
from argos.errors import ConfigError

ONE = "version: 1\ncameras:\n  a: {source: 'fake://people?n=1'}\n"
TWO = ONE + "  b: {source: 'fake://people?n=2'}\n"


class Taken:
    """Stands where the pipeline is: keeps what it is given."""

    def __init__(self) -> None:
        self.configs: list[list[str]] = []
        self.faults: list[str] = []
        self.loaded: list[list[str]] = []

    def reload(self, config: Config, applied: Callable[[Config], None]) -> None:
        if "fixed" in config.cameras:
            raise ConfigError("engine.threads: cannot change while ARGOS runs")
        self.configs.append(list(config.cameras))
        applied(config)

    def refuse(self, error: ConfigError) -> None:
        self.faults.append(str(error))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "camera.yaml"
    path.write_text(ONE)
    return path


def reloader(taken: Taken, file: Path, *, watch: bool) -> Reloader:
    again = Again(lambda: configuration([str(file)], [], None), file, watch, file_state(file))
    return Reloader(taken, again, lambda config: taken.loaded.append(list(config.cameras)))  # type: ignore[arg-type]


def test_a_changed_file_is_loaded_a_bad_one_refused_and_the_next_good_one_taken(file: Path) -> None:
    taken = Taken()
    with reloader(taken, file, watch=True):
        file.write_text(ONE.replace("source", "sorce"))
        wait_for(lambda: taken.faults)
        file.write_text(TWO)
        wait_for(lambda: taken.loaded)
        file.write_text(ONE.replace("a:", "fixed:"))
        wait_for(lambda: len(taken.faults) == 2)
    assert "did you mean 'source'" in taken.faults[0]
    assert taken.faults[1].startswith("engine.threads")
    assert taken.configs == taken.loaded == [["a", "b"]]


def test_what_changed_while_the_networks_were_loaded_is_a_change(file: Path) -> None:
    taken = Taken()
    waiting = reloader(taken, file, watch=True)
    file.write_text(TWO)
    with waiting:
        wait_for(lambda: taken.loaded == [["a", "b"]])


def test_without_watching_it_is_loaded_when_asked_changed_or_not(file: Path) -> None:
    taken = Taken()
    with reloader(taken, file, watch=False) as waiting:
        waiting.ask()
        wait_for(lambda: taken.loaded == [["a"]])
        file.write_text(TWO)
        waiting.ask()
        wait_for(lambda: taken.loaded == [["a"], ["a", "b"]])
        file.unlink()
        waiting.ask()
        wait_for(lambda: taken.faults)
    assert "cannot be read" in taken.faults[0]
