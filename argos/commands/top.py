"""``argos top ENDPOINT``: the cameras of a publisher, as a table that is drawn again every second."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

from argos.commands.seconds import seconds
from argos.commands.sub import check_keys
from argos.commands.whole_numbers import at_least_one
from argos.errors import SourceError, UsageError
from argos.publishing.subscriber import Subscriber
from argos.types import OVERLOAD_STEPS, Result, Status

COLUMNS = ("camera", "state", "in fps", "out fps", "age ms", "people", "mode", "computed", "dropped", "overload")


@dataclass(slots=True)
class _Row:
    """The newest of one camera."""

    status: Status | None = None
    result: Result | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos top``."""
    parser.add_argument("endpoint", metavar="ENDPOINT", help="address of the publisher, as in tcp://127.0.0.1:5555")
    parser.add_argument("--every", metavar="S", type=seconds, default=1.0, help="seconds between tables (default: 1)")
    parser.add_argument("--count", metavar="N", type=at_least_one, help="stop after N tables")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of each table")
    parser.add_argument("--timeout", metavar="S", type=seconds, default=10.0, help="give up after S seconds without a "
                        "message (default: 10)")  # fmt: skip
    parser.add_argument("--server-key", metavar="FILE", help="public key of the publisher (argos keygen: server.key)")
    parser.add_argument("--client-key", metavar="FILE", help="keys of this subscriber (NAME.key_secret)")


def run(args: argparse.Namespace) -> int:
    """Show until ``--count`` or Ctrl-C.

    Raises:
        UsageError: the address is none, or one key is given without the other.
        ConfigError: a key file cannot be read.
        SourceError: nothing arrived for ``--timeout`` seconds.
    """
    check_keys(args)
    try:
        subscriber = Subscriber(
            args.endpoint,
            kinds=["status", "result"],
            timeout=args.timeout,
            server_key=args.server_key,
            client_key=args.client_key,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    try:
        with subscriber:
            _show(subscriber, args)
    except TimeoutError as error:
        raise SourceError(f"{error}; is the publisher running, and does it publish status?", "timeout") from error
    except KeyboardInterrupt:
        return 0
    return 0


def _show(subscriber: Subscriber, args: argparse.Namespace) -> None:
    rows: dict[str, _Row] = {}
    due, shown = time.monotonic() + args.every, 0
    for message in subscriber:
        if isinstance(message, Status):
            rows.setdefault(message.camera, _Row()).status = message
        elif isinstance(message, Result):
            rows.setdefault(message.camera, _Row()).result = message
        if time.monotonic() < due:
            continue
        due = time.monotonic() + args.every
        figures = [figures_of(camera, row.status, row.result) for camera, row in sorted(rows.items())]
        if args.json:
            print(json.dumps({"missed": subscriber.missed, "cameras": figures}), flush=True)
        else:
            home = "\x1b[H\x1b[J" if sys.stdout.isatty() else ""
            print(f"{home}{table(figures, subscriber.missed)}", flush=True)
        shown += 1
        if shown == args.count:
            return


def figures_of(camera: str, status: Status | None, result: Result | None) -> dict[str, Any]:
    """What is known of one camera; null where nothing is."""
    known: dict[str, Any] = {
        "camera": camera,
        "state": None,
        "code": "",
        "fps_in": None,
        "fps_out": None,
        "age_ms": None,
        "people": None,
        "mode": None,
        "share": None,
        "dropped": None,
        "step": None,
    }
    if status is not None:
        known |= {
            "state": status.state,
            "code": status.code,
            "fps_in": round(status.fps_in, 1),
            "fps_out": round(status.fps_out, 1),
            "age_ms": None if status.age_ms is None or status.state != "up" else round(status.age_ms),
            "dropped": sum(status.dropped.values()),
            "step": status.step,
        }
    if result is not None and (status is None or status.state == "up"):
        people = None if result.instances is None else len(result.instances)
        known |= {"people": people, "mode": result.mode, "share": round(result.deep_share, 3)}
    return known


def table(figures: list[dict[str, Any]], missed: int) -> str:
    """The cameras for people to read."""
    lines: list[tuple[str, ...]] = [COLUMNS]
    for row in figures:
        state = f"{row['state'] or '?'} ({row['code']})" if row["code"] else row["state"]
        share = None if row["share"] is None else f"{row['share']:.0%}"
        cells = (row["camera"], state, row["fps_in"], row["fps_out"], row["age_ms"], row["people"], row["mode"], share,
                 row["dropped"], _held_back(row["step"]))  # fmt: skip
        lines.append(tuple("-" if cell is None else str(cell) for cell in cells))
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    text = "\n".join(
        "  ".join(
            f"{cell:<{width}}" if n < 2 else f"{cell:>{width}}"
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
    return f"{text}\n{missed} messages missed on the way"


def _held_back(step: int | None) -> str | None:
    """The step of the ladder under overload, by name where this version knows it."""
    if step is None:
        return None
    return OVERLOAD_STEPS[step] if step < len(OVERLOAD_STEPS) else str(step)
