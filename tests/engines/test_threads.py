"""Threads are counted by what this process may use, not by what the machine has."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
import torch

from argos.engines import threads

ASK = """\
import os, sys
from argos.engines.threads import prepare_threads
if sys.argv[1] == "bound":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
prepare_threads(int(sys.argv[2]) or None)
print(os.environ["OMP_NUM_THREADS"], os.environ["NUMBA_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"])
"""


def ask(bound: str, threads: int, **environment: str) -> list[str]:
    names = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_WAIT_POLICY")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-c", ASK, bound, str(threads)]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be bound to cores here")
def test_a_process_bound_to_one_core_takes_one_thread() -> None:
    assert ask("bound", 0) == ["1", "1", "PASSIVE"]


def test_what_is_asked_for_counts_and_the_environment_more() -> None:
    assert ask("free", 3) == ["3", "3", "PASSIVE"]
    assert ask("free", 3, OMP_NUM_THREADS="2") == ["2", "3", "PASSIVE"]


def test_a_program_that_uses_the_pipeline_gets_them_before_torch_is_loaded() -> None:
    told = "import os, sys; from argos import Pipeline; print(os.environ['OMP_WAIT_POLICY'], sys.getswitchinterval())"
    clean = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", told], env=clean, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["PASSIVE", "0.0005"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked off here")
def test_a_process_that_is_forked_off_one_that_has_computed_does_not_wait_for_its_threads() -> None:
    code = (
        "import os, signal, sys, torch; from argos.engines.threads import limit_threads\n"
        "limit_threads(2); torch.ones(1 << 22).add_(1)\n"
        "child = os.fork()\n"
        "if child == 0: signal.alarm(20); limit_threads(2); torch.ones(1 << 22).add_(1); os._exit(0)\n"
        "sys.exit(os.waitpid(child, 0)[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "computes on one thread; start it by multiprocessing's method 'spawn'" in done.stderr


def test_a_program_that_took_more_threads_than_its_container_has_is_held_to_those(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(threads, "usual_threads", lambda: 1)
    try:
        torch.set_num_threads(2)
        threads.limit_threads(None)
        assert torch.get_num_threads() == 1
        threads.limit_threads(2)
        assert torch.get_num_threads() == 2, "what is asked for"
    finally:
        torch.set_num_threads(before)


HEAPS = """\
import ctypes, os, sys, threading
from argos.engines.threads import share_heaps
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.fopen.restype = ctypes.c_void_p, ctypes.c_void_p
if sys.argv[1] == "shared":
    share_heaps()
together = threading.Barrier(8)
def hold():
    together.wait(20)
    libc.malloc(ctypes.c_size_t(1000))
    together.wait(20)
threads = [threading.Thread(target=hold) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
file = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def heaps(*arguments: str, **environment: str) -> int:
    """How many heaps the threads of a process have made."""
    clean = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    command = [sys.executable, "-c", HEAPS, *arguments]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True)
    return done.stdout.count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_threads_share_two_heaps_unless_the_environment_says_otherwise() -> None:
    assert heaps("own") > threads.HEAPS
    assert heaps("shared") == threads.HEAPS
    assert heaps("shared", MALLOC_ARENA_MAX="5") > threads.HEAPS
