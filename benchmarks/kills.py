"""kill -9 at random moments of the decoder process, of ``argos run`` and of a subscriber. Prints what each left behind.

    python benchmarks/kills.py --count 100          # most of an hour on two cores
    python benchmarks/kills.py --count 3            # what the tests run: one of each

A camera is read by ``argos run`` in two ways: decoded in a process of its own, and in a thread with its packets
recorded; both write JSON lines and publish. After each kill the others have to go on (a decoder: ``epoch`` + 1 within
the same run), what was written has to be readable, ``seq`` to have no gap, and what was killed to start again as if
nothing had been. Exit status 7 where something was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conditions import conditions

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from decoders import decoders

from argos.errors import ArgosError, SchemaError
from argos.fakecam.fake_camera import FakeCamera
from argos.publishing.jsonl import read_line
from argos.sources.read import read

PATIENCE_S = 600.0  # a start takes seconds, on a busy machine minutes
VICTIMS = ("decoder", "engine", "subscriber")
SUBSCRIBER = """
import json, sys, argos
with argos.Subscriber(sys.argv[1], kinds=("result", "status"), queue=10_000, heartbeat_s=10) as subscriber:
    while True:
        message = subscriber.receive()
        told = {"run": message.run, "epoch": message.epoch, "missed": subscriber.missed, "bad": subscriber.malformed}
        if isinstance(message, argos.Result):
            told["seq"] = message.seq
        print(json.dumps(told), flush=True)
"""


class WrongError(Exception):
    """Something that must hold did not."""


class Subscribing:
    """A subscriber in a process of its own; every message it gets is checked."""

    def __init__(self, endpoint: str, engine: subprocess.Popen[bytes]) -> None:
        self.engine = engine
        command = [sys.executable, "-c", SUBSCRIBER, endpoint]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._last: dict[str, int] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("}\n"):  # a killed one stops in the midst of a line
                self.told.put(json.loads(line))

    def result(self, *, other_than: str = "", epoch: int = 0) -> dict[str, Any]:
        """The next result of another run than this one, of this epoch at least.

        Raises:
            WrongError: it does not come, or a message before it was missed or malformed.
        """
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                told = self.told.get(timeout=1.0)
            except queue.Empty:
                if time.monotonic() > deadline_s or self.engine.poll() is not None:
                    raise WrongError(f"no result within {PATIENCE_S:g} s, or argos run has ended") from None
                continue
            if told["missed"] or told["bad"]:
                raise WrongError(f"{told['missed']} messages missed, {told['bad']} malformed")
            if "seq" not in told:
                continue
            run, seq = told["run"], told["seq"]
            if run in self._last and seq != self._last[run] + 1:
                raise WrongError(f"seq {seq} follows {self._last[run]}")
            self._last[run] = seq
            if run != other_than and told["epoch"] >= epoch:
                return told

    def rest(self, seconds: float) -> dict[str, Any]:
        """The last of the results of some time."""
        until_s = time.monotonic() + seconds
        told = self.result()
        while time.monotonic() < until_s or not self.told.empty():
            told = self.result()
        return told

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()


class Bench:
    """A camera, ``argos run`` and a subscriber."""

    def __init__(self, folder: Path, isolate: str) -> None:
        self.folder, self.isolate = folder / isolate, isolate
        self.folder.mkdir()
        self.camera = FakeCamera(["fake://people?n=2&seed=3&size=160x96&fps=15&frames=60"])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        outputs = ["{type: jsonl, path: results.jsonl}"]
        if isolate == "thread":
            outputs.append("{type: recording, path: kept, segment_s: 5}")
        (self.folder / "camera.yaml").write_text(
            f"version: 1\ncamera:\n  name: gate\n  source: {{url: '{self.camera.url}', isolate: {isolate}, "
            "open_timeout_s: 6, stall_timeout_s: 4}\n"
            f"engine: {{scale: 0.5}}\npublish: {{bind: '{self.endpoint}'}}\noutputs: [{', '.join(outputs)}]\n"
        )
        self.engine = self._start()
        self.subscriber = Subscribing(self.endpoint, self.engine)

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "argos", "run", "camera.yaml"]
        with (self.folder / "stderr.txt").open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=log)

    def kill(self, victim: str, rng: random.Random) -> None:
        """Kill after a while, and see that all is well again.

        Raises:
            WrongError: it is not.
        """
        before = self.subscriber.rest(rng.uniform(0.2, 2.0))
        match victim:
            case "decoder":
                os.kill(self.decoder(), signal.SIGKILL)
                after = self.subscriber.result(epoch=before["epoch"] + 1)
                if after["run"] != before["run"]:
                    raise WrongError("the engine has started again")
            case "engine":
                decoder = self.decoder() if self.isolate == "process" else 0
                self.engine.kill()
                self.engine.wait()
                self._check_files(before)
                deadline_s = time.monotonic() + 10
                while decoder and _is_alive(decoder):
                    if time.monotonic() > deadline_s:
                        raise WrongError("the decoder has outlived the engine")
                    time.sleep(0.05)
                self.engine = self.subscriber.engine = self._start()
                after = self.subscriber.result(other_than=before["run"])
                if after["epoch"]:
                    raise WrongError(f"a new run begins with epoch {after['epoch']}")
            case _:
                self.subscriber.kill()
                self.subscriber = Subscribing(self.endpoint, self.engine)
                after = self.subscriber.result()
                if after["run"] != before["run"] or after["seq"] <= before["seq"]:
                    raise WrongError(f"{after} follows {before}")
        if b"Traceback" in (self.folder / "stderr.txt").read_bytes():
            raise WrongError((self.folder / "stderr.txt").read_text()[-2000:])

    def decoder(self) -> int:
        """The decoder process of the engine."""
        found = decoders(self.engine.pid)
        if not found:
            raise WrongError("no decoder process")
        return found[0]

    def _check_files(self, last: dict[str, Any]) -> None:
        """A camera's results go on where those of the run before stop; each killed run may leave an unfinished line."""
        *lines, rest = (self.folder / "results.jsonl").read_bytes().split(b"\n")
        runs: dict[str, list[int]] = {}
        unfinished = [rest] if rest else []
        for line in lines:
            try:
                result = read_line(line)
            except SchemaError:
                unfinished.append(line)
            else:
                runs.setdefault(result.run, []).append(result.seq)
        for run, seqs in runs.items():
            if seqs != list(range(len(seqs))):
                raise WrongError(f"results.jsonl: seq {seqs[:5]}... of {len(seqs)} lines of run {run} has gaps")
        if len(unfinished) > len(runs) or not all(line.startswith(b"{") for line in unfinished):
            raise WrongError(f"results.jsonl: {len(unfinished)} lines are none, after {len(runs)} runs")
        written = len(runs.get(last["run"], ()))
        if written < last["seq"] * 0.5:
            raise WrongError(f"results.jsonl: only {written} of {last['seq']} results were written")
        if self.isolate == "thread":
            frames = sum(1 for _ in read(str(self.folder / "kept"), "gate"))
            if not frames:
                raise WrongError("the recording shows nothing")

    def close(self) -> None:
        """End everything; the engine in order."""
        self.engine.terminate()
        try:
            status = self.engine.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.engine.kill()
            status = self.engine.wait()
        self.subscriber.kill()
        self.camera.close()
        if status:
            raise WrongError(
                f"argos run ended with status {status}: {(self.folder / 'stderr.txt').read_text()[-2000:]}"
            )


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def main(argv: Sequence[str] | None = None) -> int:
    """Kill so many times; 7 where something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="kills (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args(argv)
    rng = random.Random(given.seed)
    done: Counter[str] = Counter()
    wrong: list[str] = []
    where = conditions()
    shared_before = set(os.listdir("/dev/shm"))
    with tempfile.TemporaryDirectory() as name:
        benches: dict[str, Bench] = {}
        for n in range(given.count):
            victim = VICTIMS[n % 3]
            isolate = "process" if victim == "decoder" or n // 3 % 2 == 0 else "thread"
            try:
                if isolate not in benches:
                    benches[isolate] = Bench(Path(name), isolate)
                    benches[isolate].subscriber.result()
                started_s = time.monotonic()
                benches[isolate].kill(victim, rng)
                done[f"{victim} ({isolate})"] += 1
                print(
                    f"{n + 1:>4} {victim:<11} {isolate:<8} well after {time.monotonic() - started_s:.1f} s", flush=True
                )
            except (WrongError, ArgosError) as error:
                wrong.append(f"{victim} ({isolate}), kill {n + 1}: {error}")
                print(f"{n + 1:>4} {wrong[-1]}", flush=True)
                break
        for bench in benches.values():
            try:
                bench.close()
            except WrongError as error:
                wrong.append(str(error))
    left = set(os.listdir("/dev/shm")) - shared_before
    if left:
        wrong.append(f"shared memory left: {', '.join(sorted(left))}")
    killed = ", ".join(f"{number} x {what}" for what, number in sorted(done.items()))
    print(f"\n{sum(done.values())} kills ({killed}): {'; '.join(wrong) or 'good'}")
    if given.json:
        figures = {**where, "seed": given.seed, "kills": dict(done), "wrong": wrong}
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 7 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
