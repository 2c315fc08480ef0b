from __future__ import annotations

from pathlib import Path

import pytest

from argos.errors import ConfigError
from argos.fakecam.script import FAULTS, Command, Step, parse_command, read_script


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("stall", Command("stall", 1)),
        ("stall on", Command("stall", 1)),
        ("stall off", Command("stall", 0)),
        ("loss 0.1", Command("loss", 0.1)),
        ("loss off", Command("loss", 0)),
        ("slow off", Command("slow", 1)),
        ("jump -5", Command("jump", -5)),
        ("kick\n", Command("kick", 1)),
    ],
)
def test_a_line_is_a_command(line: str, command: Command) -> None:
    assert parse_command(line) == command


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("stal", "unknown fault 'stal' - did you mean 'stall'?"),
        ("stall 3", "stall: takes on or off"),
        ("kick off", "kick: takes no value"),
        ("loss", "loss: expected 0 to 1, got None"),
        ("loss nan", "loss: expected 0 to 1, got 'nan'"),
        ("slow 0", "slow: expected 0.01 to 1"),
        ("loss 0.1 0.2", "expected a fault and one value"),
    ],
)
def test_a_wrong_line_is_explained(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        parse_command(line)


def test_a_script_is_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "outage.yaml"
    path.write_text(
        "repeat_s: 60\nsteps:\n  - {at_s: 40, fault: kick}\n  - {at_s: 5, fault: stall, for_s: 4}\n"
        "  - {at_s: 20, fault: loss, value: 0.1, for_s: 10}\n"
    )
    script = read_script(path)
    assert script.repeat_s == 60
    assert script.steps == (
        Step(5, Command("stall"), 4), Step(20, Command("loss", 0.1), 10), Step(40, Command("kick")),
    )  # fmt: skip


def test_every_fault_of_a_script_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "outage.yaml"
    path.write_text(
        "repeat_s: 3\nloop: 1\nsteps:\n  - {at_s: 5, fault: stal}\n  - {at_s: -1, fault: kick}\n"
        "  - {at_s: 1, fault: kick, for_s: 2}\n  - {at_s: 1, fault: loss, amount: 2}\n  - {at_s: 9, fault: mute}\n"
        "  - 7\n"
    )
    with pytest.raises(ConfigError) as caught:
        read_script(path)
    assert [line.removeprefix(f"{path}: ") for line in str(caught.value).splitlines()] == [
        "loop: unknown key (known: repeat_s, steps)",
        f"steps.0: unknown fault 'stal' - did you mean 'stall'? (known: {', '.join(FAULTS)})",
        "steps.1: at_s: should be seconds, 0 or more, got -1",
        "steps.2: for_s: 'kick' happens once, it does not last",
        "steps.3: amount: unknown key (known: at_s, fault, value, for_s)",
        "steps.5: expected {at_s: SECONDS, fault: NAME}",
        "repeat_s: should be seconds, and not before the last step ends at 9",
    ]
    for text in ("", "steps: 3", "steps: [", "[1]"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="fakecam --help"):
            read_script(path)
