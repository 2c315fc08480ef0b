"""Fixtures for all tests, and one thread per process: tests are small, and waiting threads cost more than they give."""

import os
import signal
import tempfile

# what argos tune kept on this machine is none of the tests' business
os.environ["ARGOS_CACHE"] = tempfile.mkdtemp(prefix="argos-tests-")
for _name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):  # before anything imports torch or numba
    os.environ.setdefault(_name, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# under nohup, or behind an & of a script, they are ignored, and so they would be by every process that the tests start
for _number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)

from rtsp import rtsp_camera  # noqa: E402

__all__ = ["rtsp_camera"]
