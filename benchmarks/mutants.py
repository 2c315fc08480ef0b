"""Mutated video, messages and configurations: nothing of it may crash, hang or show a traceback. Prints a table.

    python benchmarks/mutants.py --count 10000           # of each; most of an hour on two cores
    python benchmarks/mutants.py --count 100 --what videos

Videos are the sample clip as H.264, MPEG-4 and MJPEG in MP4, MPEG-TS and Matroska, decoded by ``argos.sources.read`` in
a child process, which may crash: such a mutant is then read with ``isolate: process``, where it has to end in an
``ArgosError``. Messages are the golden messages of ``argos/1``, configurations those in ``configs``. The same seed
gives the same mutants. Exit status 7 where something was wrong, or fewer than 30 % of the mutated videos showed a
picture.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import random
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

from conditions import conditions
from mutations import mutate, mutate_text

CHECKOUT = Path(__file__).parents[1]
GOLDEN = CHECKOUT / "tests/golden/messages"
CODECS = {"h264": "libx264", "mpeg4": "mpeg4", "mjpeg": "mjpeg"}
CONTAINERS = {"mp4": "mp4", "ts": "mpegts", "mkv": "matroska"}
PICTURES = 12
HANG_S = 30.0
LEAST_SHOWN = 0.3


@dataclass
class Verdict:
    """What became of the mutants of one kind.

    Attributes:
        kind: ``videos``, ``messages`` or ``configs``.
        count: mutants.
        good: of videos those that showed a picture, otherwise those that were accepted as they were.
        pictures: decoded in all.
        told: how many ended in each error, by code or kind.
        crashes, hangs: of the child that decoded them: seeds.
        tracebacks: errors that nobody named, each once.
        wrong: what ARGOS did wrong.
    """

    kind: str
    count: int = 0
    good: int = 0
    pictures: int = 0
    told: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def write_clips(folder: Path) -> list[Path]:
    """A second of the sample clip in each codec and container that can be read back."""
    import av

    from argos.errors import ArgosError
    from argos.sources.read import read

    with av.open(str(CHECKOUT / "samples/people.mp4")) as sample:
        frames = [frame.reformat(192, 112, "yuv420p") for frame in islice(sample.decode(video=0), PICTURES)]
    paths = []
    for codec, encoder in CODECS.items():
        for suffix, form in CONTAINERS.items():
            path = folder / f"{codec}.{suffix}"
            with av.open(str(path), "w", format=form) as container:
                stream = container.add_stream(encoder, rate=12)
                stream.width, stream.height, stream.gop_size = 192, 112, 4
                stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
                stream.codec_context.thread_count = 1
                for n, frame in enumerate(frames):
                    picture = frame.reformat(format=stream.pix_fmt)
                    picture.pts, picture.time_base = n, Fraction(1, 12)
                    container.mux(stream.encode(picture))
                container.mux(stream.encode(None))
            try:
                shown = sum(1 for _ in read(str(path), "whole"))
            except ArgosError:
                shown = 0
            if shown == PICTURES:  # MJPEG has no place in MPEG-TS
                paths.append(path)
    return paths


class Worker:
    """A child that decodes one mutant after the other, and is started again when it crashes or hangs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._start()

    def _start(self) -> None:
        command = [sys.executable, __file__, "--worker", str(self.folder)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def ask(self, seed: int) -> dict[str, Any]:
        """What became of a mutant."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{seed}\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], HANG_S)
        line = self.process.stdout.readline() if ready else ""
        if line:
            return dict(json.loads(line))
        self.close()
        status = self.process.returncode
        self._start()
        return {"hang": True} if not ready else {"crash": status}

    def close(self) -> None:
        """End the child."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def work(folder: Path) -> None:
    """The child: reads seeds, writes a line of JSON for each."""
    from argos.errors import ArgosError
    from argos.sources.read import read

    clips = sorted(folder.glob("whole/*"))
    print("READY", flush=True)
    for line in sys.stdin:
        path = mutant_of(folder, clips, int(line))
        told: dict[str, Any] = {"frames": 0}
        try:
            for _ in islice(read(str(path), "mutant"), 4 * PICTURES):
                told["frames"] += 1
        except ArgosError as error:
            told["code"] = getattr(error, "code", type(error).__name__)
        except BaseException:
            told["traceback"] = traceback.format_exc()
        print(json.dumps(told), flush=True)


def mutant_of(folder: Path, clips: Sequence[Path], seed: int) -> Path:
    """Write the mutant of a seed."""
    rng = random.Random(seed)
    clip = clips[seed % len(clips)]
    path = folder / f"mutant{clip.suffix}"
    path.write_bytes(mutate(clip.read_bytes(), rng))
    return path


def run_videos(count: int, seed: int) -> Verdict:
    """Decode mutated videos in a child."""
    verdict, started_s = Verdict("videos"), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "whole").mkdir()
        clips = sorted(write_clips(folder / "whole"))
        worker = Worker(folder)
        for n in _until_interrupted(range(seed, seed + count)):
            told = worker.ask(n)
            verdict.count += 1
            verdict.good += told.get("frames", 0) > 0
            verdict.pictures += told.get("frames", 0)
            if "traceback" in told:
                _keep(verdict, told["traceback"])
            elif "hang" in told or "crash" in told:
                (verdict.hangs if "hang" in told else verdict.crashes).append(f"{n}: {told.get('crash', '')}")
                verdict.wrong += _survives(mutant_of(folder, clips, n))
            else:
                verdict.told[told.get("code", "whole")] += 1
        worker.close()
    if verdict.good < LEAST_SHOWN * verdict.count:
        verdict.wrong.append(f"only {verdict.good / verdict.count:.0%} show a picture: the mutants are too weak a test")
    verdict.seconds = time.monotonic() - started_s
    return verdict


def _survives(path: Path) -> list[str]:
    """What is wrong when a video that ends its decoder is read as a careful user reads it."""
    from argos.errors import ArgosError
    from argos.sources.options import SourceOptions
    from argos.sources.read import read

    try:
        for _ in read(str(path), "mutant", SourceOptions(isolate="process")):
            pass
    except ArgosError:
        return []
    except Exception as error:
        return [f"isolate: process: {type(error).__name__}: {error}"]
    return []


def messages() -> Iterator[list[bytes]]:
    """The golden messages, as lists of parts."""
    for path in sorted(GOLDEN.glob("*.parts")):
        topic, *parts = path.read_text().split()
        yield [topic.encode(), path.with_suffix(".json").read_bytes().strip(), *map(base64.b64decode, parts)]


def mutated_message(rng: random.Random, golden: Sequence[list[bytes]]) -> list[bytes]:
    """A golden message with a part that is mutated, missing, doubled or of another message."""
    parts = list(rng.choice(golden))
    at = rng.randrange(len(parts))
    match rng.randrange(10):
        case 0:
            del parts[at]
        case 1:
            parts.insert(at, rng.choice(rng.choice(golden)))
        case 2:
            at = min(1, len(parts) - 1)
            parts[at] = _other_value(parts[at], rng)
        case _:
            parts[at] = mutate(parts[at] or b"\0", rng)
    return parts


def _other_value(header: bytes, rng: random.Random) -> bytes:
    """A header that is JSON still, with one value of another type or size."""
    data: Any = json.loads(header)
    spot = data
    while True:
        keys = list(spot) if isinstance(spot, dict) else list(range(len(spot)))
        key = rng.choice(keys)
        inner = spot[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.7:
            spot = inner
            continue
        spot[key] = rng.choice((None, -1, 0, 1 << 31, 1 << 63, 1 << 70, 1e308, "", "x" * 5000, [], {}, True, [[[]]]))
        return json.dumps(data).encode()


def run_messages(count: int, seed: int) -> Verdict:
    """Decode mutated messages as a ``Subscriber`` does."""
    from argos.errors import SchemaError
    from argos.publishing.decode import decode

    golden = list(messages())

    def one(rng: random.Random) -> str:
        try:
            decode(mutated_message(rng, golden))
        except SchemaError:
            return "SchemaError"
        return ""

    return _run_each("messages", count, seed, one)


def run_configs(count: int, seed: int) -> Verdict:
    """Check mutated configurations."""
    from argos.config import load_config
    from argos.errors import ConfigError

    texts = [path.read_text() for path in sorted((CHECKOUT / "configs").glob("*.yaml"))]
    texts += [re.sub(r"^( *)#(?=[a-z-])", r"\1", text, flags=re.MULTILINE) for text in texts]  # with every key

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "camera.yaml"

        def one(rng: random.Random) -> str:
            path.write_text(mutate_text(rng.choice(texts), rng), encoding="utf-8", errors="surrogatepass")
            try:
                load_config(path)
            except ConfigError:
                return "ConfigError"
            return ""

        return _run_each("configs", count, seed, one)


def _run_each(kind: str, count: int, seed: int, one: Callable[[random.Random], str]) -> Verdict:
    verdict, started_s = Verdict(kind), time.monotonic()
    for n in _until_interrupted(range(seed, seed + count)):
        verdict.count += 1
        began_s = time.monotonic()
        try:
            told = one(random.Random(n))
            verdict.good += not told
            verdict.told[told or "accepted"] += 1
        except Exception:
            _keep(verdict, f"seed {n}: {traceback.format_exc()}")
        if time.monotonic() - began_s > HANG_S:
            verdict.hangs.append(str(n))
    verdict.seconds = time.monotonic() - started_s
    return verdict


def _until_interrupted(seeds: Iterable[int]) -> Iterator[int]:
    """The seeds, up to Ctrl-C: what was found until then is told."""
    interrupted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: interrupted.append(number))
    try:
        for seed in seeds:
            if interrupted:
                return
            yield seed
    finally:
        signal.signal(signal.SIGINT, before)


def _keep(verdict: Verdict, trace: str) -> None:
    """Each kind of traceback once; the last two lines tell one from the other."""
    verdict.told["traceback"] += 1
    last = trace.strip().split("\n")[-1][:60]
    if not any(last in kept for kept in verdict.tracebacks):
        verdict.tracebacks.append(trace)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the mutants, print the table; 7 where something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    logging.disable(logging.CRITICAL)
    runs = {"videos": run_videos, "messages": run_messages, "configs": run_configs}
    parser.add_argument("--count", type=int, default=1000, help="mutants of each kind (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first mutant (default: 0)")
    parser.add_argument("--what", nargs="+", choices=list(runs), default=list(runs), help="(default: all)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.worker:
        work(given.worker)
        return 0
    verdicts, where = [], conditions()
    for what in given.what:
        verdict = runs[what](given.count, given.seed)
        verdicts.append(verdict)
        told = ", ".join(f"{code} {number}" for code, number in verdict.told.most_common())
        good = f"{verdict.good / verdict.count:.0%} {'show a picture' if what == 'videos' else 'accepted'}"
        print(
            f"{verdict.count} {what} in {verdict.seconds:.0f} s: {good}, {verdict.pictures} pictures; {told}; "
            f"{len(verdict.crashes)} crashes of the child, {len(verdict.hangs)} hangs, "
            f"{len(verdict.tracebacks)} kinds of traceback"
        )
        for words in (*verdict.crashes, *verdict.hangs, *verdict.tracebacks, *verdict.wrong):
            print("  " + words.strip().replace("\n", "\n  "), flush=True)
    if given.json:
        figures = {**where, "seed": given.seed, "kinds": [vars(verdict) for verdict in verdicts]}
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 7 if any((v.hangs and v.kind != "videos") or v.tracebacks or v.wrong for v in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
