"""The fault matrix: what each fault of a camera, and of a subscriber, does to ARGOS. Prints a table.

    python benchmarks/faults.py                    # all of it, some minutes (make faults)
    python benchmarks/faults.py --short            # what the tests run

A camera with a key picture three times a second is read over TCP and UDP, decoded in a thread and in a process of its
own, which has faults too; a second camera is read all the while. On top of the limit comes what a refused password
(tried again after 10 s), sound only (looked at twice), another codec (noticed by the pictures that stay away for 1.5 s)
and a frozen process (noticed after 5 s) take.
``noticed`` is the time from the fault to the change of state, ``back`` the time from the end of the fault to the first
picture that arrived after it. Exit status 7 when a fault was not survived, was told by another code, took longer than
the limit, or touched the other camera.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import zmq
from conditions import conditions

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from decoders import decoders

from argos.commands.run import allow_descriptors
from argos.fakecam.fake_camera import FakeCamera
from argos.fakecam.script import FAULTS, Command
from argos.publishing.curve import make_keys, read_client_keys, read_server_keys, speak_curve
from argos.publishing.publisher import Publisher
from argos.publishing.subscriber import Subscriber
from argos.sources.options import Reconnect, SourceOptions, SourceState
from argos.sources.read import read
from argos.types import Regions, Result, SemanticMask

FPS = 15
PATIENCE_S = 30.0
STALL_S = (
    2.0  # the codec of a stream is told when it is opened; that it is another one shows by pictures that stay away
)


@dataclass(frozen=True)
class Case:
    """A fault: its command, the code it should be told by (empty: the camera stays up), and how long it lasts.

    Where ``on_decoder`` is set, the fault befalls the decoder process instead of the camera: the signal it is sent.
    ``waits_s`` is the longest wait between two attempts after such a fault, which comes on top of the limit, and
    ``clips`` are what the camera shows before and after ``switch``.
    """

    name: str
    command: Command
    code: str = ""
    lasts_s: float = 2.0
    then_kick: bool = False
    on_decoder: int = 0
    waits_s: float = 0.0
    clips: tuple[int, int] = (0, 1)


CASES = (
    Case("refuse", Command("refuse"), "refused"),
    Case("kick", Command("kick"), "ended", 0.0),
    Case("stall", Command("stall"), "timeout", 4.0),
    Case("mute", Command("mute"), "timeout", 4.0, then_kick=True),
    Case("password", Command("unauthorized"), "unauthorized", 3.0, then_kick=True, waits_s=12.0),
    Case("path", Command("missing"), "not_found", 3.0, then_kick=True),
    Case("sound only", Command("no_video"), "no_video", 3.0, then_kick=True, waits_s=2.0),
    Case("slow", Command("slow", 0.3)),
    Case("jitter", Command("jitter", 200)),
    Case("loss 5 %", Command("loss", 0.05)),
    Case("corrupt 20 %", Command("corrupt", 0.2)),
    Case("clock -30 s", Command("jump", -30), lasts_s=0.0),
    Case("clock +30 s", Command("jump", 30), lasts_s=0.0),
    Case("other size", Command("switch"), lasts_s=1.0),
    Case("other codec", Command("switch"), "timeout", 0.0, waits_s=STALL_S, clips=(0, 2)),
)
DECODER_CASES = (
    Case("kill -9", Command("kick"), "crashed", 0.0, on_decoder=signal.SIGKILL),
    Case("segfault", Command("kick"), "crashed", 0.0, on_decoder=signal.SIGSEGV),
    Case("frozen", Command("kick"), "timeout", 0.0, on_decoder=signal.SIGSTOP, waits_s=5.5),
)
SHORT = (("thread", ("refuse", "kick", "stall", "other size", "other codec")), ("process", ("kick", "kill -9")))


@dataclass
class Outcome:
    """What became of a case; times in seconds, None where it did not come."""

    fault: str
    transport: str
    isolate: str
    noticed_s: float | None = None
    code: str = ""
    back_s: float | None = None
    reconnects: int = 0
    other_lost: int = 0
    wrong: str = ""


class Watch:
    """Reads a camera in a thread and keeps what matters of it."""

    def __init__(self, url: str, transport: str, isolate: str = "thread", wait_s: float = 1.0) -> None:
        self.stop, self.changed = threading.Event(), threading.Condition()
        self.count, self.epoch, self.last_s = 0, 0, 0.0
        self.states: list[tuple[float, SourceState]] = []
        reconnect = Reconnect(max_s=wait_s)
        options = SourceOptions(transport=transport, isolate=isolate, reconnect=reconnect)  # type: ignore[arg-type]
        self.thread = threading.Thread(target=self._work, args=(url, options))
        self.thread.start()

    def _work(self, url: str, options: SourceOptions) -> None:
        for frame in read(url, "camera", options, stop=self.stop, on_state=self._keep):
            with self.changed:
                self.count, self.epoch, self.last_s = self.count + 1, frame.epoch, time.monotonic()
                self.changed.notify_all()

    def _keep(self, state: SourceState) -> None:
        with self.changed:
            self.states.append((time.monotonic(), state))
            self.changed.notify_all()

    def until(self, what: Callable[[], bool]) -> bool:
        with self.changed:
            return self.changed.wait_for(what, PATIENCE_S)

    def more(self, count: int) -> bool:
        target = self.count + count
        return self.until(lambda: self.count >= target)

    def is_back(self, told_before: int, code: str) -> bool:
        """Whether a picture came since it is up, and it was told of a fault before where one is expected."""
        told = [state for _, state in self.states[told_before:]]
        up_s, state = self.states[-1]
        is_up = state.state == "up" and self.last_s >= up_s
        return is_up and (not code or any(state.code == code for state in told))

    def close(self) -> bool:
        """Stop reading; False when it hangs."""
        self.stop.set()
        self.thread.join(PATIENCE_S)
        return not self.thread.is_alive()


def run_case(case: Case, transport: str, isolate: str, clips: Sequence[str], limit_s: float) -> Outcome:
    """One fault, with a second camera beside it."""
    outcome = Outcome(case.name, transport, isolate)
    shown = [clips[n] for n in case.clips]
    with FakeCamera(shown) as camera, FakeCamera(clips[:1]) as other, ExitStack() as stack:
        watch, beside = Watch(camera.url, transport, isolate), Watch(other.url, "tcp")
        stack.callback(beside.close)
        stack.callback(watch.close)
        if not (watch.more(10) and beside.more(10)):
            outcome.wrong = "no picture at all"
            return outcome
        other_before, shown_before = beside.count, other.shown
        began_s, told_before = time.monotonic(), len(watch.states)
        if case.on_decoder:
            (decoder,) = decoders()
            os.kill(decoder, case.on_decoder)
        else:
            camera.apply(case.command)
        if case.then_kick:
            camera.apply(Command("kick"))
        if case.code:
            watch.until(lambda: any(state.code == case.code for _, state in watch.states[told_before:]))
        if case.lasts_s:
            time.sleep(max(0.0, began_s + case.lasts_s - time.monotonic()))
            if FAULTS[case.command.fault].kind != "event":
                camera.apply(Command(case.command.fault, FAULTS[case.command.fault].off))
        returned_s = time.monotonic() if case.lasts_s else began_s
        is_back = watch.until(lambda: watch.last_s > returned_s and watch.is_back(told_before, case.code))
        outcome.back_s = watch.last_s - returned_s if is_back else None
        if is_back:
            watch.more(10)
        lost = [(at_s, state) for at_s, state in watch.states[told_before:] if state.code]
        if lost:
            outcome.noticed_s, outcome.code = lost[0][0] - began_s, ", ".join(dict.fromkeys(s.code for _, s in lost))
        outcome.reconnects = watch.epoch
        outcome.other_lost = max(0, (other.shown - shown_before) - (beside.count - other_before) - 2)
        hung = not watch.close()
        outcome.wrong = _judge(case, outcome, limit_s, hung, beside)
    return outcome


def _judge(case: Case, outcome: Outcome, limit_s: float, hung: bool, beside: Watch) -> str:
    faults = []
    if hung:
        faults.append("reading does not stop")
    if outcome.back_s is None:
        faults.append("did not come back")
    elif outcome.back_s > limit_s + case.waits_s:
        faults.append(f"came back after more than {limit_s + case.waits_s:g} s")
    if case.code and case.code not in outcome.code:
        faults.append(f"should be told by '{case.code}'")
    if not case.code and outcome.reconnects:
        faults.append("lost the connection")
    if outcome.other_lost or beside.epoch or len(beside.states) > 2:
        faults.append("the other camera was touched")
    return ", ".join(faults)


@dataclass
class Growth:
    """What many reconnects left behind, after a warm-up."""

    reconnects: int
    memory_mb: float
    descriptors: int
    threads: int
    wrong: str = ""


def run_reconnects(count: int, clips: Sequence[str]) -> Growth:
    """Kick a viewer again and again; the first tenth is warm-up."""
    with FakeCamera(clips[:1]) as camera:
        # a camera that drops every connection at once is asked ever less often, up to once a second
        watch = Watch(camera.url, "tcp", wait_s=0.1)
        watch.more(1)
        before = (0.0, 0, 0)
        warm = max(3, count // 10)
        for n in range(count + warm):
            if n == warm:
                before = _resources()
            target = watch.epoch + 1
            camera.apply(Command("kick"))
            if not watch.until(lambda target=target: watch.epoch >= target):  # type: ignore[misc]
                watch.close()
                return Growth(n - warm, 0, 0, 0, "a reconnect did not come")
        after = _resources()
        watch.close()
    grown = [b - a for a, b in zip(before, after, strict=True)]
    wrong = "" if grown[0] < 5 and grown[1] <= 2 and grown[2] <= 0 else "more than 5 MB, 2 descriptors or a thread"
    return Growth(count, round(grown[0], 2), int(grown[1]), int(grown[2]), wrong)


def _resources() -> tuple[float, int, int]:
    """Resident memory in MB, open descriptors, threads."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(os.listdir("/proc/self/fd")), threading.active_count()


def run_strangers(connections: int, folder: Path) -> list[tuple[str, str, str]]:
    """``(who, what was seen, what was wrong)`` of bad company on the publisher's port."""
    make_keys(folder / "keys", ["known"])
    make_keys(folder / "foreign", ["known"])
    keys = read_server_keys(folder / "keys/server.key_secret", folder / "keys/clients")
    rows = []
    with Publisher("tcp://127.0.0.1:*", run="faults", cameras=["desk"], curve=keys) as publisher, ExitStack() as stack:
        own = {"server_key": folder / "keys/server.key", "client_key": folder / "keys/known.key_secret"}
        reader = stack.enter_context(Subscriber(publisher.endpoint, queue=1000, timeout=PATIENCE_S, **own))
        stopped = stack.enter_context(stack.enter_context(zmq.Context()).socket(zmq.SUB))
        stopped.setsockopt(zmq.LINGER, 0)
        stopped.setsockopt(zmq.RCVHWM, 1)
        speak_curve(stopped, read_client_keys(**own))
        stopped.connect(publisher.endpoint)
        stopped.subscribe(b"argos/1/")  # and never reads
        rows.append(("a subscriber that never reads", "others served", ""))
        seq = 0

        def serves() -> str:
            nonlocal seq
            deadline_s = time.monotonic() + PATIENCE_S
            while not publisher.wants("result", "desk") and time.monotonic() < deadline_s:
                time.sleep(0.01)
            first = seq
            for _ in range(50):
                publisher.send(_result(seq))
                seq += 1
            got = [reader.receive().seq for _ in range(50)]  # type: ignore[union-attr]
            return "" if got == list(range(first, first + 50)) else "a reader missed results"

        rows[-1] = (*rows[-1][:2], serves())
        foreign = {"server_key": own["server_key"], "client_key": folder / "foreign/known.key_secret"}
        for who, given in (("no key", {}), ("a foreign key", foreign)):
            with Subscriber(publisher.endpoint, queue=10, **given) as stranger:  # type: ignore[arg-type]
                wrong = serves()
                try:
                    stranger.receive(0.5)
                    wrong = "it was served"
                except TimeoutError:
                    pass
            rows.append((who, "nothing received, others served", wrong))
        host, port = publisher.endpoint.removeprefix("tcp://").split(":")
        memory_mb = _resources()[0]
        crowd = [socket.create_connection((host, int(port)), timeout=PATIENCE_S) for _ in range(connections)]
        for n, one in enumerate(crowd[: connections // 2]):
            try:
                one.sendall(os.urandom(512) if n % 2 else b"GET / HTTP/1.1\r\n\r\n")
            except OSError:
                continue
        wrong = serves()
        grown_mb = _resources()[0] - memory_mb
        for one in crowd:
            one.close()
        rows.append(
            (f"{connections} connections, half with garbage", f"others served, memory +{grown_mb:.1f} MB", wrong)
        )
    return rows


def _result(seq: int) -> Result:
    size = (480, 640)
    return Result(
        camera="desk", epoch=0, seq=seq, index=seq, pts=seq, time_base=(1, 15), pts_s=seq / 15,
        captured_ns=time.time_ns(), clock="arrival", run="faults", size=size, mode="pack",
        regions=Regions(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), size), instances=None,
        semantic=SemanticMask(np.zeros(size, np.bool_)), deep_share=0.0, spans_ms={}, dropped={}, models={},
    )  # fmt: skip


def write_clip(path: Path, width: int, height: int, encoder: str = "libx264") -> str:
    """Two seconds of a walking square, a key picture three times a second."""
    options = {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=none"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base, stream.codec_context.gop_size = Fraction(1, FPS), FPS // 3
        for n in range(2 * FPS):
            pixels = np.full((height, width, 3), 90, np.uint8)
            pixels[20:60, 4 * n : 4 * n + 40] = (250, 40, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return str(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the matrix, print its table; 7 where something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a few faults over TCP, few reconnects and connections")
    parser.add_argument("--limit-s", type=float, default=2.0, help="longest time until pictures are back (default: 2)")
    parser.add_argument("--reconnects", type=int, help="(default: 1000, short: 5)")
    parser.add_argument("--isolate", choices=("thread", "process", "both"), default="both", help="(default: both)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args(argv)
    reconnects = given.reconnects or (5 if given.short else 1000)
    where = conditions()
    allow_descriptors()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [write_clip(folder / "small.mp4", 320, 192), write_clip(folder / "large.mp4", 640, 352)]
        clips.append(write_clip(folder / "h265.mp4", 320, 192, "libx265"))
        print(f"{'fault':<14} {'over':<5} {'in':<8} {'noticed':>8} {'back':>7}  {'told by':<22} reconnects  verdict")
        outcomes = []
        for case, transport, isolate in _cases(given.short, given.isolate):
            outcomes.append(run_case(case, transport, isolate, clips, given.limit_s))
            print(_row(outcomes[-1]), flush=True)
        growth = run_reconnects(reconnects, clips)
        left = f"memory {growth.memory_mb:+.2f} MB, descriptors {growth.descriptors:+d}, threads {growth.threads:+d}"
        print(f"\n{growth.reconnects} reconnects: {left}: {growth.wrong or 'good'}")
        strangers = run_strangers(50 if given.short else 1000, folder)
        for who, seen, wrong in strangers:
            print(f"{who}: {wrong or seen}")
    print(f"\n{where['machine']}; load before {where['load_1m']}; limit {given.limit_s:g} s")
    if given.json:
        figures = {
            **where, "limit_s": given.limit_s, "growth": asdict(growth),
            "faults": [asdict(outcome) for outcome in outcomes],
            "strangers": [dict(zip(("who", "seen", "wrong"), row, strict=True)) for row in strangers],
        }  # fmt: skip
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 7 if growth.wrong or any(o.wrong for o in outcomes) or any(wrong for *_, wrong in strangers) else 0


def _cases(short: bool, isolate: str) -> Iterator[tuple[Case, str, str]]:
    """Each case with its transport and isolation; faults of the decoder need a process to befall."""
    if short:
        names = {(way, name) for way, many in SHORT for name in many}
        yield from ((c, "tcp", way) for way, _ in SHORT for c in (*CASES, *DECODER_CASES) if (way, c.name) in names)
        return
    for way in ("thread", "process") if isolate == "both" else (isolate,):
        for transport in ("tcp", "udp"):
            for case in (*CASES, *(DECODER_CASES if way == "process" else ())):
                yield case, transport, way


def _row(outcome: Outcome) -> str:
    noticed, back = (f"{s:.2f} s" if s is not None else "-" for s in (outcome.noticed_s, outcome.back_s))
    return (
        f"{outcome.fault:<14} {outcome.transport:<5} {outcome.isolate:<8} {noticed:>8} {back:>7}  "
        f"{outcome.code or '-':<22} "
        f"{outcome.reconnects:>10}  {outcome.wrong or 'good'}"
    )


if __name__ == "__main__":
    sys.exit(main())
