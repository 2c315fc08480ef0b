from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from publishing_results import assert_same, made_hello, made_overlay, made_result, made_status
from receivers import wait_for

from argos.cli import main
from argos.commands import sub
from argos.errors import PublishError, SourceError, UsageError
from argos.publishing.consumer import Consumer
from argos.publishing.jsonl import read_jsonl, result_line
from argos.publishing.message import Message
from argos.publishing.publisher import Publisher

CHECKOUT = Path(__file__).parents[2]
SHORT = "import sys, argparse; from argos.commands import sub; p = argparse.ArgumentParser(); sub.add_arguments(p); "


def argos_sub(*words: str) -> int:
    parser = argparse.ArgumentParser()
    sub.add_arguments(parser)
    return sub.run(parser.parse_args(list(words)))


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """Publishes a result, and the overlay it is asked for, again and again while someone listens."""
    picture = np.full((48, 64, 3), 90, np.uint8)
    done = threading.Event()
    with Publisher("tcp://127.0.0.1:*", run="01jtest", cameras=["desk"], overlay_fps=1000) as publisher:
        publisher.status_changed(made_status())

        def publish() -> None:
            seq = 0
            while not done.is_set():
                if publisher.wants("result", "desk") or publisher.wants("overlay", "desk"):
                    publisher.send(made_result(seq))
                    publisher.offer_overlay(made_result(seq), lambda: picture)
                    seq += 1
                time.sleep(0.01)

        thread = threading.Thread(target=publish)
        thread.start()
        yield publisher
        done.set()
        thread.join()


def test_each_message_is_a_line(publisher: Publisher, capsys: pytest.CaptureFixture[str]) -> None:
    assert argos_sub(publisher.endpoint, "--count", "5", "--timeout", "20") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert "result  desk 0 at 0.000 s, 2 people, 24.4% person, pack, 37.5% computed, 15.8 ms" in lines
    assert "status  desk lost (timeout: camera 'desk': no frame for 1.5 s), 14.9 frames/s in, " in "\n".join(lines)
    assert any(line.startswith("hello   run 01jtest, argos ") for line in lines)


def test_the_other_lines() -> None:
    assert sub.text_of(made_hello()) == "hello   run 01jtest, argos 0.1.0, cameras desk door"
    assert sub.text_of(made_overlay()) == "overlay desk 5 of result 17, 120x90 jpeg, 22 bytes"
    assert sub.text_of(made_result(instances=None, semantic=None)).startswith("result  desk 0 at 0.000 s, pack")


def test_jsonl_holds_the_results(publisher: Publisher, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert argos_sub(publisher.endpoint, "--jsonl", str(path), "--count", "3", "--timeout", "20") == 0
    results = list(read_jsonl(path))
    assert len(results) == 3
    for result in results:
        assert_same(result, made_result(result.seq))


def test_jsonl_goes_to_a_pipe_that_may_close_and_loads_no_torch(publisher: Publisher) -> None:
    script = SHORT + (
        f"code = sub.run(p.parse_args(['{publisher.endpoint}', '--jsonl', '-', '--timeout', '30'])); "
        "assert not {'torch', 'av', 'cv2'} & set(sys.modules); sys.exit(code)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    line = process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr.read() == b""
    assert line == result_line(made_result(json.loads(line)["seq"]))


def test_what_a_pipe_that_closed_did_not_take_comes_again() -> None:
    with Publisher("tcp://127.0.0.1:*", run="01jtest", cameras=["desk"], every="tcp://127.0.0.1:*") as publisher:
        words = [str(publisher.every_endpoint), "--every", "book", "--jsonl", "-", "--timeout", "60"]
        script = SHORT + f"sys.exit(sub.run(p.parse_args({words})))"
        process = subprocess.Popen([sys.executable, "-c", script], cwd=CHECKOUT, stdout=subprocess.PIPE)
        assert wait_for(lambda: "book" in publisher.spools())
        publisher.send(made_result(0))
        assert json.loads(process.stdout.readline())["seq"] == 0
        process.stdout.close()
        publisher.send(made_result(1))
        assert process.wait(60) == 0
        with Consumer(publisher.every_endpoint, "book", timeout=5) as back:
            assert back.receive().seq == 1


def test_an_interrupt_gives_back_the_message_it_came_in_alone() -> None:
    def interrupted(message: Message) -> None:
        if message.seq == 1:
            raise KeyboardInterrupt

    with Publisher("tcp://127.0.0.1:*", run="01jtest", cameras=["desk"], every="tcp://127.0.0.1:*") as publisher:
        with Consumer(publisher.every_endpoint, "book", timeout=60) as consumer:
            assert wait_for(lambda: "book" in publisher.spools())
            for seq in range(3):
                publisher.send(made_result(seq))
            sub._follow(consumer, interrupted, None)
        with Consumer(publisher.every_endpoint, "book", timeout=5) as back:
            assert [back.receive().seq for _ in range(2)] == [1, 2]


def test_an_interrupt_ends_it_well(publisher: Publisher) -> None:
    # a shell's background jobs ignore it, and hand that on to their children
    hears = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    script = hears + SHORT + f"sys.exit(sub.run(p.parse_args(['{publisher.endpoint}'])))"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=CHECKOUT, stdout=subprocess.PIPE)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_view_keeps_the_newest_overlay_in_a_file(publisher: Publisher, tmp_path: Path) -> None:
    path = tmp_path / "newest.jpg"
    assert argos_sub(publisher.endpoint, "--view", str(path), "--count", "2", "--timeout", "20") == 0
    assert cv2.imread(str(path)).shape == (48, 64, 3)
    assert list(tmp_path.iterdir()) == [path]


def test_a_view_that_cannot_be_written_is_named(publisher: Publisher, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"no/newest\.jpg: cannot be written \(No such file"):
        argos_sub(publisher.endpoint, "--view", str(tmp_path / "no" / "newest.jpg"), "--timeout", "20")


def test_a_window_without_a_display_names_the_file_instead() -> None:
    script = SHORT + "sub.run(p.parse_args(['tcp://127.0.0.1:9', '--view']))"
    if "GUI:                           NONE" not in cv2.getBuildInformation():
        pytest.skip("this OpenCV has windows")
    done = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.stderr.endswith(
        "UsageError: --view: no window can be shown here (no display, or an OpenCV without windows); "
        "give a file instead: --view newest.jpg\n"
    )


def test_silence_is_told_after_the_timeout() -> None:
    with pytest.raises(
        SourceError, match=r"tcp://127\.0\.0\.1:9: no message for 0\.1 s \(not connected\); is the"
    ) as caught:
        argos_sub("tcp://127.0.0.1:9", "--timeout", "0.1")
    assert (caught.value.exit_code, caught.value.code) == (3, "timeout")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["host"], "host: not an address"),
        (["tcp://127.0.0.1:9", "--camera", "Front Door"], "camera 'Front Door': expected a name like desk-2"),
        (["tcp://127.0.0.1:9", "--jsonl", "-", "--kind", "status"], "--kind status: --jsonl takes result only"),
        (["tcp://127.0.0.1:9", "--every", "a", "--conformance"], "leave --every out"),
        (["tcp://127.0.0.1:9", "--server-key", "k"], "--server-key and --client-key: expected both or none"),
        (["tcp://127.0.0.1:9", "--view", "a.jpg", "--kind", "result"], "--kind result: --view takes overlay only"),
    ],
)
def test_wrong_arguments_are_explained(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        argos_sub(*words)


@pytest.mark.parametrize("option", ["--count=0", "--count=-1", "--timeout=-1", "--timeout=nan", "--conformance=inf"])
def test_numbers_that_would_never_end_it_are_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("sub",) if option.startswith("--conformance") else ("sub", "top"):
        assert main([command, "tcp://127.0.0.1:9", "--timeout", "0.1", option]) == 2
        assert f"{option.partition('=')[0]}: should be a " in capsys.readouterr().err
