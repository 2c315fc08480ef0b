from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argos.errors import SourceError
from argos.sources.names import camera_name, is_live, kind_of, redact


@pytest.mark.parametrize(
    ("source", "kind", "live"),
    [
        ("clip.mp4", "video", False),
        ("no-suffix", "video", False),
        ("file:///x/clip.mp4", "video", False),
        ("photo.JPG", "images", False),
        ("frames/*.png", "images", False),
        ("rtsp://10.0.0.7/main", "rtsp", True),
        ("RTSPS://10.0.0.7/main", "rtsp", True),
        ("http://10.0.0.7/video.mjpg", "http", True),
        ("https://10.0.0.7/live/index.m3u8", "http", True),
        ("https://example.org/clip.MP4?token=x", "video", False),
        ("webcam:0", "webcam", True),
        ("/dev/video12", "webcam", True),
        ("fake://people?n=5", "fake", False),
        ("fake://people?n=5&realtime=1", "fake", True),
        ("fake://people?realtime=0", "fake", False),
    ],
)
def test_a_source_string_says_what_it_is(source: str, kind: str, live: bool) -> None:
    assert kind_of(source) == kind
    assert is_live(source) == live


def test_a_directory_is_images(tmp_path: Path) -> None:
    assert kind_of(str(tmp_path)) == "images"


def test_unknown_scheme_names_the_known_ones_and_hides_the_password() -> None:
    with pytest.raises(SourceError, match=r"gopher://\*\*\*@host/x: unknown kind of source.*rtsp") as caught:
        kind_of("gopher://joe:secret@host/x")
    assert caught.value.code == "unsupported"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/videos/Front Door (2).mp4", "front-door-2"),
        ("clip.tar.mp4", "clip-tar"),
        ("Überwachung.mp4", "uberwachung"),
        ("監視.mp4", "camera"),
        ("webcam:0", "video0"),
        ("/dev/video3", "video3"),
        ("rtsp://joe:pass@10.0.0.7:554/main/1?user=joe&password=x", "10-0-0-7-554-main-1"),
        ("fake://people?n=5&seed=1", "people"),
        ("a/frames/*.png", "frames"),
        ("-_.mp4", "camera"),
    ],
)
def test_default_camera_name(source: str, name: str) -> None:
    assert camera_name(source) == name


@given(st.text(max_size=100))
def test_default_names_are_always_valid(text: str) -> None:
    text = text.replace("\0", "")
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", camera_name(text))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("rtsp://joe:pass@10.0.0.7/main", "rtsp://***@10.0.0.7/main"),
        ("rtsp://joe@10.0.0.7/main", "rtsp://***@10.0.0.7/main"),
        ("rtsp://joe:p@ss/w:rd@10.0.0.7/main", "rtsp://***@10.0.0.7/main"),
        ("cannot open 'http://a:b@h/x' and 'http://c:d@i/y'", "cannot open 'http://***@h/x' and 'http://***@i/y'"),
        ("http://h/snap.cgi?user=admin&pwd=12345&ch=1", "http://h/snap.cgi?user=***&pwd=***&ch=1"),
        ("http://h/clip.mp4?access_token=abc&x=1", "http://h/clip.mp4?access_token=***&x=1"),
        ("rtsp://h/user=admin_password=12345_channel=1", "rtsp://h/user=***"),
        ("rtsp://10.0.0.7:554/main", "rtsp://10.0.0.7:554/main"),
        ("clip@home.mp4: no such file", "clip@home.mp4: no such file"),
        ("http://h/x?monkey=1", "http://h/x?monkey=1"),
    ],
)
def test_credentials_never_survive_and_the_rest_does(text: str, clean: str) -> None:
    assert redact(text) == clean


@given(st.text("abcXYZ019!$%&()*+,-./:;=?@_~#", min_size=1, max_size=20).map(lambda s: s + "Qz7"))
def test_no_part_of_any_password_survives(password: str) -> None:
    assert "Qz7" not in redact(f"camera 'gate': rtsp://joe:{password}@10.0.0.7/main: refused")
