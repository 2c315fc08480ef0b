"""The processes that decode for a process, as the system tells."""

from __future__ import annotations

import os
from pathlib import Path


def decoders(of: int | None = None) -> list[int]:
    """Decoder processes of a process; of this one for ``None``."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            command = stat.with_name("cmdline").read_bytes()
        except OSError:
            continue  # ended meanwhile
        if parent == (of or os.getpid()) and b"argos.sources.decoder" in command:
            found.append(int(stat.parent.name))
    return found
