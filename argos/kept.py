"""The user's cache: what was measured on this machine, JSON for each set of conditions, and files that take seconds."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

from argos.errors import UsageError
from argos.machine import cache_folder

log = logging.getLogger(__name__)

Content = TypeVar("Content", bound=msgspec.Struct)


def kept_path(folder: str, conditions: msgspec.Struct) -> Path:
    """The file of some conditions, in a folder of the cache."""
    text = json.dumps(msgspec.to_builtins(conditions), sort_keys=True)
    return cache_folder() / folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def read_kept(path: Path, content: type[Content], remedy: str) -> Content | None:
    """What a file holds; None where there is none, or where it cannot be read, which is logged with the remedy."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        log.warning("%s: ignored, not readable (%s); %s", path, error, remedy)
        return None


def write_kept(path: Path, content: msgspec.Struct) -> None:
    """Write a file and its folder, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
    _write_whole(path, lambda new: new.write_bytes(text))


def kept_file(folder: str, name: str, write: Callable[[Path], object], *, anew: bool = False) -> Path:
    """A file of the cache, written when it is first asked for, whole or not at all.

    Where the cache cannot be written it lies in a temporary folder until the process ends, which is told once.

    Args:
        folder: of the cache.
        name: of the file; another one for other contents.
        write: writes it to the path it is given; what it raises but OSError passes through.
        anew: write it in any case: the one that is there is damaged.

    Raises:
        UsageError: it cannot be written anywhere.
    """
    path = cache_folder() / folder / name
    if not anew and path in _elsewhere:
        return _elsewhere[path]
    try:
        if anew or not path.exists():
            _write_whole(path, write)
    except OSError as error:
        tell_unwritable(error)
        try:
            instead = Path(_temporary().name) / name
            _write_whole(instead, write)
        except OSError as again:
            raise UsageError(
                f"{path} cannot be written ({error.strerror}), nor a file in the temporary folder ({again.strerror}): "
                "set ARGOS_CACHE to a folder that can"
            ) from again
        _elsewhere[path] = instead
        return instead
    return path


def tell_unwritable(error: OSError) -> None:
    """Warn that the cache cannot be written, with the remedy; once, whatever was to be written."""
    _warn(cache_folder(), error.strerror)


@cache
def _warn(folder: Path, reason: str | None) -> None:
    log.warning(
        "the cache %s cannot be written (%s): what it should keep is made anew at every start, in seconds; "
        "set ARGOS_CACHE to a folder that can",
        folder,
        reason,
    )


_elsewhere: dict[Path, Path] = {}
"""Files that are not in the cache -> where they are."""


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """Removed at the end of the process."""
    return tempfile.TemporaryDirectory(prefix="argos-")


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as beside:  # never half a file under the name, nor a wrong one
        new = Path(beside) / path.name
        write(new)
        new.replace(path)
