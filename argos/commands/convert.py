"""``argos convert``: results in the formats of other tools."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from argos.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos convert``."""
    from argos.publishing.exports import FORMATS

    parser.description = (
        "Convert a file of results (outputs: type jsonl). coco: one data set with RLE masks; yolo-seg: a folder of "
        "outlines; mot: boxes with ids (MOTChallenge); csv: a row of counts per frame."
    )
    parser.add_argument("results", type=Path, help="a .jsonl file of one camera and run")
    parser.add_argument("--to", required=True, choices=list(FORMATS), help="the format")
    parser.add_argument("-o", "--out", type=Path, help="file or folder to write (default: beside RESULTS)")


def run(args: argparse.Namespace) -> int:
    """Convert and say where it went."""
    from argos.publishing.exports import export
    from argos.publishing.jsonl import read_jsonl

    endings = {"coco": ".coco.json", "yolo-seg": "_labels", "mot": ".mot.txt", "csv": ".csv"}
    if not args.results.is_file():
        raise UsageError(f"{args.results}: no such file; argos run with an output of type jsonl writes one")
    out = args.out or args.results.with_name(args.results.stem + endings[args.to])
    if out.resolve() == args.results.resolve():
        raise UsageError(f"{out}: is the file of results; choose another --out")
    reader = read_jsonl(args.results)
    count = export(reader, args.to, out)
    skipped = f", {reader.skipped} unfinished lines skipped" if reader.skipped else ""
    print(f"wrote {out}: {count} frames{skipped}", file=sys.stderr)
    return 0
