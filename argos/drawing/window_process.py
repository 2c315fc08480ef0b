"""The process that owns the window: ``python -m argos.drawing.window_process TITLE``.

It reads pictures from standard input, each a line ``WIDTH HEIGHT`` and its RGB bytes, and answers each with a line when
it is painted. A process of its own, because Tk wants the main thread, which has a pipeline to run.
"""

from __future__ import annotations

import signal
import sys
import threading

POLL_MS = 10


def main(title: str) -> int:
    """Show what comes until there is no more, or the user closes the window; returns the exit status."""
    try:
        import tkinter
    except ImportError as error:
        return _say(f"fault this Python has no Tk ({error}); install it (apt-get install python3-tk)")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the pipeline, whose end is the end of this
    try:
        root = tkinter.Tk(className="argos")
    except tkinter.TclError as error:
        return _say(f"fault this machine has no display ({error})")
    root.title(title)
    label = tkinter.Label(root, borderwidth=0, background="#181818")
    label.pack(fill="both", expand=True)
    photo = tkinter.PhotoImage(master=root)
    waiting: list[bytes | None] = []
    threading.Thread(target=_read, args=(waiting,), daemon=True).start()

    def paint() -> None:
        picture = waiting.pop(0) if waiting else b""
        if picture is None:
            root.destroy()
            return
        if picture:
            photo.configure(data=picture, format="PPM")
            label.configure(image=photo)
            root.update_idletasks()
            _say("painted")
        root.after(POLL_MS, paint)

    for key in ("<q>", "<Escape>"):
        root.bind(key, lambda _: root.destroy())
    root.after(POLL_MS, paint)
    _say("ready")
    root.mainloop()
    return 0


def _read(waiting: list[bytes | None]) -> None:
    """Take pictures in, as PPM, the form that Tk reads without a library; None at the end."""
    source = sys.stdin.buffer
    while line := source.readline():
        width, height = map(int, line.split())
        waiting.append(b"P6 %d %d 255 " % (width, height) + source.read(3 * width * height))
    waiting.append(None)


def _say(word: str) -> int:
    print(word, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
