"""``argos schema``: JSON Schema of the configuration or of the messages."""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos schema``."""
    parser.description = "Print the JSON Schema of camera.yaml (for editors) or of the headers of argos/1 messages."
    parser.add_argument(
        "what",
        choices=["config", "message", "events"],
        help="camera.yaml, the messages of argos/1, or a line of the output events",
    )


def run(args: argparse.Namespace) -> int:
    """Print it."""
    if args.what == "config":
        from argos.config_report import config_schema

        schema = config_schema()
    elif args.what == "message":
        from argos.publishing.message import message_schema

        schema = message_schema()
    else:
        from argos.publishing.wire import event_schema

        schema = event_schema()
    print(json.dumps(schema, indent=2))
    return 0
