"""Every real clip, and an empty room: the full frame against ``auto`` and ``pack``, on every frame in turns.

    python benchmarks/clips.py                 # five minutes; all videos of the data folder
    python benchmarks/clips.py --json FILE     # and writes it

The default settings with both tasks, on the first frames of each clip. The empty room is rendered and still, as most
cameras see most of the time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from argos.engines.threads import prepare_threads

ROOT = Path(__file__).parents[1]
EMPTY = "fake://people?n=0&size=1280x720&frames=200"
MODES = ("full", "auto", "pack")


def main() -> int:
    """Measure each clip and print a table; status 2 without a data folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=24, help="of each clip, from its first (default: 24)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    folder = Path(os.environ.get("ARGOS_DATA", ROOT.parent / "shared" / "data")) / "videos"
    videos = sorted(folder.glob("*.mp4"))
    if not videos:
        print(f"no videos in the {folder.name}/ of the data folder; set ARGOS_DATA to it", file=sys.stderr)
        return 2
    prepare_threads(None)
    import cv2

    from argos.benching.report import iou, machine

    cv2.setNumThreads(1)  # as in use
    report: dict[str, Any] = {"machine": machine(), "frames": given.frames, "clips": {}}
    for name, source in (("an empty room (rendered)", EMPTY), *((path.stem, str(path)) for path in videos)):
        rows = measured(source, given.frames)
        report["clips"][name] = rows
        sides = ", ".join(
            f"{mode} {row['ms']:.0f} ms ({row['speed_up']:.2f}x, IoU {iou(row['iou_full'])})"
            for mode, row in rows.items()
        )
        print(f"{name}: {sides}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def measured(source: str, count: int) -> dict[str, dict[str, Any]]:
    """The rows of one clip by mode."""
    from argos.benching.compare import compare
    from argos.benching.rates import first_frames
    from argos.commands.run import configuration

    config = configuration([source], ["camera.tasks=[instances,semantic]"], None)
    config = config.model_copy(update={"outputs": (), "publish": config.publish.model_copy(update={"bind": None})})
    frames = first_frames(config, count)
    return {row.name: asdict(row) for row in compare(config, frames, None, (), modes=MODES).modes}


if __name__ == "__main__":
    sys.exit(main())
