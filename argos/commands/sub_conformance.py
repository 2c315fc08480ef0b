"""``argos sub ENDPOINT --conformance``: whether a publisher keeps the rules of ``argos/1``."""

from __future__ import annotations

import argparse
import sys
import time

import zmq

from argos.errors import SourceError, UsageError
from argos.publishing.conformance import RULES, Conformance
from argos.publishing.curve import read_client_keys, speak_curve
from argos.publishing.endpoints import connect
from argos.publishing.socket_options import LARGEST_MESSAGE

BROKEN = 7


def run_conformance(args: argparse.Namespace) -> int:
    """Watch for ``--conformance`` seconds or ``--count`` messages, and print one line for each rule.

    Returns:
        0, or 7 when a rule was broken.

    Raises:
        UsageError: the address is wrong, or arguments do not go together.
        ConfigError: a key file cannot be read.
        SourceError: no message came at all.
    """
    if args.camera or args.kind:
        raise UsageError("--conformance looks at every camera and kind; leave --camera and --kind out")
    if args.every:
        raise UsageError("--conformance looks at the address publish.bind; leave --every out")
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
        socket.setsockopt(zmq.RCVHWM, 0)  # this reader is quick; a loss of its own would be laid at another's door
        if args.server_key is not None:
            speak_curve(socket, read_client_keys(args.server_key, args.client_key))
        try:
            connect(socket, args.endpoint)
        except ValueError as error:
            raise UsageError(str(error)) from error
        socket.subscribe(b"argos/1/")
        conformance = _watch(socket, args.conformance, args.count)
    if not conformance.messages and not conformance.broken:
        words = (
            f"{args.endpoint}: no message for {args.conformance:g} s; is the publisher running, does it ask for keys?"
        )
        raise SourceError(words, "timeout")
    conformance.finish(time.monotonic())
    sys.stdout.write(report(conformance))
    return BROKEN if conformance.broken else 0


def _watch(socket: zmq.Socket[bytes], seconds: float, count: int | None) -> Conformance:
    began_s = time.monotonic()
    conformance = Conformance(began_s)
    while (left_s := began_s + seconds - time.monotonic()) > 0:
        if socket.poll(round(1000 * left_s)):
            conformance.take(socket.recv_multipart(), time.monotonic(), time.time_ns())
        if count is not None and conformance.messages.total() >= count:
            break
    return conformance


def report(conformance: Conformance) -> str:
    """One line for each rule, and the first examples of those that were broken."""
    lines = []
    for rule, tally in conformance.tallies.items():
        fared = "not seen" if not tally.checked else f"broken {tally.broken} of" if tally.broken else "kept"
        lines.append(f"{rule:<10} {fared:<12} {tally.checked:>6}  {RULES[rule]}")
        lines += [f"{'':<10} {example}" for example in tally.examples]
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(conformance.messages.items()))
    lines.append(f"{kinds}; {conformance.missed} missed on the way, {conformance.unknown} of unknown kinds")
    return "\n".join(lines) + "\n"
