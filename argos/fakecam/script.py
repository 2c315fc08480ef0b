"""The faults of a camera, the words for them, and scripts that say when they happen."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from argos.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault.

    Attributes:
        about: what happens, for the help.
        kind: ``event`` happens once; ``switch`` lasts until it is turned off; ``amount`` lasts too and has a value.
        lowest, highest: of the value.
        off: the value that does nothing.
    """

    about: str
    kind: Literal["event", "switch", "amount"] = "switch"
    lowest: float = 0.0
    highest: float = 1.0
    off: float = 0.0


FAULTS: Mapping[str, Fault] = {
    "refuse": Fault("is away: connections are dropped and new ones refused"),
    "mute": Fault("accepts connections and never answers"),
    "stall": Fault("keeps every connection and sends no picture"),
    "unauthorized": Fault("refuses every user and password"),
    "missing": Fault("says that there is no such stream"),
    "no_video": Fault("offers sound only"),
    "kick": Fault("drops every connection, once", "event"),
    "switch": Fault("shows the next SOURCE, once: another size, codec or scene", "event"),
    "jump": Fault("sets its clock forward or back by this many seconds, once", "event", -86400, 86400),
    "slow": Fault("sends at this share of the speed", "amount", 0.01, 1, 1.0),
    "jitter": Fault("delays pictures by up to this many milliseconds at random", "amount", 0, 60_000),
    "loss": Fault("loses this share of the packets", "amount"),
    "corrupt": Fault("damages this share of the packets", "amount"),
}
"""Every fault by name."""


@dataclass(frozen=True, slots=True)
class Command:
    """A fault with its value; for a switch 1 is on and 0 is off."""

    fault: str
    value: float = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """A command at a moment of a script.

    Attributes:
        at_s: seconds since the camera was started.
        command: what happens.
        for_s: seconds until it is turned off again; None for ever.
    """

    at_s: float
    command: Command
    for_s: float | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """Steps in order; with ``repeat_s`` they begin again so often."""

    steps: tuple[Step, ...]
    repeat_s: float | None = None


def parse_command(line: str) -> Command:
    """``stall``, ``stall off``, ``loss 0.1``, ``loss off``, ``jump -5``, ``kick``.

    Raises:
        ValueError: with what is expected.
    """
    word, *rest = line.split()
    if len(rest) > 1:
        raise ValueError(f"{line.strip()!r}: expected a fault and one value, as in: loss 0.1")
    return _command(word, rest[0] if rest else None)


def _command(fault: str, value: object) -> Command:
    if fault not in FAULTS:
        close = difflib.get_close_matches(fault, FAULTS, n=1)
        hint = f" - did you mean '{close[0]}'?" if close else ""
        raise ValueError(f"unknown fault '{fault}'{hint} (known: {', '.join(FAULTS)})")
    about = FAULTS[fault]
    needs_value = about.kind == "amount" or fault == "jump"
    if value in ("off", False) and about.kind != "event":
        return Command(fault, about.off)
    if not needs_value:
        if value not in (None, "on", True):
            raise ValueError(f"{fault}: takes {'no value' if about.kind == 'event' else 'on or off'}, got {value!r}")
        return Command(fault)
    try:
        number = float(str(value))
    except ValueError:
        number = float("nan")
    if not about.lowest <= number <= about.highest:
        raise ValueError(f"{fault}: expected {about.lowest:g} to {about.highest:g}, got {value!r}")
    return Command(fault, number)


def read_script(path: Path) -> Script:
    """Read a script::

        repeat_s: 60
        steps:
          - {at_s: 5, fault: stall, for_s: 4}
          - {at_s: 20, fault: loss, value: 0.1, for_s: 10}
          - {at_s: 40, fault: kick}

    Raises:
        ConfigError: it cannot be read, with every fault in it.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); expected YAML like argos fakecam --help shows") from error
    if not isinstance(data, dict) or not isinstance(data.get("steps"), list):
        raise ConfigError(f"{path}: expected a mapping with a list of steps; argos fakecam --help shows one")
    faults = [
        f"{path}: {key}: unknown key (known: repeat_s, steps)" for key in data if key not in ("repeat_s", "steps")
    ]
    steps: list[Step] = []
    for n, entry in enumerate(data["steps"]):
        try:
            steps.append(_step(entry))
        except ValueError as error:
            faults.append(f"{path}: steps.{n}: {error}")
    repeat_s = data.get("repeat_s")
    last_s = max((step.at_s + (step.for_s or 0) for step in steps), default=0.0)
    if repeat_s is not None and (not _is_number(repeat_s) or repeat_s <= 0 or repeat_s < last_s):
        faults.append(f"{path}: repeat_s: should be seconds, and not before the last step ends at {last_s:g}")
    if faults:
        raise ConfigError("\n".join(faults))
    return Script(tuple(sorted(steps, key=lambda step: step.at_s)), repeat_s)


def _step(entry: Any) -> Step:
    if not isinstance(entry, dict) or not {"at_s", "fault"} <= set(entry):
        raise ValueError("expected {at_s: SECONDS, fault: NAME}")
    unknown = sorted(set(map(str, entry)) - {"at_s", "fault", "value", "for_s"})
    if unknown:
        raise ValueError(f"{unknown[0]}: unknown key (known: at_s, fault, value, for_s)")
    for key in ("at_s", "for_s"):
        if entry.get(key) is not None and (not _is_number(entry[key]) or entry[key] < 0):
            raise ValueError(f"{key}: should be seconds, 0 or more, got {entry[key]!r}")
    command = _command(str(entry["fault"]), entry.get("value"))
    if entry.get("for_s") is not None and FAULTS[command.fault].kind == "event":
        raise ValueError(f"for_s: '{command.fault}' happens once, it does not last")
    return Step(float(entry["at_s"]), command, entry.get("for_s"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
