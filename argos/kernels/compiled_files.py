"""Numba's files of compiled kernels: what is damaged or cannot be written is compiled anew, in seconds.

A power cut soon after the first start may leave files of no length. Numba itself raises at each of them, at every start
from then on, and where it finds no folder to write to it raises when a kernel is defined.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from numba.core import dispatcher
from numba.core.caching import FunctionCache, NullCache

log = logging.getLogger(__name__)


class ForgivingCache(FunctionCache):
    """The files of one kernel."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled for some types; None where nothing was, or where it cannot be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # a damaged pickle may raise anything
            _tell(f"those in {self.cache_path} are damaged ({type(error).__name__})", "written anew")
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, where that is possible."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _tell(f"{self.cache_path} cannot be written ({error.strerror})", REMEDY)


REMEDY = "made anew at every start; set NUMBA_CACHE_DIR to a folder that can be written"


def cache_of(function: Callable[..., Any]) -> Any:
    """Where a kernel is kept; nowhere, if there is no folder for it."""
    try:
        return ForgivingCache(function)
    except RuntimeError:  # no folder, says Numba
        _tell("there is no folder that can be written", REMEDY)
        return NullCache()


@cache
def _tell(what: str, remedy: str) -> None:
    """Warn once, whatever the number of kernels."""
    log.warning("compiled kernels: %s; they are %s", what, remedy)


def forgive() -> None:
    """Keep kernels that are defined from now on so."""
    dispatcher.FunctionCache = cache_of  # type: ignore[attr-defined]
