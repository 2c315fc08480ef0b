"""Log lines on standard error, as text for people or as JSON for programs; without credentials.

A call names its event and camera: ``log.warning("no answer", extra={"event": "source.lost", "camera": "door"})``.
What is said again and again is held back and counted, so that no fault can fill a disk; errors never are.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from argos.sources.names import redact

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("auto", "text", "json")

_NO_EXTRA = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


MOST_REPEATS, REPEATS_S = 5, 10.0
"""Lines of one event and camera that are written in so many seconds."""

_KINDS_REMEMBERED = 1024


def set_up_logs(level: str = "info", form: str = "auto", run: str | None = None) -> None:
    """Write the log of ``argos`` to standard error from now on; a second call replaces the first.

    Args:
        level: one of ``LEVELS``, the least that is written.
        form: one of ``FORMATS``; ``auto`` is text, with the time of day on a terminal and the date elsewhere.
        run: id of the process run, named in each line of JSON.

    Raises:
        ValueError: unknown level or format.
    """
    if level not in LEVELS or form not in FORMATS:
        raise ValueError(f"expected one of {LEVELS} and one of {FORMATS}, got {level!r} and {form!r}")
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Repeats())
    handler.setFormatter(JsonLines(run) if form == "json" else TextLines(short=form == "auto" and sys.stderr.isatty()))
    logger = logging.getLogger("argos")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())


class Repeats(logging.Filter):
    """Lets ``MOST_REPEATS`` lines of a kind through in ``REPEATS_S``; the next one says how many were held back.

    Lines are of a kind when their event, or what stands in the code, and their camera are the same.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: OrderedDict[tuple[object, ...], list[float]] = OrderedDict()  # begin, lines, held back

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is written; called under the lock of its handler."""
        if record.levelno >= logging.ERROR:
            return True
        now_s = self._clock()
        said = getattr(record, "event", None) or (record.name, record.msg)
        kind = (record.levelno, said, getattr(record, "camera", None))
        begin, lines, held_back = self._kinds.pop(kind, [now_s, 0, 0])
        if now_s - begin >= REPEATS_S:
            if held_back:
                record.repeated = int(held_back)
            begin, lines, held_back = now_s, 0, 0
        is_written = lines < MOST_REPEATS
        self._kinds[kind] = [begin, lines + 1, held_back + (not is_written)]
        if len(self._kinds) > _KINDS_REMEMBERED:
            self._kinds.popitem(last=False)
        return is_written


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
        if hasattr(record, "repeated"):
            line += f" ({record.repeated} more of this kind before)"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return redact(line)


class JsonLines(logging.Formatter):
    """One JSON object per line: ``ts`` (UTC), ``level``, ``event``, ``camera``, ``run``, what the call adds, ``msg``.

    Args:
        run: id of the process run; None before there is one.
    """

    def __init__(self, run: str | None = None) -> None:
        super().__init__()
        self._run = run

    def format(self, record: logging.LogRecord) -> str:
        """One line; the event is the logger's name where the call names none, the camera null."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "ts": f"{when}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.name.removeprefix("argos."),
            "camera": None,
            "run": self._run,
        }
        entry |= {key: value for key, value in vars(record).items() if key not in _NO_EXTRA}
        entry["msg"] = record.getMessage()
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(_clean(entry))


def _clean(value: object) -> object:
    """A value for JSON without credentials, however deep they stand."""
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {str(key): _clean(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_clean(inner) for inner in value]
        case _:
            return redact(str(value))
