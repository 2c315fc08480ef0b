"""Where a benchmark ran, for its figures."""

from __future__ import annotations

import os

from argos.machine import cores, processor


def conditions() -> dict[str, object]:
    """Machine, and its load over the last minute: call it before anything is measured."""
    return {"machine": f"{processor()[0]}, {cores()[0]} cores", "load_1m": round(os.getloadavg()[0], 1)}
