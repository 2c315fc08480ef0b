from __future__ import annotations

import json
import logging

import pytest

from argos.logs import JsonLines
from argos.pipelines.notices import Notices
from argos.publishing.publisher import Publisher
from argos.publishing.subscriber import Subscriber
from argos.types import Notice


def test_a_notice_is_told_in_the_log_and_to_subscribers_without_credentials(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with (
        Publisher("tcp://127.0.0.1:*", run="01jtest", cameras=["door"]) as publisher,
        Subscriber(publisher.endpoint, kinds=["notice"], queue=9, timeout=60) as subscriber,
    ):
        notices = Notices("01jtest")
        notices.tell("config.refused", "-", "told to nobody yet", level="error")
        notices.to(publisher, None)
        while not publisher.wants("notice", "door"):
            pass
        notices.tell(
            "config.refused", "-", "cannot open rtsp://zoltan:heimliches@10.0.0.7/main?token=wort", level="error"
        )
        notices.tell("overload.step", "door", "step 1 (rate)", {"step": 1, "from": 0, "held_back": "rate"})
        refused, step = subscriber.receive(), subscriber.receive()
    assert isinstance(refused, Notice)
    assert isinstance(step, Notice)
    assert (refused.camera, refused.seq, refused.type) == ("-", 1, "config.refused")
    assert refused.text == "cannot open rtsp://***@10.0.0.7/main?token=***"
    assert (step.camera, step.seq, step.values) == ("door", 0, {"step": 1, "from": 0, "held_back": "rate"})
    lines = [json.loads(JsonLines("01jtest").format(record)) for record in caplog.records]
    assert [(line["event"], line["level"], line["camera"]) for line in lines] == [
        ("config.refused", "error", None), ("config.refused", "error", None), ("overload.step", "info", "door"),
    ]  # fmt: skip
    assert lines[1]["msg"] == refused.text
    assert (lines[2]["step"], lines[2]["held_back"]) == (1, "rate")
