"""What a source string means, what its camera is called, and how it is printed without its credentials."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import PurePath
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from argos.errors import SourceError
from argos.sources.segments import segments_of

Kind = Literal["video", "images", "recording", "fake", "rtsp", "http", "webcam"]
"""``rtsp``, ``http`` and ``webcam`` are live; ``video`` is a file, on disk or behind ``http://``; ``recording`` what
``argos record`` wrote."""

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".ts")

_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_WEBCAM = re.compile(r"^(?:webcam:|/dev/video)(\d+)$")
# A password may hold '/' or '@' although it should be percent-encoded: from the scheme, everything with a colon up to
# the last '@' goes. Better a host too little in a message than half a password too much.
_USER_INFO = re.compile(r"(?<=://)(?:[^\s'\"]*:[^\s'\"]*|[^\s'\"/]*)@")
_SECRET = re.compile(
    r"(?i)((?:\b|[?&;/_.-])(?:user(?:name)?|usr|login|pass(?:word|wd|phrase)?|pwd|psw|pw|token|auth|secret|sig(?:nature)?|(?:api|access)?_?key)=)"
    r"[^\s&;'\"]+"
)


def kind_of(source: str) -> Kind:
    """Tell what a source string means; looks at the disk only to tell directories and patterns from files.

    Raises:
        SourceError: ``unsupported``, the scheme is none of the known ones.
    """
    if _WEBCAM.match(source):
        return "webcam"
    scheme = _SCHEME.match(source)
    if scheme is None or scheme[1].lower() == "file":
        path = file_path(source)
        if segments_of(path):
            return "recording"
        if os.path.isdir(path) or PurePath(path).suffix.lower() in IMAGE_SUFFIXES or is_pattern(path):
            return "images"
        return "video"
    match scheme[1].lower():
        case "fake":
            return "fake"
        case "rtsp" | "rtsps":
            return "rtsp"
        case "http" | "https":
            return "video" if urlsplit(source).path.lower().endswith(VIDEO_SUFFIXES) else "http"
    raise SourceError(
        f"{redact(source)}: unknown kind of source '{scheme[1]}://'; use a file, a directory or pattern of images, "
        "rtsp(s)://, http(s)://, webcam:N, /dev/videoN or fake://people",
        "unsupported",
    )


def is_pattern(path: str) -> bool:
    """Whether a path is a glob pattern and not the name of something that exists."""
    return any(letter in path for letter in "*?[") and not os.path.exists(path)


def literal_part(path: str) -> PurePath:
    """What of a pattern is no pattern: the innermost folder it names, or all of it where it exists."""
    literal = PurePath(path)
    while is_pattern(str(literal)) and literal.parent != literal:
        literal = literal.parent
    return literal


def is_live(source: str) -> bool:
    """Whether a source goes on by itself: frames not read in time are late, and a lost connection is made again."""
    kind = kind_of(source)
    if kind == "fake":
        return parse_qs(urlsplit(source).query).get("realtime", ["0"])[-1] not in ("0", "")
    return kind in ("rtsp", "http", "webcam")


def file_path(source: str) -> str:
    """The path of a file source with ``~`` expanded; of a ``file://`` URL without its percent-encoding."""
    path = unquote(source[len("file://") :]) if source.lower().startswith("file://") else source
    return os.path.expanduser(path)


def device_path(source: str) -> str:
    """``/dev/videoN`` of ``webcam:N`` or ``/dev/videoN``."""
    return re.sub(r"^webcam:", "/dev/video", source)


def camera_name(source: str) -> str:
    """Default name of a camera: of a file its stem, of a URL host and path; matches ``^[a-z0-9][a-z0-9_-]{0,62}$``."""
    if _WEBCAM.match(source):
        return PurePath(device_path(source)).name
    if _SCHEME.match(source) and not source.lower().startswith("file://"):
        # cut user, password and query off first, with the same pattern as every message
        url = urlsplit(redact(source).replace("***@", ""))
        words = url.netloc if url.scheme == "fake" else f"{url.netloc}{url.path}"
    else:
        literal = literal_part(file_path(source))
        words = (literal if os.path.isdir(literal) else literal.with_suffix("")).name or os.path.basename(os.getcwd())
    ascii_words = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", ascii_words).strip("-_")[:63].rstrip("-_") or "camera"


def redact(text: str) -> str:
    """Replace credentials in URLs (user, password, secrets in the query) by ``***``; for every message and log line."""
    return _SECRET.sub(r"\1***", _USER_INFO.sub("***@", text))
