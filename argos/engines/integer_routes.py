"""Which route each layer of the integer QU-Net takes on this machine: measured once, kept in the user's cache."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numba
import torch
from torch import Tensor

from argos.engines.integer_conv import ROUTES, Convolution, candidates, instructions
from argos.kept import kept_path, read_kept, tell_unwritable, write_kept
from argos.machine import instruction_limit, processor
from argos.version import VERSION as ARGOS

log = logging.getLogger(__name__)

FORMAT = "argos-routes/1"

PRODUCTS = 100e6
"""Of one convolution that is timed, which takes 0.2 to 2 ms: rows of a layer, and of its channels out where those of
``LEAST_ROWS`` are too many. With much less, caches that are cold decide, which count less in a whole layer."""

LEAST_ROWS, LEAST_CHANNELS = 8, 64

ROUNDS = 4
"""In which the routes of a shape take turns; the shortest time counts."""

HOPELESS = 1.5
"""Times the fastest: a route so slow in the first round is not measured again."""


class Shape(NamedTuple):
    """What the time of a convolution depends on: channels, size of the map, bits of the codes that enter."""

    c_in: int
    c_out: int
    height: int
    width: int
    bits: int

    def __str__(self) -> str:
        return f"{self.c_in}->{self.c_out}, {self.height}x{self.width}, {self.bits} bit"


Times = dict[str, float]
"""Route -> milliseconds."""


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What times depend on; a file holds for these alone.

    Attributes:
        processor, flags: its name and instruction sets.
        limit: of the instruction sets of oneDNN.
        compiled: a digest of those that Numba compiles for.
        threads: that torch uses.
        torch, numba, argos: versions.
    """

    processor: str
    flags: tuple[str, ...]
    limit: str
    compiled: str
    threads: int
    torch: str
    numba: str
    argos: str

    @property
    def path(self) -> Path:
        """The file for these conditions."""
        return kept_path("routes", self)


class RouteFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of a file: times of a part of each shape, by its text."""

    format: str
    conditions: Conditions
    times_ms: dict[str, Times]


def fastest_routes(shapes: Iterable[Shape]) -> dict[Shape, str]:
    """The fastest exact route of each shape; where several may be, and the file of this machine does not tell, they are
    measured and added to it."""
    routes = {shape: candidates(shape.bits) for shape in shapes}
    open_shapes = [shape for shape, names in routes.items() if len(names) > 1]
    conditions = _conditions()
    known = _load(conditions)
    missing = [shape for shape in open_shapes if known.get(str(shape), {}).keys() != set(routes[shape])]
    if missing:
        started = time.perf_counter()
        known |= {str(shape): measure(shape, routes[shape]) for shape in missing}
        log.debug("QU-Net: %d shapes of layers measured in %.2f s", len(missing), time.perf_counter() - started)
        _save(conditions, known)
    fastest = {shape: min(routes[shape], key=known[str(shape)].__getitem__) for shape in open_shapes}
    return {shape: fastest.get(shape, names[0]) for shape, names in routes.items()}


def measure(shape: Shape, routes: Iterable[str]) -> Times:
    """Time some routes in turns on a part of a shape."""
    c_in, c_out, height, width, bits = shape
    rows = min(height, max(LEAST_ROWS, round(PRODUCTS / (9 * c_in * c_out * width))))
    c_out = min(c_out, max(LEAST_CHANNELS, round(PRODUCTS / (9 * c_in * rows * width))))
    signs = torch.ones(c_out, c_in, 3, 3, dtype=torch.int8)
    codes = torch.ones(1, rows, width, c_in, dtype=torch.uint8).permute(0, 3, 1, 2)
    given = codes, torch.ones(c_out), torch.zeros(c_out)
    running = {name: ROUTES[name](signs, bits, 8) for name in routes}
    for convolve in running.values():
        convolve(*given)  # primitives are made, kernels compiled
    times = {name: _time(convolve, *given) for name, convolve in running.items()}
    best = min(times.values())
    for _ in range(ROUNDS - 1):
        for name, convolve in running.items():
            if times[name] <= HOPELESS * best:
                times[name] = min(times[name], _time(convolve, *given))
    return times


def _time(convolve: Convolution, codes: Tensor, scale: Tensor, offset: Tensor) -> float:
    started = time.thread_time()  # of the processor: what this thread has to do of its share, on a busy machine too
    convolve(codes, scale, offset)
    return 1e3 * (time.thread_time() - started)


def _conditions() -> Conditions:
    name, flags = processor()
    compiled = hashlib.sha256(" ".join(sorted(instructions())).encode()).hexdigest()[:16]
    limit = instruction_limit()
    threads, torch_version = torch.get_num_threads(), str(torch.__version__)
    return Conditions(name, tuple(flags), limit, compiled, threads, torch_version, numba.__version__, ARGOS)


def _load(conditions: Conditions) -> dict[str, Times]:
    """What was measured under some conditions."""
    stored = read_kept(conditions.path, RouteFile, "it is written anew")
    if stored is None or (stored.format, stored.conditions) != (FORMAT, conditions):
        return {}
    return stored.times_ms


def _save(conditions: Conditions, times: dict[str, Times]) -> None:
    """Write the file for some conditions, whole or not at all."""
    try:
        write_kept(conditions.path, RouteFile(FORMAT, conditions, times))
    except OSError as error:
        tell_unwritable(error)
