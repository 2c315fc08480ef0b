"""``argos check CONFIG``: every error of a configuration, and whether its sources open."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argos.errors import ConfigError

if TYPE_CHECKING:
    from argos.config import Config

UNAVAILABLE = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos check``."""
    parser.add_argument("config", metavar="CONFIG", type=Path, help="the camera.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for argos run")
    parser.add_argument("--connect", action="store_true", help="open each source too; exit 3 if one does not")
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "--resolved", action="store_true", help="print the complete configuration, defaults filled in, secrets masked"
    )
    output.add_argument("--json", action="store_true", help="print a report as JSON")


def run(args: argparse.Namespace) -> int:
    """Check; returns 2 with errors in the configuration, 3 when ``--connect`` finds a source that does not open.

    Raises:
        ConfigError: with every fault, unless ``--json`` reports them.
    """
    from argos.config import build_config, read_document
    from argos.config_paths import config_warnings
    from argos.config_report import config_digest, resolved_yaml

    try:
        document = read_document(args.config, args.set)
        config = build_config(document, args.config.parent, args.config.stem)
    except ConfigError as error:
        if not args.json:
            raise
        print(json.dumps({"ok": False, "errors": _errors(error), "warnings": []}, indent=2))
        return error.exit_code

    warnings = config_warnings(config)
    sources = _connect(config) if args.connect else {}
    if args.resolved:
        print(resolved_yaml(config, sorted(document.secrets)), end="")
    elif args.json:
        report = {"ok": not any(error for _, error in sources.values()), "errors": [], "warnings": warnings}
        report |= {"digest": config_digest(config), "cameras": list(config.cameras)}
        if args.connect:
            report["sources"] = {name: {"ok": not error, "text": text} for name, (text, error) in sources.items()}
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(_summary(args.config, config)))
    if not args.json:
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
        for name, (text, fault) in sources.items():
            print(f"camera '{name}': {text}", file=sys.stderr if fault else sys.stdout)
    return UNAVAILABLE if any(error for _, error in sources.values()) else 0


def _errors(error: ConfigError) -> list[dict[str, Any]]:
    from argos.config_faults import ConfigFaults

    if not isinstance(error, ConfigFaults):
        return [{"file": "", "line": None, "column": None, "key": "", "text": str(error)}]
    return [
        {
            "file": fault.mark.label,
            "line": fault.mark.line or None,
            "column": fault.mark.column or None,
            "key": fault.key,
            "text": fault.text,
        }
        for fault in error.faults
    ]


def _summary(path: Path, config: Config) -> list[str]:
    from argos.sources.names import redact

    lines = [f"OK {path}"]
    for name, camera in config.cameras.items():
        rate = "" if camera.rate.fps is None else f", at most {camera.rate.fps:g} fps"
        lines.append(
            f"  {name}: {redact(camera.source.url)}, {' and '.join(camera.tasks)}, {camera.regions.mode}{rate}"
        )
    lines.append(
        f"  publishes: {', '.join(config.publish.kinds)} on {config.publish.bind}" if config.publish.bind else ""
    )
    for output in config.outputs:
        match output.type:
            case "webhook":
                lines.append(f"  tells: webhook {output.model_dump()['url']}")  # without its secrets
            case "mqtt":
                lines.append(f"  tells: mqtt {output.host}")
            case _:
                lines.append(f"  writes: {output.type} {output.path}")
    return [line for line in lines if line]


def _connect(config: Config) -> dict[str, tuple[str, str]]:
    """Text and error (empty when it opened) of each camera's source."""
    from argos.config import source_options
    from argos.sources.probe import probe

    found = {}
    for name, camera in config.cameras.items():
        options = source_options(camera)
        # one attempt only, so with more patience than a run that tries again
        options = replace(options, open_timeout_s=max(8.0, options.open_timeout_s))
        report = probe(camera.source.url, 1.0, options)
        height, width = report.size or (0, 0)
        found[name] = (report.error or f"opens, {report.codec} {width}x{height}", report.error)
    return found
