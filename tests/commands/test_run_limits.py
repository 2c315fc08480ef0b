"""More connections than the usual limit of open files hold up neither the publisher nor cameras."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from argos.publishing.subscriber import Subscriber
from argos.types import Status

LEAST = 64
PUBLISHING = """
import resource, sys, time
sys.path[:0] = {path!r}
resource.setrlimit(resource.RLIMIT_NOFILE, ({least}, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from publishing_results import made_status
from argos.commands.run import allow_descriptors
from argos.publishing.publisher import Publisher
if {allows}:
    allow_descriptors()
with Publisher("tcp://127.0.0.1:*", run="r", cameras=["desk"], status=made_status) as publisher:
    print(publisher.endpoint, flush=True)
    sys.stdin.read(1)
    # strangers wait in the backlog until ZeroMQ takes them: without the limit raised, it is a matter of time
    deadline = time.monotonic() + ({seconds} if not {allows} else 0)
    while True:
        open("/dev/null").close()  # as a recording would be opened, or a camera
        if time.monotonic() >= deadline:
            break
        time.sleep(0.05)
    print("opened", flush=True)
"""
SECONDS = 30  # in which a busy machine has taken all strangers


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
@pytest.mark.parametrize("allows", [True, False])
def test_strangers_on_the_port_leave_descriptors_for_others(allows: bool) -> None:
    text = PUBLISHING.format(path=sys.path, least=LEAST, allows=allows, seconds=SECONDS)
    process = subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    endpoint = process.stdout.readline().strip()
    host, port = endpoint.removeprefix("tcp://").split(":")
    strangers = []
    try:
        for _ in range(2 * LEAST):
            strangers.append(socket.create_connection((host, int(port)), timeout=20))
        if allows:
            with Subscriber(endpoint, kinds=["status"], timeout=30) as subscriber:
                assert isinstance(subscriber.receive(), Status)
        told, errors = process.communicate("x", timeout=60)
    finally:
        process.kill()
        for stranger in strangers:
            stranger.close()
    # without the limit raised, nothing can be opened any more: this is what it is raised for
    assert (told.strip() == "opened") == allows, errors
