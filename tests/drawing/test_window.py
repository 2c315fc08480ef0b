"""``--window`` on a real display, kept in a file by Xvfb, and where there is none."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from argos.cli import main
from argos.drawing.window import Window
from argos.errors import UsageError

XVFB = shutil.which("Xvfb")
RED, GREY = (200, 0, 0), (90, 90, 90)


@pytest.fixture
def screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The picture on a new display."""
    pytest.importorskip("tkinter", reason="this Python has no Tk")
    if XVFB is None:
        pytest.skip("no Xvfb (apt-get install xvfb)")
    reading, writing = os.pipe()
    command = [XVFB, "-displayfd", str(writing), "-screen", "0", "1400x900x24", "-fbdir", str(tmp_path)]
    server = subprocess.Popen([*command, "-nolisten", "tcp"], pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as told:
        monkeypatch.setenv("DISPLAY", f":{told.readline().strip()}")
    yield tmp_path / "Xvfb_screen0"
    server.terminate()
    server.wait()


def seen(screen: Path) -> NDArray[np.uint8]:
    """The pixels of a display, ``(H, W, 3)`` RGB, from the file of Xvfb (XWD, 32 bits a pixel)."""
    data = screen.read_bytes()
    header = struct.unpack(">25I", data[:100])
    start, width, height, line, colours = header[0], header[4], header[5], header[12], header[19]
    pixels = np.frombuffer(data, np.uint8, height * line, start + 12 * colours).reshape(height, line // 4, 4)
    return pixels[:, :width, 2::-1]


def count(screen: Path, colour: tuple[int, int, int]) -> int:
    return int((seen(screen) == colour).all(axis=2).sum())


def wait_for(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_the_newest_picture_of_each_camera_is_on_the_display(screen: Path) -> None:
    closed: list[bool] = []
    window = Window("ARGOS", lambda: closed.append(True))
    assert window.is_due()
    window.show("door", np.full((90, 160, 3), GREY, np.uint8))
    assert wait_for(lambda: count(screen, GREY) == 90 * 160)
    assert wait_for(window.is_due)
    window.show("door", np.full((90, 160, 3), RED, np.uint8))
    assert wait_for(lambda: count(screen, RED) == 90 * 160)
    assert count(screen, GREY) == 0
    window.show("gate", np.full((540, 1920, 3), GREY, np.uint8))
    assert wait_for(lambda: count(screen, GREY) > 100_000)
    assert count(screen, RED) > 100_000  # enlarged beside it
    window.close()
    window.close()
    assert not window.is_due()
    assert closed == []  # it was not the user


def test_closing_it_is_noticed_though_no_picture_comes(screen: Path) -> None:
    closed = threading.Event()
    window = Window("ARGOS", closed.set)
    window._process.terminate()  # as the window manager would
    assert closed.wait(60)
    assert not window.is_open
    window.show("door", np.full((90, 160, 3), RED, np.uint8))
    window.close()


def test_without_a_display_it_says_what_to_do_instead(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tkinter", reason="this Python has no Tk")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert main(["run", "webcam:0", "--window"]) == 2
    assert re.fullmatch(
        r"argos: --window: this machine has no display \(.*\); --web 127.0.0.1:8080 shows .*\n", capsys.readouterr().err
    )


def test_without_tk_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tkinter.py").write_text("raise ImportError('no Tk here')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    with pytest.raises(
        UsageError, match=r"this Python has no Tk \(no Tk here\); install it \(apt-get install python3-tk"
    ):
        Window("ARGOS", lambda: None)
