"""Webhooks against a real HTTP server that answers, refuses, hangs, goes away and comes back."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator

import pytest
from receivers import HookServer, wait_for

from argos.config_outputs import WebhookOutput
from argos.publishing.delivery import Backoff, Delivery, Message, NotDelivered, Refused
from argos.publishing.webhook import Webhook

SECRET = "T0ken-of-path"


@pytest.fixture
def server() -> Iterator[HookServer]:
    served = HookServer()
    yield served
    served.stop()


def hook(server: HookServer, timeout_s: float = 0.3) -> Webhook:
    return Webhook(f"http://me:p%40ss@127.0.0.1:{server.port}/{SECRET}?k=v", {"X-Home": "1"}, timeout_s)


EVENT = Message(None, "run-door-0", json.dumps({"type": "zone_enter"}).encode())


def test_a_post_carries_the_event_its_key_and_the_credentials(server: HookServer) -> None:
    webhook = hook(server)
    webhook.send(EVENT)
    ((path, headers, body),) = server.requests
    assert (path, json.loads(body)) == (f"/{SECRET}?k=v", {"type": "zone_enter"})
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert (headers["Content-Type"], headers["Idempotency-Key"], headers["X-Home"]) == (
        "application/json", "run-door-0", "1",
    )  # fmt: skip
    assert webhook.name == f"webhook http://127.0.0.1:{server.port}"


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410])
def test_a_refusal_is_for_ever(server: HookServer, status: int) -> None:
    server.status, server.more = status, {"Location": f"http://127.0.0.1:{server.port}/other"}
    with pytest.raises(Refused, match=f"status {status}"):
        hook(server).send(EVENT)
    assert len(server.requests) == 1  # a redirect is not followed


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_other_refusals_may_be_over_later(server: HookServer, status: int) -> None:
    server.status, server.more = status, {"Retry-After": "7"}
    with pytest.raises(NotDelivered, match=f"status {status}") as fault:
        hook(server).send(EVENT)
    assert fault.value.after_s == 7.0


def test_a_server_that_hangs_and_one_that_is_gone_are_tried_again_later(server: HookServer) -> None:
    server.hangs = True
    with pytest.raises(NotDelivered, match="no answer in time"):
        hook(server, timeout_s=0.1).send(EVENT)
    with pytest.raises(NotDelivered, match="refused"):
        Webhook("http://127.0.0.1:9/", {}, 0.3).send(EVENT)
    with pytest.raises(NotDelivered):
        Webhook("http://no-such-host.invalid/", {}, 0.3).send(EVENT)


def test_a_host_may_have_letters_beyond_ascii_and_a_path_what_stands_for_them() -> None:
    url = "http://bücher.invalid/caf%C3%A9?q=a%20b"
    output = WebhookOutput.model_validate({"type": "webhook", "url": url})
    with pytest.raises(NotDelivered):  # it was looked up
        Webhook(output.url, {}, 0.3).send(EVENT)


def test_all_events_arrive_in_order_through_every_fault(caplog: pytest.LogCaptureFixture) -> None:
    served = HookServer()
    webhook = hook(served, timeout_s=0.2)
    with caplog.at_level(logging.DEBUG, "argos"):
        delivery = Delivery(webhook.name, webhook.send, 100, Backoff(0.01, 0.1))
        delivery.put(Message(None, "0", b"0"))
        assert wait_for(lambda: delivery.tally().delivered == 1)
        served.status = 503
        delivery.put(Message(None, "1", b"1"))
        assert wait_for(lambda: delivery.tally().failed >= 2)
        served.status, served.hangs = 204, True
        failed = delivery.tally().failed
        assert wait_for(lambda: delivery.tally().failed > failed)
        served.stop()
        for n in range(2, 6):
            delivery.put(Message(None, str(n), str(n).encode()))
        failed = delivery.tally().failed
        assert wait_for(lambda: delivery.tally().failed > failed + 1)
        again = HookServer(served.port)
        try:
            assert wait_for(lambda: delivery.tally().delivered == 6)
            delivery.close()
        finally:
            again.stop()
    assert [body for _, _, body in again.requests] == [b"1", b"2", b"3", b"4", b"5"]
    assert delivery.tally().dropped == {}
    assert "cannot be reached, messages wait" in caplog.text
    for secret in (SECRET, "p@ss", "p%40ss", "k=v"):
        assert secret not in caplog.text
