"""YAML with positions: scalars as in YAML 1.2, no duplicate keys, ``${...}`` substitution.

Stock PyYAML reads ``1:20`` as 80, ``no`` as False, ``0123`` as 83 and ``1e3`` as text, and lets the last of two equal
keys win. Here ``1:20``, ``no`` and ``0123`` are text, ``1e3`` is a number and a second key is a fault.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from argos.config_faults import Fault, KeyPath, Mark, dotted
from argos.sources.names import redact

MAX_NODES = 20_000
"""Most values in one document, aliases counted as often as they are used (a few lines can expand to billions)."""

_SECRET_NAME = re.compile(r"PASS|PWD?$|PW_|SECRET|TOKEN|KEY|CRED", re.IGNORECASE)
_SUBSTITUTION = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:-(.*))?", re.DOTALL)

# A leading zero makes it text (a code, a password), where YAML 1.2 would drop the zero.
_INT = r"[-+]?(?:0|[1-9][0-9]*)"
_CORE = {
    "null": r"(?:null|Null|NULL|~|)",
    "bool": r"(?:true|True|TRUE|false|False|FALSE)",
    "int": rf"(?:{_INT}|0o[0-7]+|0x[0-9a-fA-F]+)",
    "float": rf"(?:(?:{_INT}(?:\.[0-9]*)?|[-+]?\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))",
}
_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """Only composes nodes; their values are made by ``_Reader``."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own way)


class _Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML would not read as text."""


for _name, _pattern in _CORE.items():
    _regexp = re.compile(rf"^{_pattern}$")
    _Loader.add_implicit_resolver(_TAG + _name, _regexp, None)
    _Dumper.add_implicit_resolver(_TAG + _name, _regexp, None)


@dataclass(slots=True)
class Document:
    """What a text holds, with positions.

    Attributes:
        data: mappings, lists, text, numbers, booleans and None.
        keys: where the key of each path stands.
        values: where its value stands.
        hidden: paths whose value holds a secret; messages do not show it.
        secrets: the secret values (from ``${file:...}`` and from variables named like a password).
        faults: everything wrong so far.
    """

    data: Any = None
    keys: dict[KeyPath, Mark] = field(default_factory=dict)
    values: dict[KeyPath, Mark] = field(default_factory=dict)
    hidden: set[KeyPath] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)


def parse_yaml(
    text: str, label: str, *, folder: Path | None = None, environ: Mapping[str, str] | None = None, rank: int = 0
) -> Document:
    """Read one YAML document.

    ``${NAME}`` and ``${NAME:-default}`` are replaced by an environment variable, ``${file:path}`` by the content of a
    file without the newline at its end, ``$${`` by ``${``. A plain scalar gets its type after the substitution, a
    quoted one stays text.

    Args:
        text: the document.
        label: name for messages.
        folder: where relative paths of ``${file:...}`` start; default the current directory.
        environ: variables; default those of the process.
        rank: 0 for a file; an override has its number instead and no line numbers.

    Returns:
        The document; ``faults`` is not empty where something is wrong.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        mark = Mark(rank, before.count("\n") + 1, error.position - before.rfind("\n"), label)
        return Document(faults=[Fault(_placed(mark), "", f"not YAML: character {error.character!r} is not allowed")])
    except yaml.MarkedYAMLError as error:
        return Document(faults=[_syntax_fault(error, text, label, rank)])
    except RecursionError:
        return Document(faults=[Fault(Mark(rank, 0, 0, label), "", "not YAML: nested too deeply")])
    reader = _Reader(loader, label, folder or Path(), os.environ if environ is None else environ, rank)
    if node is not None:
        reader.document.data = reader.read(node, (), ())
    return reader.document


def dump_yaml(data: Any) -> str:
    """YAML that ``parse_yaml`` reads back to the same data; keys keep their order."""
    text: str = yaml.dump(
        _escaped(data), Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110
    )
    return text


def _escaped(data: Any) -> Any:
    if isinstance(data, str):
        return data.replace("${", "$${")
    if isinstance(data, Mapping):
        return {key: _escaped(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_escaped(value) for value in data]
    return data


def _placed(mark: Mark) -> Mark:
    """Overrides have no lines."""
    return Mark(mark.rank, 0, 0, mark.label) if mark.rank else mark


def _syntax_fault(error: yaml.MarkedYAMLError, text: str, label: str, rank: int) -> Fault:
    place = error.problem_mark or error.context_mark
    line, column = (place.line, place.column) if place else (0, 0)
    problem = error.problem or error.context or "cannot be read"
    rows = text.splitlines()
    hint = ""
    if "'\\t'" in problem:
        hint = " (indent with spaces)"
    elif not rank and "got '?'" in problem:
        hint = " (inside { } and [ ], put text with a ? in quotes)"
    elif line < len(rows) and re.search(r"[{\[].*\$\{", rows[line]):
        hint = " (inside { } and [ ], put ${...} in quotes; a number: its key on a line of its own)"
    return Fault(_placed(Mark(rank, line + 1, column + 1, label)), "", f"not YAML: {problem}{hint}")


class _Reader:
    """Makes values of nodes; one per document."""

    def __init__(self, loader: _Loader, label: str, folder: Path, environ: Mapping[str, str], rank: int) -> None:
        self.document = Document()
        self._loader = loader
        self._label = label
        self._folder = folder
        self._environ = environ
        self._rank = rank
        self._nodes = 0

    def read(self, node: yaml.Node, path: KeyPath, parents: tuple[int, ...]) -> Any:
        """The value of ``node``; ``parents`` are the nodes around it, to refuse an alias to one of them."""
        self.document.values.setdefault(path, self._mark(node))
        self._nodes += 1
        if id(node) in parents:
            return self._fault(node, path, "is an alias of a mapping or list that holds it")
        if self._nodes > MAX_NODES:
            if self._nodes == MAX_NODES + 1:
                self._fault(node, path, f"holds more than {MAX_NODES} values, aliases counted")
            return None
        if not isinstance(node, yaml.ScalarNode) and node.tag not in (_TAG + "map", _TAG + "seq"):
            return self._fault(node, path, f"the tag {_short(node.tag)} is not supported")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, (*parents, id(node)))
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, n), (*parents, id(node))) for n, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, parents: tuple[int, ...]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(key_node, path, "a key should be text, got a list or mapping")
                continue
            key = str(key_node.value)  # keys are always text: a camera may be called 1 or no
            below = (*path, key)
            if key in data:
                first = self.document.keys[below]
                where = f", first on line {first.line}" if first.line else ""
                self._fault(key_node, below, f"duplicate key{where}")
                continue
            self.document.keys[below] = self._mark(key_node)
            data[key] = self.read(value_node, below, parents)
        return data

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        text, tag = str(node.value), node.tag
        if "${" in text:
            text = _SUBSTITUTION.sub(lambda match: self._substitute(match, node, path), text)
            if isinstance(node, yaml.ScalarNode) and node.style is None and tag == _TAG + "str":
                tag = self._loader.resolve(yaml.ScalarNode, text, (True, False))
        try:
            return _value(tag.removeprefix(_TAG), text)
        except ValueError as error:
            return self._fault(node, path, str(error))

    def _substitute(self, match: re.Match[str], node: yaml.Node, path: KeyPath) -> str:
        inner = match.group(1)
        if inner is None:
            return "${"
        if inner.startswith("file:"):
            return self._file(inner.removeprefix("file:"), node, path)
        variable = _VARIABLE.fullmatch(inner)
        if variable is None:
            form = "${NAME}, ${NAME:-default} or ${file:path}; $${ gives a literal ${"
            self._fault(node, path, f"cannot read {match.group()}: write {form}")
            return ""
        name, _, default = variable.groups()
        value = self._environ.get(name, "")
        if value and _SECRET_NAME.search(name):
            self._hide(value, path)
        if not value and default is None:
            state = "is empty" if name in self._environ else "is not set"
            remedy = f"set it or give a default: ${{{name}:-value}}"
            self._fault(node, path, f"environment variable {name} {state} - {remedy}")
        return value or default or ""

    def _file(self, name: str, node: yaml.Node, path: KeyPath) -> str:
        try:
            with open(self._folder / name, encoding="utf-8") as stream:
                value = stream.read(65_537)  # bounded: the path may be a device
        except OSError as error:
            self._fault(node, path, f"cannot read {name} ({error.strerror}) - create it or correct ${{file:...}}")
            return ""
        except UnicodeDecodeError:
            self._fault(node, path, f"cannot read {name}: not UTF-8 text")
            return ""
        if len(value) > 65_536:
            self._fault(node, path, f"cannot use {name}: longer than 65536 characters")
            return ""
        value = value.removesuffix("\n").removesuffix("\r")
        self._hide(value, path)
        return value

    def _hide(self, value: str, path: KeyPath) -> None:
        self.document.hidden.add(path)
        if value:
            self.document.secrets.add(value)

    def _mark(self, node: yaml.Node) -> Mark:
        mark = node.start_mark
        return _placed(Mark(self._rank, mark.line + 1, mark.column + 1, self._label))

    def _fault(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        self.document.faults.append(Fault(self._mark(node), redact(dotted(path)), text))


def _value(kind: str, text: str) -> Any:
    match kind:
        case "str":
            return text
        case "null":
            return None
        case "bool" if re.fullmatch(_CORE["bool"], text):
            return text.lower() == "true"
        case "int" if re.fullmatch(_CORE["int"], text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        case "float" if re.fullmatch(_CORE["float"], text):
            return float(re.sub(r"\.(inf|nan)", r"\1", text.lower()))  # Python spells .inf without the dot
        case "bool" | "int" | "float":
            raise ValueError(f"the tag !!{kind} does not fit {text!r}")
        case _:
            raise ValueError(f"the tag {kind if kind.startswith('!') else '!!' + kind} is not supported")


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag
