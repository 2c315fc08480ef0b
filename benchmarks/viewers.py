"""What nine viewers of the live page cost the pipeline: frames per second and processor time, without and with them.

    python benchmarks/viewers.py                # two minutes
    python benchmarks/viewers.py --json FILE    # and writes it

The shipped line runs on rendered people as fast as it can. Nine WebSocket connections, in a process of their own, look
at its camera in the width of a tile and are done with each picture at once. Spells without and with them alternate, so
that what the machine does meanwhile falls on both; the first seconds of a spell do not count.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from argos.machine import cores, processor

VIEWERS, WIDTH = 9, 480
SETTLE_S = 1.5
SIDES = (("without", False), ("with", True))

LOOKERS = """
import asyncio, sys
import aiohttp

seen = 0

async def look(session, url, camera, width):
    global seen
    async with session.ws_connect(url, max_msg_size=0) as viewer:
        await viewer.send_json({"watch": {camera: width}})
        async for message in viewer:
            if message.type == aiohttp.WSMsgType.BINARY:
                seen += 1
                await viewer.send_json({"seen": camera})

async def main(url, camera, count, width):
    loop, looking = asyncio.get_running_loop(), []
    async with aiohttp.ClientSession() as session:
        while (word := (await loop.run_in_executor(None, sys.stdin.readline)).strip()) != "end":
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)
            looking = []
            if word == "look":
                looking = [asyncio.create_task(look(session, url, camera, width)) for _ in range(count)]
            print(seen, flush=True)
        for task in looking:
            task.cancel()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
"""


def main() -> int:
    """Measure, print and perhaps write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spells", type=int, default=12, help="half of them with viewers (default 12)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each spell (default 8)")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    from argos.config import config_from_sources
    from argos.engines.threads import prepare_threads

    config = config_from_sources(
        ["fake://people?n=4&seed=9001&size=640x360&fps=15"],
        ["http.bind='127.0.0.1:0'", "camera.name=hall"],
    )
    prepare_threads(config.engine.threads)
    import argos

    spells: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    with argos.Pipeline(config) as pipeline:
        results = iter(pipeline)
        next(results)
        assert pipeline.page is not None
        command = [sys.executable, "-c", LOOKERS, f"{pipeline.page.rstrip('/')}/live", "hall", str(VIEWERS), str(WIDTH)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as lookers:
            assert lookers.stdin is not None
            assert lookers.stdout is not None
            for n in range(args.spells):
                looked_at = n % 4 in (1, 2)  # without, with, with, without, ...: a trend falls on both
                lookers.stdin.write("look\n" if looked_at else "rest\n")
                lookers.stdin.flush()
                pictures = int(lookers.stdout.readline())
                spells[looked_at].append(spell(results, args.seconds))
            lookers.stdin.write("end\n")
            lookers.stdin.flush()
            lookers.wait(10)
        pipeline.stop()
    fps, cpu = (
        {name: statistics.median(s[key] for s in spells[on]) for name, on in SIDES} for key in ("fps", "cpu_ms")
    )
    report = {
        "machine": {"processor": processor()[0], "cores": cores(), "load": os.getloadavg()[0]},
        "viewers": VIEWERS,
        "spells": {"without": spells[False], "with": spells[True]},
        "pictures": pictures,
        "fps": fps,
        "cpu_ms": cpu,
    }
    print(f"fps {fps['without']:.2f} without, {fps['with']:.2f} with {VIEWERS} viewers "
          f"({100 * (fps['with'] / fps['without'] - 1):+.1f} %); processor time per frame of this process "
          f"{cpu['without']:.1f} and {cpu['with']:.1f} ms; {pictures} pictures seen")  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


def spell(results: Iterator[object], seconds: float) -> dict[str, float]:
    """Take results for a while; frames per second, and milliseconds of processor time of this process per frame."""
    begin = time.monotonic()
    while time.monotonic() - begin < SETTLE_S:
        next(results)
    start, used, frames = time.monotonic(), time.process_time(), 0
    while time.monotonic() - start < seconds:
        next(results)
        frames += 1
    took, used = time.monotonic() - start, time.process_time() - used
    return {"fps": frames / took, "cpu_ms": 1000 * used / frames}


if __name__ == "__main__":
    sys.exit(main())
