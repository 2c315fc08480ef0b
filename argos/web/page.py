"""The live page: one document without anything from outside, put together from the files of ``page/``."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

SCRIPTS = ("masks.js", "overlay.js", "charts.js", "connection.js", "editor.js", "tiles.js", "main.js")
"""In the order they run; each is a function of its own scope that adds to ``window.argos``."""


@cache
def page() -> tuple[str, str]:
    """The document, and the ``Content-Security-Policy`` that allows its own style and script and nothing else."""
    folder = files("argos.web") / "page"
    style = (folder / "style.css").read_text("utf-8")
    script = "\n".join((folder / name).read_text("utf-8") for name in SCRIPTS)
    document = (folder / "index.html").read_text("utf-8")
    for place, text in (("/* style */", style), ("/* script */", script)):
        if document.count(place) != 1:
            raise ValueError(f"index.html: expected {place!r} once")
        document = document.replace(place, text)
    policy = {
        "default-src": "'none'",
        "script-src": _digest(script),
        "style-src": _digest(style),
        "img-src": "'self' blob: data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return document, "; ".join(f"{name} {value}" for name, value in policy.items())


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
