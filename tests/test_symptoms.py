"""What the pages of symptoms name exists: metrics, verbs, keys, codes, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from argos.cli import VERBS
from argos.config_faults import models_in
from argos.config_models import ConfigFile
from argos.errors import SourceError

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted((DOCS / "symptoms").glob("*.md"))


def keys() -> set[str]:
    """The last two parts of every key of a configuration, ``rate.fps``, and the last alone."""
    waiting, found = [ConfigFile], set[str]()
    seen = set()
    while waiting:
        model = waiting.pop()
        if model in seen:
            continue
        seen.add(model)
        for name, field in model.model_fields.items():
            found.add(name)
            for inner in models_in(field.annotation):
                found |= {f"{name}.{below}" for below in inner.model_fields}
                waiting.append(inner)
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_what_a_page_names_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    described = (DOCS / "live.md").read_text("utf-8")
    for metric in re.findall(r"\bargos_\w+", text):
        assert f"`{metric}`" in described, metric
    for verb in re.findall(r"`argos (?:-v )?(\w+)", text):
        assert verb in VERBS, verb
    known = keys()
    for key in re.findall(r"`([a-z_]+\.[a-z_]+)(?:: [^`]*)?`", text):
        assert key in known or (DOCS.parent / key).exists() or key.startswith("argos."), key


def test_every_code_of_a_lost_source_has_a_remedy() -> None:
    codes = set(re.findall(r"``(\w+)``", SourceError.__doc__ or ""))
    assert len(codes) > 8
    table = "\n".join(
        line.split("|")[1]
        for line in (DOCS / "symptoms" / "no-frames.md").read_text("utf-8").splitlines()
        if "|" in line
    )
    assert codes <= set(re.findall(r"`(\w+)`", table))
