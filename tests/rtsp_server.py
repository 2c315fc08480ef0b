"""A camera that speaks RTSP, for the tests; started by ``tests/rtsp.py`` with Debian's Python, which sees GStreamer.

It prints ``READY rtsp://...`` when it listens, and then takes one command per line on standard input:

    stall       the connection stays open and no picture comes any more
    resume      pictures come again
    kick        every connection is closed at once
    jump N      the clock of the camera moves by N seconds, back if negative
    quit        the end, as is the end of the input
"""

import argparse
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

PATH = "/cam"
VIEWER = "viewer"
# one slice in a picture and all of it in one buffer: the payloader marks the end of each buffer as the end of a picture
ENCODERS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast threads=1 sliced-threads=false key-int-max={gop} ! "
    "h264parse ! video/x-h264,stream-format=avc,alignment=au ! rtph264pay",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} ! "
    "h265parse ! video/x-h265,stream-format=hvc1,alignment=au ! rtph265pay",
}
ELEMENTS = ("videotestsrc", "x264enc", "h264parse", "rtph264pay", "x265enc", "h265parse", "rtph265pay")
EARLY_NS = 3600 * Gst.SECOND  # the clock starts here, so that it can jump back without leaving the segment


class Camera:
    """One picture for all viewers, with a clock that can be moved and a lens that can be covered."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.stalled = False
        self.offset_ns = EARLY_NS
        self.clients: list[GstRtspServer.RTSPClient] = []
        self.server = GstRtspServer.RTSPServer()
        self.server.set_address("127.0.0.1")
        self.server.set_service(str(arguments.port))
        self.server.connect("client-connected", self._client_connected)

        width, height = arguments.size.split("x")
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(
            f"( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width={width},height={height},"
            f"framerate={arguments.fps}/1 ! {ENCODERS[arguments.codec].format(gop=arguments.gop)} name=pay0 pt=96 "
            "config-interval=-1 )"
        )
        factory.set_shared(True)
        if arguments.transport:
            factory.set_protocols(getattr(GstRtsp.RTSPLowerTrans, arguments.transport.upper()))
        factory.connect("media-configure", self._media_configure)
        if arguments.user:
            self._ask_for_password(factory, arguments.user, arguments.password, arguments.auth)
        self.server.get_mount_points().add_factory(PATH, factory)
        if not self.server.attach(None):
            sys.exit(f"cannot listen on port {arguments.port}")

    def _ask_for_password(self, factory: GstRtspServer.RTSPMediaFactory, user: str, password: str, method: str) -> None:
        """Let nobody else in, by ``basic`` or ``digest``."""
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", VIEWER)
        auth = GstRtspServer.RTSPAuth()
        if method == "basic":
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        else:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(user, password, token)
        self.server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        for right in ("access", "construct"):
            permissions.add_permission_for_role(VIEWER, f"media.factory.{right}", True)
        factory.set_permissions(permissions)

    def _client_connected(self, _: GstRtspServer.RTSPServer, client: GstRtspServer.RTSPClient) -> None:
        self.clients.append(client)
        client.connect("closed", self.clients.remove)

    def _media_configure(self, _: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
        element = media.get_element()
        element.get_parent().connect("deep-element-added", self._element_added)
        pay = element.get_by_name("pay0")
        pay.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, self._picture)

    def _element_added(self, _: Gst.Bin, __: Gst.Bin, element: Gst.Element) -> None:
        """Never let a sink wait for the moved clock; the source sets the pace. The server turns it on at each PLAY."""

        def send_at_once(sink: Gst.Element, _: object = None) -> None:
            if sink.get_property("sync"):
                sink.set_property("sync", False)

        if element.find_property("sync") is not None:
            send_at_once(element)
            element.connect("notify::sync", send_at_once)

    def _picture(self, _: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        """Move the time of an encoded picture, or withhold it."""
        if self.stalled:
            return Gst.PadProbeReturn.DROP
        picture = info.get_buffer()
        picture.pts += self.offset_ns
        picture.dts += self.offset_ns
        return Gst.PadProbeReturn.OK

    def obey(self, command: str) -> None:
        """Do what a line of the input says."""
        match command.split():
            case ["stall"]:
                self.stalled = True
            case ["resume"]:
                self.stalled = False
            case ["kick"]:
                for client in list(self.clients):
                    client.close()
            case ["jump", seconds]:
                self.offset_ns += round(float(seconds) * Gst.SECOND)
            case _:
                sys.exit(f"unknown command: {command!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    parser.add_argument("--size", default="640x360", help="WIDTHxHEIGHT")
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--gop", type=int, default=15, help="pictures from one key frame to the next")
    parser.add_argument("--codec", choices=tuple(ENCODERS), default="h264")
    parser.add_argument("--transport", choices=("tcp", "udp"), help="the only one; default: what the viewer asks for")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--auth", choices=("basic", "digest"), default="basic")
    parser.add_argument("--check", action="store_true", help="only tell whether every part of GStreamer is here")
    arguments = parser.parse_args()

    Gst.init(None)
    absent = [name for name in ELEMENTS if Gst.ElementFactory.find(name) is None]
    if absent:
        sys.exit(f"GStreamer lacks {', '.join(absent)}")
    if arguments.check:
        return
    camera = Camera(arguments)
    loop = GLib.MainLoop()

    def listen() -> None:
        for line in sys.stdin:
            if line.strip() == "quit":
                break
            GLib.idle_add(camera.obey, line)
        loop.quit()

    threading.Thread(target=listen, daemon=True).start()
    credentials = f"{arguments.user}:{arguments.password}@" if arguments.user else ""
    print(f"READY rtsp://{credentials}127.0.0.1:{camera.server.get_bound_port()}{PATH}", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
