"""An RTSP camera for tests: GStreamer's server, in a process of its own.

The fixture ``rtsp_camera`` is there in every test; ``from rtsp import RtspCamera`` gives its type.
"""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

PYTHON = "/usr/bin/python3"  # Debian's, which sees Debian's python3-gi
INSTALL = (
    "apt-get install -y --no-install-recommends python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base "
    "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"
)
SERVER = Path(__file__).with_name("rtsp_server.py")


@cache
def missing() -> str:
    """The command that installs what the server needs; empty when it is there."""
    try:
        done = subprocess.run([PYTHON, str(SERVER), "--check"], capture_output=True, timeout=60, check=False)
    except FileNotFoundError:
        return f"{INSTALL} python3"
    return INSTALL if done.returncode else ""


class RtspCamera:
    """A running camera.

    Attributes:
        url: its address, with user and password where it asks for them.
        port: it listens on.
    """

    def __init__(self, *arguments: str, port: int = 0) -> None:
        self.arguments, self.port, self.url = arguments, port, ""
        self.start()

    def start(self) -> None:
        """Start it, on the same port as before."""
        self.process = subprocess.Popen(
            [PYTHON, str(SERVER), "--port", str(self.port), *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], 30)
        line = self.process.stdout.readline() if ready else ""
        if not line.startswith("READY "):
            self.kill()
            raise RuntimeError(f"the RTSP camera did not start: {line!r}")
        self.url = line.split()[1]
        self.port = int(self.url.rsplit(":", 1)[1].split("/")[0])

    def send(self, command: str) -> None:
        """Give a command: ``stall``, ``resume``, ``kick``, ``jump -5``."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End the process at once, as a power cut does."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def rtsp_camera() -> Iterator[Callable[..., RtspCamera]]:
    """Starts cameras with the arguments of ``rtsp_server.py``; all are stopped after the test."""
    if missing():
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"the RTSP server is missing under CI: {missing()}")
        pytest.skip(f"the RTSP server is missing: {missing()}")
    cameras: list[RtspCamera] = []

    def start(*arguments: str, port: int = 0) -> RtspCamera:
        cameras.append(RtspCamera(*arguments, port=port))
        return cameras[-1]

    yield start
    for camera in cameras:
        if camera.process.poll() is None:
            camera.kill()
