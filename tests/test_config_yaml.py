"""YAML with positions, YAML 1.2 scalars and substitution."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from argos.config_yaml import MAX_NODES, dump_yaml, parse_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=30)
# words that one version of YAML or the other reads as something else than text
WORDS = "no Yes on OFF y ~ null true 0123 0o17 0x1F 1:20 1e3 1_000 .5 .inf 2024-01-02 << = # ${A} $${x} *a &a !a"
TRAPS = st.sampled_from([*WORDS.split(), "- a", "a: b", "", " ", "'", "%a", "@a", "`"])
SCALARS = st.one_of(TEXT, TRAPS, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False))
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | TRAPS, inner, max_size=3), max_leaves=8
)


@given(DATA)
@settings(deadline=None, max_examples=300)
def test_what_is_dumped_is_read_back(data: Any) -> None:
    document = parse_yaml(dump_yaml({"key": data}), "f", environ={})
    assert document.faults == []
    assert document.data == {"key": data}
    assert repr(document.data) == repr({"key": data})  # == would take True for 1


@given(TEXT | TRAPS)
@settings(deadline=None)
def test_other_readers_read_dumped_text_as_the_same_text(text: str) -> None:
    assert yaml.safe_load(dump_yaml([text])) == [text.replace("${", "$${")]


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=200)
def test_any_text_is_read_or_named_as_a_fault(text: str) -> None:
    document = parse_yaml(text, "f", environ={})
    assert all(str(fault).startswith("f:") and "\n" not in str(fault) for fault in document.faults)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("Yes", "Yes"), ("on", "on"), ("1:20", "1:20"), ("0123", "0123"), ("-012", "-012"),
        ("1_000", "1_000"), ("2024-01-02", "2024-01-02"), ("=", "="), ("'5'", "5"),
        ('"true"', "true"), ("!!str 5", "5"),
        ("true", True), ("FALSE", False), ("null", None), ("~", None), ("", None),
        ("0", 0), ("-5", -5), ("+5", 5), ("0x1F", 31), ("0o17", 15),
        ("1e3", 1000.0), ("1.", 1.0), (".5", 0.5), ("-1.5e-3", -0.0015), (".inf", math.inf), ("-.INF", -math.inf),
        ("01.5", "01.5"), ("[a, 1]", ["a", 1]), ("{no: 1}", {"no": 1}), ("{1: a}", {"1": "a"}),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    document = parse_yaml(f"key: {text}", "f")
    assert repr(document.data["key"]) == repr(value)
    assert document.faults == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a: 1\nb: 2\na: 3\n", ["f:3:1: a: duplicate key, first on line 1"]),
        ("a: {b: 1, b: 2}\nc:\n  d: 1\n  d: 1\n",
         ["f:1:11: a.b: duplicate key, first on line 1", "f:4:3: c.d: duplicate key, first on line 3"]),
        ("a: [1, 2\nb: 3\n", ["f:2:2: not YAML: expected ',' or ']', but got ':'"]),
        ("a: 1\n\tb: 2\n", ["f:2:1: not YAML: found character '\\t' that cannot start any token (indent with spaces)"]),
        ("a: b: c\n", ["f:1:5: not YAML: mapping values are not allowed here"]),
        ("a: [b?c]\n",
         ["f:1:6: not YAML: expected ',' or ']', but got '?' (inside { } and [ ], put text with a ? in quotes)"]),
        ("a: 'open\n", ["f:2:1: not YAML: found unexpected end of stream"]),
        ("a: 1\nb: \x07\n", ["f:2:4: not YAML: character 7 is not allowed"]),
        ("a: *b\n", ["f:1:4: not YAML: found undefined alias 'b'"]),
        ("a: 1\n---\nb: 1\n", ["f:2:1: not YAML: but found another document"]),
        ("a: {fps: ${FPS:-5}}\n",
         ["f:1:11: not YAML: expected ',' or '}', but got '{' (inside { } and [ ], put ${...} in quotes; a number: its "
          "key on a line of its own)"]),
        ("a: !!python/object:os.system x\n", ["f:1:4: a: the tag !!python/object:os.system is not supported"]),
        ("a: !secret x\n", ["f:1:4: a: the tag !secret is not supported"]),
        ("a: !!set {x}\n", ["f:1:4: a: the tag !!set is not supported"]),
        ("a: !!int x\n", ["f:1:4: a: the tag !!int does not fit 'x'"]),
        ("? [a, b]\n: 1\n", ["f:1:3: a key should be text, got a list or mapping"]),
        ("a: &x\n  b: *x\n", ["f:1:4: a.b: is an alias of a mapping or list that holds it"]),
        ("a: ${NOT_SET}\n",
         ["f:1:4: a: environment variable NOT_SET is not set - set it or give a default: ${NOT_SET:-value}"]),
        ("a: x${EMPTY}y\n",
         ["f:1:4: a: environment variable EMPTY is empty - set it or give a default: ${EMPTY:-value}"]),
        ("a: ${not a name}\n",
         ["f:1:4: a: cannot read ${not a name}: write ${NAME}, ${NAME:-default} or ${file:path}; "
          "$${ gives a literal ${"]),
        ("a: ${file:nowhere.txt}\n",
         ["f:1:4: a: cannot read nowhere.txt (No such file or directory) - create it or correct ${file:...}"]),
        ("a: ${file:.}\n", ["f:1:4: a: cannot read . (Is a directory) - create it or correct ${file:...}"]),
        ("a: ${file:/dev/zero}\n", ["f:1:4: a: cannot use /dev/zero: longer than 65536 characters"]),
    ],
)  # fmt: skip
def test_faults_are_placed_and_said(tmp_path: Path, text: str, lines: list[str]) -> None:
    document = parse_yaml(text, "f", folder=tmp_path, environ={"EMPTY": ""})
    assert [str(fault) for fault in document.faults] == lines


def test_substituted_plain_scalars_get_their_type_and_quoted_ones_stay_text(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret:0\n")
    text = 'a: ${N}\nb: "${N}"\nc: ${M:-1e3}\nd: ${M:-}\ne: x${N}y\nf: $${N}\ng: ${file:password}\n'
    document = parse_yaml(text, "f", folder=tmp_path, environ={"N": "5"})
    assert document.data == {"a": 5, "b": "5", "c": 1000.0, "d": None, "e": "x5y", "f": "${N}", "g": "s3cret:0"}
    assert document.secrets == {"s3cret:0"}
    assert document.hidden == {("g",)}


def test_variables_named_like_a_password_are_secrets() -> None:
    document = parse_yaml("a: ${CAM_PASSWORD}\nb: ${CAM_HOST}\n", "f", environ={"CAM_PASSWORD": "x1", "CAM_HOST": "h"})
    assert document.secrets == {"x1"}


def test_positions_are_those_of_keys_and_values() -> None:
    document = parse_yaml("a:\n  b: {c: 1}\n  d:\n    - 7\n", "f")
    assert [str(document.keys["a", "b", "c"]), str(document.values["a", "b", "c"])] == ["f:2:7", "f:2:10"]
    assert str(document.values["a", "d", 0]) == "f:4:7"


def test_deep_nesting_is_a_fault_not_a_crash() -> None:
    document = parse_yaml("[" * 3_000, "f")
    assert [fault.text for fault in document.faults] == ["not YAML: nested too deeply"]


def test_aliases_cannot_expand_without_limit() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    document = parse_yaml(text, "f")
    assert [fault.text for fault in document.faults] == [f"holds more than {MAX_NODES} values, aliases counted"]
