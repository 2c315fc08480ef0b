"""A configuration as others need it: digest, complete YAML, JSON Schema; never with credentials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from argos.config_models import Config, ConfigFile
from argos.config_yaml import dump_yaml
from argos.sources.names import redact


def _plain(config: Config, secrets: Sequence[str] = ()) -> dict[str, Any]:
    """The configuration as mappings, lists and values, without credentials and ``secrets``."""

    def clean(value: Any) -> Any:
        match value:
            case str():
                for secret in secrets:
                    value = value.replace(secret, "***")
                return redact(value)
            case dict():
                return {key: clean(inner) for key, inner in value.items()}
            case list():
                return [clean(inner) for inner in value]
            case _:
                return value

    plain = config.model_dump(mode="json")
    order = ("version", "cameras", "engine", "publish", "outputs", "http", "logging")
    plain["cameras"] = {
        name: {key: value for key, value in camera.items() if key != "name"}
        for name, camera in plain["cameras"].items()
    }
    return {key: clean(plain[key]) for key in order}


def config_digest(config: Config) -> str:
    """``sha256:...`` of the complete configuration without credentials; equal for equal settings."""
    text = json.dumps(_plain(config), sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def resolved_yaml(config: Config, secrets: Sequence[str] = ()) -> str:
    """The complete configuration as YAML that loads again; credentials and ``secrets`` are masked."""
    return dump_yaml(_plain(config, sorted(secrets, key=len, reverse=True)))


def config_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of ``camera.yaml`` for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ConfigFile.model_json_schema()}
