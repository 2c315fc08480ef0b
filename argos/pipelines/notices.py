"""What happens to ARGOS itself, told everywhere at once: in the log, to subscribers, and on the page."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from argos.publishing.publisher import Publisher
from argos.publishing.wire import NO_CAMERA
from argos.sources.names import redact
from argos.types import Notice

if TYPE_CHECKING:
    from argos.web.server import WebServer

log = logging.getLogger(__name__)

LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Notices:
    """Numbers notices and hands them to whoever is there; any thread may tell one.

    Args:
        run: id of the process run.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._seq: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._publisher: Publisher | None = None
        self._web: WebServer | None = None

    def to(self, publisher: Publisher | None, web: WebServer | None) -> None:
        """Tell them too from now on."""
        self._publisher, self._web = publisher, web

    def tell(
        self,
        event: str,
        camera: str,
        text: str,
        values: Mapping[str, str | int | float] = MappingProxyType({}),
        *,
        level: Literal["info", "warning", "error"] = "info",
    ) -> None:
        """Tell something, once.

        Args:
            event: stable name, see ``docs/operation.md``.
            camera: whom it concerns; ``-`` for all.
            text: one line for people; credentials are taken out.
            values: for programs.
            level: of the log line.
        """
        text = redact(text)
        about = {"event": event, "camera": None if camera == NO_CAMERA else camera, **values}
        log.log(LEVELS[level], "%s", text, extra=about)
        with self._lock:
            seq = self._seq[camera]
            self._seq[camera] += 1
            notice = Notice(camera, self._run, seq, event, text, values, time.time_ns())
            if self._publisher is not None:
                self._publisher.notice(notice)
        if self._web is not None:
            self._web.tell({"type": event, "camera": camera, "t_ns": notice.sent_ns, "text": text})
