"""``argos data pack OUT``: a small copy of the training data, for a machine far away."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos data``."""
    parser.add_argument("what", choices=["pack"], help="pack: write a copy that ARGOS_DATA can name")
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument(
        "--side", type=int, default=320, help="pixels of the longer side of a photo at most (default: 320)"
    )
    parser.add_argument("--quality", type=int, default=70, help="of the JPEGs, 1 to 100 (default: 70)")


def run(args: argparse.Namespace) -> int:
    """Pack, with progress.

    Raises:
        UsageError: a number out of range.
        DataError: there is no data.
        PublishError: the folder is not empty, or cannot be written.
    """
    from argos.errors import UsageError
    from argos.training import datasets
    from argos.training.packed import check_empty, write_packed

    if args.side < 64 or not 1 <= args.quality <= 100:
        raise UsageError(f"--side should be 64 or more and --quality 1 to 100, got {args.side} and {args.quality}")
    folder = datasets.data_folder()
    check_empty(args.out)  # reading the photos takes minutes
    shown = sys.stderr.isatty()

    def progress(done: int, of: int) -> None:
        if shown and (done % 50 == 0 or done == of):
            print(f"\r{done} of {of} photos", end="\n" if done == of else "", file=sys.stderr, flush=True)

    groups = {group: datasets.photos_of(folder, group) for group in datasets.GROUPS}
    cutouts = datasets.cutouts_of(folder)
    camvid = {split: datasets.class_photos(folder, split) for split in ("train", "val")}
    size = write_packed(groups, cutouts, camvid, args.out, max_side=args.side, quality=args.quality, progress=progress)
    photos = sum(map(len, (*groups.values(), *camvid.values())))
    print(f"{args.out}: {photos} photos, {len(cutouts)} cut-outs, {size / 1e6:.1f} MB")
    print(f"train with it: ARGOS_DATA={args.out} argos train ...")
    return 0
