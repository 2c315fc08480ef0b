"""The keys ``latency.max_age_ms`` and ``publish.every``."""

from __future__ import annotations

import pytest

from argos.config import Config, config_from_sources
from argos.errors import ConfigError

RTSP = "rtsp://10.0.0.5/door"
BIND = "publish.bind=tcp://127.0.0.1:5555"


def config(*overrides: str) -> Config:
    return config_from_sources([RTSP], overrides)


def test_an_address_is_short_for_a_mapping() -> None:
    short = config(BIND, "publish.every=tcp://127.0.0.1:5556").publish.every
    assert short is not None
    assert (short.bind, short.spool_mb) == ("tcp://127.0.0.1:5556", 64.0)
    long = config(BIND, "publish.every={bind: 'ipc:///tmp/every', spool_mb: 8}").publish.every
    assert long is not None
    assert (long.bind, long.spool_mb) == ("ipc:///tmp/every", 8.0)
    assert config(BIND).publish.every is None


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["publish.every=tcp://127.0.0.1:5556"], "publish.every: needs publish.bind beside it"),
        ([BIND, "publish.every=tcp://0.0.0.0:5556"], r"tcp://0.0.0.0:5556 can be reached from other machines"),
        ([BIND, "publish.every=5556"], "publish.every: should be"),
        ([BIND, "publish.every={bind: nowhere}"], "should be tcp://HOST:PORT or ipc://PATH"),
        ([BIND, "publish.every={bind: 'tcp://127.0.0.1:1', spol_mb: 1}"], "did you mean 'spool_mb'"),
        (["camera.latency={policy: every_frame, max_age_ms: 500}"], "needs policy latest"),
        (["camera.latency.max_age_ms=0"], "should be greater than 0, got 0"),
    ],
)
def test_what_cannot_work_is_told(overrides: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        config(*overrides)


def test_an_age_goes_with_the_policy_latest_and_with_none() -> None:
    assert config("camera.latency={max_age_ms: 500}").cameras["10-0-0-5-door"].latency.max_age_ms == 500
    assert config("camera.latency={policy: latest, max_age_ms: 2.5}").cameras["10-0-0-5-door"].latency.max_age_ms == 2.5
