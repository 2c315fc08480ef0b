"""``argos schema``."""

from __future__ import annotations

import json

import pytest

from argos.cli import main


@pytest.mark.parametrize("what", ["config", "message", "events"])
def test_the_schema_is_json_schema(capsys: pytest.CaptureFixture[str], what: str) -> None:
    assert main(["schema", what]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"].startswith("https://json-schema.org/draft/")


def test_every_reference_of_the_config_schema_leads_somewhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "config"]) == 0
    text = capsys.readouterr().out
    schema = json.loads(text)
    names = {line.split('"#/$defs/')[1].split('"')[0] for line in text.splitlines() if '"#/$defs/' in line}
    assert len(names) > 15
    assert names <= set(schema["$defs"])


def test_an_unknown_schema_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "weights"]) == 2
    assert "invalid choice: 'weights'" in capsys.readouterr().err
