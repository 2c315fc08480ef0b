"""What went wrong with a source, as one line: what, where, remedy."""

from __future__ import annotations

import av
from av.error import FFmpegError

from argos.errors import SourceError
from argos.sources.names import redact

_CODES: tuple[tuple[type[Exception], str], ...] = (
    (av.error.ConnectionRefusedError, "refused"),
    (av.error.HTTPUnauthorizedError, "unauthorized"),
    (av.error.HTTPForbiddenError, "unauthorized"),
    (av.error.HTTPNotFoundError, "not_found"),
    (av.error.FileNotFoundError, "not_found"),
    (av.error.ExitError, "timeout"),
    (av.error.TimeoutError, "timeout"),
    (av.error.EOFError, "ended"),
    (av.error.MemoryError, "memory"),
)

_LIVE_WORDS = {
    "refused": ("connection refused", "check that the camera is on and that host and port are right"),
    "unauthorized": ("user or password refused", "check the credentials in the URL, percent-encode special letters"),
    "not_found": ("the server has no such stream", "check the path of the URL in the camera's manual"),
    "timeout": ("no answer in time", "check host, network and transport (tcp | udp), or raise open_timeout_s"),
    "ended": ("the stream ended", "check network and camera"),
    "memory": ("no memory left for it", "raise source.memory_mb, or let the camera send smaller pictures"),
}

# Waiting seconds for these is no use, unless the camera is just starting: only the configuration or its set-up changes
# them.
PERMANENT = frozenset({"unauthorized", "not_found", "no_video", "unsupported"})


def code_of(error: FFmpegError) -> str:
    """Stable word for an error of FFmpeg; ``failed`` when it has no special one."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), "failed")


def place(camera: str, source: str) -> str:
    """Where something went wrong, for the front of a message; credentials removed.

    Args:
        camera: name of the camera; empty where a source is only looked at.
        source: its address.
    """
    return redact(f"camera '{camera}': {source}" if camera else source)


def live_error(camera: str, source: str, code: str, words: str = "") -> SourceError:
    """The error of a live source, its address without credentials.

    Args:
        camera: name of the camera.
        source: its address.
        code: stable word, see ``SourceError``.
        words: what was found, for codes without words of their own.
    """
    what, remedy = _LIVE_WORDS.get(code, (words or "failed", "check address, network and camera"))
    return SourceError(f"{place(camera, source)}: {redact(words or what)}; {remedy}", code)


def webcam_error(camera: str, device: str, error: FFmpegError) -> SourceError:
    """The error of a local video device."""
    if isinstance(error, av.error.FileNotFoundError):
        words = "no such device; plug the camera in, `ls /dev/video*` lists all"
    elif isinstance(error, av.error.PermissionError):
        words = "permission denied; add the user to the group 'video' and log in again"
    else:
        words = f"{error.strerror}; check that it is a camera that no other program uses"
    return SourceError(f"{place(camera, device)}: {words}", code_of(error))
