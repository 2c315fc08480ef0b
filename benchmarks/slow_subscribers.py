"""What slow subscribers cost the others: ages at good ones, and the publisher's memory, without and with bad ones.

    python benchmarks/slow_subscribers.py                # a minute; prints a table
    python benchmarks/slow_subscribers.py --json FILE    # and writes it

A publisher in this process sends results of four people at a steady rate; three good subscribers in processes of their
own measure the age of each result. Then beside them: a socket that is never read, a subscriber whose program takes
nothing, and a consumer of ``publish.every`` that is done with nothing. Rounds without and with them alternate, so that
what the machine does meanwhile falls on both. Exit status 7 when the p95 with them is larger by more than the rounds of
one kind differ among themselves, or memory grew without bound.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import zmq
from conditions import conditions

from argos.publishing.consumer import Consumer
from argos.publishing.publisher import Publisher
from argos.publishing.subscriber import Subscriber
from argos.types import Instances, Regions, Result, SemanticMask

SIZE = (720, 1280)
GOOD = 3
SPOOL_BYTES = 8 << 20

READER = """
import sys, time
from argos.publishing.subscriber import Subscriber
from argos.types import Result
with Subscriber(sys.argv[1], kinds=("result", "status"), queue=10000) as subscriber:
    print("ready", flush=True)
    ages = []
    for message in subscriber:
        if isinstance(message, Result):
            ages.append((time.time_ns() - message.published_ns) / 1e6)
        elif message.state == "ended":
            break
    print(subscriber.missed, *ages, flush=True)
"""


def result(seq: int, run: str) -> Result:
    """A result of four people whose outlines are ragged."""
    rng = np.random.default_rng(seq)
    boxes = np.array([[x, 100, x + 160, 600] for x in (50, 350, 650, 950)], np.int32)
    y, x = np.ogrid[-1:1:500j, -1:1:160j]
    masks = tuple(x**2 + y**2 <= 1 + 0.1 * rng.standard_normal((500, 1)) for _ in boxes)
    people = Instances(boxes, np.full(4, 0.9, np.float32), np.zeros(4, np.int32), masks, SIZE)
    return Result(
        camera="desk", epoch=0, seq=seq, index=seq, pts=seq, time_base=(1, 15), pts_s=seq / 15,
        captured_ns=time.time_ns(), clock="arrival", run=run, size=SIZE, mode="pack",
        regions=Regions(boxes, np.full(4, 0.9, np.float32), SIZE), instances=people,
        semantic=SemanticMask(people.union()), deep_share=0.3, spans_ms={}, dropped={}, models={},
    )  # fmt: skip


def resident_mb() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def ended(run: str) -> object:
    """The status that lets the readers end."""
    from argos.types import Status

    now = time.time_ns()
    return Status("desk", run, "ended", "", "", now, now, 0, 0.0, 0.0, None, None, {}, SIZE)


def measured(bad: bool, seconds: float, fps: float) -> dict[str, object]:
    """One round: ages at the good subscribers, and how much memory the publisher took."""
    run = f"round-{time.time_ns()}"
    every = "tcp://127.0.0.1:*"
    with Publisher("tcp://127.0.0.1:*", run=run, cameras=["desk"], every=every, spool_bytes=SPOOL_BYTES) as publisher:
        readers = [
            subprocess.Popen([sys.executable, "-c", READER, publisher.endpoint], stdout=subprocess.PIPE, text=True)
            for _ in range(GOOD)
        ]
        for reader in readers:
            assert reader.stdout is not None
            reader.stdout.readline()
        context, strangers, helpers = zmq.Context(), [], []
        if bad:
            never = context.socket(zmq.SUB)
            never.setsockopt(zmq.RCVHWM, 1)
            never.setsockopt(zmq.RCVBUF, 4096)
            never.setsockopt(zmq.SUBSCRIBE, b"")
            never.connect(publisher.endpoint)
            strangers.append(never)
            helpers.append(Subscriber(publisher.endpoint, queue=2))
            helpers.append(Consumer(str(publisher.every_endpoint), "stalled", credit=4))
        while not publisher.wants("result", "desk") or (bad and not publisher.spools()):
            time.sleep(0.01)
        time.sleep(1.0)  # the other subscriptions
        before, worst, count = resident_mb(), 0.0, round(seconds * fps)
        results = [result(n, run) for n in range(8)]
        begun = time.monotonic()
        for n in range(count):
            time.sleep(max(0.0, begun + n / fps - time.monotonic()))
            again = results[n % len(results)]
            publisher.send(_numbered(again, n))
            worst = max(worst, resident_mb() - before)
        time.sleep(0.5)
        publisher.status_changed(ended(run))  # type: ignore[arg-type]
        ages: list[float] = []
        missed = 0
        for reader in readers:
            out, _ = reader.communicate(timeout=600)
            lost, *own = out.split()
            missed += int(lost)
            ages += map(float, own)
        spool, kb = publisher.spools().get("stalled"), publisher.sent_bytes["result"] / publisher.sent["result"] / 1e3
        for socket in strangers:
            socket.close(linger=0)
        for helper in helpers:
            helper.close()
        context.term()
    p50, p95, p99 = np.percentile(ages, [50, 95, 99])
    return {
        "bad": bad, "message_kb": round(kb, 1), "results": len(ages), "missed": missed, "p50_ms": round(p50, 3),
        "p95_ms": round(p95, 3), "p99_ms": round(p99, 3), "memory_mb": round(worst, 1),
        "spool": None if spool is None else spool.messages, "spool_lost": None if spool is None else spool.lost,
    }  # fmt: skip


def _numbered(again: Result, seq: int) -> Result:
    from dataclasses import replace

    now = time.time_ns()
    return replace(again, seq=seq, index=seq, captured_ns=now, published_ns=now)


def main() -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each kind (default: 3)")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a round (default: 8)")
    parser.add_argument("--fps", type=float, default=30.0, help="results per second (default: 30)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    args = parser.parse_args()
    where = conditions()
    rows = [measured(bad, args.seconds, args.fps) for _ in range(args.rounds) for bad in (False, True)]
    print(f"messages of {rows[0]['message_kb']} kB, {args.fps:g} a second")
    print(
        f"{'':<22}{'results':>8}{'missed':>8}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'memory MB':>11}{'spool lost':>12}"
    )
    for row in rows:
        name = "with slow subscribers" if row["bad"] else "good ones alone"
        lost = "" if row["spool_lost"] is None else row["spool_lost"]
        print(f"{name:<22}{row['results']:>8}{row['missed']:>8}{row['p50_ms']:>9}{row['p95_ms']:>9}{row['p99_ms']:>9}"
              f"{row['memory_mb']:>11}{lost:>12}")  # fmt: skip
    alone = [float(str(row["p95_ms"])) for row in rows if not row["bad"]]
    beside = [float(str(row["p95_ms"])) for row in rows if row["bad"]]
    # of a few rounds the medians are told apart by more than the rounds of one kind differ among themselves
    noise = max(max(alone) - min(alone), max(beside) - min(beside), 0.5)
    difference = float(np.median(beside) - np.median(alone))
    print(f"p95 with slow subscribers: {difference:+.3f} ms; rounds of one kind differ by {noise:.3f} ms")
    grown = max(float(str(row["memory_mb"])) for row in rows if row["bad"])
    bound = 256 * 2 * 0.1 + SPOOL_BYTES / 1e6 + 50
    if args.json:
        told = {**where, "rounds": rows, "difference_ms": difference, "noise_ms": noise}
        Path(args.json).write_text(json.dumps(told, indent=1) + "\n")
    return 7 if difference > noise or grown > bound else 0


if __name__ == "__main__":
    sys.exit(main())
