"""The live page in a real browser: Chromium without a window, steered by Playwright."""

from __future__ import annotations

import base64
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from main_job import own_models
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect, sync_playwright
from video_files import numbered
from web_scene import Cameras, again, scene_results, served

import argos
from argos.config import load_config
from argos.types import Result
from argos.web.server import WebServer

CHROMIUM = shutil.which("chromium")
INSTALL = "apt-get install -y --no-install-recommends chromium fonts-dejavu-core"
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
PATIENCE_MS = 30_000

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"Chromium is missing under CI: {INSTALL}")
        pytest.skip(f"Chromium is missing: {INSTALL}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens the page of a server; an error in its script, or one that its own policy forbids, fails the test."""
    errors: list[str] = []
    contexts = []

    def opened(url: str, *, size: tuple[int, int] = (1200, 800), script: str = "", **options: Any) -> Page:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(script)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda told: errors.append(told.text) if "Content Security Policy" in told.text else None)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


@contextmanager
def playing(server: WebServer, films: dict[str, list[Result]], fps: float = 8.0) -> Iterator[None]:
    """Offer the results of each camera over and over."""
    over = threading.Event()

    def play() -> None:
        seq = 0
        while not over.wait(1 / fps):
            for film in films.values():
                server.offer(again(film[seq % len(film)], seq))
            seq += 1

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def pixels(page: Page, layer: str = "overlay", camera: str = "door") -> NDArray[np.uint8]:
    """What a canvas of a tile shows, ``(H, W, 4)``."""
    script = """([camera, layer]) => {
        const canvas = document.querySelector(`[data-camera="${camera}"] .${layer}`);
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let text = "";
        for (let n = 0; n < data.length; n += 8192) text += String.fromCharCode(...data.subarray(n, n + 8192));
        return [canvas.width, canvas.height, btoa(text)];
    }"""
    width, height, data = page.evaluate(script, [camera, layer])
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)


def painted(page: Page, camera: str = "door") -> int:
    """Pixels of the overlay on which something is drawn."""
    script = """camera => {
        const canvas = document.querySelector(`[data-camera="${camera}"] .overlay`);
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        return data.reduce((sum, value, n) => sum + (n % 4 === 3 && value > 0), 0);
    }"""
    return int(page.evaluate(script, camera))


def show_only(page: Page, *layers: str) -> None:
    for button in page.locator("[data-layer]").all():
        wanted = str(button.get_attribute("data-layer") in layers).lower()
        if button.get_attribute("aria-pressed") != wanted:
            button.click()


def until_seq(page: Page, least: int, camera: str = "door") -> None:
    page.wait_for_function(
        "([camera, least]) => +document.querySelector(`[data-camera='${camera}']`)?.dataset.seq >= least",
        arg=[camera, least],
    )


def test_picture_and_masks_are_those_of_the_result_and_move_with_it(open_page: Open) -> None:
    film = scene_results(scene="fake://people?n=4&seed=3&size=640x360&fps=2", frames=3)
    with served(Cameras("door")) as server:
        page = open_page(server.url)
        page.wait_for_selector(".tile")
        show_only(page, "masks")
        seen = []
        for result in film:
            server.offer(result)
            until_seq(page, result.seq)
            picture, drawn = pixels(page, "picture"), pixels(page)
            assert result.image is not None
            assert np.abs(picture[..., :3].astype(int) - result.image).mean() < 6
            assert result.instances is not None
            true = cv2.resize(result.instances.union().astype(np.uint8), drawn.shape[1::-1], interpolation=0) > 0
            covered = drawn[..., 3] > 0
            assert (true & covered).sum() / (true | covered).sum() > 0.9
            seen.append(covered)
        assert (seen[0] ^ seen[2]).sum() > 0.3 * seen[0].sum()


def test_every_toggle_changes_what_is_drawn_by_click_and_by_key_and_is_remembered(open_page: Open) -> None:
    shapes = {"door": {"zones": {"porch": {"polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}}}}
    with served(Cameras("door"), shapes=shapes) as server:
        page = open_page(server.url)
        film = scene_results(frames=3)
        for result in film:
            server.offer(result)
            page.wait_for_selector(".tile")
            until_seq(page, result.seq)
        show_only(page)
        assert painted(page) == 0
        for button in page.locator("[data-layer]").all():
            key = button.get_attribute("data-key")
            assert key is not None
            button.click()
            expect(button).to_have_attribute("aria-pressed", "true")
            assert painted(page) > 0, button.get_attribute("data-layer")
            page.keyboard.press(key)
            expect(button).to_have_attribute("aria-pressed", "false")
            assert painted(page) == 0
        page.keyboard.press("r")
        page.reload()
        pressed = page.locator('[data-layer][aria-pressed="true"]')
        expect(pressed).to_have_count(1)
        expect(pressed).to_have_text("Regions")


def test_one_camera_is_opened_large_by_click_and_keys_and_only_it_is_sent(open_page: Open) -> None:
    names = ("door", "yard", "hall")
    films = {name: scene_results(name, frames=2) for name in names}
    with served(Cameras(*names)) as server, playing(server, films):
        page = open_page(server.url)
        until_seq(page, 0, "hall")
        page.locator('[data-camera="yard"] .stage').click()
        expect(page.locator("#cameras")).to_have_class("one")
        expect(page.locator('[data-camera="door"]')).to_be_hidden()
        expect(page.locator("#subject")).to_have_text("yard")
        page.wait_for_timeout(300)
        before = page.locator('[data-camera="door"]').get_attribute("data-seq")
        until_seq(page, int(page.locator('[data-camera="yard"]').get_attribute("data-seq") or 0) + 5, "yard")
        assert page.locator('[data-camera="door"]').get_attribute("data-seq") == before
        page.keyboard.press("ArrowRight")
        expect(page.locator('[data-camera="hall"]')).to_be_visible()
        expect(page.locator('[data-camera="yard"]')).to_be_hidden()
        page.keyboard.press("Escape")
        expect(page.locator('[data-camera="door"]')).to_be_visible()
        page.keyboard.press("1")
        expect(page.locator("#subject")).to_have_text("door")
        page.keyboard.press("Escape")
        page.locator('[data-camera="hall"] .stage').focus()
        page.keyboard.press("Enter")
        expect(page.locator("#subject")).to_have_text("hall")


def test_figures_state_and_events_are_told_in_words(open_page: Open) -> None:
    cameras = Cameras("door")
    with served(cameras) as server, playing(server, {"door": scene_results(frames=2)}):
        server.status_changed(cameras["door"])
        page = open_page(server.url)
        expect(page.locator(".tile .numbers")).to_contain_text("5.0 fps")
        for chart, value in (("fps", "5.0"), ("age", "21 ms"), ("share", "25 %")):
            expect(page.locator(f'[data-chart="{chart}"] b')).to_have_text(value)
        words = "Results per second: now 5.0, at most 5.0 in five minutes"
        expect(page.locator('[data-chart="fps"] canvas')).to_have_attribute("aria-label", words)
        server.status_changed(cameras.set("door", "lost", "refused", "connection <b>refused</b>"))
        expect(page.locator(".tile")).to_have_attribute("data-state", "lost")
        expect(page.locator(".cover")).to_contain_text("connection <b>refused</b>")  # text, never markup
        expect(page.locator("#events li").first).to_contain_text("door source.lost connection <b>refused</b>")
        server.tell({"type": "zone_enter", "camera": "door", "t_ns": 10**18, "text": "long ago"})
        expect(page.locator("#events time").first).to_contain_text("2001")
        expect(page.locator(".stage")).to_have_attribute("aria-label", "door, lost. Open large")


class Camera:
    """An MJPEG camera behind HTTP that can be switched off and on again, on the same port."""

    def __init__(self) -> None:
        self.port = 0
        self.on()

    def on(self) -> None:
        over = self.over = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                n = 0
                while not over.wait(0.1):
                    n += 1
                    _, jpeg = cv2.imencode(".jpg", numbered(n % 100, 120, 160)[..., ::-1])
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg.tobytes() + b"\r\n")

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads, self.server.block_on_close = True, False
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def off(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


def test_a_camera_that_is_switched_off_shows_as_lost_and_comes_back(open_page: Open, tmp_path: Path) -> None:
    camera = Camera()
    settings = [f"engine.models.{role}={path}" for role, path in own_models(tmp_path).items()]
    settings += ["engine.scale=0.5", "camera.name=door", "http.bind=127.0.0.1:0", "camera.source.stall_timeout_s=5"]
    with argos.Pipeline.from_sources(f"http://127.0.0.1:{camera.port}/cam", overrides=settings) as pipeline:
        work = threading.Thread(target=lambda: list(pipeline))
        work.start()
        try:
            assert pipeline.page is not None
            page = open_page(pipeline.page)
            tile = page.locator('[data-camera="door"]')
            until_seq(page, 2)
            expect(tile).to_have_attribute("data-state", "up")
            camera.off()
            expect(tile).to_have_attribute("data-state", "lost", timeout=PATIENCE_MS)
            expect(tile.locator(".cover")).to_be_visible()
            expect(tile.locator(".cover")).to_contain_text("lost for")
            last = int(tile.get_attribute("data-seq") or 0)
            camera.on()
            expect(tile).to_have_attribute("data-state", "up", timeout=PATIENCE_MS)
            expect(tile.locator(".cover")).to_be_hidden()
            until_seq(page, last + 2)
            expect(page.locator('#events li[data-type="source.lost"]')).not_to_have_count(0)
        finally:
            pipeline.stop()
            work.join()
            camera.off()


def yaml_of(page: Page) -> Any:
    return yaml.safe_load(page.locator("#yaml").inner_text())


def test_zones_and_lines_are_drawn_by_mouse_and_keys_and_printed_as_yaml(open_page: Open, tmp_path: Path) -> None:
    with served(Cameras("door")) as server:
        server.offer(scene_results(frames=1)[0])
        page = open_page(server.url)
        until_seq(page, 0)
        page.keyboard.press("1")
        page.keyboard.press("e")
        stage = page.locator(".stage")
        box = stage.bounding_box()
        assert box is not None

        def click(x: float, y: float) -> None:
            stage.click(position={"x": x * box["width"], "y": y * box["height"]})

        page.locator("#shape-name").fill(" Pôrch! ")
        page.locator("#shape-draw").click()
        corners = [(0.1, 0.5), (0.5, 0.4), (0.6, 0.9), (0.2, 0.9)]
        for corner in corners:
            click(*corner)
        click(*corners[0])  # closes it
        page.locator("#shape-kind").select_option("lines")
        page.locator("#shape-draw").click()
        page.keyboard.press("Space")  # at the middle
        for _ in range(5):
            page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Space")
        camera = yaml_of(page)["cameras"]["door"]
        assert np.allclose(camera["zones"]["porch"]["polygon"], corners, atol=0.01)
        written = page.locator("#yaml").inner_text().replace("door:\n", "door:\n    source: a.mp4\n")
        (tmp_path / "camera.yaml").write_text(f"version: 1\n{written}")
        loaded = load_config(tmp_path / "camera.yaml").cameras["door"]
        assert np.allclose(loaded.zones["porch"].corners, corners, atol=0.01)
        assert loaded.lines["line-1"].ends == ((0.5, 0.5), (0.75, 0.5))
        assert camera["lines"] == {"line-1": {"points": [[0.5, 0.5], [0.75, 0.5]]}}
        show_only(page, "zones")
        assert painted(page) > 0
        if folder := os.environ.get("ARGOS_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/editor.png")

        page.locator("#shape-kind").select_option("zones")
        page.locator("#shape-draw").click()
        for corner in [(0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)]:
            click(*corner)
        page.keyboard.press("Enter")
        expect(page.locator("#shape-hint")).to_contain_text("cross each other")
        page.keyboard.press("Backspace")
        page.keyboard.press("Enter")
        assert yaml_of(page)["cameras"]["door"]["zones"]["zone-1"]["polygon"] == [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1]]
        page.reload()
        until_seq(page, 0)  # keys pressed before the cameras are known open none
        page.keyboard.press("1")
        page.keyboard.press("e")
        assert set(yaml_of(page)["cameras"]["door"]["zones"]) == {"porch", "zone-1"}
        page.locator('[data-remove="porch"]').click()
        assert set(yaml_of(page)["cameras"]["door"]["zones"]) == {"zone-1"}


def opened_editor(page: Page) -> Callable[[float, float], dict[str, float]]:
    """Open the first camera and the editor; gives places on its picture."""
    until_seq(page, 0)
    page.keyboard.press("1")
    page.keyboard.press("e")
    box = page.locator(".large .stage").bounding_box()
    assert box is not None
    return lambda x, y: {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}


def test_the_editor_prints_only_what_the_configuration_takes(open_page: Open) -> None:
    with served(Cameras("door")) as server:
        server.offer(scene_results(frames=1)[0])
        page = open_page(server.url)
        at = opened_editor(page)

        def click(x: float, y: float, **how: Any) -> None:
            page.mouse.click(*at(x, y).values(), **how)

        hint = page.locator("#shape-hint")
        page.locator("#shape-draw").click()
        click(0.1, 0.2)
        click(0.3, 0.9, button="right")  # for a menu, not for a corner
        click(0.3, 0.2, click_count=2)
        click(0.5, 0.2)
        page.keyboard.press("Enter")
        expect(hint).to_contain_text("lie on one line")
        click(0.3, 0.2)  # touches a side
        page.keyboard.press("Enter")
        expect(hint).to_contain_text("cross each other")
        page.keyboard.press("Backspace")
        click(0.5, 0.8)
        click(0.1, 0.8)
        page.keyboard.press("Enter")
        page.locator("#shape-kind").select_option("lines")
        page.locator("#shape-draw").click()
        click(0.7, 0.2, click_count=2)
        click(0.7, 0.9)
        page.mouse.move(*at(0.1, 0.2).values())
        page.mouse.down()
        page.mouse.move(*at(0.6, 0.7).values(), steps=3)
        page.mouse.up()
        expect(hint).to_contain_text("cross each other")
        camera = yaml_of(page)["cameras"]["door"]
        corners = [(0.1, 0.2), (0.3, 0.2), (0.5, 0.2), (0.5, 0.8), (0.1, 0.8)]
        assert np.allclose(camera["zones"]["zone-1"]["polygon"], corners, atol=0.01)
        assert np.allclose(camera["lines"]["line-1"]["points"], [(0.7, 0.2), (0.7, 0.9)], atol=0.01)


def test_zones_shown_are_those_that_count_and_the_editor_tells_of_others(open_page: Open) -> None:
    square = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]
    porch = {"polygon": square, "more": {"crowd": {"people": 3}}}
    with served(Cameras("door"), shapes={"door": {"zones": {"porch": porch}}}) as server:
        server.offer(scene_results(frames=1)[0])
        page = open_page(server.url)
        show_only(page, "zones")
        opened_editor(page)
        differs = page.locator("#shape-differs")
        assert yaml_of(page)["cameras"]["door"]["zones"] == {"porch": {"polygon": square, "crowd": {"people": 3}}}
        expect(differs).to_be_hidden()
        page.locator('[data-remove="porch"]').click()
        expect(differs).to_be_visible()
        assert painted(page) == 0
        page.keyboard.press("e")
        assert painted(page) > 0
        server.set_cameras(["door"], {"door": {"zones": {"lawn": {"polygon": square}}}}, [], ["door"])
        page.keyboard.press("e")
        expect(differs).to_be_visible()
        page.locator("#shape-reset").click()
        expect(differs).to_be_hidden()
        expect(page.locator("#yaml")).to_contain_text("lawn")
        page.locator("#yaml").focus()
        page.keyboard.press("ArrowRight")  # scrolls
        expect(page.locator("#editor")).to_be_visible()


def test_corners_are_dragged_with_a_finger(open_page: Open) -> None:
    shapes = {"door": {"zones": {"porch": {"polygon": [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8]]}}}}
    with served(Cameras("door"), shapes=shapes) as server:
        server.offer(scene_results(frames=1)[0])
        page = open_page(server.url, size=(390, 844), has_touch=True, is_mobile=True)
        until_seq(page, 0)
        page.keyboard.press("1")
        page.keyboard.press("e")
        page.evaluate("scrollTo(0, 0)")
        box = page.locator(".stage").bounding_box()
        assert box is not None
        finger = page.context.new_cdp_session(page)
        for n in range(6):
            place = {"x": box["x"] + (0.8 - 0.04 * n) * box["width"], "y": box["y"] + (0.8 - 0.08 * n) * box["height"]}
            kind = "touchMove" if n else "touchStart"
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [place]})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(page.locator("#yaml")).not_to_contain_text("[0.8, 0.8]")
        corner = yaml_of(page)["cameras"]["door"]["zones"]["porch"]["polygon"][2]
        assert np.allclose(corner, [0.6, 0.4], atol=0.02)


def test_names_of_zones_at_the_upper_edge_can_be_read(open_page: Open) -> None:
    line = {"points": [[0.5, 0.0], [0.5, 0.001]]}
    with served(Cameras("door"), shapes={"door": {"lines": {"a-name-that-is-long": line}}}) as server:
        server.offer(scene_results(frames=1)[0])
        page = open_page(server.url)
        until_seq(page, 0)
        show_only(page, "zones")
        drawn = pixels(page)[:20, :, 3] > 0
        assert drawn[:, drawn.shape[1] // 2 + 40 :].sum() > 200


NO_SOCKETS = """window.WebSocket = class { static OPEN = 1; readyState = 3;
    constructor() { setTimeout(() => this.onclose?.({}), 5); } };"""


def test_without_a_web_socket_pictures_come_one_by_one(open_page: Open) -> None:
    cameras = Cameras("door")
    with served(cameras) as server, playing(server, {"door": scene_results(frames=2)}):
        page = open_page(server.url, script=NO_SOCKETS)
        expect(page.locator("#link")).to_have_attribute("data-link", "pictures only", timeout=PATIENCE_MS)
        page.wait_for_function("() => document.querySelector('.still')?.naturalWidth === 320")
        expect(page.locator(".tile .numbers")).to_contain_text("5.0 fps")
        cameras.set("door", "lost", "timeout", "no answer")
        expect(page.locator(".cover")).to_contain_text("no answer")


def test_without_a_web_socket_nine_cameras_show_and_go_on_after_a_reload(open_page: Open) -> None:
    names = [f"cam-{n}" for n in range(9)]
    with served(cameras := Cameras(*names)) as server, playing(server, {n: scene_results(n, frames=2) for n in names}):
        page = open_page(server.url, size=(1600, 1300), script=NO_SOCKETS)
        all_shown = "() => [...document.querySelectorAll('.still')].filter((still) => still.naturalWidth).length === 9"
        page.wait_for_function(all_shown)
        cameras.set("cam-8", "lost", "timeout", "no answer")  # a browser has six connections for a server
        expect(page.locator('[data-camera="cam-8"] .cover')).to_contain_text("no answer")
        server.set_cameras(names[:8], {}, ["cam-8"], [])
        expect(page.locator(".tile")).to_have_count(8)
        source = page.locator('[data-camera="cam-0"] .still').get_attribute("src")
        expect(page.locator('[data-camera="cam-0"] .still')).not_to_have_attribute("src", source or "")


def test_a_server_that_falls_silent_is_told_and_asked_again(open_page: Open) -> None:
    with served(Cameras("door")) as server:
        page = open_page("about:blank")
        page.clock.install()
        page.goto(server.url)
        link = page.locator("#link")
        expect(link).to_have_attribute("data-link", "live")
        goes_on = threading.Event()
        server._call(lambda: goes_on.wait(60))
        try:
            page.clock.run_for(6000)
            expect(link).to_have_attribute("data-link", "no answer")
            expect(page.locator("#cameras")).to_have_class("old")
            page.clock.run_for(12_000)
            expect(link).to_have_attribute("data-link", "no connection")
        finally:
            goes_on.set()
        page.clock.run_for(6000)
        expect(link).to_have_attribute("data-link", "live")
        expect(page.locator("#cameras")).not_to_have_class("old")


def test_a_page_whose_token_is_not_taken_any_more_says_so(open_page: Open) -> None:
    with served(Cameras("door"), token="a-token-of-twenty-ab") as server:
        bind = f"127.0.0.1:{server.address.port}"
        page = open_page(f"{server.url}?token=a-token-of-twenty-ab")
        expect(page.locator("#link")).to_have_attribute("data-link", "live")
    with served(Cameras("door"), bind=bind, token="b-token-of-twenty-ab"):
        expect(page.locator("#link")).to_have_attribute("data-link", "token needed")


def test_cameras_that_stay_keep_their_tiles_and_the_editor_stays_open(open_page: Open) -> None:
    square = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]
    with served(cameras := Cameras("door", "yard")) as server:
        page = open_page(f"{server.url}#yard")
        expect(page.locator("#subject")).to_have_text("yard")
        page.evaluate("document.querySelectorAll('.tile').forEach((tile) => (tile.remembers = true))")
        page.keyboard.press("e")
        page.locator("#shape-draw").click()
        page.keyboard.press("Space")
        cameras.set("hall", "up")
        server.set_cameras(["hall", "yard"], {"yard": {"zones": {"lawn": {"polygon": square}}}}, ["door"], [])
        page.wait_for_selector('[data-camera="hall"]', state="attached")
        order = "[...document.querySelectorAll('.tile')].map((tile) => [tile.dataset.camera, !!tile.remembers])"
        assert page.evaluate(order) == [["hall", False], ["yard", True]]
        expect(page.locator("#shape-draw")).to_have_text("Give up")
        expect(page.locator("#shape-list")).to_contain_text("lawn")
        expect(page.locator(".large .stage")).to_be_focused()
        cameras.set("door", "up")
        server.set_cameras(["door", "hall"], {}, ["yard"], [])
        expect(page.locator('[data-camera="door"]')).to_be_visible()
        expect(page.locator("#editor")).to_be_hidden()


def test_the_page_asks_below_the_path_that_it_came_from(open_page: Open) -> None:
    with served(Cameras("door")) as server:
        asked: list[str] = []
        page = open_page("about:blank")
        page.route("**/argos/", lambda route: route.fulfill(response=page.request.get(server.url)))
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url.replace("ws:", "http:")))
        page.goto(f"{server.url}argos/#door")
        with page.expect_request("**/argos/status"):
            pass
        assert f"{server.url}argos/live" in asked
        assert all(url.startswith(f"{server.url}argos/") for url in asked if not url.startswith("data:"))


def test_the_page_comes_back_when_the_server_does(open_page: Open) -> None:
    result = scene_results(frames=1)[0]
    with served(Cameras("door")) as server:
        bind = f"127.0.0.1:{server.address.port}"
        page = open_page(server.url)
        expect(page.locator("#link")).to_have_attribute("data-link", "live")
    expect(page.locator("#link")).to_have_attribute("data-link", "no connection", timeout=PATIENCE_MS)
    with served(Cameras("door", "yard"), bind=bind) as server:
        server.offer(again(result, 7))
        expect(page.locator("#link")).to_have_attribute("data-link", "live", timeout=PATIENCE_MS)
        until_seq(page, 7)
        expect(page.locator(".tile")).to_have_count(2)


def test_ten_cameras_fit_a_phone_and_all_give_pictures(open_page: Open) -> None:
    names = [f"cam-{n}" for n in range(10)]
    film = scene_results(frames=1)[0]
    with served(Cameras(*names)) as server:
        for name in names:
            server.offer(Result(**{**{f: getattr(film, f) for f in film.__slots__}, "camera": name}))
        page = open_page(server.url, size=(390, 844), has_touch=True, device_scale_factor=2)
        until_seq(page, 0, names[0])
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        made = server.pictures.made
        assert made < 10  # those that cannot be seen are not asked for
        for name in names:
            page.locator(f'[data-camera="{name}"]').scroll_into_view_if_needed()
            until_seq(page, 0, name)
        sides = page.evaluate(
            "[...document.querySelectorAll('header button')].map(b => b.getBoundingClientRect().height)"
        )
        assert min(sides) >= 32  # a finger hits them


def contrast(page: Page, words: str) -> float:
    """Contrast of text and page, as WCAG 2 counts it."""
    script = """words => [getComputedStyle(document.querySelector(words)).color,
        getComputedStyle(document.querySelector("aside")).backgroundColor].map(c => c.match(/[\\d.]+/g).map(Number))"""

    def luminance(colour: list[float]) -> float:
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(colour[:3]) / 255]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    low, high = sorted(luminance(colour) for colour in page.evaluate(script, words))
    return (high + 0.05) / (low + 0.05)


def test_dark_and_light_follow_the_system_or_the_button_and_can_be_read(open_page: Open) -> None:
    with served(Cameras("door")) as server:
        page = open_page(server.url, color_scheme="light")
        root = page.locator("html")
        page.wait_for_selector(".tile")
        expect(root).to_have_attribute("data-theme", "light")
        page.emulate_media(color_scheme="dark")
        expect(root).to_have_attribute("data-theme", "dark")
        page.locator("#theme").click()
        page.locator("#theme").click()
        expect(root).to_have_attribute("data-theme", "light")
        for button in ("Light", "Auto"):
            expect(page.locator("#theme")).to_have_text(button)
            for words in ("#subject", "figcaption span", "figcaption b", "#about"):
                assert contrast(page, words) > 4.5
            page.locator("#theme").click()


def test_a_token_in_the_address_opens_the_page_and_leaves_the_address(open_page: Open) -> None:
    with served(Cameras("door"), token="a-token-of-twenty-ab") as server:
        server.offer(scene_results(frames=1)[0])
        address = f"{server.url}?token=a-token-of-twenty-ab"
        page = open_page("data:text/html,elsewhere")
        page.set_content(f"<a href='{address}'>cameras</a>")  # a link on another site
        page.locator("a").click()
        until_seq(page, 0)
        assert "token" not in page.url
        assert page.evaluate("document.cookie") == ""
