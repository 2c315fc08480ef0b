"""What README.md and the pages of docs/ print can be typed: commands, configurations, Python, links."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import argos
from argos.cli import VERBS
from argos.config import build_config, parse_yaml

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
WRITTEN = [page for page in PAGES if page.name != "CHANGELOG.md" and page.parent.name != "reference"]
SECRETS = {"HOOK_URL": "https://10.0.0.3/", "HOOK_TOKEN": "t", "MQTT_PASSWORD": "p", "ARGOS_TOKEN": 16 * "t"}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *kinds: str) -> Iterator[str]:
    """Fenced blocks of a page, of those kinds: the word behind the fence, or nothing."""
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
        if kind in kinds:
            yield block


def commands(page: Path) -> Iterator[list[str]]:
    """Words of each ``argos VERB ...`` in blocks of a shell, without variables before and comments behind."""
    for block in blocks(page, "", "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split(" && "):
                if part.startswith("argos "):
                    yield shlex.split(part, comments=True)[1:]


@pytest.mark.parametrize("page", [page for page in WRITTEN if any(commands(page))], ids=name_of)
def test_every_command_has_its_verb_and_options(page: Path) -> None:
    for verb, *rest in commands(page):
        whole = " ".join(["argos", verb, *rest])
        parser = argparse.ArgumentParser(prog=f"{whole} ->", add_help=False, allow_abbrev=False)
        importlib.import_module(VERBS[verb][0]).add_arguments(parser)
        parser.parse_args(rest)  # ends the test by naming the command and its fault


@pytest.mark.parametrize("page", [page for page in WRITTEN if any(blocks(page, "yaml"))], ids=name_of)
def test_every_configuration_is_valid(page: Path) -> None:
    for block in blocks(page, "yaml"):
        whole = block if block.startswith("version:") else f"version: 1\ncamera: {{source: webcam:0}}\n{block}"
        build_config(parse_yaml(whole, name_of(page), environ=SECRETS), None, "camera")


@pytest.mark.parametrize("page", [page for page in WRITTEN if any(blocks(page, "python", "py"))], ids=name_of)
def test_what_python_takes_from_argos_is_there(page: Path) -> None:
    for block in blocks(page, "python", "py"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("argos"):
                module = importlib.import_module(node.module or "")
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "argos":
                assert hasattr(argos, node.attr), node.attr


def anchors(page: Path) -> set[str]:
    """Names that links to parts of a page have: of its headings, as GitHub makes them, and its own."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    headings = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in re.findall(r"^#+ (.*)", text, re.M)]
    return {heading.replace(" ", "-") for heading in headings} | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link
