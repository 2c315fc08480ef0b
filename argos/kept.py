"""What was measured on this machine, kept between runs: JSON files in the cache, one for each set of conditions."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import TypeVar

import msgspec

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
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        log.warning("%s: ignored, not readable (%s); %s", path, error, remedy)
        return None


def write_kept(path: Path, content: msgspec.Struct) -> None:
    """Write a file and its folder, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    new.replace(path)
