"""The HTTP server over real sockets: endpoints, who is refused, what viewers get and what they cost."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest
from waiting import wait_for
from web_scene import Cameras, again, scene_results, served, split

from argos.errors import PublishError
from argos.publishing.decode import decode
from argos.publishing.every import Spool
from argos.types import Event, Result
from argos.web import live
from argos.web.metrics import Published
from argos.web.server import WebServer

TOKEN = "a-token-of-twenty-ab"


def get(server: WebServer, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request: status, headers in small letters, body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.address.port, timeout=10)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def in_loop(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await work()

    asyncio.run(limited())


async def picture(viewer: aiohttp.ClientWebSocketResponse) -> tuple[np.ndarray, Result]:
    """The next picture and its result."""
    while True:
        message = await viewer.receive()
        if message.type == aiohttp.WSMsgType.BINARY:
            jpeg, *parts = split(message.data)
            decoded = decode(parts)
            assert isinstance(decoded, Result)
            return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1], decoded
        assert message.type == aiohttp.WSMsgType.TEXT, message


def test_health_is_open_and_ready_needs_a_camera_that_is_up() -> None:
    cameras = Cameras("door", "yard")
    cameras.set("door", "lost", "refused")
    cameras.set("yard", "connecting")
    with served(cameras) as server:
        assert get(server, "/healthz")[::2] == (200, b"ok\n")
        assert get(server, "/readyz")[::2] == (503, b"no camera is up\n")
        cameras.set("yard", "up")
        assert get(server, "/readyz")[::2] == (200, b"ready\n")


def test_status_holds_the_argos_status_and_figures_of_every_camera() -> None:
    with served(Cameras("door", "yard")) as server:
        result = scene_results()[0]
        server.offer(result)
        status, headers, body = get(server, "/status")
        assert (status, headers["content-type"].partition(";")[0]) == (200, "application/json")
        told = json.loads(body)
        assert list(told["cameras"]) == ["door", "yard"]
        door, yard = told["cameras"]["door"], told["cameras"]["yard"]
        assert door["status"]["schema"] == "argos.status/1.1"
        assert (door["status"]["state"], door["status"]["size"]) == ("up", [320, 180])
        assert result.instances is not None
        assert door["figures"] == {
            "fps_in": 5,
            "fps_out": 5,
            "age_ms": 21,
            "share": 0.25,
            "people": len(result.instances),
        }
        assert (door["mode"], yard["mode"], yard["figures"]["people"]) == ("pack", None, None)


def test_metrics_have_the_names_of_the_design() -> None:
    cameras = Cameras("door")
    published = Published({"result": 3}, {"result": 900}, spools={"book": Spool(4, 1200, 7, False)})
    with served(cameras, published=lambda: published) as server:
        results = scene_results(frames=2)
        for result in results:
            server.offer(result)
        server.status_changed(cameras.set("door", "lost", "timeout"))
        server.status_changed(cameras.set("door", "up", epoch=1))
        status, headers, body = get(server, "/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = dict(line.rsplit(" ", 1) for line in body.decode().splitlines() if not line.startswith("#"))
    last = results[-1]
    assert last.instances is not None
    expected = {
        'argos_source_up{camera="door"}': 1,
        'argos_source_reconnects_total{camera="door",code="timeout"}': 1,
        'argos_frames_decoded_total{camera="door"}': 2,
        'argos_frames_processed_total{camera="door"}': 2,
        'argos_frames_dropped_total{camera="door",reason="stale",stage="queue"}': 2,
        'argos_frames_dropped_total{camera="",reason="result",stage="publish"}': 1,
        'argos_stage_seconds_count{camera="door",stage="segment"}': 2,
        'argos_stage_seconds_sum{camera="door",stage="segment"}': 0.032,
        'argos_result_age_seconds_bucket{camera="door",le="0.02"}': 2,
        'argos_regions_total{camera="door"}': sum(len(r.regions) for r in results),
        'argos_model_pixels_total{camera="door",path="pack"}': 2 * 0.25 * 320 * 180,
        'argos_mode_info{camera="door",mode="pack"}': 1,
        'argos_mode_info{camera="door",mode="full"}': 0,
        'argos_mode_frames_total{camera="door",mode="pack"}': 2,
        'argos_people{camera="door"}': len(last.instances),
        'argos_events_total{camera="door",type="source.lost"}': 1,
        'argos_publish_messages_total{kind="result"}': 3,
        'argos_publish_bytes_total{kind="result"}': 900,
        'argos_degrade_step{camera="door"}': 1,
        'argos_config_info{digest="sha256:cc"}': 1,
        'argos_spool_messages{consumer="book"}': 4,
        'argos_spool_bytes{consumer="book"}': 1200,
        'argos_spool_lost_total{consumer="book"}': 7,
        'argos_consumer_up{consumer="book"}': 0,
    }
    assert {name: float(lines[name]) for name in expected} == pytest.approx(expected)
    assert float(lines['argos_source_last_frame_timestamp_seconds{camera="door"}']) == pytest.approx(
        last.captured_ns / 1e9
    )
    assert 0 < float(lines['argos_region_area_ratio{camera="door"}']) < 1
    assert any(line.startswith('argos_build_info{device="cpu"') for line in lines)
    assert "process_resident_memory_bytes" in lines


@pytest.mark.parametrize(
    ("host", "hosts", "status"),
    [
        ("127.0.0.1:8080", (), 200),
        ("localhost", (), 200),
        ("[::1]:8080", (), 200),
        ("192.168.1.7", (), 200),
        ("evil.example", (), 421),
        ("localhost.evil.example", (), 421),
        ("", (), 421),
        ("cams.home:8080", ("cams.home",), 200),
        ("evil.example", ("cams.home",), 421),
    ],
)
def test_only_known_names_are_answered(host: str, hosts: tuple[str, ...], status: int) -> None:
    with served(Cameras("door"), hosts=hosts) as server:
        assert get(server, "/status", Host=host)[0] == status


def test_pages_of_other_sites_are_refused() -> None:
    with served(Cameras("door")) as server:
        here = f"http://127.0.0.1:{server.address.port}"
        assert get(server, "/status", Sec_Fetch_Site="same-origin", Origin=here)[0] == 200
        assert get(server, "/status", Sec_Fetch_Site="cross-site")[0] == 403
        assert get(server, "/status", Origin="http://evil.example")[0] == 403
        assert get(server, "/", Sec_Fetch_Site="cross-site")[0] == 200  # a link to the page

        async def from_elsewhere() -> None:
            async with aiohttp.ClientSession() as session:
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await session.ws_connect(f"{here}/live", origin="http://evil.example")
                assert refused.value.status == 403
                async with session.ws_connect(f"{here}/live", origin=here) as viewer:
                    assert (await viewer.receive_json())["kind"] == "hello"

        in_loop(from_elsewhere)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "[::1"}, 421),
        ({"Host": "a]b"}, 421),
        ({"Origin": "http://["}, 403),
        ({"Authorization": "Bearer \xff"}, 401),
        ({"Cookie": "argos_page=\xff"}, 401),
        ({}, 401),
    ],
)
def test_what_no_browser_sends_is_refused_like_everything_else(headers: dict[str, str], status: int) -> None:
    with served(Cameras("door"), token=TOKEN) as server:
        assert get(server, "/status", **headers)[0] == status
        assert get(server, "/status?token=%ff", **headers)[0] == status


@pytest.mark.parametrize("path", ["/", "/status", "/metrics", "/live", "/cameras/door.mjpg", "/cameras/door.jpg", "/x"])
def test_with_a_token_nothing_is_shown_without_it(path: str) -> None:
    with served(Cameras("door"), token=TOKEN) as server:
        for wrong in (
            {},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": TOKEN},
            {"Cookie": f"argos_page={TOKEN}"},
        ):
            status, headers, body = get(server, path, **wrong)
            assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="argos"')
            assert TOKEN.encode() not in body
        assert get(server, f"{path}?token={TOKEN[:-1]}")[0] == 401
        assert get(server, "/healthz")[0] == 200


def test_a_token_opens_as_bearer_as_query_and_then_as_cookie() -> None:
    with served(Cameras("door"), token=TOKEN) as server:
        assert get(server, "/status", Authorization=f"Bearer {TOKEN}")[0] == 200
        assert get(server, f"/status?token={TOKEN}")[0] == 200
        status, headers, _ = get(server, f"/?token={TOKEN}")
        assert (status, headers["location"]) == (303, "./")  # also below the path of a proxy
        cookie = headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert TOKEN not in cookie
        assert get(server, "/status", Cookie=cookie.partition(";")[0])[0] == 200


def test_servers_on_two_ports_of_a_host_keep_a_cookie_each() -> None:
    names = []
    for token in (TOKEN, f"another-{TOKEN}"):
        with served(Cameras("door"), token=token) as server:
            names.append(get(server, f"/?token={token}")[1]["set-cookie"].partition("=")[0])
    assert len(set(names)) == 2


def test_answers_forbid_what_a_page_could_do_with_them() -> None:
    with served(Cameras("door")) as server:
        for path in ("/", "/status", "/nothing"):
            _, headers, _ = get(server, path)
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in get(server, "/")[1]["content-security-policy"]


@pytest.mark.parametrize(
    ("bind", "token", "words"),
    [
        ("0.0.0.0:0", "", "0.0.0.0 can be reached from other machines, .* or set http.token"),
        ("[::]:0", "", "can be reached from other machines"),
        ("cams.example:0", "", "can be reached from other machines"),
        ("127.0.0.1", "", "should be HOST:PORT, as in 127.0.0.1:8080, got '127.0.0.1'"),
        ("127.0.0.1:99999", "", "should be HOST:PORT"),
        ("192.0.2.1:8080", TOKEN, "192.0.2.1:8080: cannot be bound .*; choose another http.bind"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_the_remedy(bind: str, token: str, words: str) -> None:
    with pytest.raises(PublishError, match=words), served(Cameras("door"), bind=bind, token=token):
        pass


def test_an_address_in_use_is_named_and_close_releases_it() -> None:
    with served(Cameras("door")) as server:
        bind = f"127.0.0.1:{server.address.port}"
        with pytest.raises(PublishError, match=f"{bind}: cannot be bound .*in use"), served(Cameras("door"), bind=bind):
            pass
    server.close()  # again is nothing
    with served(Cameras("door"), bind=bind):
        pass
    assert [t.name for t in threading.enumerate() if t.name.startswith("argos-web")] == []


def test_a_viewer_gets_picture_and_result_and_nothing_is_encoded_before() -> None:
    results = scene_results()
    with served(Cameras("door", "yard")) as server:
        for result in results:
            server.offer(result)
        time.sleep(0.1)
        assert server.pictures.made == 0

        async def look() -> None:
            async with aiohttp.ClientSession() as session, session.ws_connect(f"{server.url}live") as viewer:
                hello = await viewer.receive_json()
                assert (hello["kind"], hello["cameras"]) == ("hello", ["door", "yard"])
                state = await viewer.receive_json()
                assert (state["kind"], state["cameras"]["door"]["status"]["state"]) == ("state", "up")
                await asyncio.sleep(0.1)
                assert server.pictures.made == 0  # it looks at no camera yet
                await viewer.send_json({"watch": {"door": 320, "nobody": 320}})
                seen, shown = await picture(viewer)
                assert shown.seq == 2  # the newest
                last = results[2]
                assert last.image is not None
                assert seen.shape == last.image.shape
                assert np.abs(seen.astype(int) - last.image).mean() < 6
                assert shown.instances is not None
                assert last.instances is not None
                assert shown.semantic is not None
                assert np.array_equal(shown.instances.union(), last.instances.union())
                assert np.array_equal(shown.semantic.mask, last.instances.union())
                assert shown.image is None

        in_loop(look)
        wait_for(lambda: server.viewers == 0)
        made = server.pictures.made
        server.offer(again(results[0], 3))
        time.sleep(0.1)
        assert server.pictures.made == made


def test_the_next_picture_waits_for_the_credit_and_is_the_newest_then() -> None:
    first = scene_results(frames=1)[0]
    with served(Cameras("door"), max_fps=1000) as server:

        async def look() -> None:
            async with aiohttp.ClientSession() as session, session.ws_connect(f"{server.url}live") as viewer:
                await viewer.send_json({"watch": {"door": 320}})
                await asyncio.sleep(0.05)
                server.offer(first)
                assert (await picture(viewer))[1].seq == 0
                for seq in range(1, 50):
                    server.offer(again(first, seq))
                await asyncio.sleep(0.2)
                assert server.pictures.made == 1
                await viewer.send_json({"seen": "door"})
                assert (await picture(viewer))[1].seq == 49
                assert server.pictures.made == 2

        in_loop(look)


def test_viewers_of_one_size_share_what_is_encoded() -> None:
    first = scene_results(frames=1)[0]
    with served(Cameras("door"), max_fps=1000) as server:

        async def one(session: aiohttp.ClientSession) -> None:
            async with session.ws_connect(f"{server.url}live") as viewer:
                await viewer.send_json({"watch": {"door": 300}})
                for _ in range(5):
                    await picture(viewer)
                    await viewer.send_json({"seen": "door"})

        async def look() -> None:
            async with aiohttp.ClientSession() as session:
                viewers = [asyncio.create_task(one(session)) for _ in range(9)]
                seq = 0
                while not all(viewer.done() for viewer in viewers):
                    server.offer(again(first, seq))
                    seq += 1
                    await asyncio.sleep(0.03)
                for viewer in viewers:
                    viewer.result()
                assert 5 <= server.pictures.made <= seq

        in_loop(look)


def test_a_viewer_that_never_reads_costs_neither_the_pipeline_nor_the_others() -> None:
    first = scene_results(scene="fake://people?n=2&seed=3&size=1280x720", frames=1)[0]
    with served(Cameras("door"), max_fps=1000) as server, socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", server.address.port))
        stuck.sendall(b"GET /cameras/door.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        wait_for(lambda: server.viewers == 1)
        took = []
        for seq in range(100):
            start = time.perf_counter()
            server.offer(again(first, seq))
            took.append(time.perf_counter() - start)
            time.sleep(0.002)
        assert np.median(took) < 0.02  # no encoding, no waiting: some 0.05 ms on a quiet machine

        async def look() -> None:
            async with aiohttp.ClientSession() as session, session.ws_connect(f"{server.url}live") as viewer:
                await viewer.send_json({"watch": {"door": 1280}})
                server.offer(again(first, 1000))
                assert (await picture(viewer))[1].seq in (99, 1000)

        in_loop(look)
        wait_for(lambda: server.viewers == 1)  # the other has left, which the server hears a little later


HANDSHAKE = (
    b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


def frame(text: str) -> bytes:
    """A short text message as a client sends it, with a mask of zeros."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode()


@pytest.mark.parametrize(
    ("asks", "goes_on"),
    [
        (b"GET /cameras/door.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b""),
        (HANDSHAKE + frame('{"watch": {"door": 1280}}'), frame('{"seen": "door"}')),
    ],
)
def test_a_viewer_that_never_reads_is_cut_off(asks: bytes, goes_on: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STALLED_S", 0.3)
    first = scene_results(frames=1)[0]
    with served(Cameras("door"), max_fps=1000) as server, socket.socket() as stuck:
        server._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # or the system takes in 100 pictures
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", server.address.port))
        stuck.sendall(asks)
        wait_for(lambda: server.viewers == 1)
        seqs = iter(range(10**6))

        def offered_until_it_is_gone() -> bool:
            server.offer(again(first, next(seqs)))
            with contextlib.suppress(ConnectionError):
                stuck.sendall(goes_on)
            return server.viewers == 0

        wait_for(offered_until_it_is_gone)
        stuck.settimeout(20)
        read = [b""]
        with contextlib.suppress(ConnectionResetError):
            while part := stuck.recv(1 << 20):
                read.append(part)
        assert not read[-1].endswith(b"0\r\n\r\n")  # the end of a stream that waited until it was read


@pytest.mark.parametrize("sent", ["{", "[]", '{"watch": 1}', '{"other": 1}', "x" * 5000])
def test_what_no_page_sends_ends_the_connection(sent: str) -> None:
    with served(Cameras("door")) as server:

        async def talk() -> None:
            async with aiohttp.ClientSession() as session, session.ws_connect(f"{server.url}live") as viewer:
                await viewer.send_str(sent)
                while not (await viewer.receive()).type & 0x100:  # the aiohttp words for an end
                    pass
                assert viewer.closed

        in_loop(talk)
        wait_for(lambda: server.viewers == 0)


def test_a_change_of_state_is_told_at_once_and_kept_as_an_event() -> None:
    cameras = Cameras("door")
    with served(cameras) as server:
        server.status_changed(cameras["door"])

        async def look() -> None:
            async with aiohttp.ClientSession() as session, session.ws_connect(f"{server.url}live") as viewer:
                await viewer.receive_json()
                server.status_changed(cameras.set("door", "lost", "refused", "camera 'door': connection refused"))
                server.tell({"type": "zone.enter", "camera": "door", "t_ns": 1, "text": "7 enters porch"})
                types, states = [], []
                while types[-1:] != ["zone.enter"] or states[-1:] != ["lost"]:
                    told = await viewer.receive_json()
                    if told["kind"] == "events":
                        types += [event["type"] for event in told["events"]]
                    else:
                        states.append(told["cameras"]["door"]["status"]["state"])
                assert types == ["source.up", "source.lost", "zone.enter"]

        in_loop(look)


def test_events_of_a_result_are_told_and_counted() -> None:
    shapes = {"door": {"zones": {"porch": {}, "yard": {}}, "lines": {"gate": {}}}}
    first = scene_results(frames=1)[0]
    common = {"camera": "door", "run": "test", "epoch": 0, "result_seq": 0, "index": 0, "pts_s": 0.0, "captured_ns": 5,
              "box": (0, 0, 9, 9), "anchor": (4.5, 9.0)}  # fmt: skip
    events = (
        Event(seq=0, type="zone_enter", name="porch", id=7, count=3, occupancy=2, **common),
        Event(seq=1, type="line_cross", name="gate", id=7, count=1, direction="left_to_right", **common),
    )
    with served(Cameras("door"), shapes=shapes) as server:
        server.offer(replace(first, events=events))
        told = server.board.events()[1]
        assert [event["text"] for event in told] == [
            "7 enters porch, 2 inside",
            "7 crosses gate left to right, 1 so far",
        ]
        lines = get(server, "/metrics")[2].decode().splitlines()
    for line in (
        'argos_zone_occupancy{camera="door",zone="porch"} 2.0',
        'argos_zone_occupancy{camera="door",zone="yard"} 0.0',
        'argos_line_crossings_total{camera="door",direction="left_to_right",line="gate"} 1.0',
        'argos_line_crossings_total{camera="door",direction="right_to_left",line="gate"} 0.0',
        'argos_events_total{camera="door",type="zone_enter"} 1.0',
    ):
        assert line in lines


def test_mjpeg_shows_the_newest_picture_drawn_or_plain() -> None:
    result = scene_results(scene="fake://people?n=4&seed=3&size=640x360", frames=1)[0]
    with served(Cameras("door"), max_fps=1000) as server:
        server.offer(result)
        shown: dict[str, np.ndarray] = {}

        async def look() -> None:
            for query in ("", "plain=1", "width=320"):
                address = f"{server.url}cameras/door.mjpg?{query}"
                async with aiohttp.ClientSession() as session, session.get(address) as answer:
                    assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=argos"
                    assert answer.headers["Cache-Control"] == "no-store"
                    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
                    part = await aiohttp.MultipartReader.from_response(answer).stream.next()
                    assert isinstance(part, aiohttp.BodyPartReader)
                    assert part.headers["Content-Type"] == "image/jpeg"
                    data = np.frombuffer(await part.read(), np.uint8)
                    shown[query] = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(int)

        in_loop(look)
        assert result.image is not None
        assert np.abs(shown["plain=1"] - result.image).mean() < 4
        assert np.abs(shown[""] - result.plot()).mean() < 4
        assert np.abs(shown[""] - shown["plain=1"]).max() > 150  # a label, for one
        assert shown["width=320"].shape == (180, 320, 3)
        wait_for(lambda: server.viewers == 0)


def test_other_cameras_end_pages_and_the_streams_of_those_that_are_gone() -> None:
    first = scene_results(frames=1)[0]
    with served(Cameras("door", "yard"), max_fps=1000) as server:
        for name in ("door", "yard"):
            server.offer(replace(first, camera=name))

        async def look() -> None:
            door, yard = (f"{server.url}cameras/{name}.mjpg" for name in ("door", "yard"))
            async with aiohttp.ClientSession() as session, session.get(door) as stays, session.get(yard) as ends:
                parts = aiohttp.MultipartReader.from_response(stays).stream

                async def shown() -> bytes:
                    part = await parts.next()
                    assert isinstance(part, aiohttp.BodyPartReader)
                    return bytes(await part.read())

                assert await shown()
                async with session.ws_connect(f"{server.url}live") as page:
                    server.set_cameras(["door"], {}, ["yard"], [])
                    while not (await page.receive()).type & 0x100:
                        pass
                await ends.read()
                server.offer(again(first, 1))
                assert await shown()

        in_loop(look)


def test_nobody_is_in_zones_that_are_gone() -> None:
    zones = {"zones": {"porch": {}, "lawn": {}}}
    with served(Cameras("door", "yard"), shapes={"door": zones, "yard": zones}) as server:
        server.set_cameras(["door"], {"door": {"zones": {"porch": {}}}}, ["yard"], ["door"])
        told = get(server, "/metrics")[2].decode().splitlines()
        shown = [line for line in told if line.startswith("argos_zone_occupancy{")]
        assert shown == ['argos_zone_occupancy{camera="door",zone="porch"} 0.0']


def test_a_reload_that_begins_an_epoch_is_no_reconnect() -> None:
    cameras = Cameras("door")
    with served(cameras) as server:
        for epoch, (state, code) in enumerate(
            [("up", ""), ("up", ""), ("ended", "removed"), ("connecting", ""), ("lost", "timeout"), ("up", "")]
        ):
            server.status_changed(cameras.set("door", state, code, epoch=epoch))
        told = get(server, "/metrics")[2].decode().splitlines()
        shown = [line for line in told if line.startswith("argos_source_reconnects_total{")]
        assert shown == ['argos_source_reconnects_total{camera="door",code="timeout"} 1.0']


def test_a_snapshot_is_one_jpeg() -> None:
    with served(Cameras("door")) as server:
        assert get(server, "/cameras/door.jpg")[0] == 503
        server.offer(scene_results(frames=1)[0])
        status, headers, body = get(server, "/cameras/door.jpg?plain=1&width=320")
        assert (status, headers["content-type"], body[:3]) == (200, "image/jpeg", b"\xff\xd8\xff")
        status, _, body = get(server, "/cameras/gate.jpg")
        assert (status, body) == (404, b"no camera 'gate'; there are door\n")
        assert get(server, "/cameras/door.jpg?width=-1")[0] == 400


def test_garbage_on_the_port_harms_nobody() -> None:
    with served(Cameras("door")) as server:
        for garbage in (b"\x00" * 1000, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20000, b"\xff\xfe" * 30000, b""):
            with socket.create_connection(("127.0.0.1", server.address.port), 5) as connection:
                connection.settimeout(5)
                try:
                    connection.sendall(garbage)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass
                except OSError:
                    pass  # it hung up on us
        assert get(server, "/healthz")[0] == 200
