"""The files of a recording: a folder of Matroska segments, named by the time of their first packet.

``20261121T115500-123Z.mkv`` holds packets, ``20261121T115500-123Z.jsonl`` beside it the results of their frames. A tag
in the head of each segment tells what Matroska cannot: whose packets these are, and their time on the camera's clock.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

TAG = "ARGOS_RECORDING"
"""Name of the tag; its value is the ``Origin`` in JSON."""

_STEM = r"\d{8}T\d{6}-\d{3}Z"
_NAME = re.compile(rf"({_STEM})\.(mkv|jsonl)")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the packets of a segment come from.

    Attributes:
        camera: name.
        connection: the same for all segments of one connection, unlike those of every other.
        pts: time of the first packet in ticks of ``time_base``; the times in the file count from it.
        time_base: ``(numerator, denominator)`` of one tick in seconds.
        captured_ns: when the first packet arrived, nanoseconds since 1970.
        step_s: from picture to picture where the packets came without times, as those of a bare H.264 stream: the
            times in the file are then those of decoding. None: they are those of the pictures.
    """

    camera: str
    connection: str
    pts: int
    time_base: tuple[int, int]
    captured_ns: int
    step_s: float | None = None

    @property
    def tick_s(self) -> Fraction:
        """Seconds per tick."""
        return Fraction(*self.time_base)

    def text(self) -> str:
        """As it stands in the tag."""
        return json.dumps(asdict(self), separators=(",", ":"))


def origin_of(tags: Mapping[str, str]) -> Origin | None:
    """The origin in the tags of a file; None where it is not one of ours."""
    try:
        found = json.loads(tags.get(TAG, ""))
        over, under = found["time_base"]
        base, step_s = (int(over), int(under)), found.get("step_s")
        origin = Origin(
            camera=str(found["camera"]),
            connection=str(found["connection"]),
            pts=int(found["pts"]),
            time_base=base,
            captured_ns=int(found["captured_ns"]),
            step_s=None if step_s is None else float(step_s),
        )
        return origin if over > 0 and under > 0 else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def segment_stem(captured_ns: int) -> str:
    """Name of a segment that begins then, without its ending; names sort by time."""
    time = datetime.fromtimestamp(captured_ns // 1_000_000_000, UTC)
    return f"{time:%Y%m%dT%H%M%S}-{captured_ns // 1_000_000 % 1000:03d}Z"


def files_of(folder: str | Path) -> dict[str, list[Path]]:
    """The files of a recording by the stem of their segment, oldest first; packets before results.

    Raises:
        OSError: the folder cannot be listed.
    """
    found: dict[str, list[Path]] = {}
    for name in sorted(os.listdir(folder), key=lambda name: (name.split(".")[0], name.endswith(".jsonl"))):
        if match := _NAME.fullmatch(name):
            found.setdefault(match[1], []).append(Path(folder, name))
    return found


def segments_of(path: str | Path) -> list[Path]:
    """The segments of a recording, oldest first: those in a folder, or the one that ``path`` is; none of others."""
    if os.path.isdir(path):
        try:
            return [file for files in files_of(path).values() for file in files if file.suffix == ".mkv"]
        except OSError:  # who reads it as something else will say why
            return []
    name = os.path.basename(path)
    return [Path(path)] if _NAME.fullmatch(name) and name.endswith(".mkv") else []
