"""``argos diff A B``: the frames whose masks changed between two runs over the same pictures."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argos.recording.difference import Contents, FrameChange

CHANGED = 7

EPILOG = """A and B are .jsonl files of results, or folders of argos record. Frames are the same when camera, connection
and time (to 2 ms) are; frames that only one of them has are counted, as a live run drops some. Ids and scores do not
matter. In a frame, people are paired by overlap. A person changed when the IoU of the two masks is below --iou;
who has no partner appeared or vanished; the mask of the task semantic is compared as a whole.

exit status: 0 no frame changed; 7 some did, or there is no frame that both have; 2 A or B is not there

examples:
  argos diff before.jsonl after.jsonl
  argos diff rec/door rec/door.replay.jsonl --iou 1      any pixel counts
  argos diff a.jsonl b.jsonl --json | jq '.changes[].pts_s'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos diff``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("a", metavar="A", type=Path, help="results before")
    parser.add_argument("b", metavar="B", type=Path, help="results after")
    parser.add_argument("--iou", type=_share, default=0.95, metavar="IOU", help="a mask that overlaps less has "
                        "changed, 0..1 (default: 0.95; 1 asks for equal pixels)")  # fmt: skip
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="name at most N frames (default: 50; "
                        "all are counted)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object, with every changed frame")


def run(args: argparse.Namespace) -> int:
    """Compare and report; returns 7 when something changed or nothing could be compared."""
    from argos.recording.difference import change, contents_of, paired

    a, b = contents_of(args.a), contents_of(args.b)
    compared, only = 0, [0, 0]
    changes: list[FrameChange] = []
    for _, connection, one, other in paired(a, b):
        if one is None or other is None:
            only[one is None] += 1
            continue
        compared += 1
        found = change(one.result(), other.result(), args.iou, connection)
        if found is not None:
            changes.append(found)
            if not args.json and len(changes) <= args.limit:
                print(_line(found))
    if args.json:
        print(json.dumps(_report(a, b, compared, only, changes)))
    else:
        if len(changes) > args.limit:
            print(f"... and {len(changes) - args.limit} more (--limit)")
        print(_summary(a, b, compared, only, changes))
    return CHANGED if changes or not compared else 0


def _line(found: FrameChange) -> str:
    """One frame for people to read."""
    words = [f"masks changed: IoU {', '.join(f'{iou:.3f}' for iou in found.changed)}"] if found.changed else []
    for what, boxes in (("appeared", found.appeared), ("vanished", found.vanished)):
        if boxes:
            words.append(f"{len(boxes)} {what} at {' '.join(str(list(box)) for box in boxes)}")
    if found.semantic is not None:
        words.append(f"person mask IoU {found.semantic:.3f}")
    if found.other:
        words.append(found.other)
    again = f" connection {found.connection}" if found.connection else ""
    return f"{found.camera}{again} frame {found.index} at {found.pts_s:.3f} s: {'; '.join(words)}"


def _totals(compared: int, only: list[int], changes: list[FrameChange]) -> dict[str, int]:
    return {
        "frames": compared,
        "changed": len(changes),
        "people_changed": sum(len(found.changed) for found in changes),
        "people_appeared": sum(len(found.appeared) for found in changes),
        "people_vanished": sum(len(found.vanished) for found in changes),
        "only_in_a": only[0],
        "only_in_b": only[1],
    }


def _report(a: Contents, b: Contents, compared: int, only: list[int], changes: list[FrameChange]) -> dict[str, Any]:
    from argos.recording.difference import digests

    return {
        **_totals(compared, only, changes),
        "models": {role: {"a": one, "b": two} for role, (one, two) in digests(a.models, b.models).items()},
        "configs": {"a": a.configs, "b": b.configs},
        "unfinished_lines": {"a": a.skipped, "b": b.skipped},
        "changes": [asdict(found) for found in changes],
    }


def _summary(a: Contents, b: Contents, compared: int, only: list[int], changes: list[FrameChange]) -> str:
    """The totals and the digests, for people to read."""
    from argos.recording.difference import digests

    totals = _totals(compared, only, changes)
    share = f" ({totals['changed'] / compared:.1%})" if compared else "; is B a run over the same pictures as A?"
    lines = [
        f"{compared} frames compared, {totals['changed']} changed{share}: {totals['people_changed']} masks, "
        f"{totals['people_appeared']} people appeared, {totals['people_vanished']} vanished",
        f"{only[0]} frames only in A, {only[1]} only in B",
    ]
    pairs = {**digests(a.models, b.models), "config": (", ".join(a.configs), ", ".join(b.configs))}
    for role, (one, two) in pairs.items():
        lines.append(f"{role}: {one} in both" if one == two else f"{role}: A {one or 'none'}, B {two or 'none'}")
    if a.skipped or b.skipped:
        lines.append(f"unfinished lines left out: {a.skipped} in A, {b.skipped} in B")
    return "\n".join(lines)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"should be from 0 to 1, got {text!r}")
    return value
