"""Where a benchmark ran, for its figures."""

from __future__ import annotations

import os

from llvmlite import binding

from argos.machine import cores, processor


def conditions() -> dict[str, object]:
    """Machine, and its load over the last minute: call it before anything is measured."""
    return {"machine": f"{processor()[0]}, {cores()[0]} cores", "load_1m": round(os.getloadavg()[0], 1)}


BEYOND = {
    "AVX2": ("avx512", "avxvnni", "amx"),
    "AVX2_VNNI": ("avx512", "amx"),
    "AVX512_CORE": ("avxvnni", "amx", *(f"avx512{name}" for name in ("vnni", "bf16", "fp16", "vp", "bitalg"))),
    "AVX512_CORE_VNNI": ("amx", "avx512bf16", "avx512fp16"),
}
"""Beginnings of the names of instruction sets that a processor of each limit of oneDNN has not."""


def limit_numba() -> None:
    """Let Numba compile for the processor that ONEDNN_MAX_CPU_ISA stands for; call it before Numba is imported."""
    beyond = BEYOND.get(os.environ.get("ONEDNN_MAX_CPU_ISA", ""))
    if beyond:
        features = {name: has and not name.startswith(beyond) for name, has in binding.get_host_cpu_features().items()}
        text = ",".join(f"{'+' if has else '-'}{name}" for name, has in features.items())
        os.environ.setdefault("NUMBA_CPU_FEATURES", text)
