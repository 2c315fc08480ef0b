from __future__ import annotations

import base64
import dataclasses
import json
import logging
from dataclasses import replace
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from publishing_results import (
    assert_same,
    made_event,
    made_hello,
    made_instances,
    made_notice,
    made_overlay,
    made_result,
    made_status,
)

from argos.errors import SchemaError
from argos.publishing.masks import MASK_ENCODINGS, decode_mask, rle_string
from argos.publishing.message import (
    MaskEncodings,
    decode,
    encode_event,
    encode_hello,
    encode_notice,
    encode_overlay,
    encode_result,
    encode_status,
    message_schema,
    parse_topic,
    read_header,
    topic,
)
from argos.types import Instances, Regions, SemanticMask, no_instances

GOLDEN = Path(__file__).parents[1] / "golden" / "messages"


def golden_values() -> dict[str, tuple[object, list[bytes]]]:
    hello, result, overlay = made_hello(), made_result(17), made_overlay()
    status = made_status(step=2, config="sha256:cc")
    return {
        "hello-1.0": (hello, encode_hello(hello)),
        "event-1.0": (made_event(), encode_event(made_event())),
        "status-1.1": (status, encode_status(status)),
        "result-1.0": (result, encode_result(result)),
        "overlay-1.0": (overlay, encode_overlay(overlay)),
        "notice-1.0": (made_notice(), encode_notice(made_notice())),
    }


OLDER = {"status-1.0": replace(made_status(), step=0, config="")}
"""Messages of earlier minors, and what they are read as."""


def read_golden(name: str) -> list[bytes]:
    """``NAME.json`` is the header, ``NAME.parts`` the topic and then every other part in base64, one a line."""
    header = (GOLDEN / f"{name}.json").read_bytes().removesuffix(b"\n")
    name_of_topic, *parts = (GOLDEN / f"{name}.parts").read_text().split()
    return [name_of_topic.encode(), header, *map(base64.b64decode, parts)]


@pytest.mark.parametrize("name", golden_values())
def test_golden_messages_are_read(name: str) -> None:
    value, _ = golden_values()[name]
    assert_same(decode(read_golden(name)), value)


@pytest.mark.parametrize("name", OLDER)
def test_golden_messages_of_earlier_minors_are_read(name: str) -> None:
    assert_same(decode(read_golden(name)), OLDER[name])


@pytest.mark.parametrize("name", golden_values())
def test_golden_messages_are_written_again_byte_for_byte(name: str) -> None:
    _, written = golden_values()[name]
    golden = read_golden(name)
    assert written[:2] == golden[:2]
    if name == "result-1.0":  # zlib's output may differ between its implementations, what it holds may not
        masks = [decode_mask(parts.pop(), "bits_zlib", (90, 120)) for parts in (written, golden)]
        assert np.array_equal(*masks)
    assert written == golden


@st.composite
def results(draw: st.DrawFn):
    height, width = size = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))

    def boxes(n: int) -> list[list[int]]:
        x = [sorted(draw(st.tuples(st.integers(0, width), st.integers(0, width)))) for _ in range(n)]
        y = [sorted(draw(st.tuples(st.integers(0, height), st.integers(0, height)))) for _ in range(n)]
        return [[x0, y0, x1, y1] for (x0, x1), (y0, y1) in zip(x, y, strict=True)]

    def array(values: list, dtype: type, *shape: int) -> np.ndarray:
        return np.array(values, dtype).reshape(-1, *shape)

    def scores(n: int) -> np.ndarray:
        return draw(hnp.arrays(np.float32, n, elements=st.floats(0, 1, width=32)))

    n, regions = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    people = boxes(n)
    tracked = draw(st.booleans())
    instances = Instances(
        boxes=array(people, np.int32, 4),
        scores=scores(n),
        labels=array(draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)), np.int32),
        masks=tuple(draw(hnp.arrays(np.bool_, (y1 - y0, x1 - x0))) for x0, y0, x1, y1 in people),
        size=size,
        ids=np.arange(n if tracked else 0, dtype=np.int64) + draw(st.integers(0, 2**60)),
    )
    return made_result(
        seq=draw(st.integers(0, 2**40)),
        size=size,
        pts=draw(st.none() | st.integers(-(2**62), 2**62)),
        pts_s=draw(st.floats(-1e9, 1e9)),
        regions=Regions(array(boxes(regions), np.int32, 4), scores(regions), size),
        instances=draw(st.just(instances) | st.none()),
        semantic=draw(hnp.arrays(np.bool_, size).map(SemanticMask) | st.none()),
        deep_share=draw(st.floats(0, 2)),
        spans_ms=draw(st.dictionaries(st.text(max_size=5), st.floats(0, 1e4), max_size=3)),
    )


@given(result=results(), masks=st.builds(MaskEncodings, *[st.sampled_from(MASK_ENCODINGS)] * 2))
@settings(max_examples=80, deadline=None)
def test_decode_gives_back_what_was_encoded(result, masks: MaskEncodings) -> None:
    assert_same(decode(encode_result(result, masks)), result)


def test_the_header_follows_the_documented_order_of_axes() -> None:
    parts = encode_result(made_result())
    header = json.loads(parts[1])
    assert parts[0] == b"argos/1/result/desk/"
    assert header["size"] == [120, 90]
    assert header["regions"] == [[5, 10, 105, 75, 0.97]]
    first, second = header["instances"]
    assert first["box"] == first["mask"]["crop"] == [10, 20, 30, 60]
    assert (first["id"], first["label"], first["score"]) == (7, "person", 0.91)
    assert second["mask"]["off"] == first["mask"]["len"]
    assert {first["mask"]["part"], second["mask"]["part"], header["semantic"]["part"]} == {1, 2}
    assert len(parts[1:][1]) == second["mask"]["off"] + second["mask"]["len"]


def test_an_event_comes_back_as_it_was_and_stands_in_its_own_topic() -> None:
    event = made_event()
    parts = encode_event(event)
    assert parts[0] == b"argos/1/event/desk/"
    assert decode(parts) == event
    header = json.loads(parts[1])
    assert header["schema"] == "argos.event/1.0"
    assert (header["box"], header["anchor"], header["frame"]) == ([10, 20, 30, 60], [25.0, 79.5], 90)
    assert (header["direction"], header["dwell_s"], header["t_publish_ns"]) == (None, 2.25, event.sent_ns)
    crossing = dataclasses.replace(
        event, type="line_cross", occupancy=None, dwell_s=None, cause=None, direction="left_to_right"
    )
    assert decode(encode_event(crossing)) == crossing


def test_without_a_tracker_ids_are_null_and_come_back_empty() -> None:
    size = (90, 120)
    parts = encode_result(made_result(instances=made_instances([[1, 2, 30, 40]], size, tracked=False)))
    assert [person["id"] for person in json.loads(parts[1])["instances"]] == [None]
    assert len(decode(parts).instances.ids) == 0


def test_who_has_no_id_yet_is_null_beside_people_who_have_one() -> None:
    people = dataclasses.replace(made_instances([[1, 2, 30, 40], [50, 2, 80, 40]], (90, 120)), ids=np.array([-1, 4]))
    parts = encode_result(made_result(instances=people))
    assert [person["id"] for person in json.loads(parts[1])["instances"]] == [None, 4]
    assert decode(parts).instances.ids.tolist() == [-1, 4]


def test_nobody_is_an_empty_list_and_a_task_that_is_off_is_null() -> None:
    off = json.loads(encode_result(made_result(instances=None, semantic=None))[1])
    assert (off["instances"], off["semantic"]) == (None, None)
    nobody = encode_result(made_result(instances=no_instances((90, 120))))
    assert json.loads(nobody[1])["instances"] == []
    assert json.loads(nobody[1])["semantic"]["part"] == 1


def changed(header: dict, parts: list[bytes]) -> list[bytes]:
    return [parts[0], json.dumps(header).encode(), *parts[2:]]


def test_fields_of_a_later_minor_are_ignored() -> None:
    parts = encode_result(made_result())
    header = json.loads(parts[1])
    header |= {"schema": "argos.result/1.7", "weather": {"rain": [1, 2]}, "mode": "dream"}
    header["instances"][0]["pose"] = [[1, 2, 0.5]]
    result = decode(changed(header, parts))
    assert result.mode == "dream"
    assert_same(result.instances, made_result().instances)


def test_an_unknown_mask_encoding_is_left_out_and_logged_but_its_bytes_stay(caplog: pytest.LogCaptureFixture) -> None:
    parts = encode_result(made_result())
    header = json.loads(parts[1])
    header["semantic"]["enc"] = "webp"
    with caplog.at_level(logging.WARNING):
        result = decode(changed(header, parts))
    assert result.semantic is None
    assert result.instances is not None
    assert "webp" in caplog.text
    raw = read_header(changed(header, parts))
    assert (raw.semantic.enc, parts[1:][raw.semantic.part]) == ("webp", parts[3])

    header["instances"][1]["mask"]["enc"] = "outline"
    assert decode(changed(header, parts)).instances is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "argos.result/2.0"}, r"schema"),
        ({"schema": "argos.status/1.0"}, r"schema"),
        ({"seq": -1}, r"seq"),
        ({"camera": "door"}, "the topic says camera 'desk', the header 'door'"),
        ({"size": [10**6, 10**6]}, "more than"),
        ({"size": [60, 60]}, "reaches out of the frame"),
        ({"regions": [[5, 10, 2**40, 75, 0.9]]}, "reaches out of the frame"),
        ({"semantic": {"enc": "bits_zlib", "part": 9, "size": [120, 90], "area": 0.1}}, "index"),
        ({"semantic": {"enc": "bits_zlib", "part": 0, "size": [120, 90], "area": 0.1}}, "neither a part nor an rle"),
        ({"semantic": {"enc": "bits", "part": 2, "size": [120, 90], "area": 0.1}}, "expected 1350 bytes for 120x90"),
    ],
)
def test_what_does_not_fit_is_a_schema_error(change: dict, message: str) -> None:
    parts = encode_result(made_result())
    with pytest.raises(SchemaError, match=message):
        decode(changed(json.loads(parts[1]) | change, parts))


def test_masks_that_would_fill_the_memory_are_refused() -> None:
    parts = encode_result(made_result(regions=Regions(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), (90, 120))))
    header = json.loads(parts[1]) | {"size": [16000, 16000], "semantic": None}
    box = [0, 0, 16000, 16000]
    empty = {
        "enc": "coco_rle",
        "crop": box,
        "rle": {"size": box[2:], "counts": rle_string(np.array([16000**2])).decode()},
    }
    header["instances"] = [{"id": None, "label": "person", "score": 1, "box": box, "mask": empty}] * 5
    with pytest.raises(SchemaError, match="masks of more than"):
        decode(changed(header, parts))


@pytest.mark.parametrize("change", [{"off": 10**6}, {"len": 5}, {"crop": [0, 0, 3, 3]}, {"part": 7}])
def test_a_mask_that_points_elsewhere_is_a_schema_error(change: dict) -> None:
    parts = encode_result(made_result())
    header = json.loads(parts[1])
    header["instances"][1]["mask"] |= change
    with pytest.raises(SchemaError, match=r"argos\.result/1\.0: "):
        decode(changed(header, parts))


@given(
    header=st.binary(max_size=60)
    | st.recursive(st.none() | st.integers(), st.lists).map(lambda x: json.dumps(x).encode())
)
@settings(max_examples=50, deadline=None)
def test_garbage_headers_are_schema_errors(header: bytes) -> None:
    with pytest.raises(SchemaError):
        decode([b"argos/1/result/desk/", header, b"part"])


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"argos/1/result/desk/"],
        [b"argos/2/result/desk/", b"{}"],
        [b"argos/1/result/desk", b"{}"],
        [b"\xff\x00", b"{}"],
        [b"argos/1/dream/desk/", b"{}"],
        [b"argos/1/result/desk/", b"[" * 200_000],
        [b"argos/1/result/desk/", b'{"a":' * 200_000],
    ],
)
def test_garbage_messages_are_schema_errors(parts: list[bytes]) -> None:
    with pytest.raises(SchemaError):
        decode(parts)


def test_a_topic_names_kind_and_camera_and_ends_with_a_slash() -> None:
    assert topic("overlay", "door-2") == b"argos/1/overlay/door-2/"
    assert parse_topic(b"argos/1/overlay/door-2/") == ("overlay", "door-2")
    assert not topic("result", "cam10").startswith(topic("result", "cam1"))
    with pytest.raises(ValueError, match="camera 'Front Door': expected a name like desk-2"):
        topic("result", "Front Door")


def test_the_schema_describes_every_kind() -> None:
    schema = message_schema()
    assert [entry["$ref"] for entry in schema["oneOf"]] == [
        f"#/$defs/{kind}Header" for kind in ("Hello", "Result", "Event", "Status", "Overlay", "Notice")
    ]
    written = json.loads(encode_result(made_result())[1])
    assert set(schema["$defs"]["ResultHeader"]["required"]) == set(written)
