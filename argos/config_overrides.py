"""``--set KEY=VALUE``: one value of a configuration, from the command line."""

from __future__ import annotations

import re
from typing import Any

from argos.config_faults import Fault, KeyPath, Mark, did_you_mean, dotted, shown
from argos.config_yaml import Document, parse_yaml
from argos.sources.names import redact


def apply_override(document: Document, override: str, rank: int) -> None:
    """Write one value into ``document``; what is wrong with it is added to its faults.

    Args:
        document: changed in place; its ``data`` is a mapping.
        override: ``cameras.door.rate.fps=5``; keys by dots, list items by number, the value in YAML.
        rank: number of the override, from 1; names it in messages.
    """
    label = f"--set {redact(override)}"
    mark = Mark(rank, 0, 0, label)
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        document.faults.append(Fault(mark, "", "should be KEY=VALUE with a dotted key, as in camera.rate.fps=5"))
        return
    value = parse_yaml(text, label, rank=rank)
    path, problem = _place(document, parts, value.data)
    if problem:
        document.faults.append(Fault(mark, dotted(path), problem))
        return
    _forget(document, path)
    for end in range(1, len(path) + 1):
        document.keys.setdefault(path[:end], mark)
        document.values.setdefault(path[:end], mark)
    document.keys |= {(*path, *below): place for below, place in value.keys.items()}
    document.values |= {(*path, *below): place for below, place in value.values.items()}
    document.hidden |= {(*path, *below) for below in value.hidden}
    document.secrets |= value.secrets
    remedy = _quoted(key, text) if value.data is None else ""
    document.faults += [
        Fault(f.mark, ".".join(filter(None, (dotted(path), f.key))), f.text + remedy) for f in value.faults
    ]


def _quoted(key: str, text: str) -> str:
    """Remedy for a list of plain texts that is no YAML: the same in quotes, for a shell; nothing for other texts."""
    plain = re.fullmatch(r"\[([^][{}'\"]*)\]", text.strip())
    items = [item.strip() for item in plain[1].split(",")] if plain else []
    if not items or not all(items):
        return ""
    quoted = ", ".join(f'"{redact(item)}"' for item in items)
    return f" - put each text in quotes: --set '{key.strip()}=[{quoted}]'"


def _place(document: Document, parts: list[str], value: Any) -> tuple[KeyPath, str]:
    """Put ``value`` where the keys lead; returns the path and what is in the way."""
    unknown = _unknown_camera(document.data, parts)
    if unknown:
        return tuple(parts), unknown
    path: KeyPath = ()
    here: Any = document.data
    for n, part in enumerate(parts):
        is_last = n + 1 == len(parts)
        key: str | int = part
        if isinstance(here, list):
            if not part.isdecimal() or int(part) > len(here):
                return (*path, part), f"should be the number of one of {len(here)} items, from 0"
            key = int(part)
            if key == len(here):
                here.append(None)
        path = (*path, key)
        if is_last:
            here[key] = value
            return path, ""
        below = here.get(key) if isinstance(here, dict) else here[int(key)]
        if part == "source" and isinstance(below, str):  # short for {url: ...}
            below = {"url": below}
            document.values[(*path, "url")] = document.values.get(path, Mark(0, 0, 0, ""))
        elif below is None:
            below = {}
        elif not isinstance(below, dict | list):
            return path, f"has no keys below it, it is {shown(below)}"
        here[key] = below
        here = below
    return path, ""


def _unknown_camera(data: dict[str, Any], parts: list[str]) -> str:
    """Text of the fault when the override is for a camera that the configuration does not have."""
    cameras = data.get("cameras")
    if parts[0] == "camera" and "camera" not in data and isinstance(cameras, dict):
        below = dotted(("", *parts[1:]))
        name = next(iter(cameras)) if len(cameras) == 1 else "NAME"
        return f"the cameras are below cameras: write cameras.{name}{below}, or defaults{below} for all"
    if len(parts) < 3 or parts[0] != "cameras":
        return ""
    if cameras is None and "camera" in data:
        return f"there is one camera: write camera.{dotted(tuple(parts[2:]))}"
    if isinstance(cameras, dict) and parts[1] not in cameras:
        return f"no camera '{parts[1]}' (known: {', '.join(cameras)}){did_you_mean(parts[1], cameras)}"
    return ""


def _forget(document: Document, path: KeyPath) -> None:
    """Drop positions and faults of what the override replaced."""
    key = redact(dotted(path))
    document.faults = [fault for fault in document.faults if fault.key != key and not fault.key.startswith(f"{key}.")]
    for places in (document.keys, document.values):
        for old in [known for known in places if known[: len(path)] == path]:
            del places[old]
    document.hidden -= {old for old in document.hidden if old[: len(path)] == path}
