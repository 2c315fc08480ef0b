"""Watches a camera with GStreamer; started with Debian's Python. Prints ``PICTURES n of WIDTHxHEIGHT``.

Usage: gst_viewer.py URL tcp|udp PICTURES SECONDS
"""

import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402


def main() -> None:
    url, transport, wanted, seconds, codec = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    Gst.init(None)
    pipeline = Gst.parse_launch(
        f'rtspsrc location="{url}" protocols={transport} latency=100 ! rtp{codec}depay ! {codec}parse ! '
        f"video/x-{codec},stream-format=byte-stream,alignment=au ! fakesink name=sink signal-handoffs=true sync=false"
    )
    loop, sizes = GLib.MainLoop(), []

    def picture(sink: Gst.Element, buffer: Gst.Buffer, pad: Gst.Pad) -> None:
        shape = pad.get_current_caps().get_structure(0)
        sizes.append((shape.get_value("width"), shape.get_value("height")))
        if len(sizes) >= wanted:
            loop.quit()

    def trouble(_: Gst.Bus, message: Gst.Message) -> None:
        print("ERROR", message.parse_error().gerror.message, flush=True)
        loop.quit()

    pipeline.get_by_name("sink").connect("handoff", picture)
    bus = pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message::error", trouble)
    GLib.timeout_add_seconds(seconds, loop.quit)
    pipeline.set_state(Gst.State.PLAYING)
    loop.run()
    pipeline.set_state(Gst.State.NULL)
    width, height = sizes[-1] if sizes else (0, 0)
    print(f"PICTURES {len(sizes)} of {width}x{height}", flush=True)


if __name__ == "__main__":
    main()
