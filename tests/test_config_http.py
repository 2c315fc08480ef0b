"""The keys below ``http:``: what is refused, in which words, and that the token never shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from argos.config import config_digest, config_from_sources, load_config
from argos.config_report import resolved_yaml
from argos.errors import ConfigError

TOKEN = "a-token-of-twenty-ab"


def faults(tmp_path: Path, http: str) -> str:
    path = tmp_path / "c.yaml"
    path.write_text(f"version: 1\ncamera: {{source: a.mp4}}\nhttp: {http}\n")
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    return str(refused.value).replace(f"{path}:", "")


@pytest.mark.parametrize(
    ("http", "words"),
    [
        ("{bind: 127.0.0.1}", "3:14: http.bind: should be HOST:PORT, as in 127.0.0.1:8080, got '127.0.0.1'"),
        ("{bind: '0.0.0.0:80'}", "http.bind: 0.0.0.0 can be reached from other machines, and everyone there would see "
         "the cameras: bind to 127.0.0.1, or set http.token (openssl rand -hex 16 makes one)"),
        ("{bind: 'cams.home:80', token: ''}", "cams.home can be reached from other machines"),
        ("{token: s3cret}", "http.token: should have at least 16 letters, got 6; openssl rand -hex 16 makes one"),
        ("{token: 1234567890123456}", "http.token: should be text; put it in quotes"),
        ("{token: 'sixteen letters and spaces'}", "http.token: should hold only ASCII letters"),
        ("{prot: 1}", "http.prot: unknown key - known here: token, bind, hosts, pictures"),
        ("{hosts: ['cams.home:8080']}", "http.hosts.0: should be a name as browsers send it, without a port and "
         "without a dot at its end, as in cams.home, got 'cams.home:8080'"),
        ("{hosts: [cams.home, cams.home.]}", "http.hosts.1: should be a name as browsers send it"),
        ("{hosts: ['http://cams.home/']}", "http.hosts.0: should be a name"),
        ("{pictures: {quality: 0}}", "http.pictures.quality: should be at least 1, got 0"),
    ],
)  # fmt: skip
def test_a_fault_says_what_to_write_and_shows_no_token(tmp_path: Path, http: str, words: str) -> None:
    told = faults(tmp_path, http)
    assert words in told
    assert "\n" not in told
    assert "s3cret" not in told
    assert "1234567890123456" not in told


def test_hosts_are_compared_in_small_letters() -> None:
    assert config_from_sources(["a.mp4"], ["http.hosts=[Cams.Home, '::1']"]).http.hosts == ("cams.home", "::1")


def test_a_token_is_masked_wherever_a_configuration_is_shown() -> None:
    config = config_from_sources(["a.mp4"], ["http.bind=0.0.0.0:8080", f"http.token={TOKEN}"])
    assert config.http.token == TOKEN
    for shown in (resolved_yaml(config), repr(config), str(config), config.model_dump_json()):
        assert TOKEN not in shown
    other = config_from_sources(["a.mp4"], ["http.bind=0.0.0.0:8080", f"http.token={TOKEN}x"])
    assert config_digest(config) == config_digest(other)


def test_what_is_shown_of_a_configuration_with_a_token_loads_again(tmp_path: Path) -> None:
    config = config_from_sources(["a.mp4"], ["http.bind=0.0.0.0:8080", f"http.token={TOKEN}"])
    path = tmp_path / "c.yaml"
    path.write_text(resolved_yaml(config))
    assert load_config(path).http.bind == "0.0.0.0:8080"
