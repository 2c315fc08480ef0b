"""The pages of docs/reference are what the code says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from argos.publishing.wire import EventHeader, ResultHeader, StatusHeader

DOCS = Path(__file__).parents[1] / "docs"

_spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
assert _spec is not None
assert _spec.loader is not None
make_reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_reference)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    pytest.importorskip("prometheus_client")
    made: dict[str, str] = make_reference.pages()
    return made


def test_every_page_is_up_to_date(pages: dict[str, str]) -> None:
    stale = [name for name, text in pages.items() if (DOCS / "reference" / name).read_text("utf-8") != text]
    assert stale == [], "the code has changed: run python docs/make_reference.py and commit docs/reference/"


def test_no_page_is_left_over_and_none_is_empty_of_what_it_is_about(pages: dict[str, str]) -> None:
    assert {path.name for path in (DOCS / "reference").iterdir()} == set(pages)
    for name, words in {
        "configuration.md": ["## `camera.zones.NAME.crowd`", "| `end_people` |", "## `outputs` of type `mqtt`"],
        "cli.md": ["## argos replay", "`--events`", "### argos models list"],
        "metrics.md": ["`argos_frames_processed_total` | counter |", "`argos_output_dropped_total`"],
        "messages.md": ["## result", "## hello", "[MaskHeader](#maskheader)"],
        "events.md": ["`crowd_start`", "| `occupancy` | integer or null |"],
    }.items():
        for word in words:
            assert word in pages[name], (name, word)


def test_the_fields_of_results_events_and_statuses_are_explained() -> None:
    plain = {"schema", "run", "camera", "size", "semantic", "state", "t_sent_ns"}  # what the names say is enough
    for header in (ResultHeader, EventHeader, StatusHeader):
        explained = set(re.findall(r"\w+", " ".join(re.findall(r"``([^`]+)``", header.__doc__ or ""))))
        assert set(header.__struct_fields__) - plain <= explained, header


def test_a_change_of_the_code_makes_a_page_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    from argos import cli

    monkeypatch.setitem(cli.VERBS, "run", (cli.VERBS["run"][0], "something else"))
    assert "Something else." in make_reference.command_line()
