"""The version of the installed package; in a module of its own, so that every floor may ask for it."""

from __future__ import annotations

from importlib import metadata

try:
    VERSION = metadata.version("argos-vision")
except metadata.PackageNotFoundError:  # a checkout on the path that nobody installed
    VERSION = "0+checkout"
