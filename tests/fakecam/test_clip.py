from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from argos.errors import SourceError
from argos.fakecam.clip import Clip, read_clip
from argos.fakecam.codecs import H264, H265, Codec
from argos.sources.read import read

CHECKOUT = Path(__file__).parents[2]
SAMPLE = CHECKOUT / "samples" / "people.mp4"


def decoded(clip: Clip) -> list[np.ndarray]:
    """The pictures of a clip, in the order of showing."""
    decoder = av.CodecContext.create(clip.codec.name, "r")
    pictures = []
    for unit in clip.units:
        pictures += decoder.decode(av.Packet(b"".join(b"\0\0\0\1" + nal for nal in unit.nals)))
    return [picture.to_ndarray(format="rgb24") for picture in pictures + decoder.decode(None)]


def test_the_packets_of_a_file_are_sent_as_they_are() -> None:
    clip = read_clip(str(SAMPLE))
    assert (len(clip.units), clip.size, clip.duration_s) == (150, (720, 1280), pytest.approx(10.0))
    pictures = decoded(Clip(clip.units[:5], clip.duration_s, clip.size, clip.codec, clip.sets))
    for picture, frame in zip(pictures, read(str(SAMPLE), "clip"), strict=False):
        assert np.array_equal(picture, frame.pixels)


def test_rendered_people_have_a_key_picture_every_second_and_begin_with_their_sets() -> None:
    clip = read_clip("fake://people?n=2&seed=1&size=160x96&fps=5&frames=12")
    assert [n for n, unit in enumerate(clip.units) if unit.key] == [0, 5, 10]
    assert all(unit.nals[0][0] & 31 == 7 for unit in clip.units if unit.key)
    assert all(b.dts_s - a.dts_s == pytest.approx(0.2) for a, b in pairwise(clip.units))
    assert (clip.size, clip.duration_s, len(decoded(clip))) == ((96, 160), pytest.approx(2.4), 12)


def test_people_are_rendered_in_h265_too() -> None:
    clip = read_clip("fake://people?n=2&seed=1&codec=h265&size=160x96&fps=5&frames=12")
    assert (clip.codec, [n for n, unit in enumerate(clip.units) if unit.key]) == (H265, [0, 5, 10])
    assert all([nal[0] >> 1 for nal in unit.nals[:3]] == [32, 33, 34] for unit in clip.units if unit.key)
    other = read_clip("fake://people?n=2&seed=1&size=160x96&fps=5&frames=12")
    for one, same in zip(decoded(clip), decoded(other), strict=True):
        assert np.abs(one.astype(int) - same).mean() < 6


@pytest.mark.parametrize(("codec", "encoder"), [(H264, "libx264"), (H265, "libx265")])
def test_a_file_of_each_codec_is_sent_as_it_is(tmp_path: Path, codec: Codec, encoder: str) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=10, options={"x265-params": "log-level=none:pools=none"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for n in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 40 * n, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    clip = read_clip(str(path))
    assert (clip.codec, len(clip.sets)) == (codec, len(codec.sets))
    for picture, frame in zip(decoded(clip), read(str(path), "clip"), strict=True):
        assert np.array_equal(picture, frame.pixels)


def test_pictures_out_of_order_keep_both_times(tmp_path: Path) -> None:
    path = tmp_path / "b.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"bf": "2", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 10)
        for n in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 10 * n, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    clip = read_clip(str(path))
    assert len(clip.units) == 20
    assert any(unit.pts_s > unit.dts_s + 0.05 for unit in clip.units)
    assert clip.units[0].dts_s == 0
    assert all(unit.pts_s >= unit.dts_s - 1e-9 for unit in clip.units)
    steps = [round(b - a, 3) for a, b in pairwise(sorted(unit.pts_s for unit in clip.units))]
    assert set(steps) == {0.1}


def test_what_cannot_be_shown_is_explained(tmp_path: Path) -> None:
    text, other = tmp_path / "text.mp4", tmp_path / "other.mp4"
    text.write_text("no video")
    with av.open(str(other), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    for source, code, words in (
        (str(tmp_path / "none.mp4"), "not_found", "no such file"),
        (str(text), "not_a_video", "not a video"),
        (
            str(other),
            "unsupported",
            "its codec is mpeg4, a fake camera sends H.264 and H.265 as they are; encode it first",
        ),
        ("rtsp://joe:geheim@10.0.0.1/a", "unsupported", r"rtsp://\*\*\*@10.0.0.1/a: a fake camera shows"),
        (str(tmp_path), "unsupported", "no images, folders or live sources"),
        ("fake://people?m=1", "unsupported", "unknown key 'm'"),
        ("fake://people?n=1&codec=vp9", "unsupported", "codec: should be one of h264, h265, got 'vp9'"),
    ):
        with pytest.raises(SourceError, match=words) as caught:
            read_clip(source)
        assert caught.value.code == code
        assert "geheim" not in str(caught.value)
