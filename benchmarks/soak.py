"""Hours of cameras that reboot: does ``argos run`` grow? Prints memory, descriptors and threads with their slopes.

    python benchmarks/soak.py --minutes 30 --reconnects 1000                      # the record
    python benchmarks/soak.py --minutes 30 --reconnects 1000 --isolate process

``argos run`` reads cameras that drop it in turn, and one that is never there. Its memory (with its children) is
measured from outside, once a second. After a warm-up of a fifth of the time the rest is cut into 20 blocks; the slope
is that of a line through their means, with its 95 % interval. Exit status 7 where it grew by 5 MB or more over the
whole time, by a thread or by a descriptor (judged from five minutes on), or a camera did not come back.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from conditions import conditions
from numpy.typing import NDArray

import argos
from argos.fakecam.fake_camera import FakeCamera
from argos.fakecam.script import Command

BLOCKS = 20
_T_95 = 2.101  # Student's t for 95 % of both sides, 18 degrees of freedom
LEAST_S = 300.0
MOST_MB, MOST_DESCRIPTORS, MOST_THREADS = 5.0, 1.0, 1.0
START_S = 600.0


@dataclass
class Sample:
    """What the process holds at a moment; memory in MB."""

    at_s: float
    memory_mb: float
    descriptors: int
    threads: int


@dataclass
class Slope:
    """Growth over the time that was judged, with its 95 % interval."""

    total: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.total:+.2f} (95 %: {self.low:+.2f} to {self.high:+.2f})"


@dataclass
class Growth:
    """What a process came to hold beyond what it held after its warm-up."""

    judged_s: float
    memory_mb: Slope
    descriptors: Slope
    threads: Slope

    def faults(self) -> list[str]:
        """What grew that may not."""
        found = [f"memory grew by {MOST_MB:g} MB or more"] if self.memory_mb.total >= MOST_MB else []
        if self.descriptors.total >= MOST_DESCRIPTORS or self.threads.total >= MOST_THREADS:
            found.append("descriptors or threads grew")
        return found


def sample(pid: int, at_s: float) -> Sample:
    """Measure a process; its memory with that of its children."""
    pages = sum(_pages(each) for each in (pid, *children(pid)))
    return Sample(
        at_s,
        pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        len(os.listdir(f"/proc/{pid}/fd")),
        len(os.listdir(f"/proc/{pid}/task")),
    )


def _pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0  # ended meanwhile


def children(pid: int) -> list[int]:
    """Child processes that are still there when they are counted."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # ended meanwhile
        if int(parent) == pid and state != "Z":
            found.append(int(stat.parent.name))
    return found


def slope_of(at_s: NDArray[np.float64], values: NDArray[np.float64]) -> Slope:
    """Growth from the first to the last sample, by a line through the means of ``BLOCKS`` blocks.

    Means, because one second resembles the next, and an interval from seconds would be far too narrow.
    """
    x = np.array([block.mean() for block in np.array_split(at_s, BLOCKS)])
    y = np.array([block.mean() for block in np.array_split(values, BLOCKS)])
    dx = x - x.mean()
    slope = float((dx * y).sum() / (dx**2).sum())
    left = y - y.mean() - slope * dx
    error = float(np.sqrt((left**2).sum() / (BLOCKS - 2) / (dx**2).sum()))
    span_s = float(at_s[-1] - at_s[0])
    low, high = sorted((slope - _T_95 * error, slope + _T_95 * error))
    return Slope(round(slope * span_s, 2), round(low * span_s, 2), round(high * span_s, 2))


def growth_of(samples: Sequence[Sample]) -> Growth:
    """Growth after a warm-up of a fifth of the time.

    Of descriptors and threads too it is that of their mean: a camera that is being connected again has a few more or
    less, and how often that is so does not change.
    """
    kept = [one for one in samples if one.at_s >= samples[-1].at_s / 5]
    at_s = np.array([one.at_s for one in kept])
    memory, descriptors, threads = (
        slope_of(at_s, np.array([value(one) for one in kept], np.float64))
        for value in (lambda one: one.memory_mb, lambda one: one.descriptors, lambda one: one.threads)
    )
    return Growth(round(float(at_s[-1] - at_s[0]), 1), memory, descriptors, threads)


class Watch:
    """What the cameras say of themselves."""

    def __init__(self, subscriber: argos.Subscriber) -> None:
        self._subscriber = subscriber
        self.epochs: dict[str, int] = {}
        self.states: dict[str, str] = {}
        self.results: Counter[str] = Counter()

    def listen(self, seconds: float) -> None:
        """Take messages for a while."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                message = self._subscriber.receive(left_s)
            except TimeoutError:
                return
            if isinstance(message, argos.Status):
                self.epochs[message.camera], self.states[message.camera] = message.epoch, message.state
            elif isinstance(message, argos.Result):
                self.results[message.camera] += 1

    def reconnects(self) -> int:
        """Of all cameras together."""
        return sum(self.epochs.values())


def configuration(urls: Sequence[str], offline: str, endpoint: str, isolate: str) -> str:
    """The YAML of all cameras and of one that is not there."""
    patience = f"isolate: {isolate}, open_timeout_s: 6, stall_timeout_s: 4"
    lines = [f"  cam{n}: {{source: {{url: '{url}', {patience}}}}}" for n, url in enumerate(urls)]
    lines.append(f"  offline: {{source: {{url: '{offline}', {patience}}}}}")
    head = f"version: 1\npublish: {{bind: '{endpoint}'}}\nengine: {{scale: 0.5}}\noutputs: []\ncameras:\n"
    return head + "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Soak, print the figures; 7 where something grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="(default: 30)")
    parser.add_argument("--reconnects", type=int, default=1000, help="of all cameras together (default: 1000)")
    parser.add_argument("--cameras", type=int, default=4, help="besides the one that is offline (default: 4)")
    parser.add_argument("--isolate", choices=("thread", "process"), default="thread", help="(default: thread)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args(argv)
    where = conditions()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        clip = "fake://people?n=2&seed={}&size=320x192&fps=10&frames=40"
        cameras = [stack.enter_context(FakeCamera([clip.format(n)])) for n in range(given.cameras)]
        nobody = stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: refused
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        offline = f"rtsp://127.0.0.1:{nobody.getsockname()[1]}/cam"
        text = configuration([camera.url for camera in cameras], offline, endpoint, given.isolate)
        (folder / "cameras.yaml").write_text(text)
        log = stack.enter_context((folder / "stderr.txt").open("wb"))
        command = [sys.executable, "-m", "argos", "run", "cameras.yaml"]
        engine = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=log)
        stack.callback(engine.kill)
        subscriber = stack.enter_context(argos.Subscriber(endpoint, kinds=("status", "result"), queue=100_000))
        watch = Watch(subscriber)
        wrong = _start(engine, watch, given.cameras)
        samples = [] if wrong else _soak(engine, watch, cameras, given.minutes * 60, given.reconnects)
        engine.terminate()
        try:
            status = engine.wait(60)
        except subprocess.TimeoutExpired:
            status = -1
        if status:
            wrong.append(f"argos run ended with status {status}")
        told = (folder / "stderr.txt").read_text()
        if "Traceback" in told:
            wrong.append(told[-2000:])
    return _report(samples, watch, given, wrong, where)


def _start(engine: subprocess.Popen[bytes], watch: Watch, cameras: int) -> list[str]:
    """Wait until every camera has given a result."""
    deadline_s = time.monotonic() + START_S
    while len(watch.results) < cameras:
        if time.monotonic() > deadline_s or engine.poll() is not None:
            return [f"only {len(watch.results)} of {cameras} cameras gave a result"]
        watch.listen(1.0)
    return []


def _soak(
    engine: subprocess.Popen[bytes], watch: Watch, cameras: Sequence[FakeCamera], seconds: float, reconnects: int
) -> list[Sample]:
    """Drop one camera after the other, and measure once a second, until time and reconnects are over."""
    started_s = kicked_s = time.monotonic()
    samples: list[Sample] = []
    turn = 0
    while engine.poll() is None:
        now_s = time.monotonic() - started_s
        done = watch.reconnects()
        enough = done >= reconnects and len(samples) >= 2 * BLOCKS
        if (now_s >= seconds and enough) or now_s > 3 * seconds + 120:
            break
        due = min(reconnects, round(reconnects * now_s / seconds) + 1)
        if done < due and time.monotonic() - kicked_s > min(1.0, seconds / max(1, reconnects)):
            for n in range(turn, turn + len(cameras)):
                if watch.states.get(f"cam{n % len(cameras)}") == "up":
                    cameras[n % len(cameras)].apply(Command("kick"))
                    turn, kicked_s = n + 1, time.monotonic()
                    break
        if not samples or now_s - samples[-1].at_s >= min(1.0, seconds / (3 * BLOCKS)):
            samples.append(sample(engine.pid, now_s))
        watch.listen(0.1)
    return samples


def _report(
    samples: Sequence[Sample],
    watch: Watch,
    given: argparse.Namespace,
    wrong: list[str],
    where: Mapping[str, object],
) -> int:
    figures: dict[str, object] = {}
    if len(samples) < 2 * BLOCKS:
        wrong.append(f"only {len(samples)} samples; give it more --minutes")
    else:
        growth = growth_of(samples)
        figures = {
            "seconds": round(float(samples[-1].at_s), 1), "judged_s": growth.judged_s,
            "memory_mb": round(samples[-1].memory_mb, 1), "memory_growth_mb": asdict(growth.memory_mb),
            "descriptors": asdict(growth.descriptors), "threads": asdict(growth.threads),
        }  # fmt: skip
        print(
            f"{given.cameras} cameras ({given.isolate}) and one offline, {samples[-1].at_s / 60:.1f} minutes, "
            f"{watch.reconnects()} reconnects, {sum(watch.results.values())} results\n"
            f"memory {samples[-1].memory_mb:.0f} MB; "
            f"over the last {growth.judged_s / 60:.1f} minutes {growth.memory_mb} MB, "
            f"{growth.descriptors} descriptors, {growth.threads} threads"
        )
        if growth.judged_s < LEAST_S:
            print(f"growth is judged from {LEAST_S / 60:.0f} minutes on")
        else:
            wrong += growth.faults()
    if watch.reconnects() < given.reconnects:
        wrong.append(f"{watch.reconnects()} of {given.reconnects} reconnects came about")
    if watch.states.get("offline") != "lost":
        wrong.append(f"the camera that is not there is told to be {watch.states.get('offline')}")
    print(f"{where['machine']}: {'; '.join(wrong) or 'good'}")
    if given.json:
        figures |= {
            **where, "isolate": given.isolate, "cameras": given.cameras, "reconnects": watch.reconnects(),
            "results": dict(watch.results), "wrong": wrong, "samples": [list(asdict(one).values()) for one in samples],
        }  # fmt: skip
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 7 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
