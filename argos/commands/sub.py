"""``argos sub ENDPOINT``: follow a publisher."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from argos.commands.seconds import seconds
from argos.commands.whole_numbers import at_least_one
from argos.errors import PublishError, SourceError, UsageError
from argos.publishing.consumer import Consumer
from argos.publishing.jsonl import JsonlWriter, result_line
from argos.publishing.message import KINDS, Message
from argos.publishing.subscriber import Subscriber
from argos.types import Event, Hello, Notice, Overlay, Result, Status

logger = logging.getLogger(__name__)

_Handle = Callable[[Message], None]

_WINDOW = "window"
_QUEUE = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos sub``."""
    parser.description = "Follow what a publisher sends: one line for each message, or --jsonl, or --view."
    parser.add_argument("endpoint", metavar="ENDPOINT", help="address of the publisher, as in tcp://127.0.0.1:5555")
    parser.add_argument("--camera", metavar="N", action="append", help="only this camera; may be repeated")
    parser.add_argument(
        "--kind",
        metavar="K",
        action="append",
        choices=KINDS,
        help=f"only this kind ({', '.join(KINDS)}); may be repeated",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--jsonl", metavar="FILE", help="append each result to FILE as a line of JSON; - is stdout")
    output.add_argument(
        "--view",
        metavar="FILE.jpg",
        nargs="?",
        const=_WINDOW,
        help="show the overlays in a window, or keep the newest one in FILE.jpg (the way without a display: "
        "the OpenCV installed with argos has no windows); stands after ENDPOINT",
    )
    output.add_argument(
        "--conformance",
        metavar="S",
        nargs="?",
        type=seconds,
        const=10.0,
        help="hold everything that comes in S seconds (default: 10) against the rules of argos/1, print how each "
        "fared, and exit with 7 if one was broken; stands after ENDPOINT",
    )
    parser.add_argument(
        "--every",
        metavar="NAME",
        help="get every message: ENDPOINT is the address publish.every, which keeps for NAME what it has not done "
        "with, also while it is away",
    )
    parser.add_argument("--server-key", metavar="FILE", help="public key of the publisher (argos keygen: server.key)")
    parser.add_argument("--client-key", metavar="FILE", help="keys of this subscriber (NAME.key_secret)")
    parser.add_argument("--count", metavar="N", type=at_least_one, help="stop after N messages")
    parser.add_argument("--timeout", metavar="S", type=seconds, help="give up after S seconds without a message")


def run(args: argparse.Namespace) -> int:
    """Follow until ``--count``, Ctrl-C or the end of a pipe.

    Raises:
        ConfigError: a key file cannot be read.
        UsageError: the address, a camera or a combination of arguments is wrong, or no window can be shown.
        SourceError: nothing arrived for ``--timeout`` seconds.
        PublishError: a file cannot be written.
    """
    check_keys(args)
    if args.conformance is not None:
        from argos.commands.sub_conformance import run_conformance

        return run_conformance(args)
    kinds = _kinds(args)
    handle, close = _output(args)
    try:
        with _subscriber(args, kinds) as subscriber:
            _follow(subscriber, handle, args.count)
            if isinstance(subscriber, Consumer):
                told = (subscriber.missed, subscriber.malformed, subscriber.restarted)
                logger.info("missed %d, malformed %d, publisher restarted %d times", *told)
                return 0
            logger.info(
                "missed %d, discarded %d, malformed %d, publisher restarted %d times",
                subscriber.missed,
                subscriber.discarded,
                subscriber.malformed,
                subscriber.restarted,
            )
    except TimeoutError as error:
        raise SourceError(f"{error}; is the publisher running, and does it publish these kinds?", "timeout") from error
    finally:
        close()
    return 0


def check_keys(args: argparse.Namespace) -> None:
    """Refuse one of ``--server-key`` and ``--client-key`` without the other.

    Raises:
        UsageError: it is.
    """
    if (args.server_key is None) != (args.client_key is None):
        raise UsageError("--server-key and --client-key: expected both or none; argos keygen makes keys")


def _kinds(args: argparse.Namespace) -> list[str]:
    if args.jsonl or args.view:
        only = "result" if args.jsonl else "overlay"
        if args.kind and args.kind != [only]:
            raise UsageError(f"--kind {' '.join(args.kind)}: {'--jsonl' if args.jsonl else '--view'} takes {only} only")
        return [only]
    return args.kind or (["result", "event"] if args.every else ["hello", "status", "result"])


def _subscriber(args: argparse.Namespace, kinds: list[str]) -> Subscriber | Consumer:
    keys = {"server_key": args.server_key, "client_key": args.client_key}
    if args.every:
        try:
            return Consumer(args.endpoint, args.every, args.camera, kinds, timeout=args.timeout, **keys)
        except ValueError as error:
            raise UsageError(str(error)) from error
    queue = None if args.view else _QUEUE
    try:
        return Subscriber(
            args.endpoint,
            args.camera,
            kinds,
            queue=queue,
            timeout=args.timeout,
            **keys,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def _follow(subscriber: Subscriber | Consumer, handle: _Handle, count: int | None) -> None:
    try:
        for n, message in enumerate(subscriber, 1):
            handle(message)
            if n == count:
                return
    except (KeyboardInterrupt, BrokenPipeError) as end:
        if isinstance(subscriber, Consumer):
            subscriber.close(done=False)  # with the message it came in; while the next is waited for there is none
        if isinstance(end, BrokenPipeError):  # the reader of the pipe has had enough, as in `argos sub ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the exit would flush into it again


def _output(args: argparse.Namespace) -> tuple[_Handle, Callable[[], None]]:
    """What is done with a message, and what is done at the end."""
    if args.jsonl == "-":
        return _write_stdout, lambda: None
    if args.jsonl:
        return _appender(JsonlWriter(args.jsonl))
    if args.view == _WINDOW:
        return _window()
    if args.view:
        return partial(_keep_newest, Path(args.view)), lambda: None
    return _write_text, lambda: None


def _appender(writer: JsonlWriter) -> tuple[_Handle, Callable[[], None]]:
    def append(message: Message) -> None:
        if isinstance(message, Result):
            writer.write(message)

    return append, writer.close


def _write_stdout(message: Message) -> None:
    if isinstance(message, Result):
        sys.stdout.buffer.write(result_line(message))
        sys.stdout.buffer.flush()


def _write_text(message: Message) -> None:
    sys.stdout.write(text_of(message) + "\n")
    sys.stdout.flush()


def text_of(message: Message) -> str:
    """One line for a person to read."""
    match message:
        case Hello():
            return f"hello   run {message.run}, argos {message.version}, cameras {' '.join(message.cameras)}"
        case Status():
            cause = f" ({message.code}: {message.message})" if message.code else ""
            return (
                f"status  {message.camera} {message.state}{cause}, {message.fps_in:.1f} frames/s in, "
                f"{message.fps_out:.1f} results/s out, dropped {sum(message.dropped.values())}, epoch {message.epoch}"
            )
        case Result():
            people = "" if message.instances is None else f", {len(message.instances)} people"
            area = "" if message.semantic is None else f", {message.semantic.area:.1%} person"
            return (
                f"result  {message.camera} {message.seq} at {message.pts_s:.3f} s{people}{area}, "
                f"{message.mode}, {message.deep_share:.1%} computed, {sum(message.spans_ms.values()):.1f} ms"
            )
        case Event():
            more = "" if message.dwell_s is None else f" after {message.dwell_s:.1f} s"
            more += f" {message.direction}" if message.direction else f", {message.occupancy} inside"
            return (
                f"event   {message.camera} {message.seq} at {message.pts_s:.3f} s: {message.type} {message.name}, "
                f"person {message.id}{more}, {message.count} so far"
            )
        case Notice():
            return f"notice  {message.camera} {message.seq}: {message.type}, {message.text}"
        case Overlay():
            height, width = message.size
            return (
                f"overlay {message.camera} {message.seq} of result {message.result_seq}, "
                f"{width}x{height} {message.codec}, {len(message.data)} bytes"
            )


def _keep_newest(path: Path, message: Message) -> None:
    """Replace the file in one step, so that a viewer never reads half a picture."""
    if not isinstance(message, Overlay):
        return
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_bytes(message.data)
        unfinished.replace(path)
    except OSError as error:
        raise PublishError(f"{path}: cannot be written ({error.strerror}); choose another --view FILE.jpg") from error


def _window() -> tuple[_Handle, Callable[[], None]]:
    import cv2
    import numpy as np

    try:
        cv2.namedWindow("argos")
    except cv2.error as error:
        raise UsageError(
            "--view: no window can be shown here (no display, or an OpenCV without windows); "
            "give a file instead: --view newest.jpg"
        ) from error
    cv2.destroyWindow("argos")

    def show(message: Message) -> None:
        if isinstance(message, Overlay):
            cv2.imshow(message.camera, cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR))
            cv2.waitKey(1)

    return show, cv2.destroyAllWindows
