"""Faults of a configuration: where, which key, what was expected and what was found."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from argos.errors import ConfigError
from argos.sources.names import redact

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top: ``("cameras", "door", "rate", "fps")``."""

_WANTS = {
    "bool_type": "true or false",
    "dict_type": "a mapping (key: value)",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_type": "a whole number",
    "model_attributes_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "string_type": "text",
    "tuple_type": "a list",
}
_WANTS_BOUND = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "multiple_of": ("a multiple of", "multiple_of"),
}


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """Where something was written.

    Attributes:
        rank: 0 for the file, n for the n-th override; faults are sorted by it first.
        line, column: from 1; 0 where there is no file.
        label: the file's name or ``--set KEY=VALUE``; empty for sources given on the command line.
    """

    rank: int
    line: int
    column: int
    label: str

    def __str__(self) -> str:
        return f"{self.label}:{self.line}:{self.column}" if self.line else self.label


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong; ``str`` gives its line.

    Attributes:
        mark: where it was written.
        key: dotted key; empty when the text is no valid YAML.
        text: what was expected, what was found, what to do.
    """

    mark: Mark
    key: str
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.mark), self.key, self.text) if part)


class ConfigFaults(ConfigError):  # noqa: N818 (it is a ConfigError, several at once)
    """A ``ConfigError`` that keeps its faults one by one.

    Attributes:
        faults: sorted by position, without repeats.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("\n".join(map(str, self.faults)))


def dotted(path: KeyPath) -> str:
    """``("outputs", 0, "path")`` as ``outputs.0.path``, the form ``--set`` takes."""
    return ".".join(map(str, path))


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """`` - did you mean 'x'?`` or nothing."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f" - did you mean '{close[0]}'?" if close else ""


def shown(value: object) -> str:
    """A value as the reader wrote it, shortened, without passwords."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            text = redact(value)
            return repr(text if len(text) <= 60 else text[:57] + "...")
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list" if len(value) else "an empty list"
        case _:
            text = f"{value:g}" if isinstance(value, float) else str(value)
            return text if len(text) <= 60 else text[:57] + "..."


def faults_of_validation(
    errors: Sequence[ErrorDetails], data: object, model: type[BaseModel]
) -> list[tuple[KeyPath, str]]:
    """Say each error of pydantic in our words, one per key.

    Args:
        errors: ``ValidationError.errors()``.
        data: what was validated.
        model: the model that was asked for.

    Returns:
        Path below ``data`` and text. Branches of a union are joined (``a whole number or 'dynamic'``).
    """
    grouped: dict[KeyPath, list[ErrorDetails]] = {}
    for error in errors:
        grouped.setdefault(_path_in(data, error), []).append(error)
    texts = []
    for path, group in grouped.items():
        # pydantic also counts a list short of the items that failed
        inside = any(other[: len(path)] == path and other != path for other in grouped)
        if not (inside and {error["type"] for error in group} == {"too_short"}):
            texts.append((path, _text(group, model)))
    return texts


def _path_in(data: object, error: ErrorDetails) -> KeyPath:
    """The location of an error without the names pydantic inserts for branches of a union."""
    path: list[str | int] = []
    here: Any = data
    for n, part in enumerate(error["loc"]):
        is_last = n + 1 == len(error["loc"])
        in_list = isinstance(here, list | tuple) and isinstance(part, int) and part < len(here)
        if in_list or (isinstance(here, Mapping) and part in here):
            here = here[part]
        elif not (error["type"] == "missing" and is_last and isinstance(part, str)):
            continue
        path.append(part)
    return tuple(path)


def _text(group: list[ErrorDetails], model: type[BaseModel]) -> str:
    """One text for all errors of one key."""
    first = group[0]
    for error in group:
        if error["type"] == "value_error":
            return str(error["ctx"]["error"])
    if first["type"] == "extra_forbidden":
        return "unknown key" + _nearest_key(first["loc"], model)
    if first["type"] == "missing" and isinstance(first["loc"][-1], str):
        return "is required" + (": write version: 1" if first["loc"] == ("version",) else "")
    if first["type"] == "union_tag_not_found":
        return "the key 'type' is required"
    if first["type"] == "union_tag_invalid":
        tag, known = first["ctx"]["tag"], re.findall(r"'(\w+)'", first["ctx"]["expected_tags"])
        return f"type should be {_any_of(known)}, got {shown(tag)}{did_you_mean(tag, known)}"
    known = [word for error in group for word in _literals(error)]
    value = first["input"]
    wants = list(dict.fromkeys(_want(error) for error in group if error["type"] != "missing" or error is group[-1]))
    return f"should be {' or '.join(wants)}, got {shown(value)}{_hint(group, value, known)}"


def _want(error: ErrorDetails) -> str:
    """What the error asks for, to follow "should be"."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _WANTS:
        return _WANTS[kind]
    if kind in _WANTS_BOUND:
        words, name = _WANTS_BOUND[kind]
        return f"{words} {context[name]:g}"
    if kind == "literal_error":
        return str(context["expected"])
    if kind == "too_long":
        return f"a list of {context['max_length']}"
    if kind == "too_short":
        return f"a list of at least {context['min_length']}"
    if kind == "missing":  # the last of a fixed number of values
        return f"a list of {int(error['loc'][-1]) + 1}"
    return f"valid ({error['msg']})"


def _hint(group: list[ErrorDetails], value: object, known: Sequence[str]) -> str:
    kinds = {error["type"] for error in group}
    if isinstance(value, str):
        if kinds & {"int_type", "float_type"} and re.fullmatch(r"[-+]?\d+(\.\d+)?", value):
            return " (remove the quotes)"
        return did_you_mean(value, known)
    if kinds == {"string_type"} and isinstance(value, bool | int | float):
        return " (put it in quotes)"
    return ""


def _literals(error: ErrorDetails) -> list[str]:
    return re.findall(r"'([^']*)'", error["ctx"]["expected"]) if error["type"] == "literal_error" else []


def _any_of(words: Sequence[str]) -> str:
    *head, last = [f"'{word}'" for word in words]
    return f"{', '.join(head)} or {last}" if head else last


def _nearest_key(loc: Sequence[str | int], model: type[BaseModel]) -> str:
    """A known key that resembles the unknown one, or has its name one level further down."""
    models = [model]
    for part in loc[:-1]:
        inner = [
            found
            for m in models
            if isinstance(part, str) and part in m.model_fields
            for found in models_in(m.model_fields[part].annotation)
        ]
        tagged = [m for m in models if "type" in m.model_fields and part in get_args(m.model_fields["type"].annotation)]
        models = inner or tagged or models
    fields = {name: field for m in models for name, field in m.model_fields.items()}
    word = str(loc[-1])
    below = [f"{name}.{word}" for name, f in fields.items() for m in models_in(f.annotation) if word in m.model_fields]
    hint = did_you_mean(word, fields)
    if not hint and below:
        hint = f" - did you mean '{below[0]}'?"
    return hint or f" - known here: {', '.join(fields)}"


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models a field's type mentions, in order."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is Literal:
        return []
    return [found for argument in get_args(annotation) for found in models_in(argument)]
