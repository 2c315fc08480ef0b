"""What this machine has: processor, memory, versions, codecs, cameras. Reads, changes nothing."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
from pathlib import Path

FLAGS = ("sse4_2", "avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16",
         "amx_int8", "asimd", "asimddp")  # fmt: skip
"""Instruction sets that matter to the networks; the last two are those of ARM."""

PACKAGES = {
    "torch": "torch",
    "onnxruntime": "onnxruntime",
    "numpy": "numpy",
    "cv2": "opencv-python-headless",
    "av": "av",
    "zmq": "pyzmq",
    "numba": "numba",
    "pydantic": "pydantic",
}
"""Module -> distribution."""


def processor() -> tuple[str, list[str]]:
    """Name of the processor, on ARM the numbers of its kinds of cores, and those of ``FLAGS`` it has."""
    name, flags = platform.processor() or platform.machine(), set[str]()
    numbers: dict[str, set[str]] = {}
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return name, []
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        elif key.strip() in ("flags", "Features"):
            flags |= set(value.split())
        elif key.strip() in ("CPU implementer", "CPU variant", "CPU part"):
            numbers.setdefault(key.strip(), set()).add(value.strip())
    kinds = (f"{key} {'/'.join(sorted(values))}" for key, values in sorted(numbers.items()))
    return ", ".join((name, *kinds)), [flag for flag in FLAGS if flag in flags]


def instruction_limit() -> str:
    """The instructions that oneDNN is limited to, by either name it reads; ``none`` where it is not."""
    return os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "none"


def lacks_bfloat16() -> bool:
    """Whether the processor is known to have no instructions for it, so that it would be emulated, and slow."""
    flags = processor()[1]
    return bool(flags) and not {"avx512_bf16", "amx_bf16"} & set(flags)


def cores() -> tuple[int, float]:
    """Cores this process may use, and the share of their time a container leaves it (``cpu.max``), in cores."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    words = _read("/sys/fs/cgroup/cpu.max").split()
    if len(words) == 2 and words[0].isdigit():
        return usable, min(float(usable), int(words[0]) / int(words[1]))
    return usable, float(usable)


def memory_bytes() -> int:
    """Memory this process may use: that of the machine, or the limit of its container."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read("/sys/fs/cgroup/memory.max").strip()
    return min(total, int(limit)) if limit.isdigit() else total


def versions() -> dict[str, str]:
    """Version of each of ``PACKAGES``; the reason in brackets where one cannot be imported."""
    found = {}
    for module, distribution in PACKAGES.items():
        try:
            importlib.import_module(module)
            found[module] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:  # another distribution of it, as opencv-python
            found[module] = str(getattr(importlib.import_module(module), "__version__", "unknown"))
        except (ImportError, OSError) as error:  # OSError: a shared library is missing
            found[module] = f"({error})"
    return found


def threading_layer() -> str:
    """The first of Numba's threading layers that can be loaded, in its own order."""
    for layer, module in (("tbb", "tbbpool"), ("omp", "omppool"), ("workqueue", "workqueue")):
        try:
            importlib.import_module(f"numba.np.ufunc.{module}")
        except ImportError:
            continue
        return layer
    return "none"


def decoders() -> dict[str, bool]:
    """Whether video of each kind can be decoded."""
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    found = {}
    for name in ("h264", "hevc", "mjpeg"):
        try:
            Codec(name, "r")
        except UnknownCodecError:
            found[name] = False
        else:
            found[name] = True
    return found


def encoders() -> dict[str, bool]:
    """Whether video can be written."""
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    try:
        Codec("libx264", "w")
    except UnknownCodecError:
        return {"libx264": False}
    return {"libx264": True}


def webcams() -> list[str]:
    """``/dev/videoN`` that exist, with ``(no permission)`` where they cannot be read."""
    paths = sorted(Path("/dev").glob("video*"), key=lambda path: (len(path.name), path.name))
    return [str(path) if os.access(path, os.R_OK | os.W_OK) else f"{path} (no permission)" for path in paths]


def cache_folder() -> Path:
    """Where this user's measurements of this machine are kept; ``ARGOS_CACHE`` or the desktop's folder of caches."""
    own = os.environ.get("ARGOS_CACHE")
    if own:
        return Path(own)
    try:
        home = Path.home()
    except RuntimeError:  # a container whose user has no name; what asks for a file is told that it cannot be written
        home = Path("/")
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "argos"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:  # no container, or another kind of control group
        return ""
