"""Writes docs/reference/ from the code: python docs/make_reference.py; a test fails where a page is stale."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

FOLDER = Path(__file__).parent / "reference"
MADE = "<!-- made by docs/make_reference.py: change the code, not this page -->\n"


def pages() -> dict[str, str]:
    """Name of each page -> its text."""
    made = {
        "configuration.md": configuration(),
        "cli.md": command_line(),
        "metrics.md": metrics(),
        "messages.md": messages(),
        "events.md": events(),
    }
    return {name: f"{MADE}{text.rstrip()}\n" for name, text in made.items()}


def configuration() -> str:
    """Every key of camera.yaml."""
    from argos.config_report import config_schema

    schema = config_schema()
    definitions = schema["$defs"]
    lines = [
        "# camera.yaml\n",
        "Every key with its meaning; `argos schema config` prints the same as JSON Schema, `argos init` writes a commented file, "
        "`argos check FILE` names every fault. Text may hold `${NAME}`, `${NAME:-default}` and `${file:path}`.\n",
    ]
    waiting: list[tuple[str, dict[str, Any]]] = [("", schema)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        path, section = waiting.pop(0)
        below: list[tuple[str, dict[str, Any]]] = []
        lines.append(f"\n## {path or 'Top'}\n\n{_cell(section.get('description', ''))}\n")
        lines.append("| key | value | default | meaning |\n|---|---|---|---|")
        for name, field in section["properties"].items():
            for suffix, found in _sections(field, definitions):
                target = _heading(path, name, suffix)
                if target and (target, found["title"]) not in seen:
                    seen.add((target, found["title"]))
                    below.append((target, found))
            default = _default(field, name in section.get("required", ()))
            lines.append(
                f"| `{name}` | {_kind(field, definitions)} | {default} | {_cell(field.get('description', ''))} |"
            )
        waiting = below + waiting
    return "\n".join(lines)


def _heading(path: str, name: str, suffix: str) -> str:
    """Where a mapping stands; empty for what is said elsewhere."""
    if path == "`defaults`":
        return ""  # as below camera
    if suffix.startswith(" "):
        return f"`{name}`{suffix}"
    base = re.sub(r" of type .*", "", path).strip("`")
    whole = f"{base}.{name}{suffix}" if base else f"{name}{suffix}"
    return f"`{re.sub(r'^cameras.NAME', 'camera', whole)}`"


def _sections(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The mappings that a value may be, each with what stands behind its key."""
    if "$ref" in field:
        found = definitions[field["$ref"].rpartition("/")[2]]
        if "properties" in found:
            yield "", found
    for choice in (*field.get("anyOf", ()), *field.get("oneOf", ())):
        for suffix, found in _sections(choice, definitions):
            tag = found["properties"].get("type", {}).get("const")
            yield (f" of type `{tag}`" if tag else suffix), found
    for key in ("additionalProperties", "items"):
        inner = field.get(key)
        if isinstance(inner, dict):
            for suffix, found in _sections(inner, definitions):
                yield (
                    (f".NAME{suffix}" if key == "additionalProperties" else suffix),
                    found,
                )
    for inner in field.get("patternProperties", {}).values():
        for suffix, found in _sections(inner, definitions):
            yield f".NAME{suffix}", found


def _kind(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    if "$ref" in field:
        found = definitions[field["$ref"].rpartition("/")[2]]
        return "mapping" if "properties" in found else _kind(found, definitions)
    if choices := field.get("anyOf") or field.get("oneOf"):
        return " or ".join(dict.fromkeys(_kind(choice, definitions) for choice in choices))
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    words = {
        "string": "text",
        "integer": "whole number",
        "boolean": "`true` or `false`",
        "null": "`null`",
        "object": "mapping",
    }
    kind = str(field.get("type", ""))
    if kind == "array":
        items = field.get("prefixItems") or ([field["items"]] if field.get("items") else [])
        inner = list(dict.fromkeys(_kind(item, definitions) for item in items))
        size = f"{field['minItems']} " if field.get("minItems") == field.get("maxItems", 0) else ""
        return (
            f"list of {size}{' and '.join(inner) or 'any'}"
            if len(inner) < 2 and " or " not in "".join(inner)
            else f"list of {size}({' and '.join(inner)})"
        )
    bounds = [
        f"{sign} {field[name]:g}"
        for name, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if name in field
    ]
    return " ".join([words.get(kind, kind), ", ".join(bounds)]).strip()


def _default(field: Mapping[str, Any], is_required: bool) -> str:
    if is_required:
        return "required"
    value = field.get("default")
    if isinstance(value, dict):
        return "" if value else "`{}`"
    return f"`{msgspec.json.encode(value).decode()}`" if "default" in field else ""


def command_line() -> str:
    """Every verb with its arguments."""
    from argos.cli import _EXIT_CODES, VERBS

    lines = [
        "# Command line\n",
        "`argos [-q | -v] [--log-format FORMAT] VERB ...`; data go to standard output, messages to standard error. "
        "`argos VERB --help` says the same with the verb's examples.\n",
        f"```\n{_EXIT_CODES}\n```\n",
        *(f"- [`argos {verb}`](#argos-{verb}): {summary}" for verb, (_, summary) in VERBS.items()),
    ]
    for verb, (module, summary) in VERBS.items():
        parser = argparse.ArgumentParser(prog=f"argos {verb}", add_help=False)
        importlib.import_module(module).add_arguments(parser)
        lines.append(f"\n## argos {verb}\n\n{summary[0].upper()}{summary[1:]}.\n")
        lines += _arguments(parser)
        if parser.epilog:
            lines.append(f"\n```\n{parser.epilog.strip()}\n```")
    return "\n".join(lines)


def _arguments(parser: argparse.ArgumentParser) -> list[str]:
    rows, below = [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help for choice in action._choices_actions}
            for name, inner in action.choices.items():
                below.append(f"\n### {parser.prog} {name}\n\n{(helps.get(name) or '').capitalize()}.\n")
                below += _arguments(inner)
        elif action.help != argparse.SUPPRESS and action.dest != "help":
            rows.append(f"| {_names(action)} | {_cell(_help(action))} |")
    table = ["| argument | meaning |\n|---|---|", *rows] if rows else []
    return table + below


def _names(action: argparse.Action) -> str:
    metavar = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper().replace("_", "-")
    )
    shown = " ".join(metavar) if isinstance(metavar, tuple) else metavar
    if not action.option_strings:
        return f"`{_cell(str(action.metavar or action.dest))}`" + ("..." if action.nargs in ("+", "*") else "")
    value = "" if action.nargs == 0 else f" {shown}"
    return ", ".join(f"`{_cell(option + value)}`" for option in action.option_strings)


def _help(action: argparse.Action) -> str:
    text = (action.help or "") % {**vars(action), "prog": "argos"}
    if action.choices and action.metavar:
        text += f" ({', '.join(map(str, action.choices))})"
    return text


def metrics() -> str:
    """Every metric of /metrics."""
    from argos.publishing.delivery import DeliveryTally
    from argos.types import Status
    from argos.web.board import Board
    from argos.web.metrics import Metrics, Published

    def status(camera: str) -> Status:
        fields = dict.fromkeys(Status.__dataclass_fields__, 0)
        return Status(**{**fields, "camera": camera, "state": "up", "dropped": {"busy": 1, "publish_result": 1}})  # type: ignore[arg-type]

    board = Board("run", ["door"], {}, status, {"door": {"zones": {"porch": {}}, "lines": {"gate": {}}}})
    published = Published({"result": 1}, {"result": 1}, [("door", "mqtt", DeliveryTally())])
    lines = [
        "# Metrics\n",
        "What `/metrics` tells in Prometheus' text form (key `http`, extra `web`). [The live page's document](../live.md) says how to reach "
        "it, with which labels, and what to watch; counters end in `_total`.\n",
        "| name | type | what |\n|---|---|---|",
    ]
    found = {
        family.name: family
        for family in Metrics(board, "cpu", lambda: published)._registry.collect()
        if family.name.startswith("argos_")
    }
    for name, family in sorted(found.items()):
        whole = {"counter": f"{name}_total", "info": f"{name}_info"}.get(family.type, name)
        lines.append(f"| `{whole}` | {family.type} | {_cell(family.documentation)} |")
    return "\n".join(lines)


def messages() -> str:
    """Every header of argos/1."""
    from argos.publishing import wire

    lines = [
        "# Messages of `argos/1`\n",
        "A message is `[topic, header, part...]` over ZeroMQ; its topic is `argos/1/KIND/CAMERA/`, its header UTF-8 JSON. Boxes and crops are "
        "`[x, y, w, h]` in pixels of the source frame, sizes `[w, h]`; `t_` fields are nanoseconds since 1970. Fields are only ever added; "
        "readers ignore what they do not know. `argos schema message` prints the JSON Schema, `argos sub ENDPOINT --conformance` "
        "holds a publisher against the rules.",
    ]
    parts = [wire.InstanceHeader, wire.MaskHeader, wire.SemanticHeader, wire.Rle]
    for kind, header in wire.HEADERS.items():
        lines += ["", f"## {kind}", "", _text(header), "", *_fields(header)]
    for part in parts:
        lines += ["", f"## {part.__name__}", "", _text(part), "", *_fields(part)]
    return "\n".join(lines)


def events() -> str:
    """The header of an event, and its types."""
    from argos.publishing.wire import EventHeader
    from argos.types import EventCause, EventType

    lines = [
        "# Events\n",
        "One line of `outputs: [{type: events}]`, the body of a webhook, the payload of `PREFIX/CAMERA/event` over MQTT, and the header of a "
        "message of the kind `event` are all this JSON. [What the types mean](../events.md); `argos schema events` prints the JSON Schema.\n",
        _text(EventHeader) + "\n",
        f"`type` is one of {', '.join(f'`{kind}`' for kind in get_args(EventType))}; `cause` one of "
        f"{', '.join(f'`{cause}`' for cause in get_args(EventCause))}.\n",
        *_fields(EventHeader),
    ]
    return "\n".join(lines)


def _fields(struct: type[msgspec.Struct]) -> list[str]:
    schema = msgspec.json.schema(struct)
    definition = schema["$defs"][struct.__name__]
    required = definition.get("required", ())
    rows = []
    for name, field in definition["properties"].items():
        examples = ", ".join(f"`{example}`" for example in field.get("examples", ()))
        rows.append(f"| `{name}` | {_wire_kind(field)} | {examples}{'' if name in required else ' may be absent'} |")
    return ["| field | value | as in |", "|---|---|---|", *rows]


def _wire_kind(field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := field.get("anyOf"):
        return " or ".join(_wire_kind(choice) for choice in choices)
    if field.get("type") == "array":
        items = field.get("prefixItems") or ([field["items"]] if field.get("items") else [])
        inner = list(dict.fromkeys(_wire_kind(item) for item in items))
        size = f"{len(field['prefixItems'])} of " if "prefixItems" in field else "of "
        return f"array {size}{' and '.join(inner)}"
    if field.get("type") == "object":
        values = field.get("additionalProperties")
        return f"object of {_wire_kind(values)}" if isinstance(values, dict) else "object"
    return str(field.get("type", "any"))


def _text(struct: type) -> str:
    paragraphs = (struct.__doc__ or "").strip().replace("``", "`").split("\n\n")
    return "\n\n".join(re.sub(r"\s*\n\s*", " ", paragraph).strip() for paragraph in paragraphs)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("``", "`").strip()


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"wrote {FOLDER / name}")


if __name__ == "__main__":
    main()
