"""Log lines on standard error, as text for people or as JSON for programs; without credentials.

A call names its event and camera: ``log.warning("no answer", extra={"event": "source.reconnect", "camera": "door"})``.
"""

from __future__ import annotations

import json
import logging
import sys
import time

from argos.sources.names import redact

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("auto", "text", "json")

_NO_EXTRA = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up_logs(level: str = "info", form: str = "auto") -> None:
    """Write the log of ``argos`` to standard error from now on; a second call replaces the first.

    Args:
        level: one of ``LEVELS``, the least that is written.
        form: one of ``FORMATS``; ``auto`` is text, with the time of day on a terminal and the date elsewhere.

    Raises:
        ValueError: unknown level or format.
    """
    if level not in LEVELS or form not in FORMATS:
        raise ValueError(f"expected one of {LEVELS} and one of {FORMATS}, got {level!r} and {form!r}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines(short=form == "auto" and sys.stderr.isatty()))
    logger = logging.getLogger("argos")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())


class TextLines(logging.Formatter):
    """``12:03:11 warning door: no answer``."""

    def __init__(self, *, short: bool) -> None:
        super().__init__()
        self._form = "%H:%M:%S" if short else "%Y-%m-%dT%H:%M:%S%z"

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback of an exception below it."""
        when = time.strftime(self._form, time.localtime(record.created))
        camera = getattr(record, "camera", None)
        line = f"{when} {record.levelname.lower()} {f'{camera}: ' if camera else ''}{record.getMessage()}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return redact(line)


class JsonLines(logging.Formatter):
    """One JSON object per line: ``ts`` (UTC), ``level``, ``event``, ``camera``, ``msg`` and what the call adds."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; the event is the logger's name where the call names none, the camera null."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "ts": f"{when}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.name.removeprefix("argos."),
            "camera": None,
        }
        entry |= {key: value for key, value in vars(record).items() if key not in _NO_EXTRA}
        entry["msg"] = record.getMessage()
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps({key: redact(v) if isinstance(v, str) else v for key, v in entry.items()}, default=_text)


def _text(value: object) -> str:
    return redact(str(value))
