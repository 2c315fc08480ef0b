"""Helpers of the tests of the main job: run ``argos`` as a process or in this one, and read what it wrote."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from argos.cli import main
from argos.engines.dense import to_unit_floats
from argos.engines.weights import Card, Task, digest
from argos.networks.table import NETWORKS
from argos.sources.read import read

PEOPLE = "fake://people?n=2&seed=3&size=320x240"
FAST = ("--set", "engine.scale=0.5")
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def own_models(folder: Path) -> dict[str, Path]:
    """Small networks with weights drawn at random, as files with cards: what they find is nonsense, but much of it.

    Returns:
        The safetensors file of each role.
    """
    torch.manual_seed(0)
    detector = NETWORKS["ssd_isb.person"](0.25)
    for head in (*detector.class_heads, *(branch.score for branch in detector.branches)):
        torch.nn.init.normal_(head.weight, std=0.3)
    segmenter = NETWORKS["asbunet"]().eval()
    picture = next(read(PEOPLE + "&frames=1", "cam")).pixels
    with torch.inference_mode():  # half of the picture is people
        segmenter.classes.bias -= segmenter(to_unit_floats(picture[None], torch.device("cpu"))).median()
    made: dict[Task, tuple[str, dict[str, Any], torch.nn.Module]] = {
        "proposal": ("qunet", {"width": 8}, NETWORKS["qunet"](8)),
        "semantic": ("asbunet", {}, segmenter),
        "instances": ("ssd_isb.person", {"multiplier": 0.25}, detector),
    }
    thresholds = {"threshold": 0.0, "score_threshold": 0.0, "nms": 0.5}
    files = {}
    for task, (network, arguments, module) in made.items():
        path = files[str(task)] = folder / f"own-{task}.safetensors"
        save_file({key: value.contiguous() for key, value in module.state_dict().items()}, path)
        card = Card(
            f"own-{task}", task, network, arguments, "", thresholds, [], "", "", 0, {}, "", "", digest(path)
        )  # fmt: skip
        path.with_suffix(".json").write_bytes(msgspec.json.encode(card))
    return files


def always_four(folder: Path) -> list[str]:
    """Settings that give four "people" and a mask in every frame, whatever it shows: something to compare."""
    settings = [f"engine.models.{role}={path}" for role, path in own_models(folder).items()]
    settings += ["camera.tasks=[semantic,instances]", "camera.instances.max_people=4", "camera.semantic.threshold=0.5"]
    return [part for setting in settings for part in ("--set", setting)]


def start(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    """Start ``argos`` in a process of its own, in ``folder``."""
    return subprocess.Popen(
        [sys.executable, "-m", "argos", *arguments],
        cwd=folder,
        env=ONE_THREAD,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], timeout_s: float = 90) -> tuple[int, str, str]:
    """Wait for the end: exit status, standard output, standard error."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, out, err


@contextmanager
def as_before() -> Iterator[None]:
    """Run a verb inside this process and leave its signals and logs as they were."""
    logger = logging.getLogger("argos")
    handlers, level = list(logger.handlers), logger.level
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        logger.handlers[:], logger.level = handlers, level
        for number, handler in signals.items():
            signal.signal(number, handler)


def run_here(*arguments: str) -> int:
    """``argos run ARGUMENTS`` in this process: its exit status."""
    with as_before():
        return main(["run", *arguments])


def until(what: Callable[[], bool], timeout_s: float = 60, *, of: subprocess.Popen[str] | None = None) -> None:
    """Wait until something holds; fails at once when the process ``of`` has ended."""
    end = time.monotonic() + timeout_s
    while not what():
        if of is not None and of.poll() is not None:
            raise AssertionError(f"ended with {finish(of)}")
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The results in a file; every line is whole."""
    text = path.read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def line_count(path: Path) -> int:
    """Lines of a file so far; 0 before it exists."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def decoded(path: Path) -> list[NDArray[np.uint8]]:
    """Every frame of a video."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def assert_gapless(lines: list[dict[str, Any]]) -> None:
    """``seq`` counts from 0 without a gap, all of one run and camera."""
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert len({(line["run"], line["camera"]) for line in lines}) == 1


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def argos_threads() -> list[str]:
    """Names of the threads of a run in this process that still run."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("argos-")]


def frames_told(out: str) -> int:
    """Number of frames in the summary on standard output."""
    found = re.search(r"^frames +(\d+)$", out, re.M)
    assert found is not None, out
    return int(found[1])
