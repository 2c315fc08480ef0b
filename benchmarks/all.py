"""Runs every benchmark of the page, one after the other, and writes the page again; a quarter of an hour on two cores.

    make bench                             # or: python benchmarks/all.py
    python benchmarks/all.py --only qunet  # those with this in their file's name
    python benchmarks/all.py --of epyc     # of another machine: a folder and a page of its own

The machine should have nothing else to do. Real clips are those of the data folder (``ARGOS_DATA``, or
``../shared/data`` beside the checkout); without it their tables keep the figures they have.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from render import OTHERS, RESULTS, ROOT

BENCH = ("-m", "argos", "bench")
CLIP = ("samples/people.mp4", "--truth", "samples/people_truth.json")
QUNET = ("benchmarks/qunet_integer.py", "--widths", "16,32,64", "--repeats", "8")


@dataclass(frozen=True, slots=True)
class Step:
    """One command.

    Attributes:
        file: what it writes, in ``benchmarks/results``.
        arguments: of Python; the option that names the file is added.
        out: that option.
        environment: on top of what is set.
        of_data: whether it runs in the folder of real clips.
        most_s: it is stopped after so many seconds.
    """

    file: str
    arguments: tuple[str, ...]
    out: str = "--json"
    environment: dict[str, str] = field(default_factory=dict)
    of_data: bool = False
    most_s: float = 300.0


STEPS = (
    Step("people_720p_semantic.json", (*BENCH, *CLIP, "--frames", "24", "--set", "camera.tasks=[semantic]",
                                       "--set", "engine.scale=1.0"), "--out"),
    Step("people_default.json", (*BENCH, *CLIP, "--frames", "90", "--set", "camera.tasks=[instances,semantic]"),
         "--out"),
    Step("walking_default.json", (*BENCH, "fixed_short_face-demographics-walking.mp4", "--frames", "30",
                                  "--set", "camera.tasks=[instances,semantic]"), "--out", of_data=True),
    Step("clips.json", ("benchmarks/clips.py",), most_s=900),
    Step("auto.json", ("benchmarks/auto.py", "fake://people?n=30&seed=2&size=1280x720",
                       "fake://people?n=1&seed=2&size=1280x720", "samples/people.mp4"), most_s=600),
    Step("auto_real.json", (str(ROOT / "benchmarks" / "auto.py"), "fixed_breakdance.mp4", "fixed_coffee.mp4",
                             "fixed_meeting_asl_again.mp4", "moving_dance-twirl.mp4", "moving_scooter-black.mp4",
                             "--seconds", "20"),
         of_data=True, most_s=900),
    Step("line.json", ("benchmarks/line.py",), most_s=900),
    Step("packing.json", ("benchmarks/packing.py",)),
    Step("qunet_integer.json", QUNET),
    *(Step(f"qunet_integer_{limit.lower()}.json", QUNET, environment={"ONEDNN_MAX_CPU_ISA": limit})
      for limit in ("AVX512_CORE_VNNI", "AVX512_CORE", "AVX2_VNNI", "AVX2")),
    Step("sparse.json", ("benchmarks/sparse.py", "--exact", "--repeats", "5", "--shares", "10,25,50")),
    Step("sparse_720p.json", ("benchmarks/sparse.py", "--exact", "--repeats", "5", "--shares", "10,25,50",
                              "--size", "720x1280", "--no-layers")),
    Step("compiled.json", ("benchmarks/compiled.py",)),
    Step("gpu.json", ("benchmarks/gpu.py",)),  # where there is one
    Step("tracking.json", ("benchmarks/tracking.py",), ""),
    Step("counting.json", ("benchmarks/counting.py",), most_s=900),
    Step("viewers.json", ("benchmarks/viewers.py",)),
    Step("networks.json", ("benchmarks/networks.py", "--rounds", "2", "--docs", "docs/networks.md"), most_s=900),
)  # fmt: skip


def main() -> int:
    """Run the steps; status 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT", help="steps with this in the name of their file")
    parser.add_argument("--of", choices=OTHERS, help="write the figures and the page of this machine, not those of the "
                        "one that the documentation speaks of")  # fmt: skip
    given = parser.parse_args()
    results = RESULTS / (given.of or "")
    results.mkdir(exist_ok=True)
    failed, begin = [], time.monotonic()
    # the steps that write elsewhere say nothing about a machine
    steps = [step for step in STEPS if not given.of or (step.out and "--docs" not in step.arguments)]
    for step in steps:
        if given.only in step.file:
            print(f"{time.monotonic() - begin:4.0f} s  {step.file}", file=sys.stderr, flush=True)
            reason = run(step, results / step.file)
            if reason:
                failed.append(step.file)
                print(f"        {reason}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "benchmarks/render.py"], cwd=ROOT, check=True)
    print(f"{time.monotonic() - begin:4.0f} s  docs/", file=sys.stderr)
    if failed:
        print(f"not measured, figures as they were: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run(step: Step, file: Path) -> str:
    """Run a step that writes a file; why it gave no figures, or nothing."""
    folder = ROOT
    if step.of_data:
        folder = Path(os.environ.get("ARGOS_DATA", ROOT.parent / "shared" / "data")) / "videos"
        if not folder.is_dir():
            return f"no {folder.name}/ in the data folder; set ARGOS_DATA to it"
    command = [sys.executable, *step.arguments, *([step.out, str(file)] if step.out else [])]
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, **step.environment, "PYTHONPATH": paths}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, timeout=step.most_s)
    except subprocess.TimeoutExpired:
        return f"stopped after {step.most_s:.0f} s"
    return f"exit status {done.returncode}" if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
